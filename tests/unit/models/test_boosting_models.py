"""What is particular to LightGBM, XGBoost and CatBoost here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from qnb.errors import ConfigError, DivergedError, MissingExtraError, ModelError, RunStopped
from qnb.events import Event, LogLine, MetricLogged, Progress
from qnb.models.catboost import CatBoostModel, _Watcher
from qnb.models.lightgbm import LGBModel
from qnb.models.xgboost import XGBModel
from qnb.training.boosting import IterationWatch
from qnb.training.context import FitContext
from qnb.training.synthetic import SyntheticDataset


@pytest.fixture(scope="module")
def data() -> SyntheticDataset:
    return SyntheticDataset(days=200, instruments=30)


def lines(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, LogLine)]


def test_lightgbm_gives_what_plain_lightgbm_gives(data: SyntheticDataset) -> None:
    params = {"objective": "mse", "verbosity": -1, "num_threads": 1, "learning_rate": 0.2, "num_leaves": 15}
    train, valid = (data.sample(s, data_key="learn") for s in ("train", "valid"))
    plain_train = lgb.Dataset(train.x, label=train.y[:, 0])
    plain = lgb.train(
        params,
        plain_train,
        500,
        valid_sets=[plain_train, lgb.Dataset(valid.x, label=valid.y[:, 0], reference=plain_train)],
        callbacks=[lgb.early_stopping(10, verbose=False)],
    )
    results: dict[str, Any] = {}
    model = LGBModel(loss="mse", learning_rate=0.2, num_leaves=15, early_stopping_rounds=10, num_boost_round=500)
    model.fit(data, context=FitContext(threads=1), evals_result=results)
    expected = plain.predict(data.sample("test").x).astype(np.float32)
    np.testing.assert_array_equal(model.predict(data).to_numpy(), expected)
    assert len(results["valid"]["l2"]) == plain.best_iteration + 10
    assert model.booster_.current_iteration() == plain.best_iteration


def test_lightgbm_says_where_it_will_stop(data: SyntheticDataset) -> None:
    events: list[Event] = []
    model = LGBModel(num_threads=20, learning_rate=0.3, early_stopping_rounds=7)
    model.fit(data, context=FitContext(threads=2, emit=events.append))
    last = [e for e in events if isinstance(e, Progress)][-1]
    assert last.stop_at == last.step == last.best_step + 7
    assert last.unit == "iteration"
    assert lines(events)[0] == "num_threads 20 limited to 2, this run's share of the cores"
    curve = [e for e in events if isinstance(e, MetricLogged) and e.name == "l2.valid"]
    assert [e.step for e in curve] == list(range(1, last.step + 1))


def test_lightgbm_stops_on_request_with_the_best_so_far(data: SyntheticDataset) -> None:
    seen: list[Event] = []
    context = FitContext(emit=seen.append, should_stop=lambda: sum(isinstance(e, MetricLogged) for e in seen) >= 60)
    model = LGBModel(learning_rate=0.5, num_leaves=31)
    with pytest.raises(RunStopped, match="stopped on request"):
        model.fit(data, context=context)
    valid = [e.value for e in seen if isinstance(e, MetricLogged) and e.name == "l2.valid"]
    assert len(valid) == 30
    assert model.booster_.current_iteration() == int(np.argmin(valid)) + 1


def test_lightgbm_refuses_a_misspelt_parameter_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'learning_rate'") as caught:
        LGBModel(learning_rat=0.1, num_leafs=3)
    assert [p.path for p in caught.value.problems] == ["kwargs.learning_rat", "kwargs.num_leafs"]


def test_lightgbm_refuses_an_unknown_loss(data: SyntheticDataset) -> None:
    with pytest.raises(ModelError, match="LightGBM refuses"):
        LGBModel(loss="mzz").fit(data)


def test_lightgbm_falls_back_to_the_cpu_with_one_warning(data: SyntheticDataset) -> None:
    events: list[Event] = []
    model = LGBModel(device_type="cuda", num_boost_round=3)
    model.fit(data, context=FitContext(emit=events.append))
    warnings = [e for e in events if isinstance(e, LogLine) and e.level == "warning"]
    assert len(warnings) == 1
    assert "using the CPU" in warnings[0].text
    assert model.is_fitted


def test_lightgbm_finetunes_from_where_it_is(data: SyntheticDataset, tmp_path: Path) -> None:
    model = LGBModel(learning_rate=0.1, num_leaves=7, num_boost_round=10, early_stopping_rounds=0)
    model.fit(data, context=FitContext(threads=1))
    before = model.predict(data, "train")
    model.save(tmp_path)
    events: list[Event] = []
    again = LGBModel.load(tmp_path)
    again.finetune(data, num_boost_round=5, context=FitContext(threads=1, emit=events.append))
    assert again.booster_.current_iteration() == 15
    steps = [e.step for e in events if isinstance(e, MetricLogged)]
    assert steps == list(range(11, 16))
    label = data.prepare("train", "label", "raw").iloc[:, 0]
    assert ((again.predict(data, "train") - label) ** 2).mean() < ((before - label) ** 2).mean()


def test_lightgbm_takes_rounds_under_other_names(data: SyntheticDataset) -> None:
    model = LGBModel(n_estimators=4, early_stopping_round=0).fit(data)
    assert model.booster_.current_iteration() == 4


def test_lightgbm_dart_runs_all_rounds(data: SyntheticDataset) -> None:
    model = LGBModel(boosting="dart", num_boost_round=12, early_stopping_rounds=2).fit(data)
    assert model.booster_.current_iteration() == 12


def test_lightgbm_learns_a_binary_label(data: SyntheticDataset) -> None:
    up = data.with_labels((data.labels() > 0).astype(np.float32))
    prediction = LGBModel(loss="binary", num_leaves=7, early_stopping_rounds=5).fit(up).predict(up)
    assert prediction.between(0, 1).all()


def test_a_loss_that_leaves_the_numbers_names_the_iteration() -> None:
    watch = IterationWatch(FitContext.quiet(), total=10)
    from qnb.training.boosting import Evaluation

    watch.update(1, [Evaluation("train", "rmse", 1.0)])
    with pytest.raises(DivergedError, match="iteration 2") as caught:
        watch.update(2, [Evaluation("train", "rmse", float("nan"))])
    assert caught.value.step == 2


def test_catboost_ends_when_its_callback_finds_no_number() -> None:
    watcher = _Watcher(IterationWatch(FitContext.quiet(), total=10), 0)
    good = SimpleNamespace(iteration=1, metrics={"learn": {"RMSE": [1.0]}})
    bad = SimpleNamespace(iteration=2, metrics={"learn": {"RMSE": [1.0, float("inf")]}})
    assert watcher.after_iteration(good) is True
    assert watcher.after_iteration(bad) is False
    assert isinstance(watcher.failure, DivergedError)


def test_xgboost_uses_the_best_iteration_and_says_what_has_no_effect(data: SyntheticDataset) -> None:
    events: list[Event] = []
    model = XGBModel(eval_metric="rmse", eta=0.3, max_depth=4, n_estimators=647, nthread=20, device="cuda", bogus=1)
    model.fit(data, context=FitContext(threads=2, emit=events.append), early_stopping_rounds=5)
    valid = [e.value for e in events if isinstance(e, MetricLogged) and e.name == "rmse.valid"]
    assert model.best_iteration_ == int(np.argmin(valid)) + 1 == len(valid) - 5
    text = "\n".join(lines(events))
    assert "n_estimators 647 has no effect" in text
    assert "nthread 20 limited to 2" in text
    assert '"bogus" } are not used' in text
    assert sum("GPU" in line for line in lines(events)) >= 1
    sample = data.sample("valid", data_key="learn")
    rmse = float(np.sqrt(np.mean((model.predict(data, "valid").to_numpy()[: len(sample)] - sample.y[:, 0]) ** 2)))
    assert rmse == pytest.approx(min(valid), rel=1e-4)


def test_xgboost_methods_without_bins_work_too(data: SyntheticDataset) -> None:
    model = XGBModel(tree_method="exact", max_depth=2).fit(data, num_boost_round=5, early_stopping_rounds=None)
    assert model.best_iteration_ == 5


def test_xgboost_refuses_a_bad_value(data: SyntheticDataset) -> None:
    with pytest.raises(ModelError, match="XGBoost refuses"):
        XGBModel(tree_method="hisst").fit(data)


def test_catboost_runs_a_published_configuration_on_a_cpu(
    data: SyntheticDataset, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    events: list[Event] = []
    model = CatBoostModel(
        loss="RMSE", learning_rate=0.3, subsample=0.8789, max_depth=3, num_leaves=10, thread_count=20,
        grow_policy="Lossguide", bootstrap_type="Poisson",
    )  # fmt: skip
    model.fit(data, context=FitContext(threads=2, emit=events.append), early_stopping_rounds=5)
    warnings = [e.text for e in events if isinstance(e, LogLine) and e.level == "warning"]
    assert warnings == ["bootstrap_type Poisson exists on a GPU only; using Bernoulli"]
    valid = [e.value for e in events if isinstance(e, MetricLogged) and e.name == "RMSE.valid"]
    assert int(model.model_.tree_count_) == int(np.argmin(valid)) + 1
    assert list(tmp_path.iterdir()) == [], "CatBoost must not write beside the notebook"


def test_catboost_refuses_an_unknown_parameter(data: SyntheticDataset) -> None:
    with pytest.raises(ModelError, match="Unknown option"):
        CatBoostModel(bogus=3).fit(data)


@pytest.mark.parametrize(("cls", "library"), [(XGBModel, "xgboost"), (CatBoostModel, "catboost")])
def test_a_missing_library_names_the_extra(cls: Any, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'qnb\[{library}\]'"):
        cls()


@pytest.mark.parametrize("cls", [LGBModel, XGBModel, CatBoostModel])
def test_importance_finds_the_feature_that_counts(cls: Any) -> None:
    data = SyntheticDataset(days=100, instruments=20, features=4, missing=0.0)
    sample = data.sample("train", data_key="learn")
    labels = data.labels()
    column = data.prepare("train", "feature", "raw").shape[1] - 1
    full = np.concatenate([data.sample(s).x[:, column] for s in ("train", "valid", "test")])
    model = cls().fit(data.with_labels(full + 0.1 * labels[: len(full)]))
    importance = model.feature_importance()
    assert isinstance(importance, pd.Series)
    assert importance.index[0] == sample.feature_names[column]
    assert set(importance.index) == set(sample.feature_names)
    assert importance.is_monotonic_decreasing
    assert set(model.get_feature_importance().index) == set(sample.feature_names)
