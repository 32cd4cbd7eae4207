"""Windows against a direct lookup: gaps, heads, fills, order, filters; and the sampler that user models index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnb.config import Settings
from qnb.data.fixed_loader import StaticDataLoader
from qnb.data.handler import DataHandlerLP
from qnb.data.timeseries import TSDatasetH
from qnb.errors import ConfigError, EmptyDataError, UnknownNameError

SEGMENTS = {"train": ("2020-01-01", "2020-02-07"), "test": ("2020-02-10", "2020-03-10")}
STEP = 6


def dataset_of(frame: pd.DataFrame, cache: Path, step_len: int = STEP, **kwargs: Any) -> TSDatasetH:
    options = {k: kwargs.pop(k) for k in ("flt_col",) if k in kwargs}
    handler = DataHandlerLP(
        data_loader=StaticDataLoader(frame), settings=Settings().with_(cache_dir=cache, threads=1), **kwargs
    )
    return TSDatasetH(step_len=step_len, handler=handler, segments=SEGMENTS, **options)


@pytest.fixture
def make(tmp_path: Path):  # type: ignore[no-untyped-def]
    return lambda frame, **kwargs: dataset_of(frame, tmp_path, **kwargs)


def expected(frame: pd.DataFrame, calendar: pd.Index, date: pd.Timestamp, symbol: str, step_len: int) -> np.ndarray:
    """Return the window that ends on `date`, looked up row by row on the dates that occur in `frame`."""
    last = calendar.get_loc(date)
    window = np.full((step_len, frame.shape[1]), np.nan, dtype=np.float32)
    for back in range(step_len):
        if last - back >= 0 and (calendar[last - back], symbol) in frame.index:
            window[step_len - 1 - back] = frame.loc[(calendar[last - back], symbol)]
    return window


def check(frame: pd.DataFrame, dataset: TSDatasetH, segment: str, data_key: str) -> None:
    sample = dataset.windows(segment, data_key=data_key)
    data = dataset.handler.fetch(col_set="__raw", data_key=data_key)
    start, end = dataset.segments[segment]
    days = dataset.handler.fetch().index.get_level_values(0).unique()
    first = days[max(0, days.searchsorted(pd.Timestamp(start)) - dataset.step_len)]
    source = data.loc[first:end]
    calendar = source.index.get_level_values(0).unique()
    rows = data.loc[start:end].index
    assert sample.index.to_pandas().equals(rows)
    windows = sample.gather(slice(None))
    for i, (date, symbol) in enumerate(rows):
        np.testing.assert_array_equal(windows[i], expected(source, calendar, date, symbol, dataset.step_len))


@pytest.mark.parametrize("segment", ["train", "test"])
@pytest.mark.parametrize("data_key", ["infer", "learn"])
def test_windows_are_what_a_lookup_finds(toy_frame, make, segment, data_key) -> None:
    frame = toy_frame(days=50, instruments=4, gaps=0.2)
    check(frame, make(frame, learn_processors=["DropnaLabel"]), segment, data_key)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(0, 0.9), st.integers(1, 6))
def test_windows_for_any_gaps(toy_frame, tmp_path: Path, seed, step_len, gaps, instruments) -> None:
    frame = toy_frame(days=45, instruments=instruments, features=1, seed=seed, gaps=gaps)
    if len(frame.loc["2020-02-10":"2020-03-10"]):
        check(frame, dataset_of(frame, tmp_path, step_len), "test", "infer")


def test_a_sample_says_what_its_columns_are(toy_frame, make) -> None:
    dataset = make(toy_frame())
    sample = dataset.windows("test")
    assert sample.n_features == 4
    assert sample.feature_names == ("F0", "F1", "F2", "F3")
    assert sample.label_names == ("LABEL0",)
    assert sample.values.dtype == np.float32
    assert sample.positions.dtype == np.int32
    assert not sample.values.flags.writeable
    plain = dataset.sample("test")
    np.testing.assert_array_equal(sample.y, plain.y)
    np.testing.assert_array_equal(sample.values[sample.positions[:, -1], :4], plain.x)


def test_the_head_of_the_data_is_padded_and_can_be_filled(toy_frame, make) -> None:
    frame = toy_frame(gaps=0)
    dataset = make(frame)
    head = dataset.windows("train")
    assert (head.positions[: 8 * (STEP - 1)] == -1).any(axis=1).all()
    assert (head.positions[8 * (STEP - 1) :] >= 0).all()
    filled = dataset.windows("train", fillna_type="ffill+bfill")
    assert (filled.positions >= 0).all()
    np.testing.assert_array_equal(filled.positions[0], [filled.positions[0, -1]] * STEP)
    assert (dataset.windows("train", fillna_type="ffill").positions[0, :-1] == -1).all()
    assert (dataset.windows("test").positions >= 0).all()  # reaches back into the training days


def test_gaps_are_filled_from_the_row_before(toy_frame, make) -> None:
    frame = toy_frame(gaps=0)
    days = frame.index.get_level_values(0).unique()
    frame = frame.drop((days[32], "S02"))
    dataset = make(frame)
    sampler = dataset.prepare("test", col_set="feature")
    at = list(sampler.get_index()).index((days[34], "S02"))
    assert np.isnan(sampler[at][3]).all()
    sampler.config(fillna_type="ffill")
    np.testing.assert_array_equal(sampler[at][3], sampler[at][2])
    with pytest.raises(ConfigError, match="unknown fillna_type 'bfill'"):
        sampler.config(fillna_type="bfill")
    with pytest.raises(ConfigError, match="unknown sampler setting"):
        sampler.config(fill="ffill")


def test_the_sampler_is_ordered_by_instrument_and_indexed_in_three_ways(toy_frame, make) -> None:
    frame = toy_frame(gaps=0.2)
    sampler = make(frame).prepare("test", col_set=["feature", "label"])
    index = sampler.get_index()
    part = frame.loc["2020-02-10":"2020-03-10"]
    assert list(index) == [(d, s) for s, d in part.swaplevel().sort_index().index]
    assert len(sampler) == len(part)
    assert not sampler.empty
    assert sampler[0].shape == (STEP, 5)
    np.testing.assert_array_equal(sampler[7][-1], part.loc[index[7]])
    np.testing.assert_array_equal(sampler[[3, 7]], np.stack([sampler[3], sampler[7]]))
    np.testing.assert_array_equal(sampler[np.array([3, 7])][1], sampler[7])
    for i in (0, 20, len(sampler) - 1):
        np.testing.assert_array_equal(sampler[index[i]], sampler[i])
    date, symbol = index[20]
    np.testing.assert_array_equal(sampler[str(date.date()), symbol], sampler[20])
    assert [len(w) for w in sampler] == [STEP] * len(sampler)
    with pytest.raises(IndexError, match="outside"):
        sampler[len(sampler)]
    with pytest.raises(UnknownNameError, match="no instrument 'S99'"):
        sampler["2020-02-12", "S99"]
    with pytest.raises(EmptyDataError, match="no rows on or before"):
        sampler["2000-01-01", "S00"]


def test_columns_and_type_of_the_sampler(toy_frame, make) -> None:
    dataset = make(toy_frame())
    assert dataset.prepare("test", col_set="label")[0].shape == (STEP, 1)
    assert dataset.prepare("test")[0].shape == (STEP, 5)
    assert dataset.prepare("test", dtype=np.float64)[0].dtype == np.float64
    assert [len(s) for s in dataset.prepare(["train", "test"])] == [
        len(dataset.handler.fetch(s)) for s in SEGMENTS.values()
    ]
    with pytest.raises(ConfigError, match="windows take no argument 'squeeze'"):
        dataset.prepare("test", squeeze=True)


def test_a_filter_column_chooses_where_windows_end(toy_frame, make) -> None:
    frame = toy_frame(gaps=0)
    frame[("filter", "keep")] = (frame[("feature", "F0")] > 0).astype(float)
    frame.iloc[-1, -1] = np.nan
    whole, chosen = make(frame), make(frame, flt_col="filter")
    keep = frame.loc["2020-02-10":"2020-03-10"]["filter"]["keep"] == 1
    some = chosen.windows("test")
    assert some.index.to_pandas().equals(keep[keep].index)
    every = whole.windows("test")
    np.testing.assert_array_equal(some.gather(slice(None)), every.gather(np.flatnonzero(keep)))
    assert len(whole.prepare("test", flt_col="filter")) == keep.sum()
    with pytest.raises(ConfigError, match="flt_col 'feature' has 4 columns"):
        make(frame, flt_col="feature").windows("test")


def test_what_is_refused(toy_frame, make) -> None:
    with pytest.raises(ConfigError, match="step_len must be a positive whole number, received 0"):
        make(toy_frame(), step_len=0)
    dataset = make(toy_frame())
    dataset.config(step_len=3)
    assert dataset.windows("test").positions.shape[1] == 3
    dataset.config(segments={"later": ("2031-01-01", None)})
    with pytest.raises(EmptyDataError, match="segment 'later'"):
        dataset.windows("later")
    with pytest.raises(EmptyDataError, match="segment 'later'"):
        dataset.prepare("later")
    with pytest.raises(ConfigError, match="a model needs the column group 'feature'"):
        make(toy_frame()[["label"]]).windows("test")


def test_rows_of_a_dataset_of_windows_are_to_be_had_as_a_frame(toy_frame, make) -> None:
    dataset = make(toy_frame(), flt_col="filter")
    dataset.fetch_kwargs = {"flt_col": "filter"}
    label = dataset.frame("test", "label", "raw")
    assert isinstance(label, pd.DataFrame)
    start, end = dataset.segments["test"]
    pd.testing.assert_frame_equal(label, toy_frame().loc[start:end, ["label"]]["label"], check_freq=False)
    with pytest.raises(UnknownNameError):
        dataset.frame("tets")
