"""Turns what libraries log and warn into log lines of the run in whose context they do so.

Handlers and the hook for warnings are the process's, so there is one of each, put in place by the first run and taken
away by the last: it gives a record to the run of the current context, and all else to where it went before. What comes
from a thread that lost the context is nobody's; it goes there, too, and never to another run.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from ..events import Emit, LogLine
from .output import bounded

__all__ = ["logs_as_events"]


@contextmanager
def logs_as_events(emit: Emit, *, level: str = "INFO", alone: bool = False) -> Iterator[None]:
    """Send records of the logger ``qnb``, warnings of all loggers and Python warnings to `emit` while it is open.

    Parameters
    ----------
    level : str
        Of the logger ``qnb``.
    alone : bool
        Take those of all threads that are in no run's context; for a process that is there for one run.
    """
    log = _RunLog(emit, level)
    before = _of_run.get()
    _router.open(log, alone=alone)
    _of_run.set(log)
    try:
        yield
    finally:
        _of_run.set(before)
        _router.close(log)


class _RunLog(logging.Handler):
    """Tells one run what is logged and warned in it; a warning once."""

    def __init__(self, emit: Emit, level: str) -> None:
        super().__init__(level)
        self._emit_event = emit
        self._warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        level = (
            "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"
        )
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit the message
            text = f"{record.msg} {record.args}"
        self._emit_event(LogLine(text=bounded(text), level=level))

    def warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._emit_event(LogLine(text=bounded(text), level="warning"))


_of_run: ContextVar[_RunLog | None] = ContextVar("qnb_log_of_run", default=None)


class _Router:
    """Gives records and warnings to the run of the current context, else to where they went before."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: list[_RunLog] = []
        self._alone: _RunLog | None = None
        self._ours, self._root = logging.getLogger("qnb"), logging.getLogger()
        self._handlers = _Passing(self._take_ours), _Passing(self._take_other, logging.WARNING)
        self._was = self._ours.level, self._ours.propagate
        self._level = logging.NOTSET
        self._warnings = warnings.catch_warnings()
        self._show: Any = warnings.showwarning
        self._shown: set[tuple[str, str, int]] = set()

    def open(self, log: _RunLog, *, alone: bool) -> None:
        with self._lock:
            self._open.append(log)
            if alone:
                self._alone = log
            if len(self._open) == 1:
                self._install()
            self._set_level()

    def close(self, log: _RunLog) -> None:
        with self._lock:
            self._open.remove(log)
            if self._alone is log:
                self._alone = None
            if self._open:
                self._set_level()
            else:
                self._remove()

    def _install(self) -> None:
        self._was = self._ours.level, self._ours.propagate
        self._ours.propagate = False
        self._ours.addHandler(self._handlers[0])
        self._root.addHandler(self._handlers[1])
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        # Python shows many a warning once a process; each run is to hear of it, and knows itself what it heard.
        warnings.filters = [
            ("always" if f[0] in ("default", "module", "once") else f[0], *f[1:]) for f in warnings.filters
        ]
        warnings.simplefilter("always", append=True)
        self._shown.clear()
        if warnings.showwarning is not self._warning:
            self._show = warnings.showwarning
        warnings.showwarning = self._warning

    def _remove(self) -> None:
        self._warnings.__exit__(None, None, None)
        self._root.removeHandler(self._handlers[1])
        self._ours.removeHandler(self._handlers[0])
        if self._ours.level == self._level:  # else somebody set it meanwhile
            self._ours.setLevel(self._was[0])
        self._ours.propagate = self._was[1]

    def _set_level(self) -> None:
        self._level = min(log.level for log in self._open)
        self._ours.setLevel(self._level)

    def _current(self) -> _RunLog | None:
        """Return the log of the run that this is the context of; None where it is over, or there is none."""
        log = _of_run.get() or self._alone
        return log if log in self._open else None

    def _take_ours(self, record: logging.LogRecord) -> None:
        log = self._current()
        if log is not None:
            if record.levelno >= log.level:
                log.handle(record)
        elif self._was[1] and record.levelno >= self._level_before(record.name):
            self._root.callHandlers(record)

    def _take_other(self, record: logging.LogRecord) -> None:
        log = self._current()
        last = logging.lastResort
        if log is not None:
            log.handle(record)
        elif last is not None and record.levelno >= last.level and not self._heard(record.name):
            last.handle(record)

    def _level_before(self, name: str) -> int:
        """Return the level that held for a logger below ours before ours was set to that of the runs."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None and logger is not self._ours:
            if logger.level:
                return logger.level
            logger = logger.parent
        return self._was[0] or self._root.level

    def _heard(self, name: str) -> bool:
        """Return whether a record of that logger has another handler than those here."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(h not in self._handlers for h in logger.handlers):
                return True
            logger = logger.parent if logger.propagate or logger is self._ours else None
        return False

    def _warning(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        log = self._current()
        text = f"{category.__name__}: {message}"
        if log is not None:
            log.warn(text)
        elif (text, filename, lineno) not in self._shown:
            self._shown.add((text, filename, lineno))
            self._show(message, category, filename, lineno, file, line)


class _Passing(logging.Handler):
    """A handler that is a function."""

    def __init__(self, take: Any, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.emit = take  # type: ignore[method-assign]


_router = _Router()
