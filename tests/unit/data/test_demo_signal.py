"""How much of the demo market's planted signal a model finds in Alpha158, on years it has not seen."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.data.dataset import DatasetH
from qnb.data.demo import UNIVERSE, DemoParameters
from qnb.data.protocols import RowIndex
from qnb.data.provider import open_store
from qnb.models.lightgbm import LGBModel

SEGMENTS = {
    "train": ["2012-01-01", "2016-12-31"],
    "valid": ["2017-01-01", "2017-12-31"],
    "test": ["2018-01-01", "2020-12-28"],
}


def mean_ic(one: np.ndarray, other: np.ndarray, index: RowIndex) -> float:
    starts = index.day_starts()
    values = []
    for a, b in pairwise(starts):
        known = np.isfinite(one[a:b]) & np.isfinite(other[a:b])
        if known.sum() > 20:
            values.append(np.corrcoef(one[a:b][known], other[a:b][known])[0, 1])
    return float(np.mean(values))


@pytest.mark.slow
def test_lightgbm_finds_most_of_the_planted_signal(tmp_path: Path) -> None:
    settings = Settings().with_(provider_uri="demo", cache_dir=tmp_path, threads=2)
    store = open_store(settings)
    handler = {
        "class": "Alpha158",
        "kwargs": {"instruments": UNIVERSE, "start_time": "2012-01-01", "end_time": "2020-12-31"},
    }
    dataset = DatasetH(handler, SEGMENTS, store=store, settings=settings)
    model = LGBModel(num_boost_round=25, learning_rate=0.2, num_leaves=31, min_data_in_leaf=200, num_threads=2, seed=1)
    prediction = model.fit(dataset).predict(dataset, "test")
    sample = dataset.sample("test", data_key="raw")
    frame = pd.DataFrame({"label": sample.y[:, 0]}, index=sample.index.to_pandas())
    label = frame["label"].to_numpy()
    oracle = np.full(len(label), np.nan)
    days = np.searchsorted(store.calendar, sample.index.dates)
    for code, name in enumerate(sample.index.instruments):
        start, values = store.series(name, "oracle") or (0, np.empty(0))
        rows = np.flatnonzero(sample.index.codes == code)
        oracle[rows] = values[days[rows] - start]
    best = mean_ic(oracle, label, sample.index)
    found = mean_ic(prediction.reindex(frame.index).to_numpy(), label, sample.index)
    assert best == pytest.approx(DemoParameters().theoretical_ic, abs=0.02)
    assert found > 0.5 * best
    assert found < best * 1.02
