"""Threads that stay in the context of whoever starts them: they see the settings, recorder and log of the same run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

__all__ = ["ContextThreads", "start_thread"]

P = ParamSpec("P")
T = TypeVar("T")


class ContextThreads(ThreadPoolExecutor):
    """A pool of threads in which each call has the context it was submitted in."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call; see `concurrent.futures.Executor.submit`."""
        return super().submit(copy_context().run, fn, *args, **kwargs)  # type: ignore[arg-type]


def start_thread(target: Callable[[], object], *, name: str) -> threading.Thread:
    """Start a daemon thread that calls `target` in the context of this call, and return it."""
    thread = threading.Thread(target=copy_context().run, args=(target,), name=name, daemon=True)
    thread.start()
    return thread
