"""Distributions wherever a value may stand, and storages behind an address, on real workers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from qnb.config import Settings, use_settings
from qnb.errors import ConfigError, StudyError
from qnb.tuning.attributes import study_attributes, trial_attributes
from qnb.tuning.engine import manage
from qnb.tuning.objectives import Objective
from qnb.tuning.open import open_study
from qnb.tuning.plan import load_study
from qnb.tuning.spec import StudySpec, Validation
from qnb.tuning.state import StudyState

EVERYWHERE = """\
market: demo:instruments=40,years=4
model: !choice
  - lightgbm: {num_leaves: !int [4, 16], num_boost_round: 15}
  - linear: {estimator: ridge, alpha: {low: 0.01, high: 10.0, log: true}}
label: !choice ["Ref($close, -2)/Ref($close, -1) - 1", "Ref($close, -6)/Ref($close, -1) - 1"]
features:
  MOM: !choice ["$close/Ref($close, 5) - 1", "$close/Ref($close, 20) - 1"]
  VR: $volume/Mean($volume, 10)
processors:
  infer: [{class: Fillna, kwargs: {fill_value: !uniform [0, 0.1]}}]
strategy: {topk: !int [4, 16, 4], n_drop: 1}
"""
PLAIN = """\
market: demo:instruments=40,years=4
model: {linear: {estimator: ridge, alpha: !loguniform [0.01, 10]}}
features:
  MOM: $close/Ref($close, 5) - 1
"""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    old = Settings.from_env()
    yield old.with_(work_dir=tmp_path)
    use_settings(old)


def _run(settings: Settings, text: str, *, resume: bool = False, **options: object) -> StudyState:
    plan = load_study(text, name="s", options={"jobs": 1, "threads": 1, **options})
    return manage(open_study(plan, settings.with_(**plan.task.settings), resume=resume))


def test_any_scalar_of_a_workflow_may_be_searched(settings: Settings) -> None:
    state = _run(settings, EVERYWHERE, trials=10, sampler="random", metric="information_ratio", pruner="none")
    assert {t.state for t in state.trials.values()} == {"complete"}, [t.message for t in state.trials.values()]
    names = {d["name"] for d in state.space}
    assert names == {"model", "num_leaves", "alpha", "label", "MOM", "fill_value", "topk"}
    for trial in state.trials.values():
        inside = {"lightgbm": "num_leaves", "linear": "alpha"}[trial.params["model"]]
        assert trial.params.keys() == (names - {"num_leaves", "alpha"}) | {inside}
    assert len({t.params["model"] for t in state.trials.values()}) == 2
    assert len({t.values[0] for t in state.trials.values()}) == 10, "each value counts"


def test_the_label_a_feature_and_a_processor_change_what_is_computed(settings: Settings) -> None:
    """A choice that were not put in its place would give the same values."""
    for line in (
        'label: !choice ["Ref($close, -2)/Ref($close, -1) - 1", "Ref($close, -6)/Ref($close, -1) - 1"]\n',
        "processors: {learn: [{class: !choice [CSRankNorm, CSZScoreNorm], kwargs: {fields_group: label}}]}\n",
    ):
        state = _run(settings, PLAIN.replace("!loguniform [0.01, 10]", "1.0") + line, trials=2, sampler="grid")
        assert len({t.values[0] for t in state.trials.values()}) == 2, line
        assert not any("predictions" in t.reused for t in state.trials.values())


def test_a_database_keeps_a_study_and_it_goes_on_there(settings: Settings) -> None:
    url = f"sqlite:///{settings.work_dir}/optuna.db"
    _goes_on(settings, url)


def test_postgresql_keeps_a_study_and_it_goes_on_there(settings: Settings, postgres: str) -> None:
    _goes_on(settings, postgres.replace("+psycopg2", ""))


def _goes_on(settings: Settings, url: str) -> None:
    first = _run(settings, PLAIN, trials=2, storage=url)
    state = _run(settings, PLAIN, trials=4, storage=url, resume=True)
    assert state.study_id == first.study_id
    assert sorted(state.trials) == [0, 1, 2, 3]
    driver = url.replace("postgresql://", "postgresql+psycopg2://")
    storage = optuna.storages.RDBStorage(driver)
    study = optuna.load_study(study_name=f"s / {state.study_id}", storage=storage)
    assert {t.number: t.values for t in study.trials} == {t.number: t.values for t in state.trials.values()}
    _tells_all(study)
    storage.remove_session()
    storage.engine.dispose()


def _tells_all(study: optuna.Study) -> None:
    """What ``optuna-dashboard`` shows beside parameters and values."""
    assert study.metric_names == ["IC"]
    about = study.user_attrs
    assert about["searched for"] == "maximize IC on the valid segment"
    assert about["verdict"].startswith("Too early to say. 4 complete trials")
    best = study.best_trial
    assert best.user_attrs["metrics"].keys() == {"ICIR", "Rank IC", "Rank ICIR"}
    assert best.user_attrs["days"].startswith("2019-")


def test_the_dashboard_says_why_a_trial_failed_and_what_the_test_segment_is() -> None:
    spec = StudySpec(name="s", objectives=(Objective("IC", "maximize"), Objective("ICIR", "correlation")))
    found = trial_attributes(spec, {"IC": 0.1, "ICIR": 0.7, "loss": math.nan}, failure=("TimedOut", "took longer"))
    assert found == {"ICIR": 0.7, "error": "TimedOut: took longer"}, "what the objective does not show, and finite"
    told = trial_attributes(spec, {}, span="a to b", failure=("Error", "Error: no"))
    assert told == {"days": "a to b", "error": "Error: no"}
    assert study_attributes(spec)["searched for"] == "maximize IC, ICIR nearest to 1 on the valid segment"
    spoilt = study_attributes(replace(spec, validation=Validation(segment="test")))
    on_test = trial_attributes(replace(spec, validation=Validation(segment="test")), {}, span="a to b")
    assert on_test == {"days": "a to b (TEST)"}
    assert spoilt["searched for"].endswith("on the TEST segment")
    assert "no test" in spoilt["warning"]
    folds = study_attributes(replace(spec, validation=Validation("purged_kfold", 5)))
    assert folds["searched for"].endswith("over 5 purged folds")


def test_more_folds_than_days_are_told_before_any_trial(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"line 5: \d+ days are too few for 4000 folds .*; fewer folds"):
        _run(settings, PLAIN + "study: {cv: {kind: purged_kfold, folds: 4000}}\n")
    with pytest.raises(ConfigError, match=r"^--cv: \d+ days are too few for 4000 folds"):
        _run(settings, PLAIN, cv="walk_forward:4000")


def test_a_storage_of_the_file_that_is_not_there_has_its_line(settings: Settings) -> None:
    with pytest.raises(
        StudyError,
        match=r"line 5: the storage sqlite:////nowhere/x\.db cannot be reached: .*; make the folder /nowhere",
    ):
        _run(settings, PLAIN + "study: {storage: 'sqlite:////nowhere/x.db'}\n", trials=1)
    with pytest.raises(StudyError, match=r"^the storage nonsense cannot be reached"):
        _run(settings, PLAIN + "study: {storage: 'sqlite:////nowhere/x.db'}\n", trials=1, storage="nonsense")
