"""The pool as a notebook sees it: tickets go in, an owner is started where there is none, its status is read.

Everything here works whoever the owner is and whenever it changes: the folder is all that is shared.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import PoolError
from ..files import locked
from ..machine import ProcessId
from ..ongoing import last_status
from ..private import private_opener
from ..refused import refusal
from ..rundir import RunDir
from .forks import worker_environment
from .place import Place, PoolSettings, default_settings
from .tickets import Ticket
from .watch import go_on, write_failed

__all__ = ["PoolClient"]

START_TIME = 5.0
"""Seconds an owner that was started is given before another one is."""
GUARD_EVERY = 1.0
STARTS = 3
"""Owners in a row that ended as soon as they were started, after which runs that wait for one end as failed."""


class PoolClient:
    """The pool of one working folder.

    Parameters
    ----------
    work_dir : Path
        The folder that holds ``.qnb``.
    """

    def __init__(self, work_dir: Path) -> None:
        self.place = Place(work_dir)
        self._lock = threading.Lock()
        self._started = -START_TIME
        self._owner: subprocess.Popen[bytes] | None = None
        self._failed = 0
        self._guard: threading.Thread | None = None
        self._closed = threading.Event()

    def submit(self, directory: RunDir, ticket: Ticket | None = None) -> None:
        """Queue a run under the limits of `ticket`; returns at once, in a few milliseconds."""
        ticket = ticket or Ticket(directory.run_id, str(directory.path))
        self.place.tickets.put(replace(ticket, run_id=directory.run_id, directory=str(directory.path)))
        self.ensure()

    def resume(self, directory: RunDir, *, attempt: int, after: int) -> None:
        """Have a run that is over go on; who dies in the middle of it leaves the rest to the owner.

        Called with the run's lock held (`qnb.rundir.RunDir.changing`).

        Parameters
        ----------
        directory : RunDir
            The run.
        attempt, after : int
            The try that ended, and the number of the event that ended it.
        """
        ticket = Ticket(directory.run_id, str(directory.path), attempt=attempt, after=after)
        self.place.make()
        with self.place.tickets.locked():
            self.place.tickets.put(ticket)
            try:
                go_on(directory, after)
            except OSError:
                self.place.tickets.remove(ticket.run_id)
                raise
        self.ensure()

    def ensure(self) -> None:
        """See to it that there is an owner, now and as long as something waits or goes.

        Raises
        ------
        PoolError
            When the system starts no process.
        """
        self.place.make().register()
        self._wake_or_start()
        with self._lock:
            if self._guard is None:
                self._closed.clear()
                self._guard = threading.Thread(target=self._watch, name="qnb-pool", daemon=True)
                self._guard.start()

    def wake(self) -> bool:
        """Have the owner look at the folder; False when there is none."""
        return self.place.wake()

    def prefer(self, run_id: str) -> bool:
        """Have a waiting run go next; False when it does not wait."""
        ticket = self.place.tickets.get(run_id)
        if ticket is None:
            return False
        highest = max((t.priority for t in self.place.tickets), default=0)
        self.place.tickets.write(replace(ticket, priority=highest + 1))
        self.wake()
        return True

    def status(self) -> dict[str, Any]:
        """Return what the owner says of itself; empty when there is none."""
        status = self.place.status() if self.place.wake() else {}
        return status if ProcessId.of([status.get("pid"), status.get("began")]).alive else {}

    def settings(self) -> PoolSettings:
        """Return the limits in force."""
        return self.place.settings(default_settings())

    def configure(self, changes: Mapping[str, Any]) -> PoolSettings:
        """Change limits for this folder; returns those now in force.

        Raises
        ------
        ConfigError
            For an unknown name or a value out of range.
        """
        changed = default_settings().with_({**self.place.changed_settings(), **changes})
        self.place.write_settings({**self.place.changed_settings(), **changes})
        self.wake()
        return changed

    def close(self) -> None:
        """Take no more interest in the pool: an owner without work and clients ends; what is going goes on."""
        self._closed.set()
        guard = self._guard
        if guard is not None:
            guard.join(timeout=2 * GUARD_EVERY)
        self._guard = None
        self.place.forget()
        self.wake()

    def wait_gone(self, timeout: float) -> bool:
        """Return whether the owner and its idle workers have ended within `timeout` seconds. For tests and scripts."""
        try:
            with locked(self.place.lock_path, seconds=timeout):
                return True
        except FileNotFoundError:  # the folder is gone, and with it what there was to own
            return True
        except TimeoutError:
            return False

    def _wake_or_start(self) -> None:
        if self.place.wake():
            return
        with self._lock:
            beginning = self._owner is not None and self._owner.poll() is None
            if beginning and time.monotonic() - self._started < START_TIME:
                return
            self._failed += self._owner is not None and (self._owner.poll() or 0) > 0
            if self._failed >= STARTS:
                self._failed = 0
                lines = self.place.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
                raise PoolError(f"the pool cannot be started: {lines[-1] if lines else 'it does not say why'}")
            self._started = time.monotonic()
            self._owner = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            with open(self.place.log_path, "ab", opener=private_opener) as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "qnb.pool.owner", str(self.place.work_dir)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    cwd=self.place.work_dir, env=worker_environment(),
                )  # fmt: skip
        except OSError as error:
            raise PoolError(f"the pool cannot be started: {refusal(error)}") from error
        # Somebody has to wait for it, or it would stay as a zombie when it ends before this process does.
        threading.Thread(target=process.wait, name="qnb-pool-wait", daemon=True).start()
        return process

    def _watch(self) -> None:
        """Start a new owner when the old one died with work left."""
        while not self._closed.wait(GUARD_EVERY):
            if not self.place.tickets.names():
                continue
            if self.place.wake():
                self._failed = 0
                continue
            try:
                self._wake_or_start()
            except (OSError, PoolError) as error:
                self._end_waiting(refusal(error) or str(error))

    def _end_waiting(self, message: str) -> None:
        """End the runs that wait as failed; where there is no room for that, they wait for it."""
        for ticket in self.place.tickets:
            with contextlib.suppress(OSError):
                if last_status(ticket.run.path) == "waiting":
                    write_failed(ticket.run, "PoolError", message)
            if last_status(ticket.run.path) == "failed":
                self.place.tickets.remove(ticket.run_id)
