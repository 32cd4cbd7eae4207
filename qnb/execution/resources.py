"""Samples what this process uses, once a second, as events."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self

import psutil

from ..events import Emit, ResourceSampled
from ..machine import private_memory

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
                gpu, gpu_memory = _gpu()
                self._emit(
                    ResourceSampled(
                        cpu=process.cpu_percent(), memory=private_memory(process.pid), gpu=gpu, gpu_memory=gpu_memory
                    )
                )  # fmt: skip
            except OSError:  # too many open files, for now
                continue
            except psutil.Error:
                return


def _gpu() -> tuple[float | None, int | None]:
    """Return utilisation in per cent and bytes of the GPU that torch uses in this process; None where it uses none."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return None, None
    memory = int(cuda.memory_reserved())
    try:
        return float(cuda.utilization()), memory
    except (ImportError, RuntimeError, ValueError):  # needs NVIDIA's management library
        return None, memory
