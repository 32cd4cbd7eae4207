"""How a run ended, said to its store by whoever notices it."""

from __future__ import annotations

from pathlib import Path

import pytest

import qnb.recorder.settle as settle
from qnb.config import Settings
from qnb.events import RunFailed, RunQueued, RunStarted
from qnb.handle import RunHandle
from qnb.journal import JournalWriter
from qnb.pool.watch import write_ending, write_stopped
from qnb.recorder.base import RunInfo
from qnb.recorder.sqlite import SqliteStore
from qnb.recorder.stores import open_store
from qnb.rundir import RunDir, create_run
from qnb.session import Session
from qnb.task.spec import load_task

TASK = "market: demo\nmodel: linear\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path, cache_dir=tmp_path / "cache")


@pytest.fixture
def store(settings: Settings) -> SqliteStore:
    found = open_store(settings.tracking_uri, cache_dir=Settings().cache_dir)
    assert isinstance(found, SqliteStore)
    return found


@pytest.fixture
def run(settings: Settings) -> RunDir:
    return create_run(load_task(TASK, source="cell"), settings, name="r")


def begun(run: RunDir, store: SqliteStore, *, noted: bool = True) -> RunInfo:
    """Have the run as its process leaves it that is killed in the fit."""
    info = store.create_run(store.create_experiment("e"), "r", tags={"qnb.run_id": run.run_id}, status="RUNNING")
    if noted:
        run.write_recorder(info.run_id, "e")
    with JournalWriter(run.path) as journal:
        journal.append(RunStarted(pid=2**22 - 1, began=1.0))
    return info


def waits(settings: Settings) -> list[str]:
    return [p.name for p in (settings.work_dir / ".qnb" / "unwritten").glob("*")]


@pytest.mark.parametrize("noted", [True, False])
def test_who_marks_a_run_ends_its_recorder(settings: Settings, store: SqliteStore, run: RunDir, noted: bool) -> None:
    info = begun(run, store, noted=noted)
    write_stopped(run, "The process that ran it is gone.", interrupted=True)
    found = store.run(info.run_id)
    assert (found.status, found.tags["qnb.status"]) == ("FAILED", "interrupted")
    assert found.tags["qnb.error"] == "The process that ran it is gone."
    assert found.end is not None
    assert RunHandle(run).status == "interrupted"
    assert waits(settings) == []


def test_a_session_that_notices_a_lost_run_does_so(settings: Settings, store: SqliteStore, run: RunDir) -> None:
    info = begun(run, store)
    session = Session(settings)
    assert session.going() == []
    assert store.run(info.run_id).status == "FAILED"
    session.close()


def test_a_crash_is_failed_in_both(settings: Settings, store: SqliteStore, run: RunDir) -> None:
    info = begun(run, store)
    write_ending(
        run, RunFailed(error="Crash", message="out of memory"), {"status": "failed", "message": "out of memory"}
    )
    assert (store.run(info.run_id).status, store.run(info.run_id).tags["qnb.error"]) == ("FAILED", "out of memory")
    assert RunHandle(run).status == "failed"
    write_stopped(run, "too late")
    assert RunHandle(run).status == "failed"
    assert store.run(info.run_id).tags["qnb.error"] == "out of memory"


def test_a_run_that_had_told_its_end_is_finished_in_both(settings: Settings, store: SqliteStore, run: RunDir) -> None:
    info = begun(run, store)
    run.write_result({"status": "finished", "metrics": {"IC": 0.5}, "seconds": 12.0, "report": "r.html"})
    write_stopped(run, "The process that ran it is gone.", interrupted=True)
    state = RunHandle(run).state
    assert (state.status, state.metrics["IC"]) == ("finished", 0.5)
    assert (run.result() or {})["report"] == "r.html"
    assert (store.run(info.run_id).status, "qnb.status" in store.run(info.run_id).tags) == ("FINISHED", False)


def test_a_run_that_never_began_asks_no_store(settings: Settings, run: RunDir) -> None:
    write_stopped(run, "stopped while it waited")
    assert RunHandle(run).status == "stopped"
    assert not (settings.work_dir / "mlflow.db").exists()
    assert waits(settings) == []


def test_what_cannot_be_settled_now_waits_and_the_journal_has_the_ending(
    settings: Settings, store: SqliteStore, run: RunDir
) -> None:
    info = begun(run, store)
    store.path.rename(settings.work_dir / "away.db")
    write_stopped(run, "gone", interrupted=True)
    assert RunHandle(run).status == "interrupted"
    assert len(waits(settings)) == 1
    (settings.work_dir / "away.db").rename(store.path)
    assert settle.main([str(run.path)]) == 0
    assert store.run(info.run_id).status == "FAILED"


def test_the_ending_is_left_before_the_journal_has_it(
    settings: Settings, store: SqliteStore, run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(run, store)
    seen: list[int] = []

    def append(self: JournalWriter, event: object) -> None:
        seen.append(len(waits(settings)))
        raise OSError("full")

    monkeypatch.setattr(JournalWriter, "append", append)
    with pytest.raises(OSError, match="full"):
        write_stopped(run, "gone", interrupted=True)
    assert seen == [1]


def test_damaged_runs_and_stores_in_memory_are_left_alone(settings: Settings, store: SqliteStore, run: RunDir) -> None:
    begun(run, store)
    (run.path / "request.json").write_text("{")
    settle.owe(run, "failed")
    settle.pay(run)
    assert waits(settings) == []
    memory = create_run(load_task(TASK, source="cell"), settings.with_(recorder_uri="memory:x"), name="m")
    with JournalWriter(memory.path) as journal:
        journal.append(RunQueued(run_id="m", name="m"))
        journal.append(RunStarted(pid=1))
    write_stopped(memory, "gone")
    assert waits(settings) == []
