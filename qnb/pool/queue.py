"""The pool: a queue of runs and as many workers as there are cores.

Workers are made when a run first needs one and stay warm. The queue lives in the process that submits; what has
started lives on its own (see the backends).
"""

from __future__ import annotations

import os
import threading
from collections import deque

from .. import registry
from ..errors import PoolError
from ..events import RunFailed, RunStopped
from ..journal import JournalWriter
from ..rundir import RunDir
from ..state import load_state
from .protocols import Backend, Worker

__all__ = ["Pool", "default_workers"]

CLOSE_TIMEOUT = 5.0


class Pool:
    """Runs directories one after the other on a number of workers.

    Parameters
    ----------
    backend : str
        Name of the backend, ``kernel`` or ``inline``.
    workers : int
        Runs at a time.
    threads : int
        CPU threads of all workers together.
    """

    def __init__(self, backend: str = "kernel", *, workers: int, threads: int) -> None:
        factory: Backend = registry.find("backend", backend)()
        self._backend = factory
        self._limit = max(1, workers)
        self._threads = max(1, threads // self._limit)
        self._queue: deque[RunDir] = deque()
        self._wake = threading.Condition()
        self._slots: list[threading.Thread] = []
        self._idle = 0
        self._busy: set[threading.Thread] = set()
        self._closed = False

    def submit(self, directory: RunDir) -> None:
        """Put a run in the queue; returns at once."""
        with self._wake:
            if self._closed:
                raise PoolError("the pool is closed; load the extension again")
            self._queue.append(directory)
            if self._idle < len(self._queue) and len(self._slots) < self._limit:
                number = len(self._slots) + 1
                thread = threading.Thread(target=self._serve, args=(number,), name=f"qnb-worker-{number}", daemon=True)
                self._slots.append(thread)
                thread.start()
            self._wake.notify()

    def waiting(self) -> list[str]:
        """Return the ids of the runs that wait, next first."""
        with self._wake:
            return [d.run_id for d in self._queue]

    def close(self) -> None:
        """Take no more runs; those that are going finish on their own, idle workers have ended when this returns."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            idle = [slot for slot in self._slots if slot not in self._busy]
        for slot in idle:
            slot.join(timeout=CLOSE_TIMEOUT)

    def _serve(self, number: int) -> None:
        worker: Worker | None = None
        while True:
            with self._wake:
                self._idle += 1
                while not self._queue and not self._closed:
                    self._wake.wait()
                self._idle -= 1
                if self._closed:
                    break
                directory = self._queue.popleft()
                self._busy.add(threading.current_thread())
            try:
                if directory.stop_asked():
                    _end_unstarted(directory)
                else:
                    worker = worker or self._backend.worker(number, threads=self._threads)
                    worker.run(directory)
            except (OSError, PoolError) as error:
                _mark_failed(directory, error)
                if worker is not None:
                    worker.close()
                worker = None
            finally:
                with self._wake:
                    self._busy.discard(threading.current_thread())
        if worker is not None:
            worker.close()


def _end_unstarted(directory: RunDir) -> None:
    with JournalWriter(directory.path) as journal:
        journal.append(RunStopped(reason="stopped before it started"))


def _mark_failed(directory: RunDir, error: Exception) -> None:
    if load_state(directory.path).is_over:
        return
    with JournalWriter(directory.path) as journal:
        journal.append(RunFailed(error=type(error).__name__, message=f"no worker could run it: {error}"))


def default_workers() -> int:
    """Return how many runs go at a time: ``QNB_WORKERS``, else 2 where there are cores for it, else 1."""
    given = os.environ.get("QNB_WORKERS", "")
    if given.isdigit():
        return max(1, int(given))
    return max(1, min(2, os.cpu_count() or 1))
