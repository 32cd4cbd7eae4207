"""Runs a task in this very process: for tests, scripts and exports, where nothing has to survive."""

from __future__ import annotations

import importlib

from ...rundir import RunDir

__all__ = ["InlineBackend"]


class InlineBackend:
    """Makes workers that are this process."""

    def worker(self, number: int, *, threads: int) -> InlineWorker:
        """Return worker `number`; `threads` is what the run's request says already."""
        return InlineWorker(number)


class InlineWorker:
    """Runs one task at a time in the calling thread."""

    def __init__(self, number: int) -> None:
        self.name = f"inline {number}"

    def run(self, directory: RunDir) -> None:
        """Run `directory`. The worker half is imported by name: this half never depends on it."""
        importlib.import_module("qnb.execution.worker").execute_run(directory, worker=self.name)

    def close(self) -> None:
        """Nothing to end."""
