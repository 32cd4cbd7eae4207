"""Studies on real workers: what they find, what they repeat, what survives a kill, and what fails."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qnb.cli import main
from qnb.config import Settings, use_settings
from qnb.errors import ConfigError, StudyError
from qnb.tuning.engine import manage
from qnb.tuning.handle import StudyHandle
from qnb.tuning.manager import start_manager
from qnb.tuning.open import open_study
from qnb.tuning.plan import load_study
from qnb.tuning.state import StudyState
from qnb.tuning.studydir import StudyDir, find_study, list_studies

MARKET = "market: demo:instruments=40,years=4\n"
FEATURES = """\
features:
  MOM: $close/Ref($close, 5) - 1
  VOL: Std($close/Ref($close, 1), 10)
  VR: $volume/Mean($volume, 10)
  KLEN: ($high-$low)/$open
"""
WORKFLOW = (
    MARKET
    + """\
model:
  lightgbm:
    learning_rate: !loguniform [0.02, 0.3]
    num_leaves: !int [4, 32]
    num_boost_round: 40
    early_stopping_rounds: 10
strategy: {topk: 8, n_drop: 1}
"""
    + FEATURES
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    old = Settings.from_env()
    made = old.with_(work_dir=tmp_path)
    yield made
    use_settings(old)


def _run(settings: Settings, text: str, *, name: str = "s", resume: bool = False, **options: object) -> StudyState:
    options = {"jobs": 1, "threads": 1, **options}
    plan = load_study(text, name=name, options=options, base_dir=settings.work_dir)
    return manage(open_study(plan, settings.with_(**plan.task.settings), resume=resume))


def _told(state: StudyState) -> list[tuple]:
    return [(t.number, t.state, dict(t.params), t.values, t.steps) for t in state.trials.values()]


def test_a_study_from_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("QNB_WORK_DIR", str(tmp_path))
    file = tmp_path / "tune.yaml"
    file.write_text(WORKFLOW + "study: {trials: 8, jobs: 2, threads: 1}\n")
    assert main(["tune", "-c", str(file)]) == 0
    said = capsys.readouterr().err
    assert "8/8" in said
    assert "deflated Sharpe" in said
    settings = Settings.from_env()
    directory = find_study(settings, "tune")
    import optuna
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(directory.journal)))
    study = optuna.load_study(study_name=f"tune / {directory.study_id}", storage=storage)
    assert [t.number for t in study.trials] == list(range(8)), "what optuna-dashboard opens"
    handle = StudyHandle(directory)
    assert handle.status == "finished"
    assert handle.best_value == study.best_value
    from qnb.recorder.stores import open_store

    store = open_store(settings.tracking_uri)
    runs = store.search([e.id for e in store.experiments()])
    nested = [r for r in runs if r.tags.get("qnb.trial")]
    (parent,) = [r for r in runs if r.tags.get("qnb.kind") == "study"]
    assert sorted(int(r.tags["qnb.trial"]) for r in nested) == list(range(8))
    assert {r.tags["mlflow.parentRunId"] for r in nested} == {parent.run_id}
    assert {r.status for r in nested} == {"FINISHED"}
    assert parent.metrics["best IC"] == pytest.approx(handle.best_value)
    assert (parent.tags["qnb.segment"], "qnb.warning" in parent.tags) == ("valid", False)
    assert not (directory.path / "work").exists(), "what trials share goes when the study is over"
    assert "Promote" not in handle.cell_of(0)
    assert handle.cell_of(0).startswith("%%qtask tune_0 --seed 7\nmarket: demo")
    assert "!loguniform" not in handle.cell_of(0)


def test_same_seed_and_one_worker_give_the_same_study_also_when_it_was_interrupted(settings: Settings) -> None:
    text = WORKFLOW.replace("instruments=40,years=4", "instruments=60,years=6")  # with enough signal to prune by
    whole = _run(settings, text, name="a", trials=10)
    again = _run(settings, text, name="b", trials=10)
    assert _told(whole) == _told(again)
    assert any(t.state == "pruned" for t in whole.trials.values())
    plan = load_study(text, name="c", options={"jobs": 1, "threads": 1, "trials": 10})
    directory = open_study(plan, settings.with_(**plan.task.settings))
    stopped = manage(directory, stop=_after(directory, 4))
    assert (stopped.status, stopped.done >= 4, stopped.done < 10) == ("stopped", True, True)
    resumed = _run(settings, text, name="c", trials=10, resume=True)
    assert _told(resumed) == _told(whole), "bit for bit"


def _after(directory: StudyDir, trials: int):
    def stop() -> bool:
        path = directory.path / "events.ndjson"
        return path.exists() and path.read_text().count('"TrialEnded"') >= trials

    return stop


def test_a_tuned_fit_is_the_plain_fit_bit_for_bit_and_is_not_repeated(settings: Settings) -> None:
    state = _run(settings, WORKFLOW.replace("topk: 8", "topk: !int [4, 16]"), trials=6, metric="information_ratio")
    assert all("data" in t.reused for t in state.trials.values() if t.number > 0)
    text = MARKET + "model: {lightgbm: {num_boost_round: 20, num_leaves: 8}}\n"
    text += "strategy: {topk: !int [4, 16], n_drop: 1}\n" + FEATURES
    only = _run(settings, text, name="strategy", trials=4, metric=["information_ratio"])
    fits = [t.parts.get("fit", 0.0) for t in only.trials.values()]
    assert [("predictions" in t.reused) for t in only.trials.values()] == [False, True, True, True]
    assert fits[1:] == [0.0, 0.0, 0.0], "trials that differ in their strategy alone only backtest"

    from qnb.models.lightgbm import LGBModel
    from qnb.task.component import build_component
    from qnb.training.context import FitContext
    from qnb.tuning.binned import BinnedLGB, BinnedStore

    plan = load_study(WORKFLOW, name="x", options={"jobs": 1})
    use_settings(settings.with_(**plan.task.settings))
    dataset = build_component(plan.task.dataset, "dataset")
    dataset.setup_data()
    store = BinnedStore(settings.work_dir / "bins")
    for arguments in ({"num_leaves": 8}, {"num_leaves": 31, "lambda_l1": 3.0, "min_data_in_leaf": 5, "max_depth": 4}):
        model = LGBModel(num_boost_round=30, early_stopping_rounds=10, **arguments)
        seen: list[int] = []
        context = FitContext(threads=1, seed=7)
        tuned = BinnedLGB(model, store, "key", lambda step, _, to=seen: to.append(step)).fit(dataset, context=context)
        plain = model.fit(dataset, context=context)
        a, b = (m.predict(dataset, "valid").to_numpy() for m in (tuned, plain))
        assert np.array_equal(a, b)
        assert seen == list(range(1, tuned.rounds_run + 1))
    assert (store.misses, store.hits) == (1, 1)


@pytest.mark.parametrize("cv", ["walk_forward:2", "purged_kfold:3"])
def test_folds_are_compared_on_their_own_days_and_run_in_parallel(settings: Settings, cv: str) -> None:
    text = WORKFLOW + "processors: {infer: [{class: RobustZScoreNorm, kwargs: {fit_start_time: x, fit_end_time: x}}]}\n"
    state = _run(settings, text, trials=3, cv=cv, jobs=2)
    folds = int(cv[-1])
    assert {t.state for t in state.trials.values()} <= {"complete", "pruned"}
    assert state.trials[0].state == "complete"
    first = [j for j in state.jobs if j.trial == 0]
    assert sorted(j.fold for j in first) == list(range(folds))
    workers = [{j.worker for j in state.jobs if j.trial == n} for n in state.trials]
    assert any(len(w) == 2 for w in workers), "one trial's folds on two workers, once both have started"
    from qnb.tuning.series import read_series

    (directory,) = list_studies(settings)
    days = read_series(directory.path, 0, folds).days
    assert len(np.unique(days)) == len(days)


def test_several_objectives_give_a_front(settings: Settings) -> None:
    text = WORKFLOW.replace("topk: 8", "topk: !int [4, 16]")
    state = _run(settings, text, trials=5, metric=["information_ratio", "turnover"], jobs=2)
    front = state.front()
    assert front
    assert all(len(t.values) == 2 for t in state.trials.values())
    assert all(t.state == "complete" for t in state.trials.values()), "several objectives are not pruned"


def test_the_test_segment_is_marked_everywhere(settings: Settings) -> None:
    state = _run(settings, WORKFLOW, trials=5, segment="test")
    assert state.verdict["kind"] == "test"
    (directory,) = list_studies(settings)
    handle = StudyHandle(directory)
    assert "TEST" in handle.cell_of(0)
    assert "TEST" in handle.trials.attrs["warning"]
    from qnb.panels.study_static import study_html
    from qnb.panels.study_view import study_view
    from qnb.recorder.stores import open_store

    view = study_view(handle.state, status=handle.status)
    assert "TEST" in view["red"]
    assert view["red"] in study_html(view)
    store = open_store(settings.tracking_uri)
    runs = store.search([e.id for e in store.experiments()])
    assert all("TEST" in r.tags["qnb.warning"] for r in runs)


BROKEN = """
import time
import numpy as np
import pandas as pd
class Model:
    def __init__(self, kind="crash", x=0.0):
        self.kind, self.x = kind, x
    def fit(self, dataset):
        if self.kind == "crash":
            raise RuntimeError(f"no such thing as {self.x}")
        if self.kind == "sleep":
            time.sleep(250)
    def predict(self, dataset, segment="test"):
        frame = dataset.prepare(segment, col_set="label")
        values = np.full(len(frame), np.nan) if self.kind == "nan" else np.random.default_rng(0).normal(size=len(frame))
        return pd.Series(values, index=frame.index, name="score")
"""


def _user_model(settings: Settings, kind: str) -> str:
    (settings.work_dir / "broken.py").write_text(BROKEN)
    return (
        MARKET
        + f"model: {{class: Model, module_path: broken.py, kwargs: {{kind: {kind}, x: !uniform [0, 1]}}}}\n"
        + FEATURES
    )


@pytest.mark.parametrize("kind", ["crash", "nan"])
def test_three_identical_failures_pause_the_study(settings: Settings, kind: str) -> None:
    state = _run(settings, _user_model(settings, kind), trials=8)
    assert (state.status, state.done, state.count("failed"), state.best) == ("paused", 3, 3, None)
    assert "3 trials in a row failed alike" in state.message
    (directory,) = list_studies(settings)
    if kind == "crash":
        assert "no such thing as" in state.trials[0].message
        assert "RuntimeError" in directory.trial_log(0).read_text()
    else:
        assert state.trials[0].error == "NotANumber"
    after = _run(settings, _user_model(settings, kind), trials=8, resume=True)
    assert (after.status, after.done) == ("paused", 6), "failed trials are not run again"


def test_a_trial_that_takes_too_long_has_failed_and_is_never_best(
    settings: Settings, yardstick: Callable[[], float]
) -> None:
    kinds = _user_model(settings, "sleep").replace("kind: sleep", "kind: !choice [sleep, fine]")
    kinds = kinds.replace("x: !uniform [0, 1]", "x: 0.5")
    state = _run(settings, kinds, trials=2, trial_timeout=400 * yardstick(), sampler="grid", name="t")
    slow = {t.number for t in state.trials.values() if t.params["kind"] == "sleep"}
    assert len(slow) == 1, "the grid has both"
    assert {t.number: t.error for t in state.trials.values() if t.state == "failed"} == dict.fromkeys(slow, "TimedOut")
    assert state.best is not None
    assert state.best.number not in slow


def test_a_study_is_managed_once_and_resumed_as_it_was(settings: Settings) -> None:
    _run(settings, WORKFLOW, trials=1, name="one")
    with pytest.raises(StudyError, match="another search space and workflow"):
        _run(settings, WORKFLOW.replace("[4, 32]", "[4, 64]"), trials=2, name="one", resume=True)
    more = _run(settings, WORKFLOW, trials=2, name="one", resume=True)
    assert more.done == 2
    plan = load_study(WORKFLOW, name="one", options={"storage": "postgresql://u:secret@127.0.0.1:1/x"})
    with pytest.raises(StudyError, match="cannot be reached") as caught:
        open_study(plan, settings.with_(**plan.task.settings))
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="a grid needs a step or choices for 'learning_rate'"):
        _run(settings, WORKFLOW, trials=2, name="two", sampler="grid")


@pytest.mark.slow
def test_a_study_of_noise_and_one_of_the_planted_signal_on_the_demo_market(settings: Settings) -> None:
    """The label of noise is a return 40 days ahead, of which today's features know nothing."""
    text = WORKFLOW.replace("instruments=40,years=4", "instruments=60,years=6")
    planted = _run(settings, text, trials=12, jobs=2, name="planted")
    assert planted.verdict["kind"] in ("holds", "doubt"), planted.verdict
    noise = _run(settings, text + "label: Ref($close, -41)/Ref($close, -40) - 1\n", trials=12, jobs=2, name="noise")
    assert noise.verdict["kind"] == "noise", noise.verdict
    assert noise.verdict["trials"] == 12


def test_manager_that_is_killed_before_it_began_is_told_at_once(settings: Settings) -> None:
    plan = load_study(WORKFLOW, name="s", options={"trials": 2}, base_dir=settings.work_dir)
    study = StudyHandle(open_study(plan, settings))
    pid = start_manager(study.directory)
    assert study.status == "waiting"
    os.kill(pid, signal.SIGKILL)
    manager = study.directory.claimed()
    assert manager is not None
    assert manager.pid == pid
    while manager.alive:
        time.sleep(0.01)
    assert study.status == "interrupted"
    assert study.is_over
    study.resume()
    assert study.status in ("waiting", "running")
    study.stop()
    assert study.wait(120).status == "stopped"
