"""Columns that the first processors leave out are not computed, and nobody can tell from the values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.data.handlers.alpha158 import Alpha158
from qnb.data.provider import open_cache
from qnb.expr import evaluate as engine

CHOSEN = ["RESI5", "WVMA60", "STD5", "CORR20", "ROC60", "KLEN", "VSTD5", "RSQR10"]
SCALE = {"class": "RobustZScoreNorm", "kwargs": {"fields_group": "feature", "clip_outlier": True}}
LEARN = [{"class": "DropnaLabel"}, {"class": "CSRankNorm", "kwargs": {"fields_group": "label"}}]


def choose(*names: str) -> dict[str, Any]:
    return {"class": "FilterCol", "kwargs": {"fields_group": "feature", "col_list": list(names)}}


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of fields that the engine was asked to compute."""
    asked: list[int] = []
    compute = engine._compute

    def counted(trees: Any, *args: Any) -> None:
        asked.append(len(trees))
        compute(trees, *args)

    monkeypatch.setattr(engine, "_compute", counted)
    return asked


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Alpha158]:
    def handler(cache: str = "a", **kwargs: Any) -> Alpha158:
        settings = Settings().with_(provider_uri="demo:instruments=30,years=3", cache_dir=tmp_path / cache, threads=2)
        given = {
            "instruments": "all", "start_time": "2018-06-01", "fit_start_time": "2018-06-01",
            "fit_end_time": "2019-12-31", "infer_processors": [choose(*CHOSEN), SCALE], "learn_processors": LEARN,
        }  # fmt: skip
        return Alpha158(settings=settings, **(given | kwargs))

    return handler


def same(a: Alpha158, b: Alpha158, key: str) -> None:
    pd.testing.assert_frame_equal(
        a.fetch(col_set="__raw", data_key=key), b.fetch(col_set="__raw", data_key=key), check_exact=True
    )


def test_only_what_is_left_is_computed_bit_for_bit_the_same(make, computed: list[int]) -> None:
    fewer = make()
    fewer.setup_data()
    assert sorted(computed) == [1, len(CHOSEN)]
    labels = fewer.fetch(col_set="label", data_key="raw")
    assert sorted(computed) == [1, len(CHOSEN)], "the raw label is there"
    own = {"class": "DropCol", "kwargs": {"col_list": []}}  # leaves all, so that everything is computed
    whole = make("b", infer_processors=[own, choose(*CHOSEN), SCALE])
    whole.infer_processors[0].left = lambda columns: None
    whole.setup_data()
    assert 158 in computed
    for key in ("infer", "learn"):
        same(fewer, whole, key)
    pd.testing.assert_frame_equal(labels, whole.fetch(col_set="label", data_key="raw"))
    same(fewer, whole, "raw")
    assert fewer.fetch(data_key="raw").shape[1] == 159


def test_a_load_of_all_columns_is_used_and_the_address_stays(make, computed: list[int]) -> None:
    alone = make()
    first = alone.fingerprint
    frames = {key: alone.fetch(col_set="__raw", data_key=key) for key in ("infer", "learn")}
    frames = {key: frame.copy() for key, frame in frames.items()}
    open_cache(alone.settings).clear()
    make(infer_processors=[]).setup_data()
    computed.clear()
    after = make()
    assert after.fingerprint == first
    assert computed == [], "all 158 are in the cache"
    for key, frame in frames.items():
        pd.testing.assert_frame_equal(after.fetch(col_set="__raw", data_key=key), frame, check_exact=True)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"infer_processors": [SCALE, choose(*CHOSEN)]},
        {"process_type": "independent"},
        {"infer_processors": [choose(*CHOSEN, "STDD5")]},
        {"infer_processors": []},
    ],
    ids=["scaled first", "learned from raw", "unknown name", "none"],
)
def test_everything_is_computed_where_it_is_needed(make, computed: list[int], kwargs: dict[str, Any]) -> None:
    make(**kwargs).setup_data()
    assert 158 in computed


def test_choices_follow_each_other_and_may_be_shared(make, computed: list[int]) -> None:
    drop = {"class": "DropCol", "kwargs": {"col_list": ["KLEN"]}}
    both = make(infer_processors=[choose(*CHOSEN), drop, SCALE])
    assert both.get_cols("feature") == [n for n in Alpha158.get_feature_config(both)[1] if n in CHOSEN and n != "KLEN"]
    assert sorted(computed) == [1, len(CHOSEN) - 1]
    computed.clear()
    shared = make("c", shared_processors=[choose(*CHOSEN)], infer_processors=[SCALE], process_type="independent")
    shared.setup_data()
    assert sorted(computed) == [1, len(CHOSEN)]


def test_other_spans_and_dropped_raw_data(make, caplog: pytest.LogCaptureFixture) -> None:
    handler = make()
    rows = len(handler.fetch(data_key="raw"))
    handler.config(start_time="2019-01-01")
    assert len(handler.fetch(data_key="raw")) < rows
    assert handler.fetch(data_key="raw", col_set="feature").shape[1] == 158
    with caplog.at_level(logging.WARNING):
        dropped = make(drop_raw=True, infer_processors=[choose(*CHOSEN)])
        assert np.isfinite(dropped.fetch(col_set="feature").to_numpy()).any()
    with pytest.raises(Exception, match="dropped after processing"):
        dropped.fetch(data_key="raw", col_set="label")
