"""What lies between a started run and its store: a queue, a spool, and patience with a store that is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar, cast

from ..errors import RecorderError
from .base import Entry, MetricPoint, RunInfo, Store, UnreachableError
from .patience import Patience, PatientStore
from .spool import Kept, Spool
from .writer import Writer

__all__ = ["Channel"]

T = TypeVar("T")
ROOM_TIME = 300.0
ROOM_POLL = 0.5


class Channel:
    """The way of one run to its store.

    Parameters
    ----------
    store : Store
        The store.
    folders : sequence of Path
        For the spool.
    kept : Kept
        Whose spool it is.

    Attributes
    ----------
    ended : RunInfo or None
        The run after its end, as far as that is known.
    """

    def __init__(self, store: Store, folders: Sequence[Path], kept: Kept) -> None:
        self._store, self._run_id = store, kept.run_id
        self._spool = Spool(folders, kept)
        self._writer = Writer(lambda entries: store.log(kept.run_id, entries), spool=self._spool)
        self._patience: Patience | None = None
        self._metrics: dict[str, float] = {}
        self.ended: RunInfo | None = None

    def wait_for_store(self, patience: Patience) -> Store:
        """Have the run outlast a store that is away, and return the store as the run is to see it."""
        self._patience = patience
        return cast("Store", PatientStore(self._store, patience, self._spool))

    def put(self, entries: Sequence[Entry]) -> None:
        """Log in the background."""
        self._metrics.update({e.name: e.value for e in entries if isinstance(e, MetricPoint)})
        self._writer.put(entries)

    def flush(self) -> None:
        """Write what is pending."""
        self.patiently(self._writer.flush)

    def info(self, before: RunInfo, params: Mapping[str, str]) -> RunInfo:
        """Return the run with all that was logged; with patience also while the store is away."""
        try:
            self.flush()
            return self.patiently(lambda: self._store.run(self._run_id))
        except UnreachableError:
            if self._patience is None:
                raise
            return replace(before, metrics={**before.metrics, **self._metrics}, params=dict(params))

    def end(self, status: str) -> None:
        """Write everything that is pending and the ending.

        Raises
        ------
        RecorderError
            When something could not be written; with patience only for what the store refuses.
        """
        errors, now = [], time.time()
        for step in (*(() if self._patience is None else (self.flush,)), self._writer.close):
            try:
                step()
            except RecorderError as error:
                errors.append(error)
        try:
            self.ended = self.patiently(lambda: self._end(status, now), anyway=True)
        except UnreachableError as error:
            self._leave(status, now)
            kept = f"{self._spool.path} keeps what waits"
            text = f"{error}; {kept}, which is written by itself when the store answers again"
            errors.append(UnreachableError(text))
            if self._patience is not None:
                self._patience.tell(text)
        except RecorderError as error:
            errors.append(error)
        if self._patience is not None:
            errors = [e for e in errors if not isinstance(e, UnreachableError)]
        if errors:
            for other in errors[1:]:
                errors[0].add_note(str(other))
            raise errors[0]

    def _leave(self, status: str, now: float) -> None:
        """Leave the ending for whoever opens the store next; where there is no room for that, wait for it."""
        end = time.monotonic() + ROOM_TIME
        while True:
            self._spool.leave(status, now)
            patient = self._patience is not None and not self._patience.should_stop()
            if self._spool.path.exists() or not patient or time.monotonic() > end:
                return
            time.sleep(ROOM_POLL)

    def _end(self, status: str, now: float) -> RunInfo:
        if self._spool.path.exists():
            self._spool.write_to(self._store)
        self._store.update_run(self._run_id, status=status, end=now)
        return self._store.run(self._run_id)

    def patiently(self, call: Callable[[], T], *, anyway: bool = False) -> T:
        """Return what `call` returns, with patience asked again while the store is away or has no room."""
        return call() if self._patience is None else self._patience.wait(call, anyway=anyway)
