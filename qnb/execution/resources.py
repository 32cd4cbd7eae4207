"""Samples what this process uses, once a second, as events."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil

from ..events import Emit, ResourceSampled

__all__ = ["ResourceSampler"]


class ResourceSampler:
    """A context manager that emits a `ResourceSampled` event every `interval` seconds from a daemon thread.

    Parameters
    ----------
    emit : callable
        Receives the events.
    interval : float
        Seconds between samples.
    """

    def __init__(self, emit: Emit, interval: float = 1.0) -> None:
        self._emit = emit
        self._interval = interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="qnb-resources", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(timeout=2.0)

    def _sample(self) -> None:
        process = psutil.Process()
        process.cpu_percent()  # the first call only sets the reference
        while not self._done.wait(self._interval):
            try:
                self._emit(ResourceSampled(cpu=process.cpu_percent(), memory=process.memory_info().rss))
            except psutil.Error:
                return
