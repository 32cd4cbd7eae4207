"""Opens stores by URI, each once a process."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from .base import Store
from .spool import deliver, folders_of, name_of
from .uris import ARTIFACTS, sqlite_path

__all__ = ["THROUGH_MLFLOW", "is_on_this_machine", "open_store"]

THROUGH_MLFLOW = "mlflow+"
_stores: dict[tuple[str, int], Store] = {}
_locks: dict[str, threading.Lock] = {}  # by URI: a server that hangs holds up no file
_mlflow = threading.Lock()


def open_store(uri: str, *, cache_dir: Path | None = None, work_dir: Path | None = None) -> Store:
    """Return the store at `uri`.

    Parameters
    ----------
    uri : str
        ``sqlite:///file``, made when missing; ``memory:NAME`` for tests; else any MLflow tracking URI. ``mlflow+``
        before an SQLite URI has it written by MLflow's client. See `Settings.tracking_uri`.
    cache_dir : Path, optional
        Where the empty file is that a new SQLite store is a copy of.
    work_dir : Path, optional
        Working folder: what waits there for this store is written first (see `qnb.recorder.spool`).

    Raises
    ------
    RecorderError
        When it cannot be reached.
    """
    head = THROUGH_MLFLOW if uri.startswith(THROUGH_MLFLOW) else ""
    path = sqlite_path(uri.removeprefix(head))
    if path is not None:  # a store has one name, whichever way it was written
        _, mark, query = uri.partition("?")
        uri = f"{head}sqlite:///{path}{mark}{query}"
    key = (uri, os.getpid())  # a connection does not survive a fork
    with _locks.setdefault(uri, threading.Lock()):
        store = _stores.get(key)
        if store is None or (path is not None and not path.exists()):
            store = _stores[key] = _open(uri, cache_dir)
    if work_dir is not None and not uri.startswith("memory:"):
        deliver(store, folders_of(work_dir, cache_dir), name_of(uri.removeprefix(head), work_dir))
    return store


def is_on_this_machine(uri: str) -> bool:
    """Return whether a store is a file of this machine, or in the memory of this process: nobody is sent anything."""
    return uri.startswith("memory:") or sqlite_path(uri.removeprefix(THROUGH_MLFLOW)) is not None


@atexit.register
def _close_all() -> None:
    for store in list(_stores.values()):
        close = getattr(store, "close", None)
        if close is not None:
            close()


def _open(uri: str, cache_dir: Path | None) -> Store:
    if uri.startswith("memory:"):
        from .memory import MemoryStore

        return MemoryStore(uri)
    plain = uri.removeprefix(THROUGH_MLFLOW)
    path = sqlite_path(plain)
    if path is not None:
        from .sqlite import SqliteStore, fits
        from .template import new_store

        new_store(path, path.parent / ARTIFACTS, cache_dir)
        if plain == uri and fits(path):
            return SqliteStore(path, cache_dir)
    from .mlflow import MlflowStore

    with _mlflow:
        return MlflowStore(plain)
