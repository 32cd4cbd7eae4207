"""Finds what a what-if needs of a run: its portfolio record, its predictions, its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..backtest.config import DEFAULT_CONFIG
from ..errors import BacktestError
from ..handle import RunHandle
from ..task.records import records_of
from ..task.spec import Task
from .engine import WhatIf

__all__ = ["what_if_of"]


def what_if_of(handle: RunHandle) -> WhatIf:
    """Return the run's backtest, ready to be run again.

    Raises
    ------
    BacktestError
        The run has not finished, or its task has no portfolio record.
    RecorderError
        Its predictions cannot be read.
    PoolError
        A secret of its task is not kept any more.
    """
    if handle.status != "finished":
        raise BacktestError(f"run {handle.name} is {handle.status}; what-if needs the predictions of a finished run")
    request = handle.request
    config = _portfolio(handle.directory.revealed(request.task))
    if config is None:
        raise BacktestError(f"run {handle.name} has no backtest: its task has no PortAnaRecord; add one and run it")
    return WhatIf(config, handle.pred, settings=request.settings, imports=request.task.imports)


def _portfolio(task: Task) -> Mapping[str, Any] | None:
    for record, facts in zip(task.records, records_of(task), strict=True):
        if not facts.trades:
            continue
        kwargs = record.get("kwargs") or {} if isinstance(record, Mapping) else {}
        config = kwargs.get("config")
        return DEFAULT_CONFIG if config is None else config
    return None
