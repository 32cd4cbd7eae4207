"""Opens stores by URI, each once a process."""

from __future__ import annotations

import os
import threading

from .base import Store

__all__ = ["open_store"]

_stores: dict[tuple[str, int], Store] = {}
_lock = threading.Lock()


def open_store(uri: str) -> Store:
    """Return the store at `uri`: ``memory:NAME`` for tests, else an MLflow tracking URI.

    Raises
    ------
    RecorderError
        When it cannot be reached.
    """
    key = (uri, os.getpid())  # a connection does not survive a fork
    with _lock:
        store = _stores.get(key)
        if store is None or _gone(uri):
            if uri.startswith("memory:"):
                from .memory import MemoryStore

                store = MemoryStore(uri)
            else:
                from .mlflow import MlflowStore

                store = MlflowStore(uri)
            _stores[key] = store
        return store


def _gone(uri: str) -> bool:
    """Return whether an SQLite file was removed since it was opened."""
    if not uri.startswith("sqlite:///"):
        return False
    return not os.path.exists(os.path.expanduser(uri.removeprefix("sqlite:///").split("?")[0]))
