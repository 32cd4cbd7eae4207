"""What a backend of the pool is: something that runs one run directory at a time in a worker."""

from __future__ import annotations

from typing import Protocol

from ..rundir import RunDir

__all__ = ["Backend", "Worker"]


class Worker(Protocol):
    """A process, or a place, that runs one task at a time and stays warm between tasks."""

    name: str

    def run(self, directory: RunDir) -> None:
        """Run `directory` and return when it is over.

        Called from a thread of the pool. Must leave an ending in the journal whatever happens to the process, and
        honour ``directory.stop_asked()``, escalating when the task does not listen.
        """

    def close(self) -> None:
        """End the worker; a run that is still going is left to finish on its own."""


class Backend(Protocol):
    """Makes workers."""

    def worker(self, number: int, *, threads: int) -> Worker:
        """Return worker `number` (1-based) with `threads` CPU threads; starts nothing heavy before its first run."""
