"""Writes to a run in the background: in order, in batches, and without losing the end.

1. `Writer.put` appends to a list and returns.
2. A thread writes what has gathered about every half second, as one batch.
3. A store that cannot be reached is tried again, later and later; what waits lies in the spool file meanwhile.
4. What the store refuses for good (an invalid value) is taken out of its batch and kept in a file of its own.
5. `flush` and `close` write the rest at once and raise what went wrong. Writers that are open at exit are closed.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from ..errors import RecorderError
from ..threads import start_thread
from .base import Entry, RefusedError
from .spool import Spool

__all__ = ["Writer"]

INTERVAL = 0.5
LONGEST_PAUSE = 10.0
JOIN_SECONDS = 120.0
_LOG = logging.getLogger("qnb.recorder")
_OPEN: weakref.WeakSet[Writer] = weakref.WeakSet()


class Writer:
    """The queue in front of one run.

    Parameters
    ----------
    write : callable
        Writes a batch to the store; raises `RecorderError`, or `RefusedError` for what it will never take.
    spool : Spool
        Takes what could not be written.
    interval : float
        Seconds between batches.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], None], *, spool: Spool, interval: float = INTERVAL) -> None:
        self._write = write
        self._spool = spool
        self._interval = interval
        self._queue: list[Entry] = []
        self._waiting: list[Entry] = []
        self._refused: list[tuple[Entry, RefusedError]] = []
        self._away: RecorderError | None = None
        self._pause = 0.0
        self._next = 0.0
        self._queue_lock = threading.Lock()
        self._write_lock = threading.RLock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        _OPEN.add(self)

    def put(self, entries: Sequence[Entry]) -> None:
        """Queue `entries`; takes microseconds and never raises for the store's sake."""
        with self._queue_lock:
            self._queue.extend(entries)
            if self._thread is None and not self._closed:
                self._thread = start_thread(self._work, name="qnb-recorder")

    def flush(self) -> None:
        """Write everything that is queued, now.

        Raises
        ------
        RecorderError
            When something could not be written; says where it is kept. What the store refuses is told once.
        """
        self._drain()
        self._raise()

    def close(self) -> None:
        """Write the rest and end the thread; raises as `flush`. May be called twice."""
        self._closed = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_SECONDS)
        _OPEN.discard(self)
        self._drain()
        self._raise()

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(self._interval)
            if time.monotonic() >= self._next:
                self._drain()

    def _drain(self) -> None:
        with self._write_lock:
            with self._queue_lock:
                self._waiting += self._queue
                self._queue = []
            if not self._waiting:
                return
            known = len(self._refused)
            try:
                self._send(self._waiting)
            except RecorderError as error:
                self._later(error)
            else:
                self._waiting, self._away = [], None
                self._pause = self._next = 0.0
                self._spool.keep([])
            finally:
                if len(self._refused) > known:
                    self._spool.refuse([entry for entry, _ in self._refused[known:]])

    def _send(self, batch: list[Entry]) -> None:
        """Write `batch`; what is refused is found by halving, so that the rest gets through in order."""
        try:
            self._write(batch)
        except RefusedError as error:
            if len(batch) == 1:
                self._refused.append((batch[0], error))
                return
            half = len(batch) // 2
            self._send(batch[:half])
            self._waiting = [*batch[half:], *self._waiting[len(batch) :]]
            self._send(batch[half:])

    def _later(self, error: RecorderError) -> None:
        if self._away is None:
            _LOG.warning("%s; going on, and trying again", error)
        self._away = error
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or self._interval)
        self._next = time.monotonic() + self._pause
        self._spool.keep(self._waiting)

    def _raise(self) -> None:
        with self._write_lock:
            refused, self._refused = self._refused, []
            if refused:
                kept = f"{_entries(refused)} not written: {self._spool.refused_path} holds what was refused"
                raise RefusedError(f"{refused[0][1]}; {kept}")
            if self._away is not None and self._waiting:
                raise type(self._away)(f"{self._away}; {_entries(self._waiting)} not written yet")


def _entries(found: Sequence[object]) -> str:
    return f"{len(found)} {'entry was' if len(found) == 1 else 'entries were'}"


@atexit.register
def _close_all() -> None:
    for writer in list(_OPEN):
        try:
            writer.close()
        except RecorderError as error:
            _LOG.error("%s", error)
