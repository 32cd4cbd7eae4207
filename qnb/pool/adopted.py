"""A run that goes on in a worker whose owner is gone: watched by the process's number, to its end."""

from __future__ import annotations

import time

from ..journal import JournalReader
from ..machine import ProcessId
from ..rundir import RunDir
from ..state import RunState
from .forks import signal_group
from .protocols import Crash, Limits
from .watch import supervise

__all__ = ["AdoptedWorker"]


class AdoptedWorker:
    """The worker of another owner.

    Parameters
    ----------
    name : str
        The worker's name.
    process : ProcessId
        Who runs it.
    """

    def __init__(self, name: str, process: ProcessId) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process if process.began else ProcessId(0)  # or any process that has the number now

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return not self._process.alive

    @property
    def exit_code(self) -> int | None:
        """Not known: it is nobody's child here."""
        return None

    def signal(self, number: int) -> None:
        """Send a signal."""
        if self._process.alive:
            signal_group(self.pid, number)

    def run(self, directory: RunDir, limits: Limits) -> Crash | None:
        """Watch over what goes on already."""
        reader, state = JournalReader(directory.path), RunState()

        def over(seconds: float) -> bool:
            for entry in reader.read_new():
                state.apply(entry.event, entry.seq)
            if not state.is_over:
                time.sleep(seconds)
            return state.is_over

        return supervise(self, directory, limits, over)

    def warm(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """It ends itself after its run."""

    def process(self) -> int:
        """Return its number."""
        return 0 if self.ended else self.pid
