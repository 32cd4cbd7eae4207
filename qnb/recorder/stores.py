"""Opens stores by URI, each once a process."""

from __future__ import annotations

import atexit
import os
import threading

from ..config import current_settings
from .base import Store
from .uris import sqlite_path

__all__ = ["is_own", "open_store", "resolved"]

THROUGH_MLFLOW = "mlflow+"
_stores: dict[tuple[str, int], Store] = {}
_lock = threading.Lock()


def open_store(uri: str) -> Store:
    """Return the store at `uri`.

    Parameters
    ----------
    uri : str
        ``sqlite:///file``, made when missing; ``memory:NAME`` for tests; else any MLflow tracking URI. ``mlflow+``
        before an SQLite URI has it written by MLflow's client.

    Raises
    ------
    RecorderError
        When it cannot be reached.
    """
    uri = resolved(uri)
    path = sqlite_path(uri.removeprefix(THROUGH_MLFLOW))
    key = (uri, os.getpid())  # a connection does not survive a fork
    with _lock:
        store = _stores.get(key)
        if store is None or (path is not None and not path.exists()):
            store = _stores[key] = _open(uri)
        return store


def resolved(uri: str) -> str:
    """Return `uri` with a relative SQLite path made absolute from the settings' working folder."""
    head = THROUGH_MLFLOW if uri.startswith(THROUGH_MLFLOW) else ""
    plain = uri.removeprefix(head)
    return head + (current_settings().with_(recorder_uri=plain).tracking_uri if plain.startswith("sqlite:") else plain)


def is_own(uri: str) -> bool:
    """Return whether `uri` is the store of the settings, or this process's memory; what it holds is the user's own."""
    own, found = (resolved(u).removeprefix(THROUGH_MLFLOW) for u in (current_settings().recorder_uri, uri))
    return uri.startswith("memory:") or own == found


@atexit.register
def _close_all() -> None:
    for store in list(_stores.values()):
        close = getattr(store, "close", None)
        if close is not None:
            close()


def _open(uri: str) -> Store:
    if uri.startswith("memory:"):
        from .memory import MemoryStore

        return MemoryStore(uri)
    plain = uri.removeprefix(THROUGH_MLFLOW)
    path = sqlite_path(plain)
    if path is not None:
        from .sqlite import SqliteStore, fits
        from .template import new_store

        new_store(path, path.parent / "mlruns")
        if plain == uri and fits(path):
            return SqliteStore(path)
    from .mlflow import MlflowStore

    return MlflowStore(plain)
