"""Handlers over fixed frames: fetching, columns, processors from descriptions, lazy loading, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.data.fixed_loader import StaticDataLoader
from qnb.data.handler import DataHandler, DataHandlerLP
from qnb.data.loader import DataLoader
from qnb.data.processors.fillna import Fillna
from qnb.data.processors.robust_z_score_norm import RobustZScoreNorm
from qnb.errors import ConfigError, DataError, EmptyDataError, UnknownNameError

LEARN = [{"class": "DropnaLabel"}, {"class": "CSRankNorm", "kwargs": {"fields_group": "label"}}]


class Counting(DataLoader):
    """Gives a frame and counts how often it was asked."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame, self.calls = frame, 0

    def load(self, instruments=None, start_time=None, end_time=None):  # type: ignore[no-untyped-def]
        self.calls += 1
        return self.frame.loc[start_time:end_time]


@pytest.fixture
def settings(tmp_path) -> Settings:  # type: ignore[no-untyped-def]
    return Settings().with_(cache_dir=tmp_path, threads=2)


@pytest.fixture
def make(settings: Settings):  # type: ignore[no-untyped-def]
    def handler(frame: pd.DataFrame, **kwargs) -> DataHandlerLP:  # type: ignore[no-untyped-def]
        return DataHandlerLP(data_loader=StaticDataLoader(frame), settings=settings, **kwargs)

    return handler


def test_nothing_is_loaded_before_it_is_asked_for(toy_frame, settings: Settings) -> None:
    loader = Counting(toy_frame())
    handler = DataHandlerLP(data_loader=loader, learn_processors=LEARN, settings=settings)
    assert loader.calls == 0
    assert not handler.is_ready
    handler.fetch()
    handler.fetch(data_key="learn")
    assert loader.calls == 1
    handler.setup_data()
    assert loader.calls == 2
    handler.config(start_time="2020-01-15")
    assert handler.fetch().index.get_level_values(0).min() == pd.Timestamp("2020-01-15")
    assert loader.calls == 3


def test_column_sets(toy_frame, make) -> None:
    frame = toy_frame()
    handler = make(frame)
    assert handler.fetch().columns.tolist() == ["F0", "F1", "F2", "F3", "LABEL0"]
    assert handler.fetch(col_set="__raw").equals(frame)
    assert handler.fetch(col_set="label").columns.tolist() == ["LABEL0"]
    assert handler.fetch(col_set=["label", "feature"]).equals(frame[["label", "feature"]])
    assert handler.get_cols() == ["F0", "F1", "F2", "F3", "LABEL0"]
    assert handler.get_cols("feature") == ["F0", "F1", "F2", "F3"]
    assert handler.get_cols(["label"]) == [("label", "LABEL0")]
    with pytest.raises(UnknownNameError, match="no column group 'lable'; did you mean 'label'"):
        handler.fetch(col_set="lable")


@pytest.mark.parametrize(
    "selector",
    [
        slice("2020-01-10", "2020-02-05"),
        ("2020-01-10", "2020-02-05"),
        ["2020-01-10", None],
        (None, "2020-01"),
        slice(pd.Timestamp("2020-01-10"), None),
        slice(None, None),
        "2020-02-05",
        pd.Timestamp("2020-02-05"),
    ],
)
def test_rows_by_date_are_those_of_pandas(toy_frame, make, selector) -> None:
    frame = toy_frame()
    rows = slice(*selector) if isinstance(selector, list | tuple) else selector
    want = frame.loc[pd.IndexSlice[rows, :], :]
    pd.testing.assert_frame_equal(make(frame).fetch(selector, col_set="__raw"), want, check_freq=False)


def test_rows_by_instrument_and_by_sets(toy_frame, make) -> None:
    frame = toy_frame()
    handler = make(frame)
    one = handler.fetch("S03", level="instrument", col_set="__raw")
    assert one.equals(frame.loc[pd.IndexSlice[:, "S03"], :])
    span = handler.fetch(("S02", "S04"), level="instrument")
    assert set(span.index.get_level_values(1)) == {"S02", "S03", "S04"}
    some = handler.fetch(pd.Index(["S00", "S07"]), level="instrument")
    assert set(some.index.get_level_values(1)) == {"S00", "S07"}
    dates = pd.DatetimeIndex(["2020-01-06", "2020-01-09"])
    assert set(handler.fetch(dates).index.get_level_values(0)) == set(dates)
    assert handler.fetch(frame.index[[5, 3]], level=None, col_set="__raw").equals(frame.iloc[[3, 5]])
    with pytest.raises(UnknownNameError, match="no instrument 'S3'"):
        handler.fetch("S3", level="instrument")
    with pytest.raises(EmptyDataError, match="no rows on 2021-01-01; the data has 2020-01-01 to"):
        handler.fetch("2021-01-01")
    with pytest.raises(ConfigError, match="no index level 'date'"):
        handler.fetch("2020-01-06", level="date")


def test_squeeze_and_hook(toy_frame, make) -> None:
    frame = toy_frame()
    handler = make(frame)
    day = handler.fetch("2020-01-06", col_set="label", squeeze=True)
    assert isinstance(day, pd.Series)
    assert day.index.name == "instrument"
    doubled = handler.fetch("2020-01-06", col_set="label", proc_func=lambda df: df * 2)
    pd.testing.assert_series_equal(doubled["LABEL0"].droplevel(0), day * 2, check_names=False)


def test_frames_are_views_and_changing_one_changes_no_other(toy_frame, make) -> None:
    handler = make(toy_frame(), learn_processors=[{"class": "CSRankNorm", "kwargs": {"fields_group": "label"}}])
    values = handler.table("infer").blocks[0].values
    frame = handler.fetch(("2020-01-06", "2020-02-03"))
    assert np.shares_memory(frame["F0"].to_numpy(), values)
    kept = handler.fetch(col_set="__raw").copy()
    frame.iloc[0, 0] = 99
    raw = handler.fetch(data_key="raw")
    raw.fillna(1, inplace=True)
    assert handler.fetch(col_set="__raw").equals(kept)
    assert not (values == 99).any()


def test_processors_come_from_names_descriptions_and_objects(toy_frame, make) -> None:
    handler = make(
        toy_frame(),
        infer_processors=[{"class": "RobustZScoreNorm", "kwargs": {"fields_group": "feature"}}, Fillna("feature")],
        learn_processors=["DropnaLabel", {"class": "qnb.data.processors.cs_rank_norm.CSRankNorm"}],
        fit_start_time="2020-01-06",
        fit_end_time="2020-02-10",
    )
    first = handler.infer_processors[0]
    assert isinstance(first, RobustZScoreNorm)
    assert (first.fit_start_time, first.fit_end_time) == ("2020-01-06", "2020-02-10")
    assert not handler.fetch(col_set="feature").isna().any().any()
    assert handler.fetch(col_set="label", data_key="learn").notna().all().all()
    assert handler.fetch(data_key="raw").isna().any().any()


def test_a_processors_own_fit_window_wins(toy_frame, make) -> None:
    handler = make(
        toy_frame(),
        infer_processors=[{"class": "ZScoreNorm", "kwargs": {"fit_start_time": "2020-01-20"}}],
        fit_start_time="2020-01-06",
        fit_end_time="2020-02-10",
    )
    proc = handler.infer_processors[0]
    assert (proc.fit_start_time, proc.fit_end_time) == ("2020-01-20", "2020-02-10")


def test_wrong_processors_fail_at_construction(toy_frame, make) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'Fillna'"):
        make(toy_frame(), infer_processors=["FillNaa"])
    with pytest.raises(TypeError, match="fill_valu"):
        make(toy_frame(), infer_processors=[{"class": "Fillna", "kwargs": {"fill_valu": 1}}])
    with pytest.raises(ConfigError, match="is not a processor"):
        make(toy_frame(), infer_processors=[3])
    with pytest.raises(ConfigError, match="unknown process_type 'both'"):
        make(toy_frame(), process_type="both")
    with pytest.raises(ConfigError, match="needs a data_loader"):
        DataHandler()


def test_unknown_and_dropped_data_keys(toy_frame, make) -> None:
    with pytest.raises(UnknownNameError, match="no data key 'train'; valid: raw, infer, learn"):
        make(toy_frame()).fetch(data_key="train")
    handler = make(toy_frame(), drop_raw=True)
    handler.fetch()
    with pytest.raises(DataError, match="set drop_raw: false"):
        handler.fetch(data_key="raw")


def test_no_rows_is_an_error_that_says_where(toy_frame, make) -> None:
    with pytest.raises(EmptyDataError, match="no rows for instruments None from 2031-01-01"):
        make(toy_frame(), start_time="2031-01-01").fetch()


def test_learned_state_can_be_kept_for_new_data(toy_frame, make) -> None:
    window = {"fit_start_time": "2020-01-06", "fit_end_time": "2020-02-10"}
    processors = [{"class": "ZScoreNorm", "kwargs": {"fields_group": "feature"}}]
    old = make(toy_frame(), infer_processors=processors, **window)
    old.setup_data()
    new = make(toy_frame(seed=5), infer_processors=processors, **window)
    new.state = old.state
    new.setup_data(init_type="load_state")
    fresh = make(toy_frame(seed=5), infer_processors=processors, **window)
    assert not new.fetch().equals(fresh.fetch())
    raw = toy_frame(seed=5)["feature"]
    want = (raw - old.infer_processors[0].mean_) / old.infer_processors[0].std_
    pd.testing.assert_frame_equal(new.fetch(col_set="feature"), want, check_freq=False, rtol=1e-5)


def test_ranges_of_dates(toy_frame, make) -> None:
    handler = make(toy_frame())
    dates = handler.fetch().index.get_level_values(0).unique()
    assert handler.get_range_selector(dates[9], 3) == slice(dates[7], dates[9])
    assert handler.get_range_selector(dates[1], 5) == slice(dates[0], dates[1])
    got = list(handler.get_range_iterator(5))
    assert [d for d, _ in got] == list(dates[5:])
    assert got[0][1].index.get_level_values(0).unique().tolist() == list(dates[1:6])


def test_flat_columns_have_no_groups(toy_frame, make) -> None:
    flat = toy_frame()["feature"]
    handler = make(flat)
    assert handler.fetch(col_set="feature").equals(flat)
    assert handler.get_cols("__raw") == ["F0", "F1", "F2", "F3"]
    assert DataHandlerLP.from_df(flat).fetch().equals(flat)


def test_fingerprints_follow_content_and_processors(toy_frame, make) -> None:
    base = make(toy_frame()).fingerprint
    assert base == make(toy_frame()).fingerprint
    assert base != make(toy_frame(seed=1)).fingerprint
    assert base != make(toy_frame(), learn_processors=LEARN).fingerprint
