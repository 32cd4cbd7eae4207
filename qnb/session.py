"""The composition root of a notebook or script: settings, the pool and the runs that were submitted.

There is one session a process; the magics share it, `close` ends it.
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import registry
from .check import check_task
from .config import Settings, session_settings
from .errors import ConfigError, PoolError, Problem, UnknownNameError
from .handle import RunHandle
from .machine import ProcessId, boot_id
from .ongoing import ongoing_runs
from .pool.client import PoolClient
from .pool.place import default_settings
from .pool.queue import Pool
from .pool.tickets import Ticket
from .pool.watch import write_stopped
from .rundir import RunDir, create_run, find_run_dir, list_run_dirs
from .task.families import require_member
from .task.spec import Task, load_task

__all__ = ["Session", "Submission", "current_session"]


@dataclass(frozen=True, slots=True)
class Submission:
    """What submitting a task gave: the run's handle and warnings that do not stop it."""

    handle: RunHandle
    warnings: tuple[Problem, ...] = field(default=())


class Session:
    """Submits tasks and finds runs.

    Parameters
    ----------
    settings : Settings
        Defaults for tasks that do not say where data and recorder are.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._inline: dict[str, Pool] = {}
        self._clients: dict[Path, PoolClient] = {}
        self._handles: dict[Path, RunHandle] = {}

    def pool(self, work_dir: Path | None = None) -> PoolClient:
        """Return the pool of a working folder, by default of the session's; it is started with its first run."""
        folder = work_dir or self.settings.work_dir
        return self._clients.setdefault(folder, PoolClient(folder))

    def load(
        self,
        text: str,
        *,
        source: str,
        first_line: int = 1,
        variables: dict[str, Any] | None = None,
        overrides: Sequence[str] = (),
    ) -> tuple[Task, Settings, tuple[Problem, ...]]:
        """Return task, effective settings and warnings of `text`.

        Raises
        ------
        ConfigError
            With every mistake found, each with its line.
        """
        task = load_task(
            text, source=source, first_line=first_line, variables=variables, overrides=tuple(overrides),
            base_dir=self.settings.work_dir,
        )  # fmt: skip
        settings = self.settings.with_(**task.settings)
        problems = check_task(task, settings)
        errors = [p for p in problems if p.severity == "error"]
        if errors:
            raise ConfigError(errors, source=source)
        return task, settings, tuple(p for p in problems if p.severity != "error")

    def submit(
        self,
        task: Task,
        settings: Settings,
        *,
        name: str = "",
        seed: int | None = None,
        backend: str = "kernel",
        ticket: Ticket | None = None,
        objects: bytes | None = None,
        retry_of: str = "",
    ) -> RunHandle:
        """Queue `task` and return its handle at once.

        Parameters
        ----------
        task, settings : Task, Settings
            What `load` returned.
        name : str
            Name of the run.
        seed : int, optional
            Seed of the model where the task gives none.
        backend : str
            ``kernel``, which outlives this process, or another one, which runs in it.
        ticket : Ticket, optional
            Priority, time, memory and tries.
        objects : bytes, optional
            Classes of the notebook that the task names (see `qnb.magics.by_value`).
        retry_of : str
            Id of the run that this one tries again.
        """
        directory = create_run(task, settings, name=name, seed=seed, objects=objects, retry_of=retry_of)
        ticket = replace(ticket or Ticket("", ""), run_id=directory.run_id, directory=str(directory.path))
        if backend == "kernel":
            try:
                self.pool(settings.work_dir).submit(directory, ticket)
            except (OSError, PoolError):  # no room for its ticket, or no pool: it would wait for ever
                self.pool(settings.work_dir).place.tickets.remove(directory.run_id)
                shutil.rmtree(directory.path, ignore_errors=True)
                raise
        else:
            self._pool_here(backend).submit(ticket)
        return self._handle(directory)

    def retry(self, handle: RunHandle) -> RunHandle:
        """Run the task of a run that is over once more, as a run of its own, with the same seed, drawn or given.

        Raises
        ------
        PoolError
            While it is still going.
        """
        if not handle.is_over:
            raise PoolError(f"{handle.name} is {handle.status}; stop it first, then try again")
        request = handle.request
        path = handle.directory.objects_path
        objects = path.read_bytes() if path.exists() else None
        seed = handle.state.seed if request.seed is None else request.seed
        return self.submit(
            request.task, request.settings, name=request.name, seed=seed, objects=objects,
            retry_of=request.run_id,
        )  # fmt: skip

    def resume(self, handle: RunHandle) -> RunHandle:
        """Have a run that was stopped, interrupted or failed go on from its checkpoint, under its own id.

        Raises
        ------
        PoolError
            While it is going, when it finished, was deleted, or when its model left no checkpoint.
        """
        directory = handle.directory
        with directory.changing():  # another notebook may have it go on, or delete it, at this moment
            if not handle.is_over:
                raise PoolError(f"{handle.name} is {handle.status} already")
            if handle.damage:
                raise PoolError(f"{handle.name} is damaged: {handle.damage}")
            if handle.status == "finished":
                raise PoolError(f"{handle.name} is finished; run its cell again for another run")
            if directory.is_deleted:
                raise PoolError(
                    f"{handle.name} was deleted; bring it back with `mlflow runs restore` and list it with %qruns, or "
                    "run its cell again"
                )
            if not directory.has_checkpoint:
                raise PoolError(
                    f"{handle.name} left no checkpoint to go on from (models trained epoch by epoch keep one); "
                    "run its cell again"
                )
            pool = self.pool(directory.path.parents[2])
            pool.resume(directory, attempt=handle.state.attempt, after=handle.state.seq)
        return handle

    def find(self, ref: str | None) -> RunHandle:
        """Return the run that `ref` names (name, id, start of an id); the newest run without a `ref`.

        Raises
        ------
        UnknownNameError
            With the nearest names.
        """
        if ref is None:
            newest = list_run_dirs(self.settings.runs_dir)
            if not newest:
                raise UnknownNameError("run", "", [], hint="run a %%qtask cell first")
            directory = newest[0]
        else:
            directory = find_run_dir(self.settings.runs_dir, ref)
        return self._handle(directory)

    def going(self) -> list[RunHandle]:
        """Return the runs that wait or run, newest first, also those another process started.

        One whose process is gone without a word is marked as interrupted, unless the pool is answerable for it.
        """
        box, going = self.pool().place.tickets, []
        tickets = box.names()
        for directory in ongoing_runs(self.settings.runs_dir, tickets):
            handle = self._handles.get(directory.path) or RunHandle(directory)
            if handle.run_id not in tickets:
                if handle.status not in ("waiting", "running"):
                    continue
                # Asked again after its state was read: who resumes a run writes its ticket first.
                if _lost(handle) and handle.run_id not in box:
                    write_stopped(handle.directory, "The process that ran it is gone.", interrupted=True)
                    continue
            going.append(handle)
        return going

    def attach(self) -> list[RunHandle]:
        """Return the runs that are going, and see to it that somebody looks after those of the pool."""
        going = self.going()
        if self.pool().place.tickets.names():
            self.pool().ensure()
        return going

    def close(self) -> None:
        """Take no more runs; what is going goes on."""
        for pool in self._inline.values():
            pool.close()
            for ticket in pool.waiting():
                with contextlib.suppress(OSError):  # it is told as interrupted when this process is gone
                    write_stopped(ticket.run, "The session was closed before it began.", interrupted=True)
        for client in self._clients.values():
            client.close()
        self._inline.clear()
        self._clients.clear()

    def _handle(self, directory: RunDir) -> RunHandle:
        """Return the handle of a run, always the same one; a copy of the run in another project has its own."""
        return self._handles.setdefault(directory.path, RunHandle(directory))

    def _pool_here(self, backend: str) -> Pool:
        if backend not in self._inline:
            factory: Any = registry.find("backend", backend)
            require_member("backend", factory)
            limits = replace(default_settings(), memory_gb=0.0)
            self._inline[backend] = Pool(factory(), limits)
        return self._inline[backend]


def _lost(handle: RunHandle) -> bool:
    """Return whether the process of a run is gone; False for one of another machine, of which nothing is known."""
    state = handle.state
    if state.status == "waiting":
        request = handle.request
        return bool(request.submitter.pid) and (request.boot != boot_id() or not request.submitter.alive)
    if state.host and state.host != platform.node():
        return False
    return (bool(state.boot) and state.boot != boot_id()) or not ProcessId(state.pid, state.began).alive


def current_session() -> Session:
    """Return this process's session, made on first use from the settings in force."""
    global _session
    with _lock:
        settings = session_settings()
        if _session is None:
            _session = Session(settings)
        elif _session.settings != settings:
            _session.settings = settings
        return _session


_session: Session | None = None
_lock = threading.Lock()
