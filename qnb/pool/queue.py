"""The pool: runs by priority on as many workers as are allowed, tried again after a crash.

1. A run waits until a slot is free; a higher priority goes first, then who came first.
2. A slot is a thread with a worker, made when a run first needs one; the worker stays warm between runs.
3. The cores are divided among the runs that go and those that could go at once.
4. A run that no worker can be started for because the disk is full waits for room.
5. A run whose worker died without a word, or did not start, waits again, longer every time (`BACKOFF`), as often as its
   ticket says; an exception of the user's is an ending and never tried again.
6. A worker that had nothing to do for a while is ended.
7. A run that waits and is asked to stop is ended at once, whatever the workers do, by a thread of its own (`_heed`).
"""

from __future__ import annotations

import contextlib
import errno
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..errors import PoolError, QnbError
from ..events import LogLine, RunRetried
from ..journal import JournalWriter
from ..machine import is_full
from ..ongoing import last_status
from ..refused import refusal
from ..state import OVER, load_state
from .place import PoolSettings
from .protocols import Backend, Crash, Limits, StartError, Worker
from .tickets import Ticket
from .watch import write_failed, write_stopped

__all__ = ["BACKOFF", "Pool", "Slot", "status_of"]

CLOSE_TIMEOUT = 5.0
BACKOFF = (1.0, 5.0, 30.0)
"""Seconds before a crashed run is tried again, the last one for all further tries."""
DISK_WAIT = 1.0
ROOM_TIME = 30.0
"""Seconds that a run waits for room to start in; where there is none for its ending either, it waits on."""
STOP_POLL = 0.1
STOP_PAUSE = 0.02
LONGEST_PAUSE = 1.0
"""Seconds between two looks at what waits: without and after a nudge, and where a look takes long."""


@dataclass(slots=True)
class Slot:
    """One place for a worker; what views show of it.

    Attributes
    ----------
    run_id : str
        The run that goes on there, '' when it is idle.
    since : float
        Clock of `time.monotonic` when it began or became idle.
    """

    number: int
    run_id: str = ""
    since: float = 0.0
    worker: Worker | None = None
    threads: int = 0

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.worker.name if self.worker is not None else f"worker {self.number}"


class Pool:
    """Runs directories on a number of workers.

    Parameters
    ----------
    backend : Backend
        Makes workers.
    settings : PoolSettings
        Limits; `configure` changes them later.
    on_change : callable, optional
        Called with a ticket when its run begins, is tried again or is over, from a thread of the pool.
    """

    def __init__(
        self, backend: Backend, settings: PoolSettings, *, on_change: Callable[[Ticket, str], None] | None = None
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._on_change = on_change or (lambda ticket, what: None)
        self._wake = threading.Condition()
        self._waiting: dict[str, Ticket] = {}
        self._not_before: dict[str, float] = {}
        self._no_room_since: dict[str, float] = {}
        self._slots: dict[int, Slot] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._adopted: dict[str, Worker] = {}
        self._look = threading.Event()
        self._heeding: threading.Thread | None = None
        self._closed = False

    def configure(self, settings: PoolSettings) -> None:
        """Take over changed limits; runs that go on are not touched."""
        with self._wake:
            self._settings = settings
            self._wake.notify_all()

    def submit(self, ticket: Ticket) -> None:
        """Put a run in the queue; returns at once, however many wait."""
        with self._wake:
            if self._closed:
                raise PoolError("the pool is closed; load the extension again")
            if self._heeding is None:
                self._heeding = threading.Thread(target=self._heed, name="qnb-stops", daemon=True)
                self._heeding.start()
            if not self._waiting:
                self._look.set()
            self._waiting[ticket.run_id] = ticket
            self._grow()
            self._wake.notify_all()

    def prefer(self, run_id: str, priority: int) -> None:
        """Change the priority of a run if it still waits."""
        with self._wake:
            waiting = self._waiting.get(run_id)
            if waiting is not None:
                self._waiting[run_id] = replace(waiting, priority=priority)

    def adopt(self, ticket: Ticket, worker: Worker) -> None:
        """Watch over a run that is going already in `worker`, which an owner before this one started."""
        with self._wake:
            self._adopted[ticket.run_id] = worker
        threading.Thread(target=self._watch_adopted, args=(ticket, worker), daemon=True).start()

    def nudge(self) -> None:
        """Look at the queue again: a waiting run may have been asked to stop."""
        self._look.set()

    def waiting(self) -> list[Ticket]:
        """Return the tickets of the runs that wait, next first."""
        with self._wake:
            return sorted(self._waiting.values(), key=attrgetter("rank"))

    def slots(self) -> list[Slot]:
        """Return the places of workers as they are now."""
        with self._wake:
            return [replace(slot) for _, slot in sorted(self._slots.items())]

    def going(self) -> set[str]:
        """Return the ids of the runs that are going, adopted ones included."""
        with self._wake:
            return {s.run_id for s in self._slots.values() if s.run_id} | set(self._adopted)

    def warm(self, number: int = 1) -> None:
        """Have `number` workers ready for runs to come; returns at once."""
        with self._wake:
            while len(self._slots) < min(number, self._settings.workers):
                self._add_slot(warm=True)

    def close(self) -> None:
        """Take no more runs; those that are going finish on their own, idle workers have ended when this returns."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            ending = [self._threads[n] for n, slot in self._slots.items() if not slot.run_id]
            ending += [self._heeding] if self._heeding is not None else []
            self._look.set()
        for thread in ending:
            thread.join(timeout=CLOSE_TIMEOUT)
        self._backend.close()

    def _grow(self) -> None:
        """Make slots for what waits; the lock is held."""
        idle = sum(not slot.run_id for slot in self._slots.values())
        while idle < len(self._waiting) and len(self._slots) < self._settings.workers:
            self._add_slot()
            idle += 1

    def _add_slot(self, *, warm: bool = False) -> None:
        number = next(n for n in range(1, len(self._slots) + 2) if n not in self._slots)
        slot = self._slots[number] = Slot(number, since=time.monotonic())
        thread = threading.Thread(target=self._serve, args=(slot, warm), name=f"qnb-worker-{number}", daemon=True)
        self._threads[number] = thread
        thread.start()

    def _serve(self, slot: Slot, warm: bool) -> None:
        try:
            if warm:
                self._warm(slot)
            while True:
                ticket = self._next(slot)
                if ticket is None:
                    return
                try:
                    self._run(slot, ticket)
                finally:
                    with self._wake:
                        slot.run_id, slot.since, slot.threads = "", time.monotonic(), 0
                        self._wake.notify_all()
        finally:
            if slot.worker is not None:
                slot.worker.close()
            with self._wake:
                self._slots.pop(slot.number, None)
                self._threads.pop(slot.number, None)

    def _next(self, slot: Slot) -> Ticket | None:
        """Return the ticket this slot is to run; None when the slot is to end."""
        with self._wake:
            while True:
                if self._closed:
                    return None
                now = time.monotonic()
                ticket = self._take(now)
                if ticket is not None:
                    slot.run_id, slot.since = ticket.run_id, now
                    slot.threads = self._share()
                    return ticket
                if len(self._slots) > self._settings.workers:
                    return None
                idle = self._settings.idle_minutes * 60 - (now - slot.since)
                if idle <= 0:
                    return None
                later = [at - now for name, at in self._not_before.items() if name in self._waiting]
                self._wake.wait(timeout=max(0.01, min([idle, *later])))

    def _take(self, now: float) -> Ticket | None:
        """Take the next ticket out of the queue if one may begin; the lock is held."""
        going = sum(bool(s.run_id) for s in self._slots.values()) + len(self._adopted)
        if going >= self._settings.workers:
            return None
        ready = (t for t in self._waiting.values() if self._not_before.get(t.run_id, 0.0) <= now)
        first = min(ready, key=attrgetter("rank"), default=None)
        return None if first is None else self._drop(first.run_id)

    def _drop(self, run_id: str) -> Ticket | None:
        """Take a ticket out of the queue if it is still there; the lock is held."""
        self._not_before.pop(run_id, None)
        return self._waiting.pop(run_id, None)

    def _share(self) -> int:
        """Return the CPU threads of the next run: the cores among all that go or could go; the lock is held."""
        going = sum(bool(s.run_id) for s in self._slots.values()) + len(self._adopted)
        together = min(self._settings.workers, going + len(self._waiting))
        return max(1, self._settings.threads // max(1, together))

    def _run(self, slot: Slot, ticket: Ticket) -> None:
        directory = ticket.run
        if directory.stop_asked():
            self._end_waiting(ticket)
            return
        before, ticket = ticket, replace(ticket, attempt=ticket.attempt + 1)
        self._on_change(ticket, "begins")
        limits = Limits(slot.threads, ticket.memory or self._settings.memory, ticket.timeout, ticket.attempt)
        crash: Crash | None
        full = _no_room(directory.path)
        try:
            if slot.worker is None:
                slot.worker = self._backend.worker(slot.number)
            crash = slot.worker.run(directory, limits)
        except (OSError, QnbError) as error:
            if self._closed:
                return  # the next owner finds its ticket
            again = isinstance(error, OSError | StartError)
            reason = refusal(error) or str(error)
            crash = Crash(f"no worker could run it: {reason}", error=type(error).__name__, again=again)
            if slot.worker is not None:
                slot.worker.close()
            slot.worker = None
            full = full or _no_room(directory.path)
            if full is not None:
                reason = refusal(OSError(errno.ENOSPC, "", str(full)))
                if not self._ended_without_room(before, replace(crash, message=f"no worker could run it: {reason}")):
                    self._wait_again(before, DISK_WAIT)  # this was no try of the run
                    return
        self._no_room_since.pop(ticket.run_id, None)
        self._settle(ticket, crash)
        if slot.worker is not None and not slot.worker.process():
            self._warm(slot)

    def _heed(self) -> None:
        """End the runs that wait and were asked to stop, until the pool is closed."""
        spent = 0.0
        while not self._closed:
            self._look.wait(min(max(STOP_POLL, 50 * spent), LONGEST_PAUSE) if self._waiting else None)
            self._look.clear()
            began = time.monotonic()
            with self._wake:
                waiting = list(self._waiting.values())
            asked = [ticket for ticket in waiting if ticket.run.stop_asked()]
            spent = time.monotonic() - began
            with self._wake:
                dropped = [self._drop(ticket.run_id) for ticket in asked]
            for ticket in dropped:
                if ticket is not None:
                    self._end_waiting(ticket)
            time.sleep(min(max(STOP_PAUSE, 10 * spent), LONGEST_PAUSE))

    def _end_waiting(self, ticket: Ticket) -> None:
        # No disk is waited for: were the ending lost with the machine, the run would be told as interrupted.
        self._until_written(lambda: write_stopped(ticket.run, "stopped while it waited", sync=False))
        self._on_change(ticket, "over")

    def _warm(self, slot: Slot) -> None:
        """Start the slot's worker, which a dead one is replaced with; what goes wrong is told by the next run."""
        try:
            if slot.worker is None:
                slot.worker = self._backend.worker(slot.number)
            slot.worker.warm()
        except (OSError, QnbError):
            if slot.worker is not None:
                slot.worker.close()
            slot.worker = None

    def _watch_adopted(self, ticket: Ticket, worker: Worker) -> None:
        limits = Limits(memory=ticket.memory or self._settings.memory, timeout=ticket.timeout, attempt=ticket.attempt)
        try:
            crash = worker.run(ticket.run, limits)
        finally:
            with self._wake:
                self._adopted.pop(ticket.run_id, None)
                self._wake.notify_all()
        self._settle(ticket, crash)

    def _settle(self, ticket: Ticket, crash: Crash | None) -> None:
        """Have an ending in the journal, or the run in the queue once more."""
        state = load_state(ticket.run.path)
        resumed = state.status == "waiting" and state.attempt >= ticket.attempt
        if state.is_over or resumed or not ticket.run.path.is_dir():
            self._on_change(ticket, "over")
            return
        if crash is not None and crash.again and ticket.attempt <= ticket.retries and not ticket.run.stop_asked():
            delay = BACKOFF[min(ticket.attempt, len(BACKOFF)) - 1]
            reason = crash.message
            self._until_written(lambda: _tell_retry(ticket, reason, delay))
            self._wait_again(ticket, delay)
            return
        if crash is not None and ticket.attempt > 1 and crash.again:
            crash = replace(crash, message=f"{crash.message}. Tried {ticket.attempt} times.")
        self._until_written(lambda: _write_ending(ticket, crash))
        self._on_change(ticket, "over")

    def _ended_without_room(self, ticket: Ticket, crash: Crash) -> bool:
        """Return whether a run that no room was found for in `ROOM_TIME` could be ended; else it waits on."""
        since = self._no_room_since.setdefault(ticket.run_id, time.monotonic())
        if time.monotonic() - since < ROOM_TIME:
            return False
        with contextlib.suppress(OSError):
            _write_ending(ticket, crash)
        return last_status(ticket.run.path) in OVER

    def _wait_again(self, ticket: Ticket, delay: float) -> None:
        with self._wake:
            if self._closed:
                return
            self._not_before[ticket.run_id] = time.monotonic() + delay
        self._on_change(ticket, "waits")
        self.submit(ticket)

    def _until_written(self, write: Callable[[], None]) -> None:
        """Write an ending; on a full disk wait for room, since without an ending a view would wait for ever."""
        while True:
            try:
                write()
            except FileNotFoundError:  # somebody removed the run
                return
            except OSError:
                if self._closed:
                    return
                time.sleep(DISK_WAIT)
            else:
                return


def _no_room(folder: Path) -> Path | None:
    """Return the folder in which a worker cannot leave the small files that it starts with; None without one."""
    return next((place for place in (folder, Path(tempfile.gettempdir())) if is_full(place)), None)


def _tell_retry(ticket: Ticket, reason: str, delay: float) -> None:
    with JournalWriter(ticket.run.path) as journal:
        journal.append(LogLine(text=f"{reason}; tried again in {delay:g}s", level="error"))
        journal.append(RunRetried(reason=reason, attempt=ticket.attempt + 1, delay=delay))


def _write_ending(ticket: Ticket, crash: Crash | None) -> None:
    """Write the ending that the run's process did not write."""
    if crash is None:
        message = (ticket.run.result() or {}).get("message")
        said = f": {message}" if message else ""
        crash = Crash(f"the run ended, but its journal could not be written (disk full?){said}", error="JournalError")
    write_failed(ticket.run, crash.error, crash.message, crash.exit_code)


def status_of(slots: Iterable[Slot], *, now: float) -> list[dict[str, Any]]:
    """Return slots as JSON values for the pool's status."""
    return [
        {
            "name": slot.name, "run": slot.run_id, "pid": slot.worker.process() if slot.worker is not None else 0,
            "threads": slot.threads, "seconds": round(now - slot.since, 1),
        }
        for slot in slots
    ]  # fmt: skip
