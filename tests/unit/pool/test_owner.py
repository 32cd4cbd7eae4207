"""The owner of the pool, in this process and without workers: what it does with tickets."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

from qnb.config import Settings
from qnb.events import RunFailed, RunRetried, RunStarted
from qnb.journal import JournalWriter, read_journal
from qnb.pool.owner import Owner
from qnb.pool.place import Place
from qnb.pool.tickets import Ticket
from qnb.rundir import RunDir, create_run
from qnb.state import load_state
from qnb.task.spec import load_task

TASK = load_task("model: lightgbm")


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(Place(tmp_path).make())
    owner._pool.configure(replace(owner._settings, workers=0))
    yield owner
    owner.close()


def new_run(owner: Owner, name: str) -> RunDir:
    return create_run(TASK, Settings(work_dir=owner._place.work_dir), name=name)


def queue(owner: Owner, run: RunDir, **values: int) -> Ticket:
    return owner._place.tickets.put(Ticket(run.run_id, str(run.path), **values))  # type: ignore[arg-type]


def names(owner: Owner) -> list[str]:
    return [t.run.name() for t in owner._pool.waiting()]


def spent(work: Callable[[], object], times: int = 5) -> float:
    """Return the processor's seconds of `work`, the least of several."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def test_runs_that_end_while_the_owner_looks_at_its_tickets(owner: Owner) -> None:
    tickets = [queue(owner, RunDir(Path(f"r{i}"))) for i in range(100)]
    owner._known = {t.run_id: t for t in tickets}
    going = iter(tickets)

    def one_ends(frame: FrameType, event: str, _: object) -> object:
        if frame.f_globals["__name__"] != Owner.__module__:
            return None
        if event == "line" and (ticket := next(going, None)) is not None:
            ending = threading.Thread(target=owner._changed, args=(ticket, "over"))
            ending.start()
            ending.join()
        return one_ends

    before = sys.gettrace()
    sys.settrace(one_ends)
    try:
        while owner._place.tickets.names():
            assert not owner._may_end()
            owner.last_look()
    finally:
        sys.settrace(before)
    assert not owner._known


def test_long_queue_costs_little_to_look_at_and_nothing_to_add_to(owner: Owner) -> None:
    tickets = owner._place.tickets
    alone = spent(lambda: queue(owner, RunDir(Path("x"))), times=20)
    tickets.remove("x")
    runs = [new_run(owner, f"r{i}") for i in range(300)]
    for run in runs:
        queue(owner, run)
    first = spent(owner._look, times=1)
    assert names(owner) == [f"r{i}" for i in range(300)]
    tickets.write(replace(tickets.get(runs[-1].run_id) or Ticket("", ""), priority=3))
    again = spent(owner._look)
    assert names(owner)[:2] == ["r299", "r0"], "a changed ticket is read again"
    assert again < first / 4, "all tickets are"
    assert spent(lambda: queue(owner, RunDir(Path("x"))), times=20) < 5 * alone


def ended_run(owner: Owner, name: str) -> RunDir:
    run = new_run(owner, name)
    with JournalWriter(run.path) as journal:
        journal.append(RunStarted(pid=1))
        journal.append(RunFailed(error="E", message="m"))
    run.write_result({"status": "failed"})
    return run


def test_ticket_that_resumes_a_run_does_so_once(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    place, run, other = owner._place, ended_run(owner, "resumed"), ended_run(owner, "over")
    queue(owner, run, after=load_state(run.path).seq)
    queue(owner, other, after=load_state(other.path).seq - 1)  # it went on after that event, and is over again
    with monkeypatch.context() as patch:
        patch.setattr(JournalWriter, "append", no_room)
        owner._look()
        assert names(owner) == []
        assert run.run_id in place.tickets
    owner._look()
    assert names(owner) == ["resumed"]
    assert load_state(run.path).status == "waiting"
    assert run.result() is None
    assert run.request().resume
    assert place.tickets.names() == {run.run_id}
    assert load_state(other.path).status == "failed"

    following = Owner(place)  # the one before died
    following._pool.configure(replace(following._settings, workers=0))
    following._look()
    assert names(following) == ["resumed"]
    following.close()
    assert sum(isinstance(e.event, RunRetried) for e in read_journal(run.path)) == 1


def no_room(*_: object) -> int:
    raise OSError(28, "No space left on device")
