"""Tracking stores through MLflow's own client: servers, PostgreSQL, MySQL, Databricks.

The only file that imports MLflow, and does so when a store is opened. Its warnings, its notices about tables and its
retries of several minutes are kept from the user here, at the calls that cause them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..config import default_cache_dir
from ..errors import RecorderError
from ..secrets import masked
from .artifacts import artifact_path, files_in, keep_file, place_of
from .base import (
    PARAM_LIMIT,
    TAG_LIMIT,
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
from .limit import Limited, within
from .probe import missing_driver, probe, refuse_folder
from .uris import ARTIFACTS, address_of, artifacts_beside, local_path, sqlite_path

__all__ = ["MlflowStore", "make_tables"]

LOCK_SECONDS = 120.0
BATCH = 100
PAGE = 1000
METRIC_BATCH = 1000
LOCKED_RETRIES = 6
CALL_SECONDS = 30.0
"""What a call of a server may take; those that carry files may take longer."""
_TRANSFERS = dict.fromkeys(("log_artifact", "log_artifacts", "download_artifacts"), 900.0)
T = TypeVar("T")
_REFUSALS = (
    "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST", "PERMISSION_DENIED",
    "INVALID_STATE",
)  # fmt: skip


class MlflowStore:
    """A tracking store behind an MLflow URI.

    Parameters
    ----------
    uri : str
        MLflow tracking URI: ``http(s)://``, ``postgresql://``, ``mysql://``, ``sqlite:///``, ``databricks``.

    Raises
    ------
    RecorderError
        When the store cannot be reached within seconds, or its driver is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        refuse_folder(uri)
        self._folders: dict[str, Path | None] = {}
        self._pid = os.getpid()
        path = sqlite_path(uri)
        self._file = path
        probe(uri)
        with self._translated("open the store"), _opening(uri):
            self._client = within(LOCK_SECONDS, lambda: _opened(uri))
        if address_of(uri) is not None:
            self._client = Limited(self._client, CALL_SECONDS, _TRANSFERS, lambda: probe(uri))

    def experiment(self, *, id: str | None = None, name: str | None = None) -> ExperimentInfo | None:
        """Return the experiment of that id or name, or None; a deleted one counts as none."""
        found = self._experiment(id=id, name=name)
        return _experiment_info(found) if found is not None and found.lifecycle_stage == "active" else None

    def create_experiment(self, name: str) -> ExperimentInfo:
        """Return the experiment `name`, created if need be; safe when several processes ask at once."""
        existing = self._experiment(name=name)
        if existing is not None and existing.lifecycle_stage == "active":
            return _experiment_info(existing)
        with self._translated(f"create the experiment {name!r}"):
            if existing is not None:  # deleted by MLflow, which keeps the name; only an active one can be renamed
                self._client.restore_experiment(existing.experiment_id)
                self._client.rename_experiment(existing.experiment_id, _deleted_name(existing))
                self._client.delete_experiment(existing.experiment_id)
            location = None
            if self._file is not None:
                digest = hashlib.blake2b(name.encode(), digest_size=6).hexdigest()
                location = str(self._file.parent / ARTIFACTS / digest)
            try:
                self._retry(lambda: self._client.create_experiment(name, artifact_location=location))
            except _exception() as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS" and "UNIQUE" not in str(error).upper():
                    raise
        found = self.experiment(name=name)
        if found is None:
            raise RefusedError(f"the store made no experiment {name!r}; ask whoever runs {masked(self.uri)}")
        return found

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments that are not deleted, oldest first."""
        with self._translated("list experiments"):
            found = [_experiment_info(e) for e in _pages(self._client.search_experiments)]
        return found[::-1]

    def delete_experiment(self, id: str) -> None:
        """Delete an experiment with its runs; its name is free again."""
        with self._translated("delete the experiment"):
            old = self._client.get_experiment(id)
            self._client.rename_experiment(id, _deleted_name(old))
            self._client.delete_experiment(id)

    def create_run(
        self, experiment: ExperimentInfo, name: str, *, tags: Mapping[str, str], status: str = "SCHEDULED"
    ) -> RunInfo:
        """Create a run."""
        with self._translated("create a run"):
            run = self._retry(lambda: self._client.create_run(experiment.id, run_name=name, tags=dict(tags)))
            if status != "RUNNING":
                self._retry(lambda: self._client.update_run(run.info.run_id, status=status))
        return self.run(run.info.run_id)

    def run(self, run_id: str) -> RunInfo:
        """Return a run with its last metrics, params and tags."""
        with self._translated(f"read run {run_id!r}"):
            return self._run_info(self._client.get_run(run_id))

    def update_run(
        self, run_id: str, *, status: str | None = None, name: str | None = None, end: float | None = None
    ) -> None:
        """Change status, name or end of a run."""
        with self._translated("update the run"):
            if end is not None:
                self._retry(lambda: self._client.set_terminated(run_id, status=status, end_time=round(end * 1000)))
                status = None
            if status is not None or name is not None:
                self._retry(lambda: self._client.update_run(run_id, status=status, name=name))

    def delete_run(self, run_id: str) -> None:
        """Delete a run."""
        with self._translated("delete the run"):
            self._retry(lambda: self._client.delete_run(run_id))

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
        from mlflow.entities import ViewType

        view = {False: ViewType.ACTIVE_ONLY, True: ViewType.DELETED_ONLY, None: ViewType.ALL}[deleted]
        found: list[RunInfo] = []
        for page in self._pages(experiment_ids, filter_string, view, order_by, min(PAGE, max_results)):
            found.extend(page)
            if len(found) >= max_results:
                break
        return found[:max_results]

    def search_pages(
        self, experiment_ids: Sequence[str], *, filter_string: str = "", order_by: Sequence[str] = ()
    ) -> Iterator[list[RunInfo]]:
        """Yield what `search` finds of runs that are not deleted, a page at a time, as far as it is asked for."""
        from mlflow.entities import ViewType

        yield from self._pages(experiment_ids, filter_string, ViewType.ACTIVE_ONLY, order_by, PAGE)

    def _pages(
        self, experiment_ids: Sequence[str], filter_string: str, view: Any, order_by: Sequence[str], size: int
    ) -> Iterator[list[RunInfo]]:
        token, more = None, bool(experiment_ids) and size > 0
        while more:
            with self._translated("search runs"):
                page = self._client.search_runs(
                    [str(i) for i in experiment_ids], filter_string=filter_string or "", run_view_type=view,
                    max_results=size, order_by=list(order_by) or None, page_token=token,
                )  # fmt: skip
                found = [self._run_info(r) for r in page]
            token = page.token
            more = bool(token)
            yield found

    def log(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Write a batch; a tag that is set and deleted keeps its order."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(e.name, e.value, round(e.time * 1000), e.step) for e in entries if isinstance(e, MetricPoint)]
        params = [Param(e.name, e.value[:PARAM_LIMIT]) for e in entries if isinstance(e, ParamSet)]
        tags: dict[str, str | None] = {}
        for entry in entries:
            if isinstance(entry, TagSet):
                tags[entry.name] = entry.value[:TAG_LIMIT]
            elif isinstance(entry, TagDeleted):
                tags[entry.name] = None
        marks = [RunTag(k, v) for k, v in tags.items() if v is not None]
        with self._translated("log"):
            for k in range(0, len(metrics), METRIC_BATCH):
                self._batch(run_id, metrics=metrics[k : k + METRIC_BATCH])
            for k in range(0, len(params), BATCH):
                self._batch(run_id, params=params[k : k + BATCH])
            for k in range(0, len(marks), BATCH):
                self._batch(run_id, tags=marks[k : k + BATCH])
            for key in (k for k, v in tags.items() if v is None):
                self._delete_tag(run_id, key)

    def history(self, run_id: str, name: str) -> list[MetricPoint]:
        """Return all values of a metric in the order of steps."""
        with self._translated(f"read metric {name!r}"):
            points = self._client.get_metric_history(run_id, name)
        found = (MetricPoint(p.key, p.value, p.step, p.timestamp / 1000) for p in points)
        return sorted(found, key=lambda p: (p.step, p.time))

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file or a folder below `folder` of the run's artifacts, replacing one of that name."""
        local = self.local_dir(run_id)
        if local is not None:
            keep_file(local, path, folder)
            return
        target = artifact_path("/".join(p for p in (folder, path.name) if p), new=True)
        with self._translated(f"save artifact {target!r}"):
            if path.is_dir():
                self._client.log_artifacts(run_id, str(path), target)
            else:
                self._client.log_artifact(run_id, str(path), folder or None)

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        """Return the entries directly below `folder`."""
        local = self.local_dir(run_id)
        if local is not None:
            return files_in(local, folder)
        with self._translated("list artifacts"):
            found = self._client.list_artifacts(run_id, artifact_path(folder) if folder else None)
        return [ArtifactInfo(f.path, f.is_dir, f.file_size or 0) for f in found]

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        """Return a local path of an artifact: its own place when it is on this machine, else a copy below `target`."""
        local = self.local_dir(run_id)
        if local is not None:
            found = place_of(local, path)
            if not found.exists():
                raise RefusedError(f"no artifact {path!r} in {found.parent}")
            return found
        target.mkdir(parents=True, exist_ok=True)
        with self._translated(f"download artifact {path!r}"):
            return Path(self._client.download_artifacts(run_id, artifact_path(path), str(target)))

    def local_dir(self, run_id: str) -> Path | None:
        """Return the folder of the run's artifacts when it is on this machine."""
        if run_id not in self._folders:
            self.run(run_id)
        return self._folders[run_id]

    def _experiment(self, *, id: str | None = None, name: str | None = None) -> Any:
        with self._translated("read an experiment"):
            try:
                return self._client.get_experiment(id) if id else self._client.get_experiment_by_name(str(name))
            except _exception() as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def _run_info(self, run: Any) -> RunInfo:
        info = run.info
        place = info.artifact_uri or ""
        place = place if self._file is None else artifacts_beside(self._file, place)
        self._folders[info.run_id] = local_path(place)
        return RunInfo(
            run_id=info.run_id, name=info.run_name or "", experiment_id=info.experiment_id, status=info.status,
            start=info.start_time / 1000 if info.start_time else None,
            end=info.end_time / 1000 if info.end_time and info.status != "RUNNING" else None,  # MLflow keeps an old end
            metrics=dict(run.data.metrics), params=dict(run.data.params), tags=dict(run.data.tags),
            artifact_uri=place, deleted=info.lifecycle_stage == "deleted",
        )  # fmt: skip

    def _batch(self, run_id: str, **values: Any) -> None:
        self._retry(lambda: self._client.log_batch(run_id, **values))

    def _delete_tag(self, run_id: str, key: str) -> None:
        try:
            self._retry(lambda: self._client.delete_tag(run_id, key))
        except _exception() as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise

    def _retry(self, call: Callable[[], T]) -> T:
        """Call again while SQLite says that another process holds its lock."""
        for attempt in range(LOCKED_RETRIES):
            try:
                return call()
            except _exception() as error:
                if "database is locked" not in str(error) or attempt == LOCKED_RETRIES - 1:
                    raise
                time.sleep(0.05 * 2**attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Turn what MLflow raises into a `RecorderError` that names the store."""
        try:
            yield
        except RecorderError:
            raise
        except ImportError as error:
            raise RecorderError(missing_driver(self.uri, error)) from error
        except _errors() as error:
            text = masked(str(error).strip() or type(error).__name__).splitlines()[0][:400]
            message = f"cannot {what} at {masked(self.uri)}: {text}"
            if _is_outage(error):
                raise UnreachableError(f"{message}; see whether the server runs and answers") from error
            if getattr(error, "error_code", None) in _REFUSALS:
                raise RefusedError(message) from error
            raise RecorderError(
                f"{message}; check that the server runs and the URI is right, or leave it out for sqlite:///mlflow.db"
            ) from error


def make_tables(path: str) -> None:
    """Make an empty SQLite store of this MLflow version at `path`; for a process of its own, see `template`."""
    import sqlalchemy

    @sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "connect")
    def hasten(connection: Any, _: object) -> None:  # a file that is moved into place when it is whole needs no fsync
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    uri = f"sqlite:///{path}"
    with _opening(uri):
        _opened(uri)


def _opened(uri: str) -> Any:
    """Return a client whose store has its tables."""
    client = _client(uri)
    client.search_experiments(max_results=1)
    return client


def _client(uri: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside MLflow's own imports
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=uri)


@contextmanager
def _opening(uri: str) -> Iterator[None]:
    """Open one store at a time on this machine, quietly, and give up on a server soon.

    Two processes that make the tables of one database at once: one fails. MLflow tells of every migration, repeats a
    request for minutes, and calls home, unless the environment says otherwise; what the user set there stays.
    """
    from filelock import FileLock

    for name, value in (
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "30"),
    ):
        os.environ.setdefault(name, value)
    digest = hashlib.blake2b(uri.encode(), digest_size=8).hexdigest()
    loggers = [logging.getLogger(n) for n in ("mlflow.store.db.utils", "alembic.runtime.migration")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        locks = default_cache_dir() / "locks"  # not the temporary folder, where anybody may take the name first
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{digest}.lock", timeout=LOCK_SECONDS):
            yield
    finally:
        loggers[1].setLevel(levels[1])  # the first one only ever repeats what is raised, so it stays quiet


def _exception() -> type[Any]:
    from mlflow.exceptions import MlflowException

    return MlflowException


def _is_outage(error: BaseException) -> bool:
    """Return whether the store did not answer, rather than refuse."""
    import requests
    import sqlalchemy

    away = (
        sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.TimeoutError,
        requests.ConnectionError, requests.Timeout, ConnectionError, TimeoutError,
    )  # fmt: skip
    for cause in (error, error.__cause__, error.__context__):  # MLflow takes a lost connection for a bad request
        response = getattr(cause, "response", None)
        if isinstance(cause, away) or getattr(cause, "connection_invalidated", False):
            return True
        if response is not None and getattr(response, "status_code", 0) >= 500:
            return True
    return getattr(error, "error_code", None) == "TEMPORARILY_UNAVAILABLE"


def _errors() -> tuple[type[BaseException], ...]:
    import requests
    import sqlalchemy

    return (_exception(), sqlalchemy.exc.SQLAlchemyError, requests.RequestException, OSError)


def _experiment_info(found: Any) -> ExperimentInfo:
    return ExperimentInfo(
        str(found.experiment_id), found.name, found.lifecycle_stage != "active", found.artifact_location or ""
    )


def _deleted_name(found: Any) -> str:
    return f"{found.name[:180]} (deleted {time.strftime('%Y-%m-%d %H:%M:%S')}, {found.experiment_id})"


def _pages(call: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = call(max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
