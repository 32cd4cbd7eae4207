"""Fit context, the Model base, rows for a fit and the synthetic market."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.data.protocols import Sample
from qnb.errors import EmptyDataError, ModelError, RunStopped
from qnb.events import Event, LogLine, MetricLogged, Progress
from qnb.models.linear import LinearModel
from qnb.training.boosting import Evaluation, IterationWatch, columns_for, limited_threads
from qnb.training.context import FitContext
from qnb.training.model import load_model
from qnb.training.samples import fit_rows, sample_of
from qnb.training.synthetic import SyntheticDataset


def test_progress_is_thinned_but_never_loses_the_last_step() -> None:
    events: list[Event] = []
    context = FitContext(emit=events.append)
    for step in range(1, 1001):
        context.progress(step, total=1000, unit="iteration")
        context.metric("l2.valid", 1.0 / step, step=step)
    progress = [e for e in events if isinstance(e, Progress)]
    assert len(progress) <= 5
    assert progress[-1].step == 1000
    assert sum(isinstance(e, MetricLogged) for e in events) == 1000


def test_the_last_step_goes_out_once_until_time_has_passed() -> None:
    events: list[Event] = []
    context = FitContext(emit=events.append)
    for row in range(100):
        context.progress(20, total=20, text=f"validating, row {row}")
    assert len(events) <= 3


def test_more_threads_than_cores_are_limited_and_said_so() -> None:
    events: list[Event] = []
    context = FitContext(threads=2, emit=events.append)
    assert limited_threads({"num_threads": 20}, ("num_threads",), context) == 2
    assert [e.text for e in events if isinstance(e, LogLine)] == [
        "num_threads 20 limited to 2, this run's share of the cores"
    ]
    assert limited_threads({"n_jobs": -1}, ("num_threads", "n_jobs"), context) == 2
    assert limited_threads({"n_jobs": 1}, ("num_threads", "n_jobs"), context) == 1
    assert limited_threads({}, ("num_threads",), context) == 2
    assert len(events) == 1


def test_check_stop_raises_only_when_asked() -> None:
    FitContext.quiet().check_stop()
    with pytest.raises(RunStopped):
        FitContext(should_stop=lambda: True).check_stop()


def test_the_watch_moves_the_end_with_the_best() -> None:
    events: list[Event] = []
    watch = IterationWatch(FitContext(emit=events.append), total=100, patience=3)
    for i, value in enumerate([5.0, 4.0, 4.5, 4.2], start=1):
        watch.update(i, [Evaluation("train", "l2", 1.0), Evaluation("valid", "l2", value)])
    assert watch.best_step == 2
    assert watch.update(5, [Evaluation("valid", "l2", 4.1)]) is False
    last = [e for e in events if isinstance(e, Progress)][-1]
    assert (last.step, last.best_step, last.stop_at, last.unit) == (5, 2, 5, "iteration")
    assert watch.history["l2.valid"] == [5.0, 4.0, 4.5, 4.2, 4.1]


def test_the_watch_knows_metrics_that_grow() -> None:
    watch = IterationWatch(FitContext.quiet(), total=10, patience=3)
    for i, value in enumerate([0.5, 0.7, 0.6], start=1):
        watch.update(i, [Evaluation("valid", "auc", value, maximize=True)])
    assert watch.best_step == 2


class PrepareOnly:
    """A user's dataset that has frames and nothing else."""

    def __init__(self, data: SyntheticDataset) -> None:
        self.segments = data.segments
        self._data = data

    def prepare(self, segments: Any, col_set: Any = "__all", data_key: Any = "infer") -> Any:
        return self._data.prepare(segments, col_set, data_key)


def test_a_dataset_with_frames_only_gives_the_same_sample() -> None:
    data = SyntheticDataset(days=30, instruments=5)
    frame = sample_of(PrepareOnly(data), "train", data_key="learn")
    arrays = data.sample("train", data_key="learn")
    np.testing.assert_array_equal(frame.x, arrays.x)
    np.testing.assert_array_equal(frame.y, arrays.y)
    assert frame.index.to_pandas().equals(arrays.index.to_pandas())
    assert frame.feature_names == arrays.feature_names


def test_a_model_fits_on_a_dataset_with_frames_only() -> None:
    data = SyntheticDataset(days=60, instruments=10)
    one, two = LinearModel(), LinearModel()
    one.fit(data)
    two.fit(PrepareOnly(data))
    pd.testing.assert_series_equal(one.predict(data), two.predict(PrepareOnly(data)))


def test_rows_without_a_label_are_left_out_and_counted() -> None:
    data = SyntheticDataset(days=30, instruments=5)
    labels = data.labels()
    labels[:7] = np.inf
    events: list[Event] = []
    rows = fit_rows(data.with_labels(labels), "train", context=FitContext(emit=events.append))
    assert np.isfinite(rows.y).all()
    assert len(rows.x) == len(rows.y) == len(rows.index)
    assert "have no finite label" in next(e.text for e in events if isinstance(e, LogLine))


@pytest.mark.parametrize(
    ("weights", "message"),
    [(lambda f: [1.0], "1 weights for the"), (lambda f: -np.ones(len(f)), "negative"), (None, "no reweighter")],
)
def test_bad_weights_are_refused(weights: Any, message: str) -> None:
    class Reweighter:
        def reweight(self, data: pd.DataFrame) -> Any:
            return weights(data)

    with pytest.raises(ModelError, match=message):
        fit_rows(
            SyntheticDataset(days=30, instruments=5),
            "train",
            reweighter=Reweighter() if weights else object(),
            context=FitContext.quiet(),
        )


def test_features_in_another_order_are_put_in_the_order_of_the_fit() -> None:
    sample = SyntheticDataset(days=10, instruments=2, features=3).sample("train")
    turned = Sample(sample.x[:, ::-1], sample.y, sample.index, sample.feature_names[::-1], sample.label_names)
    np.testing.assert_array_equal(columns_for(turned, sample.feature_names, model="m"), sample.x)
    assert columns_for(sample, sample.feature_names, model="m") is sample.x


def test_no_features_is_said_so() -> None:
    with pytest.raises(EmptyDataError, match="no features"):
        sample_of(
            SyntheticDataset(days=10, features=1, missing=0).__class__(days=5, features=0), "train", data_key="infer"
        )


def test_loading_what_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no model\.json"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path)
    for name, message in (("os.path.join", "not a model class"), ("nowhere.Model", "cannot be imported")):
        card = {"format": 1, "class": name, "arguments": {}, "features": []}
        (tmp_path / "model.json").write_text(json.dumps(card), encoding="utf-8")
        with pytest.raises(ModelError, match=message):
            load_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": 99, "class": "x"}), encoding="utf-8")
    with pytest.raises(ModelError, match="newer qnb"):
        load_model(tmp_path)


def test_loading_with_the_wrong_class_says_so(tmp_path: Path) -> None:
    from qnb.models.lightgbm import LGBModel

    LinearModel().fit(SyntheticDataset(days=30)).save(tmp_path)
    with pytest.raises(ModelError, match="not a LGBModel"):
        LGBModel.load(tmp_path)


def test_windows_end_on_their_row_and_are_padded() -> None:
    data = SyntheticDataset(days=20, instruments=4, features=3, step_len=5)
    windows, sample = data.windows("train"), data.sample("train")
    gathered = windows.gather(slice(0, len(windows)))
    np.testing.assert_array_equal(gathered[:, -1, :3], sample.x)
    first_day = sample.index.dates == sample.index.dates[0]
    assert np.isnan(gathered[first_day, :-1]).all()
    assert windows.index.to_pandas().equals(sample.index.to_pandas())
