"""A store that may be away for a while: it is waited for, and what it does not take then is kept for later.

1. A call that the store does not answer is asked again every few seconds, until a limit or a request to stop.
2. After that the run goes on without the store: files are kept in the run's spool, and read from there.
3. Every so often the store is asked once more, without waiting.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from .base import ArtifactInfo, Store, UnreachableError
from .spool import Spool

__all__ = ["Patience", "PatientStore", "store_patience"]

PATIENCE = 300.0
PAUSE = 1.0
AGAIN = 30.0
STOP_POLL = 0.1
T = TypeVar("T")


def store_patience() -> float:
    """Return how many seconds a run waits for its store in all: ``QNB_STORE_PATIENCE``, by default 300."""
    given = os.environ.get("QNB_STORE_PATIENCE", "")
    return float(given) if given.replace(".", "", 1).isdigit() else PATIENCE


def _never() -> bool:
    return False


def _nobody(text: str) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Patience:
    """How long a run waits for its store, in all.

    Attributes
    ----------
    limit : float
        Seconds.
    should_stop : callable
        Asked while it waits; True ends the waiting.
    tell : callable
        Takes a line that says what is waited for.
    """

    limit: float
    should_stop: Callable[[], bool] = _never
    tell: Callable[[str], None] = _nobody
    _next: float = field(default=0.0, init=False)
    _last: UnreachableError | None = field(default=None, init=False)

    def end(self) -> None:
        """Wait no longer, from now on."""
        self.limit = 0.0

    def wait(self, call: Callable[[], T], *, anyway: bool = False) -> T:
        """Return what `call` returns, asked until it does; `anyway` asks also when the store was away just now.

        Raises
        ------
        UnreachableError
            When there is no patience left.
        """
        if not anyway and self._last is not None and time.monotonic() < self._next:
            raise self._last
        told = False
        while True:
            began = time.monotonic()
            try:
                found = call()
            except UnreachableError as error:
                self._last = error
                if not told and self.limit > 0:
                    told = True
                    self.tell(f"{error}; waiting for that, {self.limit:.0f} s at most; a stop ends the waiting")
            except KeyboardInterrupt:  # how a stop is said that nobody listened to
                if not self.should_stop():
                    raise
                self.limit = 0.0
                self._last = self._last or UnreachableError("the store did not answer before the stop")
            else:
                self._last = None
                return found
            if not self._rest():
                self._next = time.monotonic() + AGAIN
                raise self._last
            self.limit -= time.monotonic() - began

    def _rest(self) -> bool:
        """Wait for the next try; False when there is to be none."""
        end = time.monotonic() + PAUSE
        while self.limit > 0 and not self.should_stop():
            if time.monotonic() >= end:
                return True
            time.sleep(STOP_POLL)
        self.limit = 0.0
        return False


class PatientStore:
    """The store of one run that waits for it, with what the run keeps in its spool instead.

    Parameters
    ----------
    store : Store
        The store.
    patience : Patience
        How long it is waited for.
    spool : Spool
        Takes files that the store does not.
    """

    def __init__(self, store: Store, patience: Patience, spool: Spool) -> None:
        self.within, self._patience, self._spool = store, patience, spool
        self._put: list[ArtifactInfo] = []

    @property
    def uri(self) -> str:
        """The store's."""
        return self.within.uri

    def local_dir(self, run_id: str) -> Path | None:
        """Return the folder of the run's artifacts when it is on this machine; the store said so when the run began."""
        return self.within.local_dir(run_id)

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file in the store, or else in the spool."""
        local = self.local_dir(run_id) is not None
        try:
            self._patience.wait(lambda: self.within.put_file(run_id, path, folder), anyway=local)
            self._put.append(ArtifactInfo(PurePosixPath(folder, path.name).as_posix(), path.is_dir()))
        except UnreachableError:
            self._spool.keep_file(path, folder)

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        """Return the entries directly below `folder`; while the store is away, those that this run put there."""
        local = self.local_dir(run_id) is not None
        try:
            found = self._patience.wait(lambda: self.within.files(run_id, folder), anyway=local)
        except UnreachableError:
            found = _below(folder, self._put)
        return list({entry.path: entry for entry in (*found, *_below(folder, self._kept()))}.values())

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        """Return a local path of an artifact."""
        wanted = PurePosixPath(path)
        for kept, place in reversed(self._spool.files):
            name = PurePosixPath(kept.folder, place.name)
            if wanted.is_relative_to(name) and (place / wanted.relative_to(name)).exists():
                return place / wanted.relative_to(name)
        local = self.local_dir(run_id) is not None
        return self._patience.wait(lambda: self.within.fetch(run_id, path, target), anyway=local)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.within, name)
        if not callable(found):
            return found
        return lambda *given, **named: self._patience.wait(lambda: found(*given, **named))

    def _kept(self) -> Iterator[ArtifactInfo]:
        """Yield what is in the spool, with what is in its folders."""
        for kept, place in self._spool.files:
            for path in [place, *sorted(place.rglob("*"))]:
                name = PurePosixPath(kept.folder, place.name, path.relative_to(place))
                yield ArtifactInfo(name.as_posix(), path.is_dir(), 0 if path.is_dir() else path.stat().st_size)


def _below(folder: str, entries: Iterable[ArtifactInfo]) -> list[ArtifactInfo]:
    """Return those directly below `folder`, and the folders there that hold others."""
    base, found = PurePosixPath(folder), []
    for entry in entries:
        path = PurePosixPath(entry.path)
        if path.parent == base:
            found.append(entry)
        elif base in path.parents:
            found.append(ArtifactInfo((base / path.relative_to(base).parts[0]).as_posix(), True))
    return found
