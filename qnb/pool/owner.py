"""The owner of the pool: a process of its own that outlives every notebook, ``python -m qnb.pool.owner WORK_DIR``.

1. It takes the lock; where another one has it, it ends at once.
2. It reads the tickets: a run that waits is queued, one that is going is watched over, one whose process is gone is
   tried again or ended, one that was going when the machine restarted is marked as interrupted.
3. It sleeps until somebody wakes it, at the latest for a second, and looks again. Notebooks only write tickets.
4. When there is nothing to do and no notebook that might want something, it ends, and its workers with it.
5. When its folder was moved it ends at once: the tickets went with the folder, and what goes on there another owner
   takes over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..machine import ProcessId, boot_id, process_id
from ..project import Anchor
from ..refused import refusal
from ..state import RunState, load_state
from .adopted import AdoptedWorker
from .backends.kernel import KernelBackend, sweep
from .place import Place, Wake, default_settings
from .queue import Pool, status_of
from .tickets import Ticket
from .watch import go_on, write_stopped

__all__ = ["Owner", "main"]

TICK = 1.0
PAUSE = 4.0
LONGEST_PAUSE = 0.2
"""Between two looks, as a multiple of what the one before took, and in seconds."""
NO_CLIENT = 3.0
"""Seconds without work and without a notebook after which the owner ends."""


class Owner:
    """The loop of the process.

    Parameters
    ----------
    place : Place
        The pool's folder.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._defaults = default_settings()
        self._settings = place.settings(self._defaults)
        self._backend = KernelBackend(place.workers, place.work_dir, fork=self._settings.fork)
        self._pool = Pool(self._backend, self._settings, on_change=self._changed)
        self._known: dict[str, Ticket] = {}  # threads of the pool take out of it
        self._over: deque[Ticket] = deque()
        self._marks: dict[str, tuple[int, int]] = {}
        self._anchor = Anchor(place.folder)
        self._began = time.time()
        self._quiet_since = time.monotonic()
        self._status: dict[str, Any] = {}
        self._status_at = 0.0
        self._ended = False

    def serve(self, wake: Wake) -> None:
        """Work until there is nothing to do and nobody to do it for."""
        self._polls = wake.polls
        self._backend.prepare(())
        self._pool.warm(1)
        while not (self._ended or self._anchor.is_gone or self._may_end()):
            began = time.monotonic()
            self._look()
            self._tell()
            looked = time.monotonic()
            wake.wait(TICK)
            # However often it is woken: of a long queue, looking takes a fifth of its time.
            pause = min(PAUSE * (looked - began), LONGEST_PAUSE)
            time.sleep(max(0.0, looked + pause - time.monotonic()))

    def close(self) -> None:
        """End idle workers; what is going goes on."""
        self._pool.close()

    def last_look(self) -> bool:
        """Return whether tickets came after the pipe was closed."""
        return not self._ended and not self._place.tickets.names() <= self._known.keys()

    def end(self) -> None:
        """Have `serve` return soon."""
        self._ended = True

    def _look(self) -> None:
        settings = self._place.settings(self._defaults)
        if settings != self._settings:
            self._settings = settings
            self._pool.configure(settings)
        self._forget_over()
        marks = self._place.tickets.marks()
        changed = [name for name, mark in marks.items() if name not in self._known or self._marks.get(name) != mark]
        self._marks = marks
        tickets = [ticket for ticket in map(self._place.tickets.get, changed) if ticket is not None]
        for ticket in sorted(tickets, key=attrgetter("rank")):
            if ticket.run_id in self._known:
                self._pool.prefer(ticket.run_id, ticket.priority)
                continue
            self._known[ticket.run_id] = ticket
            try:
                self._take_in(ticket)
            except OSError:  # a full disk: once more at the next look
                self._known.pop(ticket.run_id, None)
        self._pool.nudge()

    def _take_in(self, ticket: Ticket) -> None:
        """Queue a run, or take it over from an owner that is gone."""
        state = load_state(ticket.run.path)
        if state.is_over and state.seq == ticket.after:  # who asked for it to go on may have died
            with ticket.run.lock(), self._place.tickets.locked():
                go_on(ticket.run, ticket.after)
            state = load_state(ticket.run.path)
        if state.is_over or not ticket.run.path.is_dir():
            self._forget(ticket)
        elif state.status == "running":
            self._take_over(ticket, state)
        else:
            if ticket.libraries:
                self._backend.prepare(ticket.libraries)
            self._pool.submit(ticket)

    def _take_over(self, ticket: Ticket, state: RunState) -> None:
        process = ProcessId(state.pid, state.began)
        if state.boot and state.boot != boot_id():
            when = time.strftime("%H:%M", time.localtime(self._booted()))
            kept = " Its checkpoint is kept." if ticket.run.has_checkpoint else ""
            write_stopped(ticket.run, f"The machine restarted at {when}.{kept}", interrupted=True)
            self._forget(ticket)
            return
        if process.alive and ticket.timeout:
            ticket = replace(ticket, timeout=max(1.0, ticket.timeout - state.elapsed(time.time())))
        ticket = replace(ticket, attempt=max(ticket.attempt, state.attempt))
        self._pool.adopt(ticket, AdoptedWorker(state.worker, process))

    def _changed(self, ticket: Ticket, what: str) -> None:
        """Keep the ticket's file in step with what the pool did. Called from threads of the pool."""
        if what == "over":
            self._over.append(ticket)
            self._forget_over()
        else:
            with contextlib.suppress(OSError):  # a full disk: the journal counts attempts, too
                self._place.tickets.write(replace(ticket, boot=boot_id()))
        self._place.wake()

    def _forget_over(self) -> None:
        """Be done with the runs that are over; what the disk has no room for is tried again at the next look."""
        for _ in range(len(self._over)):
            with contextlib.suppress(IndexError):  # another thread took it
                ticket = self._over.popleft()
                try:
                    self._forget(ticket)
                except OSError:
                    self._over.append(ticket)

    def _forget(self, ticket: Ticket) -> None:
        """Be done with a ticket; one that came for the same run since, to resume it, stays and is taken in."""
        self._place.tickets.remove(ticket.run_id, ticket.order)
        self._known.pop(ticket.run_id, None)

    def _may_end(self) -> bool:
        names = self._place.tickets.names()
        for name in self._known.copy():
            if name not in names:
                self._known.pop(name, None)
        now = time.monotonic()
        busy = bool(names) or bool(self._pool.going())
        if busy or self._place.clients():
            if busy:
                self._quiet_since = now
            return not busy and now - self._quiet_since > 60 * self._settings.idle_minutes
        return now - self._quiet_since > NO_CLIENT

    def _tell(self) -> None:
        """Write the status when it changed or is getting old."""
        now = time.monotonic()
        slots = self._pool.slots()
        status = {
            "pid": os.getpid(), "began": process_id().began, "since": self._began, "polls": self._polls,
            "forks": self._backend.server_pid(), "settings": {
                "workers": self._settings.workers, "threads": self._settings.threads,
                "memory": self._settings.memory, "idle_minutes": self._settings.idle_minutes,
            },
            "workers": [{k: v for k, v in w.items() if k != "seconds"} for w in status_of(slots, now=now)],
            "adopted": sorted(self._pool.going() - {s.run_id for s in slots}),
            "waiting": [t.run_id for t in self._pool.waiting()],
        }  # fmt: skip
        if status != self._status or now - self._status_at > 30:
            self._status, self._status_at = status, now
            with contextlib.suppress(OSError):
                self._place.write_status(status)

    @staticmethod
    def _booted() -> float:
        import psutil

        return psutil.boot_time()


def main(argv: Sequence[str] | None = None) -> int:
    """Own the pool of the folder on the command line until there is nothing to do."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _own(Place(Path(arguments[0])))
    except OSError as error:
        sys.stderr.write(f"{refusal(error)}\n")
        return 1


def _own(place: Place) -> int:
    place.make()
    lock = FileLock(place.lock_path, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return 0
    try:
        sweep(place.workers)
        owner = Owner(place)
        signal.signal(signal.SIGTERM, lambda *_: owner.end())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            with Wake(place) as wake:
                owner.serve(wake)
            if not owner.last_look():
                break
        owner.close()
        with contextlib.suppress(OSError):  # its folder may be gone
            place.write_status({})
    finally:
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
