"""Every registered model, whatever it is: a new file in `qnb/models` is tested by existing.

Each test runs over all members of the family on a synthetic market of numbers. Constructors get small sizes for the
arguments that they have by these names; nothing here knows a single model.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb import registry
from qnb.data.protocols import RowIndex
from qnb.errors import DivergedError, EmptyDataError, ModelError, NotFittedError, RecorderError, RunStopped
from qnb.events import Event, LogLine, MetricLogged, Progress, SeedDrawn
from qnb.recorder.objects import load_object, save_object
from qnb.task.sources import signature_of_member
from qnb.training.checkpoint import CHECKPOINT
from qnb.training.context import FitContext
from qnb.training.importance import permutation_importance
from qnb.training.model import Model, load_model
from qnb.training.synthetic import SyntheticDataset
from qnb.training.torch_model import TorchModel

MEMBERS = sorted(registry.members("model"))
SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "d_model": 16,
    "nhead": 2,
    "num_layers": 1,
    "n_chans": 8,
    "kernel_size": 2,
    "num_models": 2,
    "epochs": 20,
    "n_epochs": 60,
    "max_steps": 150,
    "eval_steps": 15,
    "lr": 0.01,
    "batch_size": 400,
    "dropout": 0.0,
    "num_boost_round": 60,
    "optimizer": "adam",
    "GPU": -1,
}
"""Small sizes by the name of a constructor's argument."""


def make(name: str, **changes: Any) -> Any:
    """Return a small model of the class `name`."""
    accepted = {p.name: p for p in signature_of_member(registry.locate("model", name)).parameters}
    sizes = SMALL | {"d_feat": 6 if name.endswith("TS") else 3} | changes  # windows have the whole row at each date
    kwargs = {k: v for k, v in sizes.items() if k in accepted}
    if "pt_model_kwargs" in accepted:
        is_plain = "Net" in accepted["pt_model_uri"].default
        plain, recurrent = {"input_dim": 6, "layers": [16]}, {"d_feat": 6, "hidden_size": 16, "num_layers": 1}
        kwargs["pt_model_kwargs"] = plain if is_plain else recurrent
    return registry.find("model", name)(**kwargs)


def market(**changes: Any) -> SyntheticDataset:
    return SyntheticDataset(**{"days": 100, "instruments": 20, "features": 6, "missing": 0.0, **changes})


def quiet(**changes: Any) -> FitContext:
    return FitContext(**{"threads": 1, "seed": 7, **changes})


@pytest.fixture(scope="module")
def fitted() -> Callable[[str], tuple[Any, list[Event]]]:
    """Give each model fitted once on the default market, with the events of the fit."""
    done: dict[str, tuple[Any, list[Event]]] = {}

    def get(name: str) -> tuple[Any, list[Event]]:
        if name not in done:
            events: list[Event] = []
            model = make(name)
            model.fit(market(), context=quiet(emit=events.append))
            done[name] = (model, events)
        return done[name]

    return get


def daily_ic(prediction: pd.Series, data: SyntheticDataset, segment: str = "test") -> float:
    label = data.prepare(segment, "label", "raw").iloc[:, 0]
    both = pd.DataFrame({"p": prediction, "y": label}).dropna()
    return float(both.groupby(level=0).apply(lambda day: day["p"].corr(day["y"])).mean())


def test_the_family_is_not_empty() -> None:
    assert {"LGBModel", "XGBModel", "CatBoostModel", "LinearModel"} <= set(MEMBERS)


@pytest.mark.parametrize("name", MEMBERS)
class TestEveryModel:
    def test_is_a_model(self, name: str) -> None:
        assert isinstance(make(name), Model)

    def test_scores_are_float32_by_datetime_and_instrument(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        data = market()
        prediction = model.predict(data)
        expected = data.prepare("test", "feature", "infer").index
        assert prediction.name == "score"
        assert prediction.dtype == np.float32
        assert prediction.index.names == ["datetime", "instrument"]
        assert prediction.index.equals(expected)
        assert np.isfinite(prediction).all()

    def test_finds_the_signal(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        data = market()
        assert daily_ic(model.predict(data), data) > 0.25, "the best possible is 0.5"

    def test_same_seed_same_scores(self, name: str, fitted: Any) -> None:
        first, _ = fitted(name)
        second = make(name)
        second.fit(market(), context=quiet())
        pd.testing.assert_series_equal(first.predict(market()), second.predict(market()), check_exact=True)

    def test_reports_progress_and_curves(self, name: str, fitted: Any) -> None:
        _, events = fitted(name)
        progress = [e for e in events if isinstance(e, Progress)]
        curves: dict[str, list[int]] = {}
        for e in events:
            if isinstance(e, MetricLogged) and e.step is not None:
                curves.setdefault(e.name, []).append(e.step)
        assert progress
        assert [e.step for e in progress] == sorted(e.step for e in progress)
        assert all(e.stage == "fit" for e in progress)
        assert all(e.stop_at >= e.best_step for e in progress if e.stop_at)
        for name_, steps in curves.items():
            assert steps == sorted(set(steps)), name_
        assert not [e.text for e in events if isinstance(e, LogLine) and e.level in ("warning", "error")]

    def test_changing_tomorrow_changes_no_score_of_today(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        data = market()
        dates = data.sample("test").index.unique_dates()
        today = str(dates[len(dates) // 2])[:10]
        before, after = model.predict(data), model.predict(data.changed_after(today))
        same = before.index.get_level_values(0) <= pd.Timestamp(today)
        np.testing.assert_allclose(before[same], after[same], rtol=0, atol=1e-6)
        assert not np.allclose(before[~same], after[~same])

    def test_the_fit_never_sees_the_test_segment(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        data = market()
        other = make(name)
        other.fit(data.changed_after(data.segments["valid"][1]), context=quiet())
        pd.testing.assert_series_equal(model.predict(data, "valid"), other.predict(data, "valid"), check_exact=True)

    def test_missing_features_do_not_break_it(self, name: str) -> None:
        data = market(missing=0.05)
        model = make(name)
        model.fit(data, context=quiet())
        prediction = model.predict(data)
        everything = pd.concat(data.prepare(list(data.segments), "feature", "infer"))
        lacking = everything.isna().any(axis=1).unstack().rolling(data.step_len, min_periods=1).max().stack()
        complete = lacking.reindex(prediction.index) == 0  # nothing is missing in the whole window
        assert len(prediction) == len(data.sample("test"))
        assert not np.isinf(prediction).any()
        assert np.isfinite(prediction[complete]).all(), "only a row that lacks a feature may have no score"

    def test_one_instrument_and_one_day(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        data = market()
        day = data.segments["test"][0]
        one_day = model.predict(data.with_segments(test=(day, day)))
        assert one_day.index.get_level_values(0).nunique() == 1
        alone = market(instruments=1)
        single = make(name)
        single.fit(alone, context=quiet())
        assert len(single.predict(alone)) == len(alone.sample("test").index)

    def test_a_slice_of_dates_gets_the_scores_of_its_segment(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        data = market()
        span = slice(*data.segments["test"])
        pd.testing.assert_series_equal(model.predict(data, span), model.predict(data, "test"), check_exact=True)

    def test_works_without_a_validation_segment(self, name: str) -> None:
        data = market()
        only = data.with_segments(train=data.segments["train"], test=data.segments["test"])
        model = make(name, n_epochs=2, max_steps=10, num_boost_round=10)
        model.fit(only, context=quiet())
        assert np.isfinite(model.predict(only)).all()

    def test_a_stop_leaves_a_usable_model_or_none(self, name: str) -> None:
        seen: list[Event] = []
        model = make(name, n_epochs=500, max_steps=100_000, num_boost_round=5000, early_stop=10_000)
        context = quiet(emit=seen.append, should_stop=lambda: sum(isinstance(e, MetricLogged) for e in seen) >= 4)
        with suppress(RunStopped):  # a fit without iterations may end, or have nothing to keep
            model.fit(market(days=60), context=context)
        if model.is_fitted:
            assert np.isfinite(model.predict(market())).all()

    def test_a_stop_is_never_an_ordinary_end(self, name: str) -> None:
        model = make(name)
        with pytest.raises(RunStopped, match="stopped on request"):
            model.fit(market(days=60), context=quiet(should_stop=lambda: True))

    def test_weights_of_a_reweighter_are_used(self, name: str, fitted: Any) -> None:
        class OnlyRising:
            def reweight(self, data: pd.DataFrame) -> pd.Series:
                return (data[("feature", "F0")] > 0).astype(float) + 0.01

        model, _ = fitted(name)
        other = make(name)
        other.fit(market(), reweighter=OnlyRising(), context=quiet())
        assert not np.allclose(model.predict(market()), other.predict(market()))

    def test_refuses_to_predict_before_a_fit(self, name: str) -> None:
        with pytest.raises(NotFittedError, match="not fitted"):
            make(name).predict(market())

    def test_a_segment_without_rows_is_said_so(self, name: str) -> None:
        data = market().with_segments(train=("1999-01-01", "1999-12-31"), valid=("2020-01-01", "2020-02-01"))
        with pytest.raises(EmptyDataError, match="segment 'train' has no rows"):
            make(name).fit(data, context=quiet())

    def test_a_label_without_a_finite_value_is_said_so(self, name: str) -> None:
        data = market()
        nowhere = data.with_labels(np.full(len(data.labels()), np.inf))
        with pytest.raises(EmptyDataError, match="NaN or infinite in all"):
            make(name).fit(nowhere, context=quiet())

    def test_two_labels_are_refused(self, name: str) -> None:
        data = market()
        twice = data.with_labels(np.stack([data.labels(), data.labels()], axis=1))
        with pytest.raises(ModelError, match="one label"):
            make(name).fit(twice, context=quiet())

    def test_one_of_a_stranger_is_loaded_if_it_can_name_no_other_class(
        self, name: str, fitted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, _ = fitted(name)
        saved = save_object(model, "params.pkl", tmp_path).path

        def named(*_: object, **__: object) -> None:
            raise AssertionError("a class was looked up by a name")

        for place in ("qnb.task.component.describe", "qnb.training.torch_model.resolve"):
            monkeypatch.setattr(place, named)
        if model.names_no_class:
            scores = load_object(saved, trusted=False).predict(market())
            pd.testing.assert_series_equal(scores, model.predict(market()))
        else:
            with pytest.raises(RecorderError, match="trust=True"):
                load_object(saved, trusted=False)

    def test_saves_and_loads(self, name: str, fitted: Any, tmp_path: Path) -> None:
        model, _ = fitted(name)
        model.save(tmp_path / "model")
        again = load_model(tmp_path / "model")
        pd.testing.assert_series_equal(model.predict(market()), again.predict(market()), check_exact=True)
        assert not list(tmp_path.rglob("*.pkl"))
        assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")], "no temporary file is left"

    @pytest.mark.parametrize("seed", [7, None])
    def test_a_stopped_fit_goes_on_from_its_checkpoint(self, name: str, tmp_path: Path, seed: int | None) -> None:
        if not isinstance(make(name), TorchModel):
            pytest.skip("trees and lines are fitted anew")
        sizes = {"n_epochs": 20, "max_steps": 24, "eval_steps": 6, "dropout": 0.1}
        data = market(days=50)
        stopped = make(name, **sizes)
        context = quiet(seed=seed, checkpoint_dir=tmp_path, should_stop=(tmp_path / CHECKPOINT).exists)
        with pytest.raises(RunStopped):
            stopped.fit(data, context=context)
        assert np.isfinite(stopped.predict(data)).all()
        resumed = make(name, **sizes)
        events: list[Event] = []
        resumed.fit(data, context=quiet(seed=seed, checkpoint_dir=tmp_path, resume=True, emit=events.append))
        assert any("going on after" in e.text for e in events if isinstance(e, LogLine))
        whole = make(name, **sizes)
        drawn = [e.seed for e in events if isinstance(e, SeedDrawn)]
        whole.fit(data, context=quiet(seed=[*drawn, seed][0]))
        pd.testing.assert_series_equal(whole.predict(data), resumed.predict(data), check_exact=True)

    def test_a_diverging_loss_is_a_failure_with_the_step(self, name: str) -> None:
        model = make(name, lr=1e6)
        if not isinstance(model, TorchModel):
            pytest.skip("trees and lines have no such learning rate")
        with pytest.raises(DivergedError, match=r"step \d+.*lower lr"):
            model.fit(market(days=60), context=quiet())
        assert not model.is_fitted

    def test_fine_tuning_goes_on_from_what_was_learned(self, name: str) -> None:
        model = make(name, max_steps=30)
        if not hasattr(model, "finetune"):
            pytest.skip("has no steps to go on from")
        data = market(days=60)
        model.fit(data, context=quiet())
        before = model.predict(data)
        model.finetune(data, context=quiet())
        after = model.predict(data)
        assert not np.array_equal(before, after)
        assert before.corr(after) > 0.3, "it starts from the fitted model"

    def test_importance_finds_the_feature_that_counts(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        data = market()
        y = data.sample("train", data_key="learn").y[:, 0]
        strength = np.abs([np.corrcoef(x, y)[0, 1] for x in data.sample("train", data_key="learn").x.T])
        found = permutation_importance(model, data, "test", repeats=1)["importance"]
        best, worst = (data.feature_names[i] for i in (strength.argmax(), strength.argmin()))
        assert found[best] > max(found[worst], 0.05)

    def test_a_missing_feature_is_named(self, name: str, fitted: Any) -> None:
        model, _ = fitted(name)
        if "TS" in name:
            pytest.skip("windows carry the same names; covered by the model's twin")
        with pytest.raises(ModelError, match="lacks F5"):
            model.predict(market(features=5))


def test_all_models_load_in_a_fresh_process(fitted: Any, tmp_path: Path) -> None:
    expected = {}
    for name in MEMBERS:
        model, _ = fitted(name)
        model.save(tmp_path / name)
        expected[name] = model.predict(market())
        expected[name].reset_index(drop=True).to_frame().to_parquet(tmp_path / f"{name}.parquet")
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "import numpy as np, pandas as pd\n"
        "from qnb.training.model import load_model\n"
        "from qnb.training.synthetic import SyntheticDataset\n"
        "data = SyntheticDataset(days=100, instruments=20, features=6, missing=0.0)\n"
        "root, gaps = Path(sys.argv[1]), {}\n"
        "for name in json.loads(sys.argv[2]):\n"
        "    score = load_model(root / name).predict(data).to_numpy()\n"
        "    gaps[name] = float(np.abs(score - pd.read_parquet(root / f'{name}.parquet')['score'].to_numpy()).max())\n"
        "print(json.dumps(gaps))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), json.dumps(MEMBERS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    gaps = json.loads(done.stdout.splitlines()[-1])
    assert {name: gap for name, gap in gaps.items() if gap > 1e-6} == {}


def test_the_market_of_the_tests_is_what_it_says() -> None:
    data = market(days=400, instruments=60, ic=0.5)
    sample = data.sample("train", data_key="learn")
    assert isinstance(sample.index, RowIndex)
    best = np.linalg.lstsq(sample.x, sample.y[:, 0], rcond=None)[0]
    assert np.corrcoef(sample.x @ best, sample.y[:, 0])[0, 1] == pytest.approx(0.5, abs=0.03)
