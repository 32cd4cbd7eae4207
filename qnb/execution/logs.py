"""Turns what libraries log and warn into the run's log lines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ..events import Emit, LogLine
from .output import bounded

__all__ = ["logs_as_events"]


class _EventHandler(logging.Handler):
    def __init__(self, emit: Emit) -> None:
        super().__init__()
        self._emit_event = emit

    def emit(self, record: logging.LogRecord) -> None:
        level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the message
            text = f"{record.msg} {record.args}"
        self._emit_event(LogLine(text=bounded(text), level=level))


@contextmanager
def logs_as_events(emit: Emit, *, level: str = "INFO") -> Iterator[None]:
    """Send records of the logger ``qnb``, warnings of all loggers and Python warnings to `emit` while it is open."""
    handler = _EventHandler(emit)
    ours = logging.getLogger("qnb")
    root = logging.getLogger()
    old_level, old_propagate = ours.level, ours.propagate
    shown: set[tuple[str, str]] = set()

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        key = (category.__name__, str(message))
        if key not in shown:
            shown.add(key)
            emit(LogLine(text=bounded(f"{category.__name__}: {message}"), level="warning"))

    root_handler = _EventHandler(emit)
    root_handler.setLevel(logging.WARNING)
    ours.addHandler(handler)
    ours.setLevel(level)
    ours.propagate = False
    root.addHandler(root_handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]
            yield
    finally:
        ours.removeHandler(handler)
        root.removeHandler(root_handler)
        ours.setLevel(old_level)
        ours.propagate = old_propagate
