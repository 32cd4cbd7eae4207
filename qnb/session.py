"""The composition root of a notebook or script: settings, the pool and the runs that were submitted.

There is one session a process; the magics share it, `close` ends it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .check import check_task
from .config import Settings, current_settings
from .errors import ConfigError, Problem, UnknownNameError
from .handle import RunHandle
from .pool.queue import Pool, default_workers
from .rundir import create_run, find_run_dir, list_run_dirs
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
        self._pools: dict[str, Pool] = {}
        self._handles: dict[str, RunHandle] = {}

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
        self, task: Task, settings: Settings, *, name: str = "", seed: int | None = None, backend: str = "kernel"
    ) -> RunHandle:
        """Queue `task` and return its handle at once."""
        pool = self._pools.get(backend)
        if pool is None:
            pool = self._pools[backend] = Pool(backend, workers=default_workers(), threads=settings.threads)
        directory = create_run(task, settings, name=name, seed=seed)
        handle = RunHandle(directory)
        self._handles[handle.run_id] = handle
        pool.submit(directory)
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
        return self._handles.setdefault(directory.run_id, RunHandle(directory))

    def going(self) -> list[RunHandle]:
        """Return the runs that wait or run, newest first, also those another process started."""
        handles = [self._handles.get(d.run_id) or RunHandle(d) for d in list_run_dirs(self.settings.runs_dir)[:100]]
        return [h for h in handles if h.status in ("waiting", "running")]

    def close(self) -> None:
        """Take no more runs; what is going goes on."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()


def current_session() -> Session:
    """Return this process's session, made on first use from the settings in force."""
    global _session
    with _lock:
        settings = current_settings()
        if _session is None:
            _session = Session(settings)
        elif _session.settings != settings:
            _session.settings = settings
        return _session


_session: Session | None = None
_lock = threading.Lock()
