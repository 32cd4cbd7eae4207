"""What a backend of the pool is: something that runs one run directory at a time in a worker.

A backend for other machines implements these two: `Backend.worker` gives a place, `Worker.run` gets a run directory
there to its end. Queue, retries, priorities and endings that nobody else wrote are the pool's (`qnb.pool.queue`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..errors import PoolError
from ..rundir import RunDir

__all__ = ["Backend", "Crash", "Limits", "StartError", "Worker"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use.

    Attributes
    ----------
    threads : int
        CPU threads.
    memory : int
        Bytes of the worker's own memory; 0 without a limit.
    timeout : float
        Seconds; 0 without a limit.
    attempt : int
        1 for the first try.
    """

    threads: int = 1
    memory: int = 0
    timeout: float = 0.0
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Crash:
    """How a worker ended without an ending in the journal.

    Attributes
    ----------
    message : str
        One sentence for the user.
    error : str
        ``WorkerDied``, ``OutOfMemory`` or ``TimeLimit``.
    exit_code : int or None
        Status of the process, negative for a signal; None where it is not known.
    again : bool
        Whether trying again makes sense.
    """

    message: str
    error: str = "WorkerDied"
    exit_code: int | None = None
    again: bool = True


class StartError(PoolError):
    """A worker's process did not start, for want of room or memory, say; trying again may help."""


class Worker(Protocol):
    """A process, or a place, that runs one task at a time and stays warm between tasks."""

    name: str

    def run(self, directory: RunDir, limits: Limits) -> Crash | None:
        """Run `directory` and return when it is over: None with an ending in the journal, else how the worker died.

        Called from a thread of the pool. Must honour ``directory.stop_asked()``, escalating when the task does not
        listen, and the limits.
        """

    def warm(self) -> None:
        """Start the process if there is none, so that the next run begins at once."""

    def close(self) -> None:
        """End the worker; a run that is still going is left to finish on its own."""

    def process(self) -> int:
        """Return the number of the process that runs tasks; 0 while there is none."""


class Backend(Protocol):
    """Makes workers."""

    def worker(self, number: int) -> Worker:
        """Return worker `number` (1-based); starts nothing heavy before `Worker.warm` or its first run."""

    def prepare(self, libraries: tuple[str, ...]) -> None:
        """Have libraries ready that a coming run will import; returns at once."""

    def close(self) -> None:
        """End what the backend itself keeps going."""
