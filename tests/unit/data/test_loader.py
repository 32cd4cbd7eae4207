"""Loaders: fields as users write them, fixed data, joined data, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.data.fixed_loader import DataLoaderDH, NestedDataLoader, StaticDataLoader
from qnb.data.handler import DataHandlerLP
from qnb.data.loader import DataLoader, LoadContext, QlibDataLoader
from qnb.errors import ConfigError, DataError, UnknownNameError


def test_fields_are_lists_of_expressions_with_or_without_names() -> None:
    flat = QlibDataLoader(["$close", "Mean($close, 5)"])
    assert flat.fields == {"": (("$close", "Mean($close, 5)"), ("$close", "Mean($close, 5)"))}
    assert not flat.is_group
    loader = QlibDataLoader({"feature": [["$close"], ["CLOSE"]], "label": ["Ref($close, -1)"]})
    assert loader.fields["feature"] == (("$close",), ("CLOSE",))
    assert loader.fields["label"][1] == ("Ref($close, -1)",)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"feature": []}, "data_loader.config.feature: a list of fields is empty"),
        ({"feature": [["$close", "$open"], ["CLOSE"]]}, "2 expressions but 1 names"),
        ({"feature": "$close"}, "fields must be a list"),
        ({"feature": [["$close"], ["A"], ["B"]]}, "received 3 lists"),
        ({"feature": [["$close", "$open"], ["A", "A"]]}, "column name 'A' occurs twice"),
        ([], "a list of fields is empty"),
    ],
)
def test_wrong_fields_are_refused(config, message) -> None:
    with pytest.raises(ConfigError, match=message):
        QlibDataLoader(config)


def test_every_group_needs_a_frequency() -> None:
    with pytest.raises(ConfigError, match="freq names no frequency for group 'label'; it has: feature"):
        QlibDataLoader({"feature": ["$close"], "label": ["$close"]}, freq={"feature": "1min"})


def test_fixed_data_from_frames_and_files(toy_frame, tmp_path: Path) -> None:
    frame = toy_frame()
    assert StaticDataLoader(frame).load().equals(frame)
    by_instrument = frame.swaplevel().sort_index()
    assert StaticDataLoader(by_instrument).load().equals(frame)
    frame["feature"].to_parquet(tmp_path / "x.parquet")
    frame["label"].to_csv(tmp_path / "y.csv")
    loader = StaticDataLoader({"feature": tmp_path / "x.parquet", "label": str(tmp_path / "y.csv")})
    pd.testing.assert_frame_equal(loader.load(), frame, check_freq=False)
    some = loader.load(["S01", "S02"], "2020-01-10", "2020-02-01")
    assert set(some.index.get_level_values(1)) == {"S01", "S02"}
    assert some.index.get_level_values(0).max() <= pd.Timestamp("2020-02-01")


def test_groups_with_other_rows_are_aligned(toy_frame) -> None:
    frame = toy_frame()
    x, y = frame["feature"].iloc[5:], frame["label"].iloc[:-5]
    outer = StaticDataLoader({"feature": x, "label": y}).load()
    assert outer.index.equals(frame.index)
    assert outer["feature"].iloc[:5].isna().all().all()
    inner = StaticDataLoader({"feature": x, "label": y}, join="inner").load()
    assert inner.index.equals(frame.index[5:-5])
    with pytest.raises(ConfigError, match="unknown join 'left'"):
        StaticDataLoader(frame, join="left")


def test_fixed_data_that_cannot_be_read(toy_frame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        StaticDataLoader(tmp_path / "none.parquet").load()
    (tmp_path / "x.pkl").write_bytes(b"")
    with pytest.raises(DataError, match="pickles are not loaded"):
        StaticDataLoader(tmp_path / "x.pkl").load()
    (tmp_path / "x.csv").write_text("date,instrument\n2020-01-01,A\n")
    with pytest.raises(DataError, match="no column 'datetime'"):
        StaticDataLoader(tmp_path / "x.csv").load()
    with pytest.raises(DataError, match="expected an index of two levels"):
        StaticDataLoader(pd.DataFrame({"a": [1.0]})).load()
    named = toy_frame()["feature"].assign(name="x")
    with pytest.raises(DataError, match="columns that are not numbers: name"):
        StaticDataLoader(named).load()
    texts = pd.MultiIndex.from_tuples([("a", "b")], names=["datetime", "instrument"])
    with pytest.raises(DataError, match="first index level must be dates"):
        StaticDataLoader(pd.DataFrame({"a": [1.0]}, index=texts)).load()
    with pytest.raises(UnknownNameError, match="no instrument 'csi300'"):
        StaticDataLoader(toy_frame()).load("csi300")
    with pytest.raises(ConfigError, match="fixed data has no universe"):
        StaticDataLoader(toy_frame()).load({"market": "csi300"})


def test_nested_loaders_join_columns_and_the_last_one_counts(toy_frame) -> None:
    frame = toy_frame()
    changed = frame[[("feature", "F1")]].iloc[3:] * 10
    extra = frame[[("label", "LABEL0")]].rename(columns={"LABEL0": "LABEL1"})
    nested = NestedDataLoader([StaticDataLoader(frame), StaticDataLoader(changed), StaticDataLoader(extra)])
    got = nested.load("csi300")
    assert set(got.columns) == {*frame.columns, ("label", "LABEL1")}
    assert got.index.equals(frame.index)
    np.testing.assert_array_equal(got[("feature", "F1")].iloc[3:], changed[("feature", "F1")])
    assert got[("feature", "F1")].iloc[:3].isna().all()
    described = {"class": "StaticDataLoader", "kwargs": {"config": frame}}
    assert NestedDataLoader([described]).load().equals(frame)
    with pytest.raises(ConfigError, match="unknown join 'right'"):
        NestedDataLoader([described], join="right")


def test_handlers_can_be_a_source(toy_frame, tmp_path: Path) -> None:
    frame = toy_frame()
    settings = Settings().with_(cache_dir=tmp_path)
    one = DataHandlerLP(data_loader=StaticDataLoader(frame["feature"]), settings=settings)
    two = DataHandlerLP(data_loader=StaticDataLoader(frame["label"]), settings=settings)
    loader = DataLoaderDH({"feature": one, "label": two}, is_group=True)
    assert loader.load(start_time="2020-01-10").equals(frame.loc["2020-01-10":])
    assert DataLoaderDH(one).load().equals(frame["feature"])


def test_a_users_loader_is_used_as_it_is(toy_frame, tmp_path: Path) -> None:
    class Own(DataLoader):
        def load(self, instruments=None, start_time=None, end_time=None):  # type: ignore[no-untyped-def]
            return toy_frame().loc[start_time:end_time]

    class Renamed(QlibDataLoader):
        def load(self, instruments=None, start_time=None, end_time=None):  # type: ignore[no-untyped-def]
            return toy_frame().rename(columns={"F0": "FIRST"})

    settings = Settings().with_(cache_dir=tmp_path)
    assert DataHandlerLP(data_loader=Own(), start_time="2020-02-03", settings=settings).fetch().index[0][0].month == 2
    handler = DataHandlerLP(data_loader=Renamed({"feature": ["$close"]}), settings=settings)
    assert handler.get_cols("feature")[0] == "FIRST"
    with pytest.raises(NotImplementedError, match="neither load"):
        DataLoader().load_table(context=LoadContext(settings=settings))
