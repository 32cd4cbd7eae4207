"""What a finished study must hold, whatever was killed on its way."""

from __future__ import annotations

import json

from qnb.tuning.handle import StudyHandle
from qnb.tuning.studydir import StudyDir

__all__ = ["assert_each_trial_once"]


def assert_each_trial_once(directory: StudyDir, uri: str, trials: int) -> None:
    """Assert that events, storage and store hold each of `trials` trials once, and agree."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    from qnb.recorder.stores import open_store

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(
        study_name=None,  # there is one
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(directory.journal))),
    )
    assert [t.number for t in study.trials] == list(range(trials))
    assert all(t.state.is_finished() for t in study.trials)
    assert len({json.dumps(t.params, sort_keys=True) for t in study.trials}) == trials
    handle = StudyHandle(directory)
    state = handle.state
    assert handle.status == "finished"
    assert sorted(state.trials) == list(range(trials))
    assert {t.number: t.params for t in study.trials} == {t.number: dict(t.params) for t in state.trials.values()}
    assert {t.number: t.values for t in study.trials if t.state.name == "COMPLETE"} == {
        t.number: t.values for t in state.trials.values() if t.state == "complete"
    }
    assert not [t for t in state.trials.values() if t.state == "failed"]
    store = open_store(uri)
    runs = [r for r in store.search([e.id for e in store.experiments()]) if r.tags.get("qnb.trial")]
    assert sorted(int(r.tags["qnb.trial"]) for r in runs) == list(range(trials))
    assert {r.status for r in runs} == {"FINISHED"}
