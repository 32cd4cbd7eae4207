"""Segments: what they give as frames and arrays, what is refused, and dumping a dataset without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.data.dataset import DatasetH
from qnb.data.fixed_loader import StaticDataLoader
from qnb.data.handler import DataHandlerLP
from qnb.errors import ConfigError, EmptyDataError, UnknownNameError

SEGMENTS = {"train": ("2020-01-01", "2020-02-07"), "valid": ("2020-02-10", "2020-02-21"), "test": ("2020-02-24", None)}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings().with_(cache_dir=tmp_path / "cache", threads=2)


@pytest.fixture
def make(settings: Settings):  # type: ignore[no-untyped-def]
    def dataset(frame: pd.DataFrame, segments: Any = SEGMENTS, **kwargs: Any) -> DatasetH:
        return DatasetH(DataHandlerLP(data_loader=StaticDataLoader(frame), settings=settings, **kwargs), segments)

    return dataset


def test_segments_have_inclusive_ends(toy_frame, make) -> None:
    frame = toy_frame()
    dataset = make(frame)
    train, test = dataset.prepare(["train", "test"], col_set="__raw")
    assert train.equals(frame.loc["2020-01-01":"2020-02-07"])
    assert test.equals(frame.loc["2020-02-24":])
    assert dataset.prepare("valid", col_set="feature").equals(frame.loc["2020-02-10":"2020-02-21"]["feature"])
    assert dataset.prepare(slice("2020-01-06", "2020-01-07"), col_set="__raw").equals(
        frame.loc["2020-01-06":"2020-01-07"]
    )
    assert dataset.prepare([None, "2020-01-07"], col_set="__raw").equals(frame.loc[:"2020-01-07"])


def test_a_segment_may_lie_partly_outside_and_have_any_name(toy_frame, make) -> None:
    frame = toy_frame()
    dataset = make(frame, {**SEGMENTS, "all of it": ["2019-01-01", "2031-12-31"]})
    dataset.setup_data()
    assert len(dataset.prepare("all of it")) == len(frame)


def test_samples_are_the_frames_as_arrays(toy_frame, make) -> None:
    dataset = make(toy_frame())
    for segment in SEGMENTS:
        sample = dataset.sample(segment)
        frame = dataset.prepare(segment, col_set=["feature", "label"])
        np.testing.assert_array_equal(sample.x, frame["feature"].to_numpy())
        np.testing.assert_array_equal(sample.y, frame["label"].to_numpy())
        assert sample.index.to_pandas().equals(frame.index)
        assert sample.feature_names == ("F0", "F1", "F2", "F3")
        assert sample.label_names == ("LABEL0",)
        assert sample.x.dtype == np.float32
        assert sample.x.flags.c_contiguous
        assert not sample.x.flags.writeable
        assert np.shares_memory(sample.x, dataset.handler.table("infer").blocks[0].values)


def test_a_sample_with_dropped_rows_is_gathered_once(toy_frame, make) -> None:
    dataset = make(toy_frame(), learn_processors=["DropnaLabel"])
    sample = dataset.sample("train", data_key="learn")
    frame = dataset.prepare("train", col_set=["feature", "label"], data_key="learn")
    np.testing.assert_array_equal(sample.x, frame["feature"].to_numpy())
    assert not np.isnan(sample.y).any()
    assert sample.x.flags.c_contiguous
    assert len(sample) < len(dataset.sample("train"))


def test_samples_without_labels(toy_frame, make) -> None:
    sample = make(toy_frame()[["feature"]]).sample("test")
    assert sample.y.shape == (len(sample), 0)
    assert sample.label_names == ()


def test_a_model_needs_features(toy_frame, make) -> None:
    with pytest.raises(ConfigError, match="a model needs the column group 'feature'; the data has label"):
        make(toy_frame()[["label"]]).sample("train")
    with pytest.raises(ConfigError, match="one level of columns without groups"):
        make(toy_frame()["feature"]).sample("train")


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ({"train": ["2020-02-07", "2020-01-01"]}, "segments.train: ends before it starts"),
        ({"train": ["2020-01-01"]}, "expected a pair of dates"),
        ({"train": "2020-01-01"}, "expected a pair of dates"),
        ({"train": ["2020-01-01", "soon"]}, "'soon' is not a date"),
        ({}, "segments must map names to pairs"),
        (
            {"train": ["2020-01-01", "2020-02-10"], "valid": ["2020-02-10", "2020-02-20"]},
            r"'train' \(2020-01-01 to 2020-02-10\) and 'valid' .* overlap; end 'train' before 'valid' starts",
        ),
        ({"train": ["2019", "2020"], "test": ["2020-02-10", None]}, "overlap"),
    ],
)
def test_wrong_segments_are_refused_at_construction(toy_frame, make, segments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make(toy_frame(), segments)


def test_all_that_is_wrong_with_segments_is_named_at_once(toy_frame, make) -> None:
    with pytest.raises(ConfigError) as caught:
        make(toy_frame(), {"train": ["a", "b"], "valid": [1], "test": ["2020-02-02", "2020-01-01"]})
    assert [p.path for p in caught.value.problems] == ["segments.train", "segments.valid", "segments.test"]


def test_segments_without_rows_are_named_with_what_the_data_has(toy_frame, make) -> None:
    dataset = make(toy_frame(), {"train": ["2020-01-01", "2020-02-01"], "test": ["2031-01-01", "2031-02-01"]})
    wanted = r"segment 'test' \(2031-01-01 to 2031-02-01\) has no rows; the data has 2020-01-01 to 2020-03-24"
    for act in (dataset.setup_data, lambda: dataset.prepare("test"), lambda: dataset.sample("test")):
        with pytest.raises(EmptyDataError, match=wanted):
            act()


def test_unknown_segments_are_named(toy_frame, make) -> None:
    dataset = make(toy_frame())
    with pytest.raises(UnknownNameError, match="no segment 'tset'; did you mean 'test'"):
        dataset.prepare("tset")
    with pytest.raises(UnknownNameError, match="no segment 'tset'"):
        dataset.sample("tset")


def test_a_label_that_is_nan_throughout_is_refused(toy_frame, make) -> None:
    frame = toy_frame()
    frame.loc["2020-02-10":"2020-02-21", ("label", "LABEL0")] = np.nan
    dataset = make(frame)
    with pytest.raises(EmptyDataError, match=r"label LABEL0 is NaN in all .* rows of segment 'valid'"):
        dataset.sample("valid", data_key="learn")
    assert np.isnan(dataset.sample("valid", data_key="infer").y).all()
    frame["label"] = np.nan
    with pytest.raises(EmptyDataError, match="label LABEL0 is NaN"):
        make(frame, learn_processors=["DropnaLabel"]).setup_data()


def test_a_handler_that_only_fetches_will_do(toy_frame) -> None:
    frame = toy_frame()

    class Own:
        def fetch(self, selector=None, level="datetime", col_set="__all", data_key="infer"):  # type: ignore[no-untyped-def]
            selector = slice(*selector) if isinstance(selector, tuple) else selector
            return frame.loc[selector] if col_set == "__raw" else frame.loc[selector][col_set]

    dataset = DatasetH(Own(), SEGMENTS)
    np.testing.assert_array_equal(dataset.sample("train").x, frame.loc[:"2020-02-07"]["feature"].to_numpy())
    assert len(dataset.prepare("valid", col_set="label")) == len(frame.loc["2020-02-10":"2020-02-21"])
    with pytest.raises(ConfigError, match="is not a handler"):
        DatasetH(3, SEGMENTS)


def test_fingerprints_follow_data_and_segments(toy_frame, make) -> None:
    base = make(toy_frame()).fingerprint
    assert base == make(toy_frame()).fingerprint
    assert base != make(toy_frame(seed=1)).fingerprint
    assert base != make(toy_frame(), {"train": ("2020-01-01", "2020-02-06")}).fingerprint


def test_a_dataset_is_saved_as_json_and_keeps_what_it_learned(toy_frame, tmp_path: Path) -> None:
    old, new = tmp_path / "old.parquet", tmp_path / "new.parquet"
    toy_frame().to_parquet(old)
    toy_frame(seed=7).to_parquet(new)
    handler = {
        "class": "DataHandlerLP",
        "kwargs": {
            "data_loader": {"class": "StaticDataLoader", "kwargs": {"config": str(old)}},
            "infer_processors": [{"class": "ZScoreNorm", "kwargs": {"fields_group": "feature"}}, "Fillna"],
            "learn_processors": ["DropnaLabel"],
            "fit_start_time": pd.Timestamp("2020-01-06").date(),
            "fit_end_time": "2020-02-10",
        },
    }
    dataset = DatasetH(handler, SEGMENTS)
    dataset.setup_data()
    dataset.save(tmp_path / "dataset.json")
    content = json.loads((tmp_path / "dataset.json").read_text())
    assert content["dataset"]["kwargs"]["handler"]["kwargs"]["fit_start_time"].startswith("2020-01-06")

    again = DatasetH.load(tmp_path / "dataset.json")
    assert again.prepare("train").equals(dataset.prepare("train"))
    old.write_bytes(new.read_bytes())
    later = DatasetH.load(tmp_path / "dataset.json", segments={"test": ("2020-03-02", "2020-03-20")})
    proc = dataset.handler.infer_processors[0]
    want = ((toy_frame(seed=7)["feature"] - proc.mean_) / proc.std_).fillna(0).loc["2020-03-02":"2020-03-20"]
    pd.testing.assert_frame_equal(later.prepare("test", col_set="feature"), want, check_freq=False, rtol=1e-5)


def test_what_cannot_be_described_is_said(toy_frame, make) -> None:
    with pytest.raises(ConfigError, match="a DataFrame cannot be written as a description"):
        make(toy_frame()).to_config()
