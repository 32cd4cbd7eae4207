"""Runs a task in this very process: for tests, scripts and exports, where nothing has to survive."""

from __future__ import annotations

import importlib
import os

from ...rundir import RunDir
from ..protocols import Limits

__all__ = ["InlineBackend"]


class InlineBackend:
    """Makes workers that are this process."""

    def worker(self, number: int) -> InlineWorker:
        """Return worker `number`."""
        return InlineWorker(number)

    def prepare(self, libraries: tuple[str, ...]) -> None:
        """Nothing to have ready: the run imports what it needs."""

    def close(self) -> None:
        """Nothing to end."""


class InlineWorker:
    """Runs one task at a time in the calling thread."""

    def __init__(self, number: int) -> None:
        self.name = f"inline {number}"

    def run(self, directory: RunDir, limits: Limits) -> None:
        """Run `directory`. The worker half is imported by name: this half never depends on it."""
        worker = importlib.import_module("qnb.execution.worker")
        place = worker.Place(worker=self.name, threads=limits.threads, attempt=limits.attempt)
        worker.execute_run(directory, place=place)

    def warm(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to end."""

    def process(self) -> int:
        """Return this process."""
        return os.getpid()
