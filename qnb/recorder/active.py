"""The runs that are active in this process: which one a call goes to, and how they end when the process does."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ..config import within_run
from ..errors import RecorderError, RunStopped
from .experiment import Experiment
from .recorder import Recorder

__all__ = ["ActiveRun", "ActiveRuns"]

ERROR_TAG = 500
_LOG = logging.getLogger("qnb.recorder")


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A started run.

    Attributes
    ----------
    experiment, recorder, uri
        What was started, and where it is kept.
    thread : Thread
        Who started it.
    task : Task or None
        The asyncio task it was started in.
    shared : bool
        Whether threads without a run of their own may log to it; not to one that runs beside others in the process.
    root : str
        Id of the outermost run that it is nested in; its own without one.
    """

    experiment: Experiment
    recorder: Recorder
    uri: str
    thread: threading.Thread
    task: Any
    shared: bool
    root: str


class ActiveRuns:
    """The runs that were started and have not ended, by context.

    A call goes to the run that its context started last, then to the one that its thread did (a cell of a notebook with
    ``await`` has a context of its own, which ends with it). From a thread that started none it goes to the shared one,
    if there is only one besides those nested in it, so helper threads log to the run they belong to and never to
    another one.

    While there is a run, SIGTERM leaves the program like an exception, so that runs end and are written first; then the
    process ends by the signal. Runs that nobody ended end with the process.
    """

    def __init__(self) -> None:
        self._stack: list[ActiveRun] = []
        self._chain: ContextVar[tuple[ActiveRun, ...]] = ContextVar("qnb_active_runs", default=())
        self._lock = threading.RLock()
        self._at_exit = False
        self._old_handler: Any = None
        self._terminated = False

    def all(self) -> list[ActiveRun]:
        """Return all, the newest last."""
        with self._lock:
            return list(self._stack)

    def mine(self) -> ActiveRun | None:
        """Return the run that this context, or else this thread, started last."""
        active = self.all()
        found = next((a for a in reversed(self._chain.get()) if a in active), None)
        if found is not None or within_run():
            return found
        here = threading.current_thread()
        return next((a for a in reversed(active) if a.shared and a.thread is here and not _goes_on(a.task)), None)

    def current(self) -> ActiveRun | None:
        """Return the run that a call from here goes to."""
        found = self.mine()
        shared = self.shared()
        return shared[-1] if found is None and len({a.root for a in shared}) == 1 else found

    def shared(self) -> list[ActiveRun]:
        """Return the runs that threads without a run of their own may log to, the newest last."""
        return [] if within_run() else [a for a in self.all() if a.shared]

    def push(self, experiment: Experiment, recorder: Recorder, uri: str, *, shared: bool) -> None:
        """Add a run that was started here."""
        parent = self.mine()
        root = parent.root if parent is not None else recorder.id
        active = ActiveRun(experiment, recorder, uri, threading.current_thread(), _task(), shared, root)
        self._chain.set((*self._chain.get(), active))
        with self._lock:
            self._stack.append(active)
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
            self._chain.set(tuple(a for a in self._chain.get() if a in self._stack))
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


def _task() -> Any:
    """Return the asyncio task that this is, None outside of one."""
    asyncio = sys.modules.get("asyncio")  # without it there is none
    try:
        return asyncio.current_task() if asyncio is not None else None
    except RuntimeError:  # no loop runs in this thread
        return None


def _goes_on(task: Any) -> bool:
    """Return whether what the task started is still its own."""
    return task is not None and not task.done() and task is not _task()
