"""The handle of a run: what `qnb.run` returns and what a `%%qtask` cell leaves in the notebook's namespace.

Everything is read from the run's directory and its recorder, so a handle works in the process that started the run,
in another one, and after a restart.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import PoolError
from .events import RunFailed, RunStopped
from .journal import JournalReader
from .ongoing import last_status
from .pool.place import Place
from .project import is_gone
from .rundir import Request, RunDir
from .state import RunState
from .waiting import Waiting

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunHandle"]


class RunHandle(Waiting):
    """One run, wherever it runs.

    Parameters
    ----------
    directory : RunDir
        The run's directory.

    Examples
    --------
    >>> handle = qnb.run("workflow.yaml")          # doctest: +SKIP
    >>> handle.metrics["IC"], handle.report        # doctest: +SKIP
    """

    def __init__(self, directory: RunDir) -> None:
        super().__init__()
        self.directory = directory
        self._reader = JournalReader(directory.path)
        self._state = RunState()
        self._request: Request | PoolError | None = None
        self._request_mark = (0, 0)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.directory.run_id

    @property
    def request(self) -> Request:
        """What was submitted: task, settings, name.

        Raises
        ------
        PoolError
            It cannot be read, see `damage`.
        """
        mark = self.directory.request_mark()
        if self._request is None or mark not in (self._request_mark, (0, 0)):
            try:
                self._request = self.directory.request()
            except PoolError as error:
                self._request = error
            self._request_mark = mark
        if isinstance(self._request, PoolError):
            raise self._request
        return self._request

    @property
    def damage(self) -> str:
        """Why the run can hardly do more than be looked at and deleted; '' when its request and journal can be read."""
        try:
            _ = self.request
        except PoolError as error:
            return str(error)
        told = self._state.status not in ("unknown", "damaged") or last_status(self.directory.path) != "unknown"
        if told or self.has_ticket:
            return ""
        return f"{self._reader.path} tells nothing of how the run stands; run its cell again"

    @property
    def name(self) -> str:
        """The run's name; of a damaged run the one in its journal, else the beginning of its id."""
        try:
            return self.request.name
        except PoolError:
            return self._state.name or self.run_id[:6]

    @property
    def state(self) -> RunState:
        """The state as of now, with every event folded in."""
        with self._lock:
            state = self._state.apply_raw(self._reader.read_raw(), self._reader.complain)
            state.run_id, state.name = self.run_id, self.name  # the journal has the name that the run began with
            if not state.is_over and is_gone(self.directory.path):
                folder = self.directory.path if self.directory.project.is_dir() else self.directory.project
                reason = (
                    f"The folder {folder} is gone: it was moved, renamed or removed. In its new place you see more."
                )
                state.apply(RunStopped(reason=reason, interrupted=True))
            if state.status in ("unknown", "waiting") and (damage := self.damage):
                state.status, state.failure = "damaged", RunFailed(error="DamagedRun", message=damage)
            return state

    @property
    def status(self) -> str:
        """``waiting``, ``running``, ``finished``, ``failed``, ``stopped``, ``interrupted`` or ``damaged``."""
        return self.state.status

    @property
    def metrics(self) -> dict[str, float]:
        """Last value of every metric so far."""
        return dict(self.state.metrics)

    @property
    def error(self) -> str | None:
        """Why the run failed, or None."""
        failure = self.state.failure
        return failure.message if failure else None

    @property
    def recorder(self) -> Any:
        """The recorder of the run.

        Raises
        ------
        PoolError
            While the run has not come far enough to have one.
        """
        from .recorder import R
        from .recorder.query import existing_store

        known = self.directory.recorder()
        if known is None:
            raise PoolError(f"run {self.name} ({self.status}) has no recorder yet; wait until it trains")
        settings = self.request.settings
        existing_store(settings.tracking_uri, work_dir=settings.work_dir, cache_dir=settings.cache_dir)
        with R.uri_context(settings.tracking_uri):
            return R.get_recorder(recorder_id=known[0], experiment_name=known[1])

    @property
    def pred(self) -> pd.DataFrame:
        """Predictions of the test segment: column ``score``, index (datetime, instrument)."""
        return self.recorder.load_object("pred.pkl")

    @property
    def report(self) -> Path | None:
        """Path of the HTML report, or None."""
        path = (self.directory.result() or {}).get("report")
        return Path(path) if path else None

    @property
    def is_over(self) -> bool:
        """True when nothing more will come."""
        return self.state.is_over

    @property
    def has_ticket(self) -> bool:
        """True while the pool is answerable for it: it waits, runs, or was just asked to go on."""
        return self.run_id in self._place.tickets

    def stop(self) -> None:
        """Ask the run to stop at its next safe place; returns at once.

        Raises
        ------
        PoolError
            Its folder cannot be written, or is gone.
        """
        try:
            self.directory.ask_to_stop()
        except OSError as error:
            raise PoolError(
                f"{self.name} cannot be asked to stop in {self.directory.path}: {error.strerror}"
            ) from error
        self._place.wake()

    def prefer(self) -> bool:
        """Have the run go next if it waits; False when it does not wait any more."""
        from .pool.client import PoolClient

        return PoolClient(self.directory.path.parents[2]).prefer(self.run_id)

    def what_if(self) -> Any:
        """Return sliders that run the backtest again on this run's predictions; see `qnb.what_if`."""
        return importlib.import_module("qnb.panels.whatif").WhatIfPanel(self)  # a panel lies above a handle

    @property
    def _place(self) -> Place:
        return Place(self.directory.path.parents[2])

    def __repr__(self) -> str:
        return f"<run {self.name} {self.run_id} {self.status}>"
