"""The queue over a backend whose workers note what they were given and wait until they are let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qnb.errors import ConfigError, PoolError
from qnb.events import RunFinished, RunRetried, RunStarted
from qnb.journal import JournalWriter, read_journal
from qnb.pool import queue
from qnb.pool.place import Place, PoolSettings, default_settings
from qnb.pool.protocols import Crash, Limits, StartError
from qnb.pool.queue import Pool
from qnb.pool.tickets import Ticket, TicketBox
from qnb.rundir import RunDir
from qnb.state import load_state


class Gate:
    """A backend and its workers at once."""

    def __init__(self) -> None:
        self.name = "gate"
        self.open = threading.Event()
        self.begun: list[str] = []
        self.limits: list[Limits] = []
        self.closed = 0
        self.warmed = 0
        self.alive = True
        self.broken: set[str] = set()
        self.unstarted: list[Exception] = []
        self.crashes: dict[str, list[Crash]] = {}
        self.resumed: set[str] = set()

    def worker(self, number: int) -> Gate:
        return self

    def prepare(self, libraries: tuple[str, ...]) -> None: ...

    def run(self, directory: RunDir, limits: Limits) -> Crash | None:
        self.begun.append(directory.run_id)
        self.limits.append(limits)
        if directory.run_id in self.broken:
            raise PoolError("no room")
        if self.unstarted:
            raise self.unstarted.pop()
        if self.crashes.get(directory.run_id):
            return self.crashes[directory.run_id].pop(0)
        with JournalWriter(directory.path) as journal:
            journal.append(RunStarted(pid=1, attempt=limits.attempt))
            self.open.wait(60)
            journal.append(RunFinished())
            if directory.run_id in self.resumed:
                journal.append(RunRetried())
        return None

    def warm(self) -> None:
        self.warmed += 1

    def process(self) -> int:
        return int(self.alive)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    monkeypatch.setattr(queue, "BACKOFF", (0.05, 0.1))
    gate = Gate()
    yield gate
    gate.open.set()


def pool_of(gate: Gate, **settings: float) -> Pool:
    return Pool(gate, PoolSettings(**{"workers": 1, "threads": 4, **settings}))  # type: ignore[arg-type]


def ticket(folder: Path, name: str, **values: int) -> Ticket:
    (folder / name).mkdir()
    return Ticket(name, str(folder / name), order=len(list(folder.iterdir())), **values)  # type: ignore[arg-type]


def soon(condition: object) -> None:
    end = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_runs_wait_their_turn_and_the_preferred_goes_first(gate: Gate, tmp_path: Path) -> None:
    pool = pool_of(gate)
    runs = [ticket(tmp_path, name, priority=name == "d") for name in "abcd"]
    pool.submit(runs[0])
    soon(lambda: gate.begun == ["a"])
    for run in runs[1:]:
        pool.submit(run)
    assert [t.run_id for t in pool.waiting()] == ["d", "b", "c"]
    assert [s.run_id for s in pool.slots()] == ["a"]
    gate.open.set()
    soon(lambda: all(load_state(run.run.path).status == "finished" for run in runs))
    assert gate.begun == ["a", "d", "b", "c"]
    pool.close()
    soon(lambda: gate.closed == 2)  # the worker and the backend


def test_as_many_at_a_time_as_are_allowed_and_they_share_the_threads(gate: Gate, tmp_path: Path) -> None:
    pool = pool_of(gate, workers=2)
    pool.submit(ticket(tmp_path, "a"))
    soon(lambda: gate.begun == ["a"])
    for name in "bc":
        pool.submit(ticket(tmp_path, name))
    soon(lambda: sorted(gate.begun) == ["a", "b"])
    assert [limits.threads for limits in gate.limits] == [4, 2]
    assert [t.run_id for t in pool.waiting()] == ["c"]
    pool.configure(PoolSettings(workers=3, threads=4))
    pool.submit(pool.waiting()[0])
    soon(lambda: sorted(gate.begun) == ["a", "b", "c"])
    gate.open.set()
    pool.close()


def test_threads_are_shared_with_those_that_wait_and_could_go_at_once(gate: Gate, tmp_path: Path) -> None:
    pool = pool_of(gate, threads=6)
    pool.submit(ticket(tmp_path, "a"))
    soon(lambda: gate.begun == ["a"])
    for name in "bc":
        pool.submit(ticket(tmp_path, name))
    pool.configure(PoolSettings(workers=3, threads=6))
    pool.submit(ticket(tmp_path, "d"))
    soon(lambda: sorted(gate.begun) == ["a", "b", "c"])
    assert [limits.threads for limits in gate.limits] == [6, 2, 2]
    gate.open.set()
    pool.close()


def test_a_run_that_was_taken_over_holds_a_place_and_its_share_of_the_threads(gate: Gate, tmp_path: Path) -> None:
    before = Gate()
    pool = pool_of(gate, workers=1)
    pool.adopt(ticket(tmp_path, "old"), before)
    soon(lambda: before.begun == ["old"])
    assert pool.going() == {"old"}
    pool.submit(ticket(tmp_path, "a"))
    soon(pool.slots)
    time.sleep(0.05)  # for a slot that took it all the same
    assert gate.begun == []
    pool.configure(PoolSettings(workers=2, threads=4))
    soon(lambda: gate.begun == ["a"])
    assert gate.limits[0].threads == 2
    pool.submit(ticket(tmp_path, "b"))
    before.open.set()
    soon(lambda: sorted(gate.begun) == ["a", "b"])
    gate.open.set()
    pool.close()


def test_waiting_run_that_was_stopped_never_starts(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nobody looked at the queue since."""
    monkeypatch.setattr(queue, "STOP_POLL", 600.0)
    pool = pool_of(gate)
    first, second = ticket(tmp_path, "a"), ticket(tmp_path, "b")
    pool.submit(first)
    soon(lambda: gate.begun == ["a"])
    pool.submit(second)
    time.sleep(3 * queue.STOP_PAUSE)  # until it was looked at, when it came
    second.run.ask_to_stop()
    gate.open.set()
    soon(lambda: load_state(second.run.path).status == "stopped")
    assert gate.begun == ["a"]
    pool.close()


@pytest.mark.parametrize("nudged", [True, False])
def test_waiting_runs_are_stopped_while_all_workers_are_busy(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nudged: bool
) -> None:
    for name in ("STOP_POLL", "LONGEST_PAUSE"):
        monkeypatch.setattr(queue, name, 600.0 if nudged else 0.05)
    pool = pool_of(gate, workers=2)
    busy = [ticket(tmp_path, name) for name in "ab"]
    waiting = [ticket(tmp_path, f"w{i}") for i in range(300)]
    for run in [*busy, *waiting]:
        pool.submit(run)
    soon(lambda: sorted(gate.begun) == ["a", "b"])
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    for run in waiting[:-1]:
        run.run.ask_to_stop()
    if nudged:
        pool.nudge()
    soon(lambda: all(load_state(run.run.path).status == "stopped" for run in waiting[:-1]))
    assert [t.run_id for t in pool.waiting()] == ["w299"]
    assert pool.going() == {"a", "b"}
    assert synced == []  # a disk takes its time, and there may be hundreds
    gate.open.set()
    soon(lambda: load_state(waiting[-1].run.path).status == "finished")
    assert sorted(gate.begun) == ["a", "b", "w299"]
    pool.close()
    assert not [t for t in threading.enumerate() if t.name == "qnb-stops"]


def test_run_that_waits_to_be_tried_again_is_stopped(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "BACKOFF", (600.0,))
    gate.crashes = {"a": [Crash("died")]}
    pool = pool_of(gate)
    run = ticket(tmp_path, "a")
    pool.submit(run)
    soon(lambda: load_state(run.run.path).status == "waiting" and pool.waiting())
    run.run.ask_to_stop()
    soon(lambda: load_state(run.run.path).status == "stopped")
    assert gate.begun == ["a"]
    pool.close()


def test_run_that_is_resumed_before_its_worker_is_idle_gets_no_other_ending(gate: Gate, tmp_path: Path) -> None:
    gate.open.set()
    gate.resumed = {"a"}
    told: list[str] = []
    limits = PoolSettings(workers=1, threads=1)
    pool = Pool(gate, limits, on_change=lambda ticket, what: told.append(what))
    run = ticket(tmp_path, "a")
    pool.submit(run)
    soon(lambda: told == ["begins", "over"])
    assert load_state(run.run.path).status == "waiting"
    pool.close()


def test_waiting_run_is_preferred_and_one_that_goes_is_not_queued_again(gate: Gate, tmp_path: Path) -> None:
    pool = pool_of(gate)
    runs = [ticket(tmp_path, name) for name in "abc"]
    pool.submit(runs[0])
    soon(lambda: gate.begun == ["a"])
    for run in runs[1:]:
        pool.submit(run)
    for name in "ac":
        pool.prefer(name, 7)
    assert [t.run_id for t in pool.waiting()] == ["c", "b"]
    gate.open.set()
    soon(lambda: all(load_state(run.run.path).is_over for run in runs))
    assert gate.begun == ["a", "c", "b"]
    pool.close()


def test_worker_that_cannot_start_fails_its_run_only(gate: Gate, tmp_path: Path) -> None:
    gate.broken.add("a")
    gate.open.set()
    pool = pool_of(gate)
    first, second = ticket(tmp_path, "a"), ticket(tmp_path, "b")
    pool.submit(first)
    pool.submit(second)
    soon(lambda: load_state(second.run.path).status == "finished")
    failed = load_state(first.run.path)
    assert failed.failure is not None
    assert failed.failure.message == "no worker could run it: no room"
    pool.close()
    with pytest.raises(PoolError, match="closed"):
        pool.submit(ticket(tmp_path, "c"))


@pytest.mark.parametrize("error", [StartError("it ended"), OSError("no file")])
def test_run_whose_worker_did_not_start_is_tried_again_as_after_a_crash(
    gate: Gate, tmp_path: Path, error: Exception
) -> None:
    gate.open.set()
    gate.unstarted = [error]
    pool = pool_of(gate)
    pool.submit(ticket(tmp_path, "a", retries=1))
    soon(lambda: load_state(tmp_path / "a").status == "finished")
    assert gate.limits[-1].attempt == 2
    gate.unstarted = [error, error]
    pool.submit(ticket(tmp_path, "b", retries=1))
    soon(lambda: load_state(tmp_path / "b").status == "failed")
    failure = load_state(tmp_path / "b").failure
    assert failure is not None
    assert failure.message == f"no worker could run it: {error}. Tried 2 times."
    pool.close()


def test_run_without_a_worker_for_want_of_room_waits_for_room(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = threading.Event()
    monkeypatch.setattr(queue, "DISK_WAIT", 0.05)
    monkeypatch.setattr(queue, "is_full", lambda folder: not room.is_set())
    pool = pool_of(gate)
    gate.broken.add("a")
    gate.open.set()
    pool.submit(ticket(tmp_path, "a", retries=0))
    soon(lambda: len(gate.begun) > 3)
    assert load_state(tmp_path / "a").status == "unknown"
    gate.broken.clear()
    room.set()
    soon(lambda: load_state(tmp_path / "a").status == "finished")
    assert gate.limits[-1].attempt == 1
    pool.close()


def test_crash_of_a_run_that_was_asked_to_stop_is_not_tried_again(gate: Gate, tmp_path: Path) -> None:
    run = ticket(tmp_path, "a", retries=3)
    crash = Crash("died", again=True)

    class Stopped(Gate):
        def run(self, directory: RunDir, limits: Limits) -> Crash | None:
            directory.ask_to_stop()
            self.begun.append(directory.run_id)
            return crash

    stopped = Stopped()
    pool = pool_of(stopped)
    pool.submit(run)
    soon(lambda: load_state(run.run.path).is_over)
    assert stopped.begun == ["a"]
    assert not any(isinstance(entry.event, RunRetried) for entry in read_journal(run.run.path))
    pool.close()


def test_crash_is_tried_again_after_a_while_and_then_told(gate: Gate, tmp_path: Path) -> None:
    gate.open.set()
    died = Crash("Worker 1 was ended by the system (exit −9)", exit_code=-9)
    gate.crashes = {"once": [died], "always": [died] * 5, "hopeless": [Crash("out of memory", again=False)] * 2}
    pool = pool_of(gate)
    runs = {name: ticket(tmp_path, name, retries=2) for name in gate.crashes}
    for run in runs.values():
        pool.submit(run)
    soon(lambda: all(load_state(run.run.path).is_over for run in runs.values()))
    states = {name: load_state(run.run.path) for name, run in runs.items()}
    assert states["once"].status == "finished"
    assert states["once"].attempt == 2
    assert [gate.begun.count(name) for name in runs] == [2, 3, 1]
    assert states["always"].failure.message.endswith("(exit −9). Tried 3 times.")  # type: ignore[union-attr]
    assert states["hopeless"].failure.message == "out of memory"  # type: ignore[union-attr]
    times = [e.event.time for e in read_journal(runs["always"].run.path)]
    assert times == sorted(times)
    pool.close()


def test_dead_worker_is_replaced_before_the_next_run_needs_it(gate: Gate, tmp_path: Path) -> None:
    gate.open.set()
    gate.alive = False
    pool = pool_of(gate)
    pool.submit(ticket(tmp_path, "a"))
    soon(lambda: gate.warmed == 1)
    pool.close()


def test_idle_worker_is_ended(gate: Gate, tmp_path: Path) -> None:
    gate.open.set()
    pool = pool_of(gate, idle_minutes=0.002)
    run = ticket(tmp_path, "a")
    pool.submit(run)
    soon(lambda: load_state(run.run.path).is_over and not pool.slots())
    assert gate.closed == 1
    pool.close()


def test_full_disk_delays_the_ending(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "DISK_WAIT", 0.02)
    full = threading.Event()
    full.set()
    real = JournalWriter.append

    def append(writer: JournalWriter, event: object) -> int:
        if full.is_set():
            raise OSError(28, "No space left on device")
        return real(writer, event)  # type: ignore[arg-type]

    monkeypatch.setattr(JournalWriter, "append", append)
    gate.crashes = {"a": [Crash("gone", again=False)]}
    pool = pool_of(gate)
    run = ticket(tmp_path, "a")
    pool.submit(run)
    soon(lambda: gate.begun)
    time.sleep(0.1)
    full.clear()
    soon(lambda: load_state(run.run.path).status == "failed")
    pool.close()


@pytest.mark.parametrize(("given", "number"), [("3", 3), ("0", 1), ("many", None)])
def test_number_of_workers(monkeypatch: pytest.MonkeyPatch, given: str, number: int | None) -> None:
    monkeypatch.setenv("QNB_WORKERS", given)
    limits = default_settings()
    assert limits.workers == (number or limits.threads)


def test_tickets_keep_their_order_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path).make()
    for name, now in (("a", 2000), ("b", 1000), ("c", 1500)):
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        place.tickets.put(Ticket(name, str(tmp_path / name), retries=3))
    place.tickets.put(Ticket("d", str(tmp_path / "d"), priority=1))
    assert [t.run_id for t in place.tickets] == ["d", "a", "b", "c"]
    assert place.tickets.get("b").retries == 3  # type: ignore[union-attr]
    place.tickets.remove("a")
    assert [t.run_id for t in place.tickets] == ["d", "b", "c"]
    other = TicketBox(place.tickets.folder)  # of another process
    assert other.put(Ticket("e", str(tmp_path / "e"))).order == 2004
    (place.tickets.folder / "last").write_text("torn", encoding="ascii")
    assert other.put(Ticket("f", str(tmp_path / "f"))).order == 1500


def test_ticket_that_resumes_a_run_is_not_taken_out_with_the_one_before(tmp_path: Path) -> None:
    box = Place(tmp_path).make().tickets
    run = str(tmp_path / ".qnb" / "runs" / "a")
    before = box.put(Ticket("a", run))
    removing = threading.Thread(target=TicketBox(box.folder).remove, args=("a", before.order))
    with box.locked():
        removing.start()
        after = box.put(Ticket("a", run, after=7))
    removing.join()
    assert box.get("a") == after
    assert "a" in box
    box.remove("a", after.order)
    assert "a" not in box
    box.remove("a", after.order)


def test_changed_tickets_have_another_mark(tmp_path: Path) -> None:
    box = Place(tmp_path).make().tickets
    assert TicketBox(tmp_path / "absent").marks() == {}
    a, b = (box.put(Ticket(name, str(tmp_path / name))) for name in "ab")
    before = box.marks()
    box.write(replace(b, priority=1))
    after = box.marks()
    assert before.keys() == after.keys() == {a.run_id, b.run_id}
    assert before["a"] == after["a"]
    assert before["b"] != after["b"]


def test_settings_are_checked_kept_and_have_a_share_of_the_memory(tmp_path: Path) -> None:
    limits = PoolSettings(workers=2, threads=4)
    place = Place(tmp_path)
    place.write_settings({"workers": 3, "memory_gb": 1.5, "colour": "red"})
    assert place.settings(limits).workers == 3
    assert place.settings(limits).memory == 1.5 * 2**30
    assert limits.memory > PoolSettings(workers=4, threads=4).memory > 0
    for wrong, words in (({"worker": 2}, "did you mean 'workers'"), ({"workers": 0}, "1 or more")):
        with pytest.raises(ConfigError, match=words):
            limits.with_(wrong)


def test_nobody_to_wake_and_clients_that_are_gone(tmp_path: Path) -> None:
    from qnb.machine import ProcessId

    place = Place(tmp_path).make()
    assert not place.wake()
    place.register()
    place.register(ProcessId(2**22 + 1, 5))
    assert len(place.clients()) == 1
    place.forget()
    assert place.clients() == []
    assert oct(place.folder.stat().st_mode & 0o777) == "0o700"
