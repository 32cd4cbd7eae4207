"""Waiting for what goes on in other processes: blocking, with a time limit, or with ``await``."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["Waiting"]


class Waiting(ABC):
    """What a run and a study have in common as long as they go on."""

    kind = "run"
    """What it is, for messages."""
    poll = 0.05
    """Seconds between two looks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a panel's thread and the notebook may ask at the same time

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name."""

    @property
    @abstractmethod
    def status(self) -> str:
        """How it stands, in a word."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """True when nothing more will come."""

    @property
    @abstractmethod
    def state(self) -> Any:
        """What its events tell, as of now."""

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Give the state as of now, into which no other thread folds further events until the block ends."""
        with self._lock:
            yield self.state

    def wait(self, timeout: float | None = None) -> Self:
        """Block until it is over and return self; a pause does not end the waiting.

        Raises
        ------
        TimeoutError
            After `timeout` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_over:
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"{self.kind} {self.name} is still {self.status} after {timeout:g}s")
            time.sleep(self.poll)
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._wait_async().__await__()

    async def _wait_async(self) -> Self:
        while not self.is_over:
            await asyncio.sleep(self.poll)
        return self
