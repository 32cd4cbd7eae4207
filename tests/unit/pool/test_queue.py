"""The queue over a backend whose workers note what they were given and wait until they are let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qnb import registry
from qnb.errors import PoolError
from qnb.events import RunFinished, RunStarted
from qnb.journal import JournalWriter
from qnb.pool.queue import Pool, default_workers
from qnb.rundir import RunDir
from qnb.state import load_state


class Gate:
    """A backend and its workers at once."""

    def __init__(self) -> None:
        self.name = "gate"
        self.open = threading.Event()
        self.begun: list[str] = []
        self.closed = 0
        self.broken: set[str] = set()

    def worker(self, number: int, *, threads: int) -> Gate:
        return self

    def run(self, directory: RunDir) -> None:
        self.begun.append(directory.run_id)
        if directory.run_id in self.broken:
            raise PoolError("no room")
        with JournalWriter(directory.path) as journal:
            journal.append(RunStarted(pid=1))
            self.open.wait(10)
            journal.append(RunFinished())

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(registry, "find", lambda family, name: lambda: gate)
    yield gate
    gate.open.set()


def directory(folder: Path, name: str) -> RunDir:
    (folder / name).mkdir()
    return RunDir(folder / name)


def soon(condition: object) -> None:
    end = time.monotonic() + 5
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_runs_wait_their_turn(gate: Gate, tmp_path: Path) -> None:
    pool = Pool("gate", workers=1, threads=2)
    runs = [directory(tmp_path, name) for name in "abc"]
    for run in runs:
        pool.submit(run)
    soon(lambda: gate.begun == ["a"])
    assert pool.waiting() == ["b", "c"]
    gate.open.set()
    soon(lambda: all(load_state(run.path).status == "finished" for run in runs))
    assert gate.begun == ["a", "b", "c"]
    pool.close()
    assert gate.closed == 1


def test_as_many_at_a_time_as_there_are_workers(gate: Gate, tmp_path: Path) -> None:
    pool = Pool("gate", workers=2, threads=2)
    for name in "abc":
        pool.submit(directory(tmp_path, name))
    soon(lambda: sorted(gate.begun) == ["a", "b"])
    assert pool.waiting() == ["c"]
    gate.open.set()
    pool.close()


def test_waiting_run_that_was_stopped_never_starts(gate: Gate, tmp_path: Path) -> None:
    pool = Pool("gate", workers=1, threads=1)
    first, second = directory(tmp_path, "a"), directory(tmp_path, "b")
    pool.submit(first)
    pool.submit(second)
    second.ask_to_stop()
    gate.open.set()
    soon(lambda: load_state(second.path).status == "stopped")
    assert gate.begun == ["a"]
    pool.close()


def test_worker_that_cannot_start_fails_its_run_only(gate: Gate, tmp_path: Path) -> None:
    gate.broken.add("a")
    gate.open.set()
    pool = Pool("gate", workers=1, threads=1)
    first, second = directory(tmp_path, "a"), directory(tmp_path, "b")
    pool.submit(first)
    pool.submit(second)
    soon(lambda: load_state(second.path).status == "finished")
    failed = load_state(first.path)
    assert failed.failure is not None
    assert failed.failure.message == "no worker could run it: no room"
    pool.close()
    with pytest.raises(PoolError, match="closed"):
        pool.submit(directory(tmp_path, "c"))


@pytest.mark.parametrize(("given", "number"), [("3", 3), ("0", 1), ("many", None)])
def test_number_of_workers(monkeypatch: pytest.MonkeyPatch, given: str, number: int | None) -> None:
    monkeypatch.setenv("QNB_WORKERS", given)
    assert default_workers() == (number or default_workers())
    assert default_workers() in (1, 2, 3)
