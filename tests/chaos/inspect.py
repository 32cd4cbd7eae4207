"""What must hold when a round is over: runs and store are whole, and nothing is left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from filelock import FileLock, Timeout

from qnb.errors import QnbError
from qnb.handle import RunHandle
from qnb.tuning.handle import StudyHandle

from ..integration.studies import assert_each_trial_once
from .scene import Scene
from .users import TRIALS

__all__ = ["inspect"]

ENDINGS = ("RunFinished", "RunFailed", "RunStopped")
KEPT = ("forkserver.log", ".lock", "last")  # one of each for the pool's whole life
HALF_WRITTEN = re.compile(r"^\..+\.\w{6,8}$|\.(tmp|part)$|^\.mlflow\.db\.|^\.qnb-")


def inspect(scene: Scene) -> list[str]:
    """Return what is wrong, a sentence each."""
    found = []
    runs = scene.runs()
    for run in runs:
        found += [f"run {run.name}: {what}" for what in _run(run, runs)]
    for study in scene.studies():
        found += [f"study {study.name}: {what}" for what in _study(study, scene)]
    return [*found, *_store(scene), *_left(scene)]


def _run(run: RunHandle, runs: list[RunHandle]) -> Iterator[str]:
    if run.status != "finished" and not any(r.request.retry_of == run.run_id for r in runs):
        yield f"is {run.status} in the end: {run.error}"
    lines = (run.directory.path / "journal.ndjson").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    if [e["seq"] for e in events] != list(range(1, len(events) + 1)):
        yield "the numbers of its events have gaps"
    last = max((k for k, e in enumerate(events) if e["event"] in ("RunQueued", "RunStarted", "RunRetried")), default=0)
    endings = [e["event"] for e in events[last:] if e["event"] in ENDINGS]
    if len(endings) != 1:
        yield f"has the endings {endings}"
    told = (run.directory.result() or {}).get("status")
    if told != run.status:
        yield f"is {run.status} in the journal and {told} in result.json"
    yield from _recorder(run)


def _recorder(run: RunHandle) -> Iterator[str]:
    if run.directory.recorder() is None:
        if run.status == "finished":
            yield "has no recorder"
        return
    try:
        recorder = run.recorder
        wanted = "FINISHED" if run.status == "finished" else "FAILED"
        if recorder.status != wanted:
            yield f"is {run.status} in the journal and {recorder.status} in the store"
        if run.status == "finished":
            for name, curve in run.state.curves.items():
                missing = set(curve.steps) - {step for step, _ in recorder.metric_history(name)}
                if missing:
                    yield f"the store has no {name} at steps {sorted(missing)[:5]}, {len(missing)} in all"
    except QnbError as error:
        yield f"its recorder cannot be read: {error}"


def _study(study: StudyHandle, scene: Scene) -> Iterator[str]:
    try:
        assert_each_trial_once(study.directory, scene.uri, TRIALS)
    except (AssertionError, ValueError) as error:  # the latter of a storage without a study
        yield f"{study.status}, {error or 'its trials are not once each in events, storage and store'}"


def _store(scene: Scene) -> Iterator[str]:
    from qnb.recorder.spool import folders_of
    from qnb.recorder.stores import open_store

    settings = scene.settings
    store = open_store(scene.uri, work_dir=settings.work_dir, cache_dir=settings.cache_dir)
    for run in store.search([e.id for e in store.experiments()]):
        if run.status not in ("FINISHED", "FAILED"):
            yield f"the store says that {run.name} is {run.status}"
    for folder in folders_of(settings.work_dir, settings.cache_dir):
        for path in folder.glob("*"):
            yield f"{path.name} was never written to the store"


def _left(scene: Scene) -> Iterator[str]:
    place = scene.place
    for path in sorted(place.folder.glob("*/*")):
        if path.name not in KEPT:
            yield f"left in the pool's folder: {path.relative_to(place.folder)}"
    if place.wake_path.exists():
        yield "left in the pool's folder: wake"
    for path in [
        place.lock_path,
        place.tickets.folder / ".lock",
        *(s.directory.path / "lock" for s in scene.studies()),
    ]:
        if path.exists():
            try:
                FileLock(path).acquire(timeout=0).lock.release()
            except Timeout:
                yield f"{path} is held"
    for path in sorted(scene.tmp.iterdir()):
        if not path.name.startswith("torchinductor_"):  # of torch, for good
            yield f"left in the temporary folder: {path.name}"
    for path in sorted(scene.settings.runs_dir.glob("*")):
        if not (path / "request.json").exists():
            yield f"no run: {path.relative_to(scene.work)}"
    for path in sorted(scene.work.rglob("*")):
        if HALF_WRITTEN.search(path.name):
            yield f"half written: {path.relative_to(scene.work)}"
