"""How a run ended, said to its store by another process than the one that ran it.

1. Whoever finds that a run is over whose process did not say so leaves the ending in the run's spool (`owe`), and then
   writes the journal: who resumes the run has the ending written before the run goes on.
2. `pay` has the store take it: at once where that is an SQLite file, else from a process of its own, since MLflow takes
   a second to load and a server may not answer. What the store does not take now is written when it is opened next.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..config import Settings
from ..errors import PoolError, RecorderError
from ..rundir import RunDir
from ..threads import start_thread
from .base import TAG_LIMIT, TagSet
from .query import existing_store
from .spool import Kept, Spool, folders_of, name_of
from .uris import sqlite_path

__all__ = ["main", "owe", "pay"]

_paying: set[str] = set()


def owe(directory: RunDir, status: str, reason: str = "") -> None:
    """Leave for its store how a run ended: ``finished``, ``failed``, ``stopped`` or ``interrupted``, and why."""
    settings = _settings(directory)
    if settings is None:
        return
    name = name_of(settings.tracking_uri, settings.work_dir)
    known = directory.recorder()
    spool = Spool(
        folders_of(settings.work_dir, settings.cache_dir),
        Kept(known[0] if known is not None else "", name, directory.run_id),
    )
    if status != "finished":
        spool.keep([TagSet("qnb.status", status), TagSet("qnb.error", reason[:TAG_LIMIT])])
    spool.leave("FINISHED" if status == "finished" else "FAILED", time.time())


def pay(directory: RunDir) -> None:
    """Have what waits for the store of a run written, if the store takes it now; returns soon."""
    settings = _settings(directory)
    if settings is None:
        return
    if sqlite_path(settings.tracking_uri) is not None:
        _write(settings)
    elif settings.tracking_uri not in _paying:
        _paying.add(settings.tracking_uri)
        start_thread(lambda: _pay_elsewhere(directory, settings.tracking_uri), name="qnb-settle")


def main(argv: Sequence[str] | None = None) -> int:
    """Write what waits for the store of the run whose folder is on the command line."""
    settings = _settings(RunDir(Path((sys.argv[1:] if argv is None else argv)[0])))
    if settings is not None:
        _write(settings)
    return 0


def _write(settings: Settings) -> None:
    with contextlib.suppress(RecorderError):  # it waits, and whoever asks the store is told what is wrong with it
        existing_store(settings.tracking_uri, work_dir=settings.work_dir, cache_dir=settings.cache_dir)


def _pay_elsewhere(directory: RunDir, uri: str) -> None:
    home = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), home) if p)}
    try:
        with contextlib.suppress(OSError):
            subprocess.run(
                [sys.executable, "-W", "ignore", "-m", __name__, str(directory.path)], check=False, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
    finally:
        _paying.discard(uri)


def _settings(directory: RunDir) -> Settings | None:
    """Return the run's settings; None where nothing is known of its store, or it went with the run's process."""
    try:
        settings = directory.request().settings
    except PoolError:
        return None
    return None if settings.tracking_uri.startswith("memory:") else settings


if __name__ == "__main__":
    sys.exit(main())
