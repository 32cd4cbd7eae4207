"""An MLflow store in an SQLite file, written with the standard library.

Importing MLflow and opening its store takes 1.3 s of processor time in every process; this takes milliseconds and the
file is the same: ``mlflow ui`` shows it, MLflow's client reads and writes it. The file is made by MLflow itself (a
template per MLflow version, see `qnb.recorder.template`). `fits` says whether a file's tables are the ones known here;
where they are not, `qnb.recorder.stores` takes MLflow's client instead.

Every write is one transaction that takes the file's write lock at its start, so processes queue for each other instead
of failing, and a process that is killed leaves whole batches.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import RecorderError
from ..refused import OF_THE_MACHINE, refusal, what_refuses
from ..run_ids import is_run_id
from .artifacts import files_in, keep_file, place_of
from .base import (
    RUN_ID,
    ArtifactInfo,
    Entry,
    ExperimentInfo,
    MetricPoint,
    ParamSet,
    RefusedError,
    RunInfo,
    TagDeleted,
    TagSet,
    UnreachableError,
)  # fmt: skip
from .environment import user_name
from .filters import Condition, SortKey, parse_filter, parse_order
from .rows import RUN_NAME, number_of, read_runs, require_active, write_metrics, write_param, write_tag
from .search import said_table, search_statement, selection
from .template import new_store
from .uris import ARTIFACTS, artifacts_beside, local_path

__all__ = ["SqliteStore", "fits"]

BUSY_SECONDS = 30.0
_EXPERIMENT = "SELECT experiment_id, name, lifecycle_stage, artifact_location FROM experiments"
_COLUMNS = {
    "experiments": {"experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time",
                    "last_update_time"},
    "runs": {"run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
             "end_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id", "deleted_time"},
    "metrics": {"key", "value", "timestamp", "run_uuid", "step", "is_nan"},
    "latest_metrics": {"key", "value", "timestamp", "step", "is_nan", "run_uuid"},
    "params": {"key", "value", "run_uuid"},
    "tags": {"key", "value", "run_uuid"},
}  # fmt: skip


def fits(path: Path) -> bool:
    """Return whether the file's tables have the columns known here, and no other that must be filled."""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_SECONDS) as connection:
            for table, known in _COLUMNS.items():
                columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
                names = {str(c[1]) for c in columns}
                if not known <= names or any(c[3] and c[4] is None for c in columns if c[1] not in known):
                    return False
    except sqlite3.Error:
        return False
    finally:
        if "connection" in locals():
            connection.close()
    return True


class SqliteStore:
    """A tracking store in an SQLite file.

    Parameters
    ----------
    path : Path
        The file; made, with its folder, when missing. Artifacts of new experiments go to ``mlruns`` beside it.
    cache_dir : Path, optional
        Where the empty file is that a new one is a copy of.
    """

    def __init__(self, path: Path, cache_dir: Path | None = None) -> None:
        self.path = path
        self._cache_dir = cache_dir
        self.uri = f"sqlite:///{path}"
        self.artifact_root = path.parent / ARTIFACTS
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._inherited: list[sqlite3.Connection] = []  # never closed here: the parent process uses them
        self._folders: dict[str, Path | None] = {}

    def experiment(self, *, id: str | None = None, name: str | None = None) -> ExperimentInfo | None:
        """Return the experiment of that id or name, or None; a deleted one counts as none."""
        column, value = ("experiment_id", id) if id is not None else ("name", name)
        with self._reading("read an experiment") as db:
            row = db.execute(f"{_EXPERIMENT} WHERE {column} = ? AND lifecycle_stage = 'active'", (value,)).fetchone()
        return self._experiment(row) if row else None

    def create_experiment(self, name: str) -> ExperimentInfo:
        """Return the experiment `name`, created if need be; safe when several processes ask at once."""
        found = self.experiment(name=name)
        if found is not None:
            return found
        now = _now()
        with self._writing(f"create the experiment {name!r}") as db:
            row = db.execute(f"{_EXPERIMENT} WHERE name = ?", (name,)).fetchone()
            if row is not None and row[2] == "active":
                return self._experiment(row)
            if row is not None:  # deleted by MLflow, which keeps the name
                db.execute("UPDATE experiments SET name = ? WHERE experiment_id = ?", (_deleted_name(row), row[0]))
            number = db.execute(
                "INSERT INTO experiments (name, lifecycle_stage, creation_time, last_update_time) "
                "VALUES (?, 'active', ?, ?)", (name, now, now),
            ).lastrowid  # fmt: skip
            location = str(self.artifact_root / str(number))
            db.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (location, number))
        return ExperimentInfo(str(number), name, False, location)

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments that are not deleted, oldest first."""
        with self._reading("list experiments") as db:
            order = "ORDER BY creation_time, experiment_id"
            rows = db.execute(f"{_EXPERIMENT} WHERE lifecycle_stage = 'active' {order}").fetchall()
        return [self._experiment(row) for row in rows]

    def delete_experiment(self, id: str) -> None:
        """Delete an experiment with its runs; its name is free again."""
        found = self.experiment(id=id)
        if found is None:
            raise RefusedError(f"no experiment {id!r}")
        now = _now()
        with self._writing("delete the experiment") as db:
            db.execute(
                "UPDATE experiments SET lifecycle_stage = 'deleted', last_update_time = ?, name = ? "
                "WHERE experiment_id = ?", (now, _deleted_name((found.id, found.name)), found.id),
            )  # fmt: skip
            db.execute(
                "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = ? "
                "WHERE experiment_id = ? AND lifecycle_stage = 'active'", (now, found.id),
            )  # fmt: skip

    def create_run(
        self, experiment: ExperimentInfo, name: str, *, tags: Mapping[str, str], status: str = "SCHEDULED"
    ) -> RunInfo:
        """Create a run; it has the id of its folder here, too, unless it had another run in this store before."""
        user, now = user_name(), _now()
        kept = {RUN_NAME: name, "mlflow.user": user, **tags}
        with self._writing("create a run") as db:
            row = db.execute(
                "SELECT lifecycle_stage FROM experiments WHERE experiment_id = ?", (experiment.id,)
            ).fetchone()
            if row is None or row[0] != "active":
                raise RefusedError(f"experiment {experiment.name!r} was deleted; start the run in another one")
            run_id = tags.get(RUN_ID, "")
            taken = db.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
            if taken is not None or not is_run_id(run_id):
                run_id = uuid.uuid4().hex
            folder = f"{experiment.artifact_location.rstrip('/')}/{run_id}/artifacts"
            db.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
                "start_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
                "VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, '', 'active', ?, ?)",
                (run_id, name, user, status, now, folder, experiment.id),
            )
            for key, text in kept.items():
                write_tag(db, run_id, key, text)
        return RunInfo(
            run_id=run_id, name=name, experiment_id=experiment.id, experiment=experiment.name, status=status,
            start=now / 1000, tags=kept, artifact_uri=folder,
        )  # fmt: skip

    def run(self, run_id: str) -> RunInfo:
        """Return a run with its last metrics, params and tags."""
        with self._reading(f"read run {run_id!r}") as db:
            found = read_runs(db, "WHERE run_uuid = ?", (run_id,), file=self.path)
        if not found:
            raise RefusedError(f"no run {run_id!r} in {self.path.name}")
        return found[0]

    def update_run(
        self, run_id: str, *, status: str | None = None, name: str | None = None, end: float | None = None
    ) -> None:
        """Change status, name or end of a run; a run that is RUNNING again has no end."""
        with self._writing("update the run") as db:
            require_active(db, run_id)
            if status is not None:
                db.execute("UPDATE runs SET status = ? WHERE run_uuid = ?", (status, run_id))
            if status == "RUNNING" and end is None:
                db.execute("UPDATE runs SET end_time = NULL WHERE run_uuid = ?", (run_id,))
            if end is not None:
                db.execute("UPDATE runs SET end_time = ? WHERE run_uuid = ?", (round(end * 1000), run_id))
            if name is not None:
                write_tag(db, run_id, RUN_NAME, name)

    def delete_run(self, run_id: str) -> None:
        """Delete a run."""
        with self._writing("delete the run") as db:
            require_active(db, run_id)
            db.execute(
                "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = ? WHERE run_uuid = ?", (_now(), run_id)
            )

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str = "",
        deleted: bool | None = False,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
    ) -> list[RunInfo]:
        """Return runs by MLflow's filter grammar, newest first unless ordered; `deleted` None means both kinds."""
        where, values = search_statement(
            experiment_ids, parse_filter(filter_string), parse_order(order_by), deleted=deleted, limit=max_results
        )
        with self._reading("search runs") as db:
            return read_runs(db, where, values, file=self.path)

    def select(
        self,
        experiment_ids: Sequence[str],
        conditions: Sequence[Condition] = (),
        order: Sequence[SortKey] = (),
        *,
        words: Sequence[str] = (),
    ) -> list[str]:
        """Return the ids of all runs that fit, in order; for a browser, which reads only what it shows."""
        where, values = selection(experiment_ids, conditions, order, words=words)
        with self._reading("search runs") as db:
            head = said_table() if words else ""
            return [row[0] for row in db.execute(f"{head} SELECT run_uuid FROM runs {where}", values)]  # noqa: S608

    def runs(self, run_ids: Sequence[str]) -> list[RunInfo]:
        """Return these runs in this order; one that is not there is left out."""
        marks = ",".join("?" * len(run_ids))
        with self._reading("read runs") as db:
            found = {r.run_id: r for r in read_runs(db, f"WHERE run_uuid IN ({marks})", run_ids, file=self.path)}
        return [found[i] for i in run_ids if i in found]

    def count(self, experiment_ids: Sequence[str]) -> int:
        """Return how many runs these experiments have."""
        marks = ",".join("?" * len(experiment_ids))
        where = f"lifecycle_stage = 'active' AND experiment_id IN ({marks})"
        with self._reading("count runs") as db:
            return int(db.execute(f"SELECT COUNT(*) FROM runs WHERE {where}", experiment_ids).fetchone()[0])  # noqa: S608

    def keys(self) -> dict[str, list[str]]:
        """Return the names of all metrics, params and tags, by kind, sorted; hops from name to name."""
        tables = {"metrics": "latest_metrics", "params": "params", "tags": "tags"}
        with self._reading("list names") as db:
            return {
                kind: [
                    row[0]
                    for row in db.execute(
                        f"WITH RECURSIVE k(key) AS (SELECT MIN(key) FROM {table} UNION ALL "  # noqa: S608 - constants
                        f"SELECT (SELECT MIN(key) FROM {table} WHERE key > k.key) FROM k WHERE k.key IS NOT NULL) "
                        "SELECT key FROM k WHERE key IS NOT NULL"
                    )
                ]
                for kind, table in tables.items()
            }

    def log(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Write a batch in one transaction: all of it or, when this raises, nothing."""
        if not entries:
            return
        with self._writing("log") as db:
            require_active(db, run_id)
            write_metrics(db, run_id, [e for e in entries if isinstance(e, MetricPoint)])
            for entry in entries:
                match entry:
                    case ParamSet(name, value):
                        write_param(db, run_id, name, value)
                    case TagSet(name, value):
                        write_tag(db, run_id, name, value)
                    case TagDeleted(name):
                        db.execute("DELETE FROM tags WHERE run_uuid = ? AND key = ?", (run_id, name))

    def history(self, run_id: str, name: str) -> list[MetricPoint]:
        """Return all values of a metric in the order of steps."""
        with self._reading(f"read metric {name!r}") as db:
            rows = db.execute(
                "SELECT value, is_nan, step, timestamp FROM metrics WHERE run_uuid = ? AND key = ? "
                "ORDER BY step, timestamp", (run_id, name),
            ).fetchall()  # fmt: skip
        return [MetricPoint(name, number_of(v, nan), step, at / 1000) for v, nan, step, at in rows]

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file or a folder below `folder` of the run's artifacts, replacing one of that name."""
        keep_file(self._folder(run_id), path, folder)

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        """Return the entries directly below `folder`."""
        return files_in(self._folder(run_id), folder)

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        """Return the artifact's own place."""
        found = place_of(self._folder(run_id), path)
        if not found.exists():
            raise RefusedError(f"no artifact {path!r} in {found.parent}")
        return found

    def local_dir(self, run_id: str) -> Path | None:
        """Return the folder of the run's artifacts when it is on this machine."""
        if run_id not in self._folders:
            with self._reading(f"read run {run_id!r}") as db:
                row = db.execute("SELECT artifact_uri FROM runs WHERE run_uuid = ?", (run_id,)).fetchone()
            if row is None:
                raise RefusedError(f"no run {run_id!r} in {self.path.name}")
            self._folders[run_id] = local_path(artifacts_beside(self.path, row[0] or ""))
        return self._folders[run_id]

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _experiment(self, row: Sequence[object]) -> ExperimentInfo:
        location = artifacts_beside(self.path, str(row[3] or ""))
        return ExperimentInfo(str(row[0]), str(row[1]), row[2] != "active", location)

    def _folder(self, run_id: str) -> Path:
        found = self.local_dir(run_id)
        if found is None:
            raise RecorderError(
                f"the artifacts of run {run_id} are not on this machine; open the store through its MLflow server"
            )
        return found

    def _open(self) -> sqlite3.Connection:
        new_store(self.path, self.artifact_root, self._cache_dir)
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid != os.getpid():
            self._inherited.append(self._connection)
            self._connection = None
        if self._connection is None:
            self._connection = self._open()
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA case_sensitive_like = ON")
            self._pid = os.getpid()
        return self._connection

    @contextmanager
    def _reading(self, what: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated(what):
            yield self._connected()

    @contextmanager
    def _writing(self, what: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated(what):
            db = self._connected()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise RefusedError(f"cannot {what} in {self.path}: {error}") from error
        except (sqlite3.Error, OSError) as error:
            remedy = "check that the file is an MLflow store and that it and its folder can be written"
            refused = error if isinstance(error, OSError) else None
            kind: type[RecorderError] = RecorderError
            if "locked" in str(error):
                kind = UnreachableError
                remedy = "another process holds its lock; try again when that has ended"
            elif isinstance(error, sqlite3.OperationalError):  # it says no more than that it could not
                refused = what_refuses(self.path)
            if refused is not None:
                kind = UnreachableError if refused.errno in OF_THE_MACHINE else kind
                raise kind(f"cannot {what}: {refusal(refused, at=self.path)}") from error
            raise kind(f"cannot {what} in {self.path}: {error}; {remedy}") from error


def _deleted_name(row: Sequence[object]) -> str:
    return f"{str(row[1])[:180]} (deleted {time.strftime('%Y-%m-%d %H:%M:%S')}, {row[0]})"


def _now() -> int:
    return time.time_ns() // 1_000_000
