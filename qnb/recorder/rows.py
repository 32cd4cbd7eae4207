"""Rows of MLflow's tables: runs are read, metrics, params and tags written, by MLflow's own rules.

Functions that write do so within the caller's transaction.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from .base import MetricPoint, RefusedError, RunInfo
from .uris import artifacts_beside

__all__ = [
    "RUN_NAME", "number_of", "read_runs", "require_active", "write_metrics", "write_param", "write_tag",
]  # fmt: skip

RUN_NAME = "mlflow.runName"
_CHUNK = 500
_LARGEST = 1.7976931348623157e308  # how MLflow keeps an infinity


def read_runs(db: sqlite3.Connection, where: str, values: Sequence[object], *, file: Path) -> list[RunInfo]:
    """Return the runs that `where` selects, with last metrics, params and tags, in its order.

    Artifacts that were moved with the store's `file` are where it is now.
    """
    columns = "run_uuid, name, experiment_id, status, start_time, end_time, artifact_uri, lifecycle_stage"
    rows = db.execute(f"SELECT {columns} FROM runs {where}", values).fetchall()  # noqa: S608 - texts are in `values`
    ids = [row[0] for row in rows]
    metrics: dict[str, dict[str, float]] = {i: {} for i in ids}
    params: dict[str, dict[str, str]] = {i: {} for i in ids}
    tags: dict[str, dict[str, str]] = {i: {} for i in ids}
    for chunk in (ids[k : k + _CHUNK] for k in range(0, len(ids), _CHUNK)):
        marks = ",".join("?" * len(chunk))
        which = f"WHERE run_uuid IN ({marks}) ORDER BY key"
        for i, key, value, nan in db.execute(
            f"SELECT run_uuid, key, value, is_nan FROM latest_metrics {which}",  # noqa: S608 - marks
            chunk,
        ):
            metrics[i][key] = number_of(value, nan)
        for table, into in (("params", params), ("tags", tags)):
            for i, key, text in db.execute(f"SELECT run_uuid, key, value FROM {table} {which}", chunk):  # noqa: S608
                into[i][key] = text or ""
    return [
        RunInfo(
            run_id=i, name=tags[i].get(RUN_NAME) or name or "", experiment_id=str(experiment), status=status,
            start=None if start is None else start / 1000, end=None if end is None else end / 1000,
            metrics=metrics[i], params=params[i], tags=tags[i], deleted=stage != "active",
            artifact_uri=artifacts_beside(file, uri or ""),
        )
        for i, name, experiment, status, start, end, uri, stage in rows
    ]  # fmt: skip


def write_metrics(db: sqlite3.Connection, run_id: str, points: Iterable[MetricPoint]) -> None:
    """Add values to the history, each once, and keep the last of each by (step, time, value)."""
    rows = []
    for p in points:
        nan = math.isnan(p.value)
        value = 0.0 if nan else max(-_LARGEST, min(_LARGEST, float(p.value)))
        rows.append((p.name, value, round(p.time * 1000), run_id, p.step, nan))
    db.executemany(
        "INSERT OR IGNORE INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?)", rows
    )
    db.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, "
        "step = excluded.step, is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value) > "
        "(latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)", rows,
    )  # fmt: skip


def write_param(db: sqlite3.Connection, run_id: str, name: str, value: str) -> None:
    """Write a param; raises `RefusedError` when it has another value already."""
    row = db.execute("SELECT value FROM params WHERE run_uuid = ? AND key = ?", (run_id, name)).fetchone()
    if row is None:
        db.execute("INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)", (name, value, run_id))
    elif row[0] != value:
        raise RefusedError(f"param {name!r} is {row[0]!r} already and cannot become {value!r}; params are written once")


def write_tag(db: sqlite3.Connection, run_id: str, name: str, value: str) -> None:
    """Write a tag; the tag of the name renames the run."""
    db.execute(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?) "
        "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value", (name, value, run_id),
    )  # fmt: skip
    if name == RUN_NAME:
        db.execute("UPDATE runs SET name = ? WHERE run_uuid = ?", (value, run_id))


def require_active(db: sqlite3.Connection, run_id: str) -> None:
    """Raise `RefusedError` for a run that is not there or was deleted."""
    row = db.execute("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
    if row is None:
        raise RefusedError(f"no run {run_id!r} in this store")
    if row[0] != "active":
        raise RefusedError(f"run {run_id} was deleted; restore it with MLflow before writing to it")


def number_of(value: float, nan: object) -> float:
    """Return a metric's value; a NaN is kept as 0 with a mark."""
    return math.nan if nan else value
