"""The pool's folder ``.qnb/pool``: how notebooks and the owner of the pool find and wake each other.

``tickets/``       the queue (`qnb.pool.tickets`)
``clients/``       one file a process that uses the pool, so that an owner without work knows when to end
``workers/``       connection files and logs of the workers
``settings.json``  limits that were set with ``%qpool``
``status.json``    what the owner says of itself: workers, load, queue
``lock``           held by the owner as long as it lives
``wake``           a named pipe the owner reads: who writes a byte wakes it, and who cannot knows that there is none
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict

import psutil

from ..config import core_count
from ..errors import ConfigError, Problem, remedy_for
from ..files import Moment, Natural, fit, move_aside, read_json, remove, tell, write_atomically
from ..machine import ProcessId, process_id
from ..private import private_folder
from ..project import used
from .tickets import TicketBox

__all__ = ["Place", "PoolSettings", "Wake", "default_settings"]

HAS_PIPES = hasattr(os, "mkfifo")
POLL = 0.1
"""Seconds between two looks at the folder where the system has no named pipes."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Limits of a pool.

    Attributes
    ----------
    workers : int
        Runs at a time.
    threads : int
        CPU threads of all workers together.
    memory_gb : float
        Memory of its own that one worker may have, in GiB; 0 for an equal share of nine tenths of the machine's.
    idle_minutes : float
        A worker that had nothing to do for so long is ended; an owner without clients ends at once.
    fork : bool
        Start workers by forking a process that has the libraries loaded, where the system can.
    """

    workers: int
    threads: int
    memory_gb: float = 0.0
    idle_minutes: float = 15.0
    fork: bool = True

    @property
    def memory(self) -> int:
        """Bytes of its own that one worker may have."""
        if self.memory_gb:
            return int(self.memory_gb * 2**30)
        return int(psutil.virtual_memory().total * 0.9 / self.workers)

    def with_(self, changes: Mapping[str, Any]) -> PoolSettings:
        """Return the settings after `changes`.

        Raises
        ------
        ConfigError
            For an unknown name or a value out of range.
        """
        known = {f.name: f for f in fields(self)}
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                remedy = remedy_for(name, known)
                raise ConfigError([Problem(f"the pool has no setting {name!r}", remedy)])
            least = 1 if name in ("workers", "threads") else 0
            if name != "fork" and (not isinstance(value, int | float) or not least <= value < math.inf):
                raise ConfigError([Problem(f"{name} must be {least} or more, received {value!r}", "")])
            values[name] = value
        return replace(self, **values)


class WorkerStatus(TypedDict):
    """What the owner says of a worker; ``run`` is '' for an idle one."""

    name: str
    run: str
    pid: Natural
    threads: Natural


class OwnerStatus(TypedDict, total=False):
    """What the owner says of itself; ``adopted`` and ``waiting`` are ids of runs."""

    pid: Natural
    began: float
    since: Moment
    polls: bool
    forks: Natural
    settings: Mapping[str, Any]
    workers: list[WorkerStatus]
    adopted: list[str]
    waiting: list[str]


def default_settings() -> PoolSettings:
    """Return the limits where nothing was set: one worker a core, or ``QNB_WORKERS``."""
    cores = core_count()
    given = os.environ.get("QNB_WORKERS", "")
    return PoolSettings(workers=max(1, int(given)) if given.isdigit() else cores, threads=cores)


class Place:
    """Paths of the pool of one working folder and the small files in them.

    Parameters
    ----------
    work_dir : Path
        The folder that holds ``.qnb``.
    """

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = Path(work_dir)
        self.folder = self.work_dir / ".qnb" / "pool"
        self.tickets = TicketBox(self.folder / "tickets")
        self.lock_path = self.folder / "lock"
        self.wake_path = self.folder / "wake"
        self.workers = self.folder / "workers"
        self.log_path = self.folder / "owner.log"
        self._clients = self.folder / "clients"
        used(self.work_dir)

    def make(self) -> Place:
        """Make the folders and the owner's lock, for the user alone: without them no run could begin or end."""
        for folder in (self.folder, self.tickets.folder, self.workers, self._clients):
            if os.path.lexists(folder) and not folder.is_dir():
                move_aside(folder)
            private_folder(folder)
        self.lock_path.touch(mode=0o600)
        return self

    def register(self, client: ProcessId | None = None) -> None:
        """Note that a process uses the pool."""
        client = client or process_id()
        private_folder(self._clients)
        (self._clients / f"{client.pid}-{client.began:.0f}").touch(mode=0o600)

    def forget(self, client: ProcessId | None = None) -> None:
        """Take back `register`."""
        client = client or process_id()
        remove(self._clients / f"{client.pid}-{client.began:.0f}")

    def clients(self) -> list[ProcessId]:
        """Return the processes that use the pool and live; files of dead ones are removed."""
        living = []
        with contextlib.suppress(OSError):
            for path in self._clients.iterdir():
                pid, _, began = path.name.partition("-")
                client = ProcessId(int(pid), float(began)) if pid.isdecimal() and began.isdecimal() else None
                if client is not None and client.alive:
                    living.append(client)
                elif path.name[0] != ".":
                    remove(path)
        return living

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Write what the owner says of itself."""
        write_atomically(self.folder / "status.json", json.dumps(status))

    def status(self) -> dict[str, Any]:
        """Return what the owner last said of itself (`OwnerStatus`); empty without one."""
        path, remedy = self.folder / "status.json", "the pool writes it anew"
        return fit(OwnerStatus, read_json(path, remedy=remedy) or {}, lambda what: tell(path, what, remedy))

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the limits that differ from the defaults."""
        self.make()
        write_atomically(self.folder / "settings.json", json.dumps(dict(settings)))

    def settings(self, defaults: PoolSettings) -> PoolSettings:
        """Return the limits in force: `defaults` and what was set."""
        return defaults.with_(self.changed_settings())

    def changed_settings(self) -> dict[str, Any]:
        """Return what was set, without the defaults; what cannot be in force is told and left out."""
        path, remedy = self.folder / "settings.json", "the default is in force; set it again with %qpool"
        raw, defaults = read_json(path, remedy=remedy) or {}, default_settings()
        values = fit(PoolSettings, {**asdict(defaults), **raw}, lambda what: tell(path, what, remedy))
        changed: dict[str, Any] = {}
        for name in raw:
            try:
                defaults.with_({name: values.get(name, raw[name])})
            except ConfigError as error:
                tell(path, str(error), remedy)
            else:
                changed |= {name: values[name]} if name in values else {}
        return changed

    def wake(self) -> bool:
        """Wake the owner and return True; False when there is none."""
        if not HAS_PIPES:
            return self._owner_lives()
        try:
            pipe = os.open(self.wake_path, os.O_WRONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return bool(self.status().get("polls")) and self._owner_lives()
        except OSError:  # nobody reads it
            return False
        try:
            os.write(pipe, b".")
        except BlockingIOError:  # full: the owner has been woken often enough
            return True
        except OSError:
            return False
        finally:
            os.close(pipe)
        return True

    def _owner_lives(self) -> bool:
        status = self.status()
        return ProcessId.of([status.get("pid"), status.get("began")]).alive


class Wake:
    """The owner's end of the pipe.

    Parameters
    ----------
    place : Place
        Where the pipe is; a context manager makes and removes it.
    """

    def __init__(self, place: Place) -> None:
        self._path = place.wake_path
        self._pipe = -1

    def __enter__(self) -> Wake:
        if HAS_PIPES:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            # Some network folders have no pipes: then the owner looks every now and then.
            with contextlib.suppress(OSError):
                os.mkfifo(self._path, 0o600)
                self._pipe = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        return self

    @property
    def polls(self) -> bool:
        """Whether there is no pipe here, so that the owner has to look."""
        return self._pipe < 0

    def __exit__(self, *_: object) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
            self._path.unlink(missing_ok=True)

    def wait(self, seconds: float) -> None:
        """Return when somebody woke the owner, at the latest after `seconds`."""
        if self._pipe < 0:
            time.sleep(min(seconds, POLL))
            return
        ready, _, _ = select.select([self._pipe], [], [], seconds)
        if ready:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._pipe, 4096):
                    pass
