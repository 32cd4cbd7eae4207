"""The tracking store on MLflow; the only file that imports mlflow, and only when a store is opened.

A new SQLite store is copied from a template that is made once per MLflow version: making one takes seconds, copying it
milliseconds. A file lock lets several processes open a new store at once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..config import default_cache_dir
from ..errors import RecorderError
from .base import ArtifactInfo, ExperimentInfo, MetricPoint, RunInfo

__all__ = ["MlflowStore"]

T = TypeVar("T")
PARAM_LIMIT = 6000
TAG_LIMIT = 8000
BATCH = 1000
LOCKED_RETRIES = 8
_LOG = logging.getLogger("qnb.recorder")


class MlflowStore:
    """A store at an MLflow tracking URI.

    Parameters
    ----------
    uri : str
        ``sqlite:///path.db``, ``postgresql://…``, ``http://…`` and whatever else MLflow understands; a relative SQLite
        path starts from the working folder.

    Raises
    ------
    RecorderError
        When the store cannot be reached, with the password of the URI masked.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._path = _sqlite_path(uri)
        self._names: dict[str, str] = {}
        _quiet()
        with self._translated("open the store"):
            if self._path is not None:
                self._client = _open_sqlite(self._path)
            else:
                self._client = _client(uri)
                self._client.search_experiments(max_results=1)

    def experiment(self, *, id: str | None = None, name: str | None = None) -> ExperimentInfo | None:
        """Return the experiment of that id or name, or None."""
        with self._translated("read an experiment"):
            try:
                found = self._client.get_experiment(id) if id else self._client.get_experiment_by_name(str(name))
            except _exception() as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return _experiment_info(found) if found is not None and found.lifecycle_stage == "active" else None

    def create_experiment(self, name: str) -> ExperimentInfo:
        """Return the experiment `name`, created if need be."""
        found = self.experiment(name=name)
        if found is not None:
            return found
        location = None
        if self._path is not None:
            stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:40].strip("_") or "experiment"
            folder = (
                self._path.parent
                / "mlartifacts"
                / f"{stem}-{hashlib.blake2b(name.encode(), digest_size=3).hexdigest()}"
            )
            location = folder.as_uri()
        with self._translated(f"create the experiment {name!r}"):
            try:
                self._retry(lambda: self._client.create_experiment(name, artifact_location=location))
            except _exception() as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS" and "UNIQUE" not in str(error):
                    raise
        found = self.experiment(name=name)
        if found is None:
            raise RecorderError(f"experiment {name!r} was deleted; choose another name, or run `mlflow gc` first")
        return found

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments that are not deleted."""
        with self._translated("list experiments"):
            return [_experiment_info(e) for e in _pages(self._client.search_experiments)]

    def delete_experiment(self, id: str) -> None:
        """Delete an experiment; it is renamed first, so that its name is free again."""
        with self._translated("delete the experiment"):
            old = self._client.get_experiment(id)
            self._client.rename_experiment(id, f"{old.name} (deleted {time.strftime('%Y-%m-%d %H:%M:%S')} {id})")
            self._client.delete_experiment(id)

    def create_run(self, experiment: ExperimentInfo, name: str, tags: Mapping[str, str]) -> RunInfo:
        """Create a run, SCHEDULED until it is updated."""
        with self._translated("create a run"):
            run = self._retry(lambda: self._client.create_run(experiment.id, run_name=name, tags=dict(tags)))
            self._retry(lambda: self._client.update_run(run.info.run_id, status="SCHEDULED"))
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
                self._retry(lambda: self._client.set_terminated(run_id, status=status, end_time=int(end * 1000)))
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
        """Return runs by MLflow's filter grammar; `deleted` None means both kinds."""
        from mlflow.entities import ViewType

        view = {False: ViewType.ACTIVE_ONLY, True: ViewType.DELETED_ONLY, None: ViewType.ALL}[deleted]
        found: list[RunInfo] = []
        token = None
        with self._translated("search runs"):
            while len(found) < max_results:
                page = self._client.search_runs(
                    list(experiment_ids), filter_string=filter_string, run_view_type=view,
                    max_results=min(1000, max_results - len(found)), order_by=list(order_by) or None, page_token=token,
                )  # fmt: skip
                found.extend(self._run_info(r) for r in page)
                token = page.token
                if not token:
                    break
        return found

    def log(
        self,
        run_id: str,
        *,
        metrics: Sequence[MetricPoint] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write a batch, in order; params longer than the store takes are shortened."""
        from mlflow.entities import Metric, Param, RunTag

        points = [Metric(m.name, m.value, int(m.time * 1000), m.step) for m in metrics]
        texts = [Param(k, _short(v, PARAM_LIMIT)) for k, v in (params or {}).items()]
        marks = [RunTag(k, _short(v, TAG_LIMIT)) for k, v in (tags or {}).items()]
        with self._translated("log"):
            for k in range(0, len(points), BATCH):
                self._batch(run_id, metrics=points[k : k + BATCH])
            for k in range(0, len(texts), 100):
                self._batch(run_id, params=texts[k : k + 100])
            for k in range(0, len(marks), 100):
                self._batch(run_id, tags=marks[k : k + 100])

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        with self._translated(f"delete tag {key!r}"):
            self._retry(lambda: self._client.delete_tag(run_id, key))

    def history(self, run_id: str, name: str) -> list[MetricPoint]:
        """Return all values of a metric in the order of steps."""
        with self._translated(f"read metric {name!r}"):
            points = self._client.get_metric_history(run_id, name)
        return sorted((MetricPoint(p.key, p.value, p.step, p.timestamp / 1000) for p in points), key=lambda p: p.step)

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file or a folder below `folder` of the run's artifacts, all at once where they are on this machine."""
        local = self.local_dir(run_id)
        if local is not None:
            _copy_atomically(path, local / folder / path.name)
            return
        with self._translated("save an artifact"):
            if path.is_dir():
                self._client.log_artifacts(run_id, str(path), "/".join(p for p in (folder, path.name) if p))
            else:
                self._client.log_artifact(run_id, str(path), folder or None)

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        """Return the entries directly below `folder`."""
        local = self.local_dir(run_id)
        if local is not None:
            base = local / folder
            if not base.is_dir():
                return []
            entries = sorted(p for p in base.iterdir() if not p.name.startswith("."))
            return [
                ArtifactInfo(p.relative_to(local).as_posix(), p.is_dir(), 0 if p.is_dir() else p.stat().st_size)
                for p in entries
            ]
        with self._translated("list artifacts"):
            found = self._client.list_artifacts(run_id, folder or None)
        return [ArtifactInfo(f.path, f.is_dir, f.file_size or 0) for f in found]

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        """Return a local path of an artifact."""
        local = self.local_dir(run_id)
        if local is not None:
            return local / path
        with self._translated(f"download {path!r}"):
            return Path(self._client.download_artifacts(run_id, path, str(target)))

    def local_dir(self, run_id: str) -> Path | None:
        """Return the folder of the run's artifacts when it is on this machine."""
        uri = self._names.get(run_id)
        if uri is None:
            uri = self.run(run_id).artifact_uri
        parts = urlsplit(uri)
        if parts.scheme == "file":
            return Path(url2pathname(parts.path))
        return Path(uri) if parts.scheme == "" else None

    def _run_info(self, run: Any) -> RunInfo:
        info = run.info
        self._names[info.run_id] = info.artifact_uri
        return RunInfo(
            run_id=info.run_id, name=info.run_name or "", experiment_id=info.experiment_id, status=info.status,
            start=info.start_time / 1000 if info.start_time else None,
            end=info.end_time / 1000 if info.end_time else None,
            metrics=dict(run.data.metrics), params=dict(run.data.params), tags=dict(run.data.tags),
            artifact_uri=info.artifact_uri,
        )  # fmt: skip

    def _batch(self, run_id: str, **values: Any) -> None:
        self._retry(lambda: self._client.log_batch(run_id, **values))

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
            raise RecorderError(f"cannot {what} at {masked(self.uri)}: {error}") from error
        except _errors() as error:
            reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            raise RecorderError(
                f"cannot {what} at {masked(self.uri)}: {masked(reason)}; check recorder uri and server, or leave the uri out "
                "for sqlite:///mlflow.db in this folder"
            ) from error


def masked(uri: str) -> str:
    """Return `uri` without the password it may carry."""
    return re.sub(r"(://[^:/@]+):[^@/]+@", r"\1:***@", uri)


def _exception() -> type[Any]:
    from mlflow.exceptions import MlflowException

    return MlflowException


def _errors() -> tuple[type[BaseException], ...]:
    import requests
    import sqlalchemy

    return (_exception(), sqlalchemy.exc.SQLAlchemyError, requests.RequestException, OSError, sqlite3.Error)


def _quiet() -> None:
    """Keep MLflow from calling home, from retrying for minutes, and from telling the user about its tables."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _client(uri: str) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside mlflow's own imports
        from mlflow.tracking import MlflowClient

        _quiet()
        return MlflowClient(tracking_uri=uri)


def _open_sqlite(path: Path) -> Any:
    if path.exists() and path.stat().st_size:
        return _client(f"sqlite:///{path}")
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        if not (path.exists() and path.stat().st_size):
            shutil.copyfile(_template(), path.with_name(path.name + ".new"))
            os.replace(path.with_name(path.name + ".new"), path)
    return _client(f"sqlite:///{path}")


def _template() -> Path:
    """Return an empty SQLite store of this MLflow version, made on first use."""
    from importlib.metadata import version

    from filelock import FileLock

    folder = default_cache_dir() / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"empty-{version('mlflow')}.db"
    with FileLock(folder / "lock"):
        if not made.exists():
            fresh = folder / f"empty-{os.getpid()}.db"
            fresh.unlink(missing_ok=True)
            client = _client(f"sqlite:///{fresh}")
            client.search_experiments(max_results=1)
            with sqlite3.connect(fresh) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                # the default experiment points at this folder; a copy's own runs never use it
                connection.execute(
                    "UPDATE experiments SET artifact_location = './mlartifacts/0' WHERE experiment_id = 0"
                )
            connection.close()
            os.replace(fresh, made)
    return made


def _sqlite_path(uri: str) -> Path | None:
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").split("?")[0]).expanduser().absolute()


def _experiment_info(found: Any) -> ExperimentInfo:
    return ExperimentInfo(
        found.experiment_id, found.name, found.lifecycle_stage != "active", found.artifact_location or ""
    )


def _pages(call: Callable[..., Any]) -> Iterator[Any]:
    token = None
    while True:
        page = call(max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 20] + " … (see params.json)"[:20]


def _copy_atomically(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        if source.is_dir():
            shutil.copytree(source, temporary)
            if target.exists():
                shutil.rmtree(target)
        else:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise RecorderError(f"cannot save {target.name} to {target.parent}: {error.strerror or error}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
