"""Logs metrics, params and tags in the background, in order, and never loses the end.

A call only appends to a list. One thread writes batches about every half second; `close` writes the rest and waits.
What the store refuses for good is kept in a spool file and told when the run ends.
"""

from __future__ import annotations

import atexit
import json
import threading
import weakref
from pathlib import Path
from typing import Any

from ..errors import RecorderError
from .base import MetricPoint, Store

__all__ = ["BatchWriter"]

INTERVAL = 0.5
CLOSE_TIMEOUT = 60.0
_OPEN: weakref.WeakSet[BatchWriter] = weakref.WeakSet()


class BatchWriter:
    """Writes to one run of a store.

    Parameters
    ----------
    store : Store
        Where to write.
    run_id : str
        The run.
    spool : Path
        File that takes what the store refused.
    """

    def __init__(self, store: Store, run_id: str, spool: Path) -> None:
        self._store, self._run_id, self._spool = store, run_id, spool
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._metrics: list[MetricPoint] = []
        self._params: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._wake = threading.Event()
        self._closed = False
        self._error: RecorderError | None = None
        self._thread: threading.Thread | None = None
        _OPEN.add(self)

    def metrics(self, points: list[MetricPoint]) -> None:
        """Queue metric values; returns at once."""
        with self._lock:
            self._metrics.extend(points)
            self._start()

    def params(self, values: dict[str, str]) -> None:
        """Queue params; returns at once."""
        with self._lock:
            self._params.update(values)
            self._start()

    def tags(self, values: dict[str, str]) -> None:
        """Queue tags; returns at once."""
        with self._lock:
            self._tags.update(values)
            self._start()

    def flush(self) -> None:
        """Write everything that is queued, now.

        Raises
        ------
        RecorderError
            When the store refused something; it is in the spool file.
        """
        self._write()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def close(self) -> None:
        """Write the rest and end the thread; raises as `flush`."""
        self._closed = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_TIMEOUT)
        _OPEN.discard(self)
        self.flush()

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._work, name="qnb-recorder", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(INTERVAL)
            self._write()

    def _write(self) -> None:
        with self._write_lock:
            with self._lock:
                metrics, self._metrics = self._metrics, []
                params, self._params = self._params, {}
                tags, self._tags = self._tags, {}
            if not (metrics or params or tags):
                return
            try:
                self._store.log(self._run_id, metrics=metrics, params=params, tags=tags)
            except RecorderError as error:
                self._keep(metrics, params, tags)
                self._error = RecorderError(f"{error}; what was not written is in {self._spool}")

    def _keep(self, metrics: list[MetricPoint], params: dict[str, str], tags: dict[str, str]) -> None:
        self._spool.parent.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = [
            {"run_id": self._run_id, "metric": m.name, "value": m.value, "step": m.step, "time": m.time}
            for m in metrics
        ]
        rows += [{"run_id": self._run_id, "param": k, "value": v} for k, v in params.items()]
        rows += [{"run_id": self._run_id, "tag": k, "value": v} for k, v in tags.items()]
        with self._spool.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


@atexit.register
def _flush_all() -> None:
    for writer in list(_OPEN):
        writer._write()
