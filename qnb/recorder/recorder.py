"""Experiment and Recorder: what users call, written once on top of a `Store`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RecorderError
from .base import STATUSES, ArtifactInfo, ExperimentInfo, MetricPoint, RunInfo, Store
from .environment import environment_tags, record_environment
from .objects import find_artifact, load_object, save_object
from .writer import BatchWriter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Experiment", "Recorder"]

PARAMS_FILE = "params_full.json"
FULL_PARAM = 5900
_MISSING = object()


class Recorder:
    """One run in a tracking store.

    Attributes
    ----------
    id, name, experiment_id : str
        Who it is.
    status : str
        SCHEDULED, RUNNING, FINISHED or FAILED.
    start_time, end_time : str or None
        Local time as ``2026-11-21 06:12:31``.
    """

    STATUS_S, STATUS_R, STATUS_FI, STATUS_FA = STATUSES

    def __init__(self, store: Store, info: RunInfo) -> None:
        self._store = store
        self._info = info
        self._writer: BatchWriter | None = None
        self._long: dict[str, str] = {}
        self.id = info.run_id
        self.name = info.name
        self.experiment_id = info.experiment_id

    @property
    def status(self) -> str:
        """The run's status in the store."""
        status = self._info.status
        return {"KILLED": "FAILED"}.get(status, status)

    @property
    def start_time(self) -> str | None:
        """When it started, local time."""
        return _local(self._info.start)

    @property
    def end_time(self) -> str | None:
        """When it ended, local time; None while it runs."""
        return _local(self._info.end)

    @property
    def info(self) -> dict[str, Any]:
        """Id, name, experiment, times and status as a dict."""
        return {
            "class": "Recorder",
            "id": self.id,
            "name": self.name,
            "experiment_id": self.experiment_id,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "status": self.status,
        }

    @property
    def uri(self) -> str:
        """Tracking URI of the store."""
        return self._store.uri

    @property
    def artifact_uri(self) -> str:
        """Where the artifacts are."""
        return self._info.artifact_uri

    def get_local_dir(self) -> str | None:
        """Return the folder of the artifacts when it is on this machine, else None."""
        local = self._store.local_dir(self.id)
        return str(local) if local is not None else None

    def set_recorder_name(self, name: str) -> None:
        """Rename the run."""
        self._store.update_run(self.id, name=name)
        self.name = name

    def start_run(self) -> Recorder:
        """Mark the run as running and record command line, environment, host and uncommitted code; returns self."""
        self._store.update_run(self.id, status="RUNNING")
        self._info = self._store.run(self.id)
        self._writer = BatchWriter(
            self._store, self.id, Path(tempfile.gettempdir()) / f"qnb-unwritten-{self.id}.ndjson"
        )
        self.set_tags(**environment_tags())
        record_environment(self)
        return self

    def end_run(self, status: str = "FINISHED") -> None:
        """Write everything that is pending and end the run.

        Raises
        ------
        RecorderError
            For an unknown status, or when something could not be written (it is in a spool file then).
        """
        if status not in STATUSES:
            raise RecorderError(f"no status {status!r}; valid: {', '.join(STATUSES)}")
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        finally:
            self._store.update_run(self.id, status=status, end=time.time())
            self._info = self._store.run(self.id)

    def flush(self) -> None:
        """Write what is pending."""
        if self._writer is not None:
            self._writer.flush()

    def log_params(self, **params: Any) -> None:
        """Log parameters; their full length is kept whatever the store takes."""
        texts = {k: str(v) for k, v in params.items()}
        long = {k: v for k, v in texts.items() if len(v) > FULL_PARAM}
        if self._writer is not None:
            self._writer.params(texts)
        else:
            self._store.log(self.id, params=texts)
        if long:
            self._long.update(long)
            objects: dict[str, Any] = {PARAMS_FILE: dict(self._long)}
            self.save_objects(None, None, **objects)

    def log_metrics(self, step: int | None = None, **metrics: float) -> None:
        """Log metric values, in the background while the run is started; `step` orders a curve."""
        now = time.time()
        points = [MetricPoint(k, float(v), int(step or 0), now) for k, v in metrics.items()]
        if self._writer is not None:
            self._writer.metrics(points)
        else:
            self._store.log(self.id, metrics=points)

    def set_tags(self, **tags: Any) -> None:
        """Set tags."""
        texts = {k: str(v) for k, v in tags.items()}
        if self._writer is not None:
            self._writer.tags(texts)
        else:
            self._store.log(self.id, tags=texts)

    def delete_tags(self, *keys: str) -> None:
        """Remove tags."""
        self.flush()
        for key in keys:
            self._store.delete_tag(self.id, key)

    def save_objects(
        self, local_path: str | Path | None = None, artifact_path: str | None = None, **objects: Any
    ) -> None:
        """Save objects as artifacts.

        Parameters
        ----------
        local_path : path, optional
            A file, or a folder whose content is saved, instead of `objects`.
        artifact_path : str, optional
            Folder within the run.
        **objects
            Name and object: ``save_objects(**{"pred.pkl": frame})``. Frames become Parquet, dicts JSON, figures JSON,
            models their own format, each under the stem of the name.
        """
        folder = artifact_path or ""
        if local_path is not None:
            path = Path(local_path)
            if not path.exists():
                raise RecorderError(f"no file {str(path)!r} to save")
            for item in sorted(path.iterdir()) if path.is_dir() else [path]:
                self._store.put_file(self.id, item, folder)
        for name, value in objects.items():
            inner, _, last = name.rpartition("/")
            target = "/".join(p for p in (folder, inner) if p)
            with tempfile.TemporaryDirectory(prefix="qnb-") as scratch:
                self._store.put_file(self.id, save_object(value, last, Path(scratch)).path, target)

    def load_object(self, name: str) -> Any:
        """Return a saved object; ``load_object("pred.pkl")`` finds ``pred.parquet``.

        Raises
        ------
        RecorderError
            When there is no such artifact, or it is a pickle from elsewhere.
        """
        path = self._find(name)
        with tempfile.TemporaryDirectory(prefix="qnb-") as scratch:
            return load_object(self._store.fetch(self.id, path, Path(scratch)), trusted=self._own)

    def log_artifact(self, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Save a file or a folder under its own name."""
        path = Path(local_path)
        if not path.exists():
            raise RecorderError(f"no file {str(path)!r} to save")
        self._store.put_file(self.id, path, artifact_path or "")

    def download_artifact(self, path: str, dst_path: str | Path | None = None) -> str:
        """Return a local path of an artifact, copied to `dst_path` where it is given."""
        import shutil

        target = Path(dst_path) if dst_path is not None else Path(tempfile.mkdtemp(prefix="qnb-"))
        found = self._store.fetch(self.id, self._find(path), target)
        if dst_path is None or found.parent == target:
            return str(found)
        target.mkdir(parents=True, exist_ok=True)
        copied = target / found.name
        if found.is_dir():
            shutil.copytree(found, copied, dirs_exist_ok=True)
        else:
            shutil.copyfile(found, copied)
        return str(copied)

    def list_artifacts(self, artifact_path: str | None = None) -> list[str]:
        """Return the paths of the entries directly below `artifact_path`."""
        return [a.path for a in self._store.files(self.id, artifact_path or "")]

    def list_metrics(self) -> dict[str, float]:
        """Return the last value of every metric."""
        self.flush()
        return dict(self._store.run(self.id).metrics)

    def list_params(self) -> dict[str, str]:
        """Return all params in full length."""
        self.flush()
        params = dict(self._store.run(self.id).params)
        if any(a.path == PARAMS_FILE for a in self._store.files(self.id)):
            params.update(self.load_object(PARAMS_FILE))
        return params

    def list_tags(self) -> dict[str, str]:
        """Return all tags."""
        self.flush()
        return dict(self._store.run(self.id).tags)

    def metric_history(self, name: str) -> list[tuple[int, float]]:
        """Return (step, value) of every logged value of a metric."""
        self.flush()
        return [(p.step, p.value) for p in self._store.history(self.id, name)]

    @property
    def _own(self) -> bool:
        return self._store.local_dir(self.id) is not None or self._writer is not None

    def _find(self, name: str) -> str:
        folder = name.rpartition("/")[0]
        there: Iterable[ArtifactInfo] = self._store.files(self.id, folder)
        found = find_artifact(name, there)
        if found is None:
            from ..errors import nearest

            known = [a.path for a in there] or [a.path for a in self._store.files(self.id)]
            near = nearest(name, known)
            tail = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known[:12]) or 'none'}"
            raise RecorderError(f"run {self.name} has no artifact {name!r}; {tail}")
        return found

    def __repr__(self) -> str:
        return f"<Recorder {self.name} {self.id} {self.status}>"


class Experiment:
    """A named collection of runs."""

    def __init__(self, store: Store, info: ExperimentInfo) -> None:
        self._store = store
        self._info = info
        self.id = info.id
        self.name = info.name
        self.active_recorder: Recorder | None = None

    @property
    def info(self) -> dict[str, Any]:
        """Id, name and the recorder that is active."""
        active = self.active_recorder.id if self.active_recorder is not None else None
        return {"class": "Experiment", "id": self.id, "name": self.name, "active_recorder": active}

    def start(
        self, *, recorder_id: str | None = None, recorder_name: str | None = None, resume: bool = False
    ) -> Recorder:
        """Start a new run, or with `resume` the one of that id or name again, and return it."""
        if recorder_id is not None or (resume and recorder_name is not None):
            recorder = self.get_recorder(recorder_id=recorder_id, recorder_name=recorder_name, create=False)
        else:
            recorder = self.create_recorder(recorder_name)
        self.active_recorder = recorder.start_run()
        return recorder

    def end(self, recorder_status: str = "FINISHED") -> None:
        """End the active run."""
        recorder, self.active_recorder = self.active_recorder, None
        if recorder is not None:
            recorder.end_run(recorder_status)

    def create_recorder(self, recorder_name: str | None = None, tags: dict[str, str] | None = None) -> Recorder:
        """Create a run that is SCHEDULED until it is started."""
        return Recorder(self._store, self._store.create_run(self._info, recorder_name or "mlflow_recorder", tags or {}))

    def get_recorder(
        self,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        *,
        create: bool = False,
        start: bool = False,
    ) -> Recorder:
        """Return a run by id or, the latest, by name; without either the active one.

        Raises
        ------
        RecorderError
            When there is none and `create` is False.
        """
        recorder: Recorder | None = None
        if recorder_id is None and recorder_name is None and self.active_recorder is not None:
            return self.active_recorder
        if recorder_id is not None:
            recorder = Recorder(self._store, self._store.run(recorder_id))
        elif recorder_name is not None:
            quoted = recorder_name.replace("'", "''") if "'" not in recorder_name else None
            wanted = f"attributes.run_name = '{quoted}'" if quoted is not None else ""
            found = self._store.search([self.id], filter_string=wanted, order_by=["attributes.start_time DESC"])
            info = next((r for r in found if r.name == recorder_name), None)
            recorder = Recorder(self._store, info) if info is not None else None
        if recorder is None:
            if not create:
                what = f"run {recorder_name!r}" if recorder_name else "active run"
                raise RecorderError(f"experiment {self.name!r} has no {what}; list_recorders() shows what it has")
            recorder = self.create_recorder(recorder_name)
        if start:
            self.active_recorder = recorder.start_run()
        return recorder

    def search_records(
        self,
        filter_string: str = "",
        run_view_type: int | None = None,
        max_results: int = 100000,
        order_by: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return runs as a frame, MLflow's columns: run_id, status, metrics.*, params.*, tags.* ."""
        return runs_frame(
            self._store.search(
                [self.id], filter_string=filter_string, deleted=_view(run_view_type), max_results=max_results,
                order_by=order_by or (),
            )
        )  # fmt: skip

    def delete_recorder(self, recorder_id: str | None = None, recorder_name: str | None = None) -> None:
        """Delete a run by id or, the latest, by name."""
        if recorder_id is None and recorder_name is None:
            raise RecorderError("which run? give recorder_id or recorder_name")
        self._store.delete_run(recorder_id or self.get_recorder(recorder_name=recorder_name).id)

    def list_recorders(
        self, rtype: str = "dict", max_results: int = 50000, status: str | None = None, filter_string: str = ""
    ) -> dict[str, Recorder] | list[Recorder]:
        """Return runs, newest first: a dict by id, or with ``rtype="list"`` a list."""
        words = [w for w in (filter_string, f"attributes.status = '{status}'" if status else "") if w]
        found = self._store.search(
            [self.id], filter_string=" and ".join(words), max_results=max_results,
            order_by=["attributes.start_time DESC"],
        )  # fmt: skip
        recorders = [Recorder(self._store, info) for info in found]
        if rtype == "list":
            return recorders
        if rtype == "dict":
            return {r.id: r for r in recorders}
        raise RecorderError(f"no list type {rtype!r}; valid: dict, list")

    def __repr__(self) -> str:
        return f"<Experiment {self.name} {self.id}>"


def runs_frame(runs: Sequence[RunInfo]) -> pd.DataFrame:
    """Return runs as a frame with MLflow's column names; times are UTC."""
    import pandas as pd

    rows = [
        {
            "run_id": r.run_id,
            "experiment_id": r.experiment_id,
            "status": r.status,
            "artifact_uri": r.artifact_uri,
            "start_time": pd.Timestamp(r.start, unit="s", tz="UTC") if r.start else pd.NaT,
            "end_time": pd.Timestamp(r.end, unit="s", tz="UTC") if r.end else pd.NaT,
            **{f"metrics.{k}": v for k, v in r.metrics.items()},
            **{f"params.{k}": v for k, v in r.params.items()},
            **{f"tags.{k}": v for k, v in r.tags.items()},
        }
        for r in runs
    ]
    return pd.DataFrame(rows)


def _view(run_view_type: int | None) -> bool | None:
    """Translate MLflow's ViewType numbers: 1 active, 2 deleted, 3 all."""
    return {None: False, 1: False, 2: True, 3: None}.get(run_view_type, False)


def _local(seconds: float | None) -> str | None:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else None
