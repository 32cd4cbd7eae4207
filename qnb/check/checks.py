"""Runs every check over a task and returns what they found, in the order of the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..config import Settings
from ..errors import ConfigError, DataError, Problem
from ..task.spec import Task
from .backtest import check_backtest
from .columns import check_columns
from .device import check_device
from .expressions import check_expressions
from .search import check_search
from .segments import check_segments
from .subject import Market, Subject, open_market
from .universe import check_universe

__all__ = ["run_checks"]

_CHECKS: tuple[Callable[[Subject], Iterator[Problem]], ...] = (
    check_universe,
    check_expressions,
    check_segments,
    check_columns,
    check_backtest,
    check_device,
    check_search,
)


def run_checks(task: Task, settings: Settings) -> list[Problem]:
    """See `qnb.check.check_task`."""
    problems = list(task.warnings)
    market, wrong = _market(task, settings)
    problems += wrong
    subject = Subject(task, settings, market)
    for check in _CHECKS:
        problems += check(subject)
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda p: (p.line is None, p.line or 0, p.column or 0))


def _market(task: Task, settings: Settings) -> tuple[Market | None, list[Problem]]:
    subject = Subject(task, settings, None)
    freq = subject.handler.get("freq", "day")
    try:
        return open_market(settings, freq if isinstance(freq, str) else "day"), []
    except (DataError, ConfigError) as error:
        section = next((s for s in ("qlib_init", "qnb_init", "init") if s in task.document), "")
        return None, subject.translated(error, f"{section}.provider_uri" if section else "")
