"""The runs that are active in this process: which one a call goes to, and how they end when the process does."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ..errors import RecorderError, RunStopped
from .experiment import Experiment
from .recorder import Recorder

__all__ = ["ActiveRun", "ActiveRuns"]

ERROR_TAG = 500
_LOG = logging.getLogger("qnb.recorder")


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A started run: its experiment, its recorder, the URI it is kept at, the thread that started it."""

    experiment: Experiment
    recorder: Recorder
    uri: str
    thread: int


class ActiveRuns:
    """A stack of runs that knows threads.

    A call from a thread goes to the run that this thread started last; from a thread that started none, to the one that
    was started last by any, so helper threads log to the run they belong to.

    While there is a run, SIGTERM leaves the program like an exception, so that runs end and are written first; then the
    process ends by the signal. Runs that nobody ended end with the process.
    """

    def __init__(self) -> None:
        self._stack: list[ActiveRun] = []
        self._lock = threading.RLock()
        self._at_exit = False
        self._old_handler: Any = None
        self._terminated = False

    def all(self) -> list[ActiveRun]:
        """Return all, the newest last."""
        with self._lock:
            return list(self._stack)

    def mine(self) -> ActiveRun | None:
        """Return the run that this thread started last."""
        here = threading.get_ident()
        return next((a for a in reversed(self.all()) if a.thread == here), None)

    def current(self) -> ActiveRun | None:
        """Return the run that a call from this thread goes to."""
        return self.mine() or next(iter(reversed(self.all())), None)

    def push(self, experiment: Experiment, recorder: Recorder, uri: str) -> None:
        """Add a run that was started by this thread."""
        with self._lock:
            self._stack.append(ActiveRun(experiment, recorder, uri, threading.get_ident()))
            if not self._at_exit:
                self._at_exit = True
                atexit.register(self._end_all)
            main = threading.current_thread() is threading.main_thread()
            if main and self._old_handler is None and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                self._old_handler = signal.signal(signal.SIGTERM, self._leave)

    def end(self, active: ActiveRun | None, status: str) -> None:
        """End a run; nothing happens when it ended before.

        Raises
        ------
        RecorderError
            When something of it could not be written.
        """
        if active is None or not self._pop(active):
            return
        active.experiment.active_recorder = None
        try:
            active.recorder.end_run(status)
        finally:
            if self._terminated and not self.all():
                os.kill(os.getpid(), signal.SIGTERM)  # the runs are safe: now what was asked for

    def fail(self, active: ActiveRun | None, error: BaseException) -> None:
        """End a run as failed; what goes wrong with that is told, and `error` goes on."""
        if active is None:
            return
        stopped = isinstance(error, KeyboardInterrupt | RunStopped | SystemExit)
        reason = f"{type(error).__name__}: {error}".strip(": ")[:ERROR_TAG]
        try:
            active.recorder.set_tags(**{"qnb.status": "stopped" if stopped else "failed", "qnb.error": reason})
            self.end(active, Recorder.STATUS_FA)
        except RecorderError as other:
            error.add_note(f"its end could not be recorded: {other}")
            _LOG.error("%s", other)

    def _pop(self, active: ActiveRun) -> bool:
        with self._lock:
            if active not in self._stack:
                return False
            self._stack.remove(active)
            main = threading.current_thread() is threading.main_thread()
            if main and not self._stack and self._old_handler is not None:
                signal.signal(signal.SIGTERM, self._old_handler)
                self._old_handler = None
            return True

    def _leave(self, number: int, frame: FrameType | None) -> None:
        self._terminated = True
        raise SystemExit(128 + number)

    def _end_all(self) -> None:
        """End what is still active when the process ends: FAILED after an exception that nobody caught."""
        by_hand = hasattr(sys, "ps1") or "IPython" in sys.modules  # there, an error does not end the program
        failed = self._terminated or (getattr(sys, "last_value", None) is not None and not by_hand)
        for active in reversed(self.all()):
            try:
                self.end(active, Recorder.STATUS_FA if failed else Recorder.STATUS_FI)
            except RecorderError as error:
                _LOG.error("%s", error)
