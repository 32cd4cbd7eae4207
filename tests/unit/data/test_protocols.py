"""Row indices and samples: offsets of days, pandas form, windows with padding."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from qnb.data.protocols import RowIndex, WindowSample


def index_of(pairs: list[tuple[str, int]]) -> RowIndex:
    dates = np.array([d for d, _ in pairs], dtype="datetime64[ns]")
    return RowIndex(dates, np.array([c for _, c in pairs], dtype=np.int32), ("A", "B", "C"))


def test_day_starts_and_unique_dates() -> None:
    index = index_of([("2020-01-02", 0), ("2020-01-02", 2), ("2020-01-03", 1)])
    assert index.day_starts().tolist() == [0, 2, 3]
    assert index.unique_dates().astype("M8[D]").astype(str).tolist() == ["2020-01-02", "2020-01-03"]


def test_an_empty_index_has_no_days() -> None:
    index = index_of([])
    assert index.day_starts().tolist() == [0]
    assert len(index.to_pandas()) == 0


def test_to_pandas_names_levels_and_keeps_the_rows() -> None:
    got = index_of([("2020-01-02", 0), ("2020-01-02", 2), ("2020-01-03", 1)]).to_pandas()
    want = pd.MultiIndex.from_tuples(
        [(pd.Timestamp("2020-01-02"), "A"), (pd.Timestamp("2020-01-02"), "C"), (pd.Timestamp("2020-01-03"), "B")],
        names=["datetime", "instrument"],
    )
    assert got.equals(want)
    assert list(got.names) == ["datetime", "instrument"]


def test_to_pandas_survives_rows_that_are_not_ordered_by_date() -> None:
    got = index_of([("2020-01-03", 0), ("2020-01-02", 0), ("2020-01-03", 1)]).to_pandas()
    assert [str(d.date()) for d in got.get_level_values("datetime")] == ["2020-01-03", "2020-01-02", "2020-01-03"]


def test_gather_pads_with_nan() -> None:
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    sample = WindowSample(
        values=values,
        positions=np.array([[-1, 0], [0, 1], [-1, 2]], dtype=np.int32),
        index=index_of([("2020-01-02", 0), ("2020-01-03", 0), ("2020-01-03", 1)]),
        n_features=1,
        feature_names=("x",),
        label_names=("y",),
    )
    got = sample.gather(slice(None))
    assert got.shape == (3, 2, 2)
    assert np.isnan(got[0, 0]).all()
    np.testing.assert_array_equal(got[1], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(sample.y[:, 0], [1, 3, 5])


@pytest.mark.parametrize("module", ["protocols", "splits", "table", "processor", "pipeline", "handler", "dataset"])
def test_importing_loads_neither_pandas_nor_numba(module: str) -> None:
    code = f"import qnb.data.{module}, sys; print('pandas' in sys.modules, 'numba' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.split() == ["False", "False"]
