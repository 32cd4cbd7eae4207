"""A frame comes back exactly as it was, or is not written as Parquet at all."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnb.recorder.tables import read_table, write_table

DAYS = pd.date_range("2020-01-01", periods=3)
PAIRS = pd.MultiIndex.from_product(
    [pd.DatetimeIndex(DAYS, freq=None), ["SH600000", "SZ000001"]], names=["datetime", "instrument"]
)
NO_PAIRS = PAIRS[:0].remove_unused_levels()
SECONDS = pd.DatetimeIndex(np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[s]"), name="day")

EXACT = {
    "predictions": pd.DataFrame({"score": np.arange(6, dtype="float32")}, index=PAIRS),
    "with nan": pd.DataFrame({"a": [1.0, np.nan], "b": [np.inf, -0.0]}),
    "range index": pd.DataFrame({"a": [1, 2]}),
    "stepped range": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(3, 7, 2, name="k")),
    "no columns": pd.DataFrame(index=PAIRS),
    "no rows": pd.DataFrame({"a": np.zeros(0, dtype="float32")}, index=NO_PAIRS),
    "frequency": pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=DAYS),
    "nanoseconds": pd.DataFrame({"a": [1.0]}, index=pd.DatetimeIndex(np.array(["2020-01-01"], "datetime64[ns]"))),
    "seconds": pd.DataFrame({"a": [1.0, 2.0], "b": SECONDS}, index=SECONDS),
    "seconds below": pd.DataFrame({"a": [1.0, 2.0]}, index=pd.MultiIndex.from_arrays([SECONDS, ["x", "y"]])),
    "zone": pd.DataFrame({"a": pd.date_range("2020-01-01", periods=2, tz="Asia/Shanghai")}),
    "differences": pd.DataFrame({"a": pd.to_timedelta([1, 2], unit="ms")}),
    "texts": pd.DataFrame({"a": ["x", None], "b": ["ü", ""]}),
    "booleans": pd.DataFrame({"a": [True, False]}),
    "nullable": pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    "categories": pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "x"], ordered=True)}),
    "twice": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "numbers as columns": pd.DataFrame([[1, 2]], columns=[3, 4]),
    "range as columns": pd.DataFrame(np.zeros((2, 3))),
    "mixed columns": pd.DataFrame([[1, 2, 3]], columns=["a", 1, None]),
    "two levels": pd.DataFrame(
        [[1, 2]], columns=pd.MultiIndex.from_tuples([("feature", "KMID"), ("label", "LABEL0")], names=["group", None])
    ),
    "named columns": pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="what")),
    "index named like a column": pd.DataFrame({"a": [1]}, index=pd.Index([5], name="a")),
    "index named by a number": pd.DataFrame({"a": [1]}, index=pd.Index([5], name=0)),
    "date as a column": pd.DataFrame([[1.0]], columns=pd.Index([pd.Timestamp("2020-01-01")], dtype="object")),
    "texts as objects below": pd.DataFrame(
        {"a": [1.0, 2.0]}, index=pd.MultiIndex.from_arrays([SECONDS, pd.Index(["x", "y"], dtype=object)])
    ),
    "texts as an object index": pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index(["x", "y"], dtype=object)),
    "objects that are texts": pd.DataFrame({"a": pd.Series(["x", "y"], dtype="object")}),
    "series": pd.Series([1.0, 2.0, 3.0], index=DAYS, name="ic"),
    "series without a name": pd.Series([1.0, 2.0]),
    "series named by a tuple": pd.Series([1.0], name=("a", 1)),
    "series named like its index": pd.Series([1.0], name="k", index=pd.Index(["x"], name="k")),
    "series of texts": pd.Series(["a", "b"], name="t"),
    "empty series": pd.Series([], dtype="float32", name="e", index=NO_PAIRS),
}
OTHERWISE = {
    "lists": pd.DataFrame({"a": [[1], [2, 3]]}),
    "tuples": pd.Series([(1, 2), (3, 4)]),
    "mixed": pd.Series([1, "a"]),
    "none among objects": pd.Series(["a", None], dtype="object"),
    "mixed index": pd.Series([1, 2], index=pd.Index([1, "a"], dtype=object)),
    "dates as a column index": pd.DataFrame([[1.0]], columns=pd.DatetimeIndex(["2020-01-01"])),
    "periods": pd.DataFrame([[1.0]], columns=pd.period_range("2020", periods=1, freq="Y")),
    "an odd label": pd.DataFrame({frozenset(): [1.0]}),
    "complex": pd.Series([1j]),
    "whole numbers as objects": pd.Series([np.int64(1), 2**70], dtype="object"),
}


def same(left: pd.DataFrame | pd.Series, right: pd.DataFrame | pd.Series) -> None:
    """Assert that both are exactly equal, frequency and names included."""
    assert type(left) is type(right)
    if isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left, right, check_freq=True, check_exact=True, check_column_type="exact")
        assert type(left.columns) is type(right.columns)
    else:
        pd.testing.assert_series_equal(left, right, check_freq=True, check_exact=True)
    assert type(left.index) is type(right.index)


@pytest.mark.parametrize("name", EXACT)
def test_it_comes_back_exactly(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    before = EXACT[name].copy(deep=True)
    assert write_table(EXACT[name], path)
    same(read_table(path), before)
    same(EXACT[name], before)


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_parquet_would_change_is_not_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    assert not write_table(OTHERWISE[name], path)
    assert not path.exists()


def test_other_readers_see_names(tmp_path: Path) -> None:
    write_table(EXACT["two levels"], tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").column_names[:2] == ["feature.KMID", "label.LABEL0"]


def test_a_foreign_file_is_read_as_pandas_does(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="k"))
    frame.to_parquet(tmp_path / "x.parquet")
    same(read_table(tmp_path / "x.parquet"), frame)


_LABELS = st.one_of(
    st.text(max_size=4), st.integers(-5, 5), st.none(), st.tuples(st.text(max_size=2), st.integers(0, 3))
)
_VALUES = st.one_of(
    st.lists(st.floats(width=32), min_size=2, max_size=2).map(lambda v: np.array(v, dtype="float32")),
    st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=2),
    st.lists(st.text(max_size=3), min_size=2, max_size=2),
    st.lists(st.dates(datetime.date(1990, 1, 1)), min_size=2, max_size=2).map(pd.to_datetime),
)


@settings(max_examples=60, deadline=None)
@given(columns=st.lists(st.tuples(_LABELS, _VALUES), min_size=1, max_size=4), name=_LABELS)
def test_whatever_is_written_comes_back(
    columns: list[tuple[object, object]], name: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame = pd.concat([pd.Series(v) for _, v in columns], axis=1)
    frame.columns = pd.Index([label for label, _ in columns], dtype="object", tupleize_cols=False)
    frame.index = pd.Index([1.5, 2.5], name=name)
    path = tmp_path_factory.mktemp("table") / "x.parquet"
    if write_table(frame, path):
        same(read_table(path), frame)
