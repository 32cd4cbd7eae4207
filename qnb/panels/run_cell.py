"""The `%%qtask` cell that would run a finished run again."""

from __future__ import annotations

import shlex

from ..errors import ConfigError, RecorderError
from ..handle import RunHandle
from ..recorder import R, Recorder
from ..recorder.base import RefusedError, RunInfo, Store
from ..task.spec import Task, load_task

__all__ = ["run_cell", "task_cell"]


def run_cell(run: RunInfo, handle: RunHandle | None, store: Store) -> str:
    """Return the cell: what the user wrote, where that alone gives the same task, else the resolved YAML.

    Raises
    ------
    RefusedError
        The run has no configuration of ours, as one that plain MLflow wrote.
    """
    text = _written(handle.request.task) if handle is not None else _recorded(run, store)
    return _cell(run.name, text)


def task_cell(handle: RunHandle) -> str:
    """Return the cell that submits the task of `handle` again."""
    return _cell(handle.name, _written(handle.request.task))


def _cell(name: str, text: str) -> str:
    return f"%%qtask {shlex.quote(name) if name else ''}".rstrip() + f"\n{text.strip()}\n"


def _written(task: Task) -> str:
    try:
        same = bool(task.text) and load_task(task.text).document == task.document
    except (ConfigError, OSError):
        same = False
    return task.text if same else task.to_yaml()


def _recorded(run: RunInfo, store: Store) -> str:
    try:
        return str(Recorder(store, run, R.settings).load_object("task.yaml"))
    except RecorderError as error:
        message = f"run {run.name!r} has no task.yaml: it was not made by a %%qtask cell, so there is no cell to copy"
        raise RefusedError(message) from error
