"""Semantic checks of a task before any data is loaded: fields, operators, universes, dates, predictions, devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Problem

if TYPE_CHECKING:
    from ..config import Settings
    from ..task.spec import Task

__all__ = ["check_task"]


def check_task(task: Task, settings: Settings) -> list[Problem]:
    """Return everything that is wrong or doubtful about `task` on the market that `settings` name.

    Calendar, universes and the names of fields are read; no prices, and no library of a model is imported. A demo
    market that was not made yet is not made either: its calendar and names are known.

    Parameters
    ----------
    task : Task
        A task that was loaded, so that its structure is right.
    settings : Settings
        Effective settings, those of the task's own init section included.

    Returns
    -------
    list of Problem
        In the order of the lines, the task's own warnings included; those with severity ``"error"`` stop a run.
    """
    from ..expr.catalogue import own_operators
    from .checks import run_checks

    with own_operators():
        return run_checks(task, settings)
