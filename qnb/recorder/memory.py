"""A tracking store in the memory of this process: for tests and throw-away runs.

The tables are those of `qnb.recorder.sqlite`, without a file; artifacts lie in a temporary folder that goes with the
process.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack

from ..scratch import scratch_folder
from .sqlite import SqliteStore

__all__ = ["MemoryStore"]

_TABLES = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, artifact_location TEXT,
  lifecycle_stage TEXT, creation_time BIGINT, last_update_time BIGINT);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, source_type TEXT, source_name TEXT, entry_point_name TEXT,
  user_id TEXT, status TEXT, start_time BIGINT, end_time BIGINT, source_version TEXT, lifecycle_stage TEXT,
  artifact_uri TEXT, experiment_id INTEGER REFERENCES experiments, deleted_time BIGINT);
CREATE TABLE metrics (key TEXT, value REAL, timestamp BIGINT, run_uuid TEXT REFERENCES runs, step BIGINT,
  is_nan INTEGER, PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE TABLE latest_metrics (key TEXT, value REAL, timestamp BIGINT, step BIGINT, is_nan INTEGER,
  run_uuid TEXT REFERENCES runs, PRIMARY KEY (key, run_uuid));
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT REFERENCES runs, PRIMARY KEY (key, run_uuid));
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT REFERENCES runs, PRIMARY KEY (key, run_uuid));
"""


class MemoryStore(SqliteStore):
    """Keeps runs until the process ends.

    Parameters
    ----------
    uri : str
        ``memory:NAME``; one name is one store in this process.
    """

    def __init__(self, uri: str = "memory:") -> None:
        self._held = ExitStack()
        super().__init__(self._held.enter_context(scratch_folder()) / "memory")
        self.uri = uri

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.executescript(_TABLES)
        return connection

    def close(self) -> None:
        """Forget everything; done by itself when the process ends."""
        super().close()
        self._held.close()
