"""A run as its user sees it: params, metrics, tags and objects go in and come out again.

While a run is started, what is logged is written in the background (`qnb.recorder.writer`); reading writes it first.
A name that MLflow does not take is recorded under the nearest one it takes, and the log says so.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import RecorderError, nearest
from ..machine import process_id
from ..refused import NO_ROOM, refusal
from ..scratch import scratch_folder
from ..secrets import Vault, masked, shown
from ..threads import start_thread
from .artifacts import artifact_path as normal_path
from .artifacts import existing
from .base import (
    PARAM_LIMIT,
    STATUSES,
    TAG_LIMIT,
    ArtifactInfo,
    Entry,
    MetricPoint,
    ParamSet,
    RefusedError,
    RunInfo,
    Store,
    TagDeleted,
    TagSet,
    UnreachableError,
)  # fmt: skip
from .channel import Channel
from .environment import command_line, environment_files, environment_params, environment_tags
from .names import legal_name
from .objects import Saved, find_artifact, load_object, save_object
from .patience import Patience
from .spool import Kept, folders_of, name_of
from .stores import THROUGH_MLFLOW, is_on_this_machine

__all__ = ["Recorder"]

LONG_PARAMS = "long_params.json"
_MORE = f"… (whole text in {LONG_PARAMS})"
_LOG = logging.getLogger("qnb.recorder")
_started: set[str] = set()  # runs that this process wrote


class Recorder:
    """One run in a tracking store.

    Made by `Experiment` and `R`, not by hand.

    Parameters
    ----------
    store, info
        The store and what it says of the run.
    settings : Settings
        Whose store is the user's own; the working folder.

    Attributes
    ----------
    id, name, experiment_id : str
        Who it is.
    """

    STATUS_S, STATUS_R, STATUS_FI, STATUS_FA = STATUSES

    def __init__(self, store: Store, info: RunInfo, settings: Settings) -> None:
        self._store = store
        self._run = info
        self._settings = settings
        self._clean: Callable[[str], str] = masked
        self._channel: Channel | None = None
        self._surveyor: threading.Thread | None = None
        self._params: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self.id = info.run_id
        self.name = info.name
        self.experiment_id = info.experiment_id

    @property
    def status(self) -> str:
        """SCHEDULED, RUNNING, FINISHED or FAILED."""
        return "FAILED" if self._run.status == "KILLED" else self._run.status

    @property
    def start_time(self) -> str | None:
        """When it started, local time as ``2026-11-21 06:12:31``."""
        return _local(self._run.start)

    @property
    def end_time(self) -> str | None:
        """When it ended, local time; None while it runs."""
        return _local(self._run.end)

    @property
    def info(self) -> dict[str, Any]:
        """Id, name, experiment, times and status."""
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
        """Tracking URI of the store, as `R.set_uri` takes it."""
        return self._store.uri

    @property
    def artifact_uri(self) -> str:
        """Where the artifacts are."""
        return self._run.artifact_uri

    @property
    def artifact_dir(self) -> Path | None:
        """Folder of the artifacts when it is on this machine, else None."""
        return self._store.local_dir(self.id)

    @property
    def is_active(self) -> bool:
        """Whether the run was started here and has not ended."""
        return self._channel is not None

    def get_local_dir(self) -> str:
        """Return the run's own folder on this machine, which holds ``artifacts``.

        Raises
        ------
        RecorderError
            When the artifacts are elsewhere.
        """
        folder = self.artifact_dir
        if folder is None:
            raise RecorderError(
                f"the artifacts of run {self.name} are at {masked(self.artifact_uri)}, not on this machine"
            )
        return str(folder.parent)

    def set_recorder_name(self, rname: str) -> None:
        """Rename the run."""
        self._store.update_run(self.id, name=str(rname))
        self.name = str(rname)

    def start_run(self, *, survey: bool = True) -> Recorder:
        """Mark the run as running and record its surroundings; returns self.

        Command line and ``QNB_*`` variables become params, host and Python tags.

        Parameters
        ----------
        survey : bool
            Save packages and, by the setting ``log_code``, uncommitted code, too, in the background.
        """
        if self._channel is not None:
            return self
        if self._run.status != "RUNNING" or self._run.end is not None:
            self._store.update_run(self.id, status="RUNNING")
        before = self._run
        self._run = self._store.run(self.id)
        self._params = dict(self._run.params)
        self._clean = Vault.of(self._settings.work_dir).cleaner()
        work_dir = self._settings.work_dir
        kept = Kept(self.id, name_of(self._store.uri, work_dir), owner=process_id())
        self._channel = Channel(self._store, folders_of(work_dir, self._settings.cache_dir), kept)
        _started.add(self.id)
        resumed = before.end is not None or "cmd-sys.argv" in self._params
        if resumed:
            self.delete_tags("qnb.status", "qnb.error")
            self.set_tags(**environment_tags(), **{"qnb.resumed": command_line()})
        else:
            self.set_tags(**environment_tags())
            self.log_params(**environment_params())
        if survey:
            self._surveyor = start_thread(self._survey, name="qnb-environment")
        return self

    def wait_for_store(self, patience: Patience) -> None:
        """Have the started run outlast a store that is away: see `qnb.recorder.patience`."""
        if self._channel is not None:
            self._store = self._channel.wait_for_store(patience)

    def end_run(self, status: str = STATUS_FI) -> None:
        """Write everything that is pending and end the run.

        What a store that is away does not take is kept, and written by itself when the store answers again.

        Raises
        ------
        RecorderError
            For an unknown status; when something could not be written, or the end not be recorded.
        """
        if status not in STATUSES:
            raise RecorderError(f"no status {status!r}; valid: {', '.join(STATUSES)}")
        if self._surveyor is not None:
            self._surveyor.join()
        channel, store = self._channel, self._store
        self._channel, self._surveyor, self._store = None, None, getattr(store, "within", store)
        if channel is None:
            self._store.update_run(self.id, status=status, end=time.time())
            self._run = self._store.run(self.id)
            return
        try:
            channel.end(status)
        finally:
            self._run = channel.ended or self._run

    def flush(self) -> None:
        """Write what is pending, now."""
        if self._channel is not None:
            self._channel.flush()

    def log_params(self, **params: Any) -> None:
        """Log parameters. Each is written once; passwords in URIs and what is named like a secret are masked.

        Params longer than MLflow takes (6000 characters) are kept whole beside it; `list_params` returns them whole.

        Raises
        ------
        RefusedError
            For a param that has another value already.
        """
        entries: list[Entry] = []
        long: dict[str, str] = {}
        for given, value in params.items():
            name, text = legal_name("param", given), self._clean(shown(given, value))
            if len(text) > PARAM_LIMIT:
                long[name] = text
                text = text[: PARAM_LIMIT - len(_MORE)] + _MORE
            old = self._params.get(name)
            if old is not None and old != text:
                raise RefusedError(
                    f"param {name!r} is {_shown(old)} already and cannot become {_shown(text)}; params are written "
                    "once, use a metric or a tag for what changes"
                )
            if old is None:
                entries.append(ParamSet(name, text))
                self._params[name] = text
        if long:
            kept = {**self._long_params(), **long}
            self._put(json.dumps(kept), LONG_PARAMS, "")
        self._log(entries)

    def log_metrics(self, step: int | None = None, **metrics: float) -> None:
        """Log metric values; takes microseconds while the run is started.

        Parameters
        ----------
        step : int, optional
            Orders a curve (iteration, epoch); default 0.
        **metrics : float
            Values; NaN and infinities are kept.

        Raises
        ------
        RefusedError
            For what is no number.
        """
        now = time.time_ns() // 1_000_000
        at = 0 if step is None else int(step)
        entries: list[MetricPoint] = []
        for given, value in metrics.items():
            name = legal_name("metric", given)
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise RefusedError(f"metric {name!r} must be a number, received {_shown(value)}") from None
            # later is later: MLflow takes the larger of two values that were logged in the same millisecond
            ms = max(now, self._last.get(name, 0) + 1)
            self._last[name] = ms
            entries.append(MetricPoint(name, number, at, ms / 1000))
        self._log(entries)

    def log_curves(self, points: Iterable[MetricPoint]) -> None:
        """Log points with the time that each has; one that is there already is not there twice."""
        self._log([replace(p, name=legal_name("metric", p.name), value=float(p.value)) for p in points])

    def set_tags(self, **tags: Any) -> None:
        """Set tags; secrets are masked as in `log_params`, texts beyond MLflow's 8000 characters cut."""
        entries: list[Entry] = []
        for given, value in tags.items():
            name, text = legal_name("tag", given), self._clean(shown(given, value))
            entries.append(TagSet(name, text if len(text) <= TAG_LIMIT else text[: TAG_LIMIT - 1] + "…"))
        self._log(entries)

    def delete_tags(self, *keys: str) -> None:
        """Remove tags; one that is not there is no error."""
        self._log([TagDeleted(legal_name("tag", key)) for key in keys])

    def save_objects(
        self, local_path: str | Path | None = None, artifact_path: str | None = None, **objects: Any
    ) -> list[str]:
        """Save objects as artifacts, each all at once, and return their paths within the run.

        Parameters
        ----------
        local_path : path, optional
            A file, or a folder whose content is saved, instead of `objects`.
        artifact_path : str, optional
            Folder within the run.
        **objects
            Name and object: ``save_objects(**{"pred.pkl": frame})``. Frames become Parquet, dicts JSON, figures JSON,
            models their own format, each under the stem of the name; see `qnb.recorder.objects`.

        Raises
        ------
        RecorderError
            When both or neither are given, or something cannot be written.
        """
        if local_path is not None and objects:
            raise RecorderError("give either local_path or objects by name, not both")
        folder = artifact_path or ""
        if local_path is not None:
            path = existing(local_path)
            items = sorted(path.iterdir()) if path.is_dir() else [path]
            for item in items:
                self._store.put_file(self.id, item, folder)
            return ["/".join(p for p in (folder, item.name) if p) for item in items]
        return [self._put(value, name, folder) for name, value in objects.items()]

    def load_object(self, name: str, *, trust: bool | None = None) -> Any:
        """Return a saved object; ``load_object("pred.pkl")`` finds ``pred.parquet``.

        Parameters
        ----------
        name : str
            Path within the run, with or without a suffix.
        trust : bool, optional
            Whether pickles and classes from outside qnb may be loaded; by default only from the store of the settings
            and from runs of this process.

        Raises
        ------
        RecorderError
            When there is no such artifact (with the nearest), or it may not or cannot be read.
        """
        path = self._find(name)
        own = trust if trust is not None else self._is_own
        with scratch_folder() as scratch:
            return load_object(self._store.fetch(self.id, path, scratch), trusted=own)

    def log_artifact(self, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Save a file or a folder under its own name, below `artifact_path`."""
        self._store.put_file(self.id, existing(local_path), artifact_path or "")

    def download_artifact(self, path: str, dst_path: str | Path | None = None) -> str:
        """Return a local path of an artifact.

        Parameters
        ----------
        path : str
            File or folder within the run.
        dst_path : path, optional
            Folder that receives a copy; without it an artifact of this machine is not copied at all.
        """
        found_path = self._find(path)
        if dst_path is None and self.artifact_dir is not None:
            return str(self._store.fetch(self.id, found_path, Path()))
        target = Path(dst_path) if dst_path is not None else Path(tempfile.mkdtemp(prefix="qnb-"))
        target.mkdir(parents=True, exist_ok=True)
        found = self._store.fetch(self.id, found_path, target)
        if self.artifact_dir is None:
            return str(found)
        copied = target / found.name
        try:
            if found.is_dir():
                shutil.copytree(found, copied, dirs_exist_ok=True)
            else:
                shutil.copyfile(found, copied)
        except OSError as error:
            raise RecorderError(f"cannot copy {path} to {target}: {refusal(error)}") from error
        return str(copied)

    def list_artifacts(self, artifact_path: str | None = None) -> list[str]:
        """Return the paths of the entries directly below `artifact_path`."""
        return [a.path for a in self._store.files(self.id, artifact_path or "")]

    def list_files(self) -> list[ArtifactInfo]:
        """Return every file of the run with its size, and each folder before what is in it."""
        return list(self._below(""))

    @property
    def _is_own(self) -> bool:
        """Whether the store is that of the settings, or the run of this process: what it holds is the user's own."""
        uri = self._store.uri
        own, found = (u.removeprefix(THROUGH_MLFLOW) for u in (self._settings.tracking_uri, uri))
        return self.id in _started or uri.startswith("memory:") or own == found

    def _below(self, folder: str) -> Iterator[ArtifactInfo]:
        for entry in sorted(self._store.files(self.id, folder), key=lambda a: (a.is_dir, a.path)):
            yield entry
            if entry.is_dir:
                yield from self._below(entry.path)

    def list_metrics(self) -> dict[str, float]:
        """Return the last value of every metric."""
        return dict(self._fresh().metrics)

    def list_params(self) -> dict[str, str]:
        """Return all params in full length."""
        params = dict(self._fresh().params)
        if any(text.endswith(_MORE) for text in params.values()):
            params.update(self._long_params())
        return params

    def list_tags(self) -> dict[str, str]:
        """Return all tags."""
        return dict(self._fresh().tags)

    def metric_history(self, name: str) -> list[tuple[int, float]]:
        """Return (step, value) of every logged value of a metric, in the order of steps."""
        self.flush()
        return [(p.step, p.value) for p in self._store.history(self.id, name)]

    def _fresh(self) -> RunInfo:
        channel = self._channel
        self._run = self._store.run(self.id) if channel is None else channel.info(self._run, self._params)
        return self._run

    def _log(self, entries: Sequence[Entry]) -> None:
        if self._channel is not None:
            self._channel.put(entries)
        elif entries:
            self._store.log(self.id, entries)

    def _put(self, value: Any, name: str, folder: str) -> str:
        inner, _, last = normal_path(name, new=True).rpartition("/")
        target = "/".join(p for p in (folder, inner) if p)

        def put() -> str:
            try:
                with scratch_folder() as scratch:
                    saved: Saved = save_object(value, last, scratch)
                    self._store.put_file(self.id, saved.path, target)
                    return "/".join(p for p in (target, saved.path.name) if p)
            except OSError as error:
                kind = UnreachableError if error.errno in NO_ROOM else RecorderError
                raise kind(f"cannot save {name}: {refusal(error)}") from error

        try:
            return put()
        except UnreachableError as error:
            if self._channel is None or not isinstance(error.__cause__, OSError):
                raise
            return self._channel.patiently(put, anyway=True)  # until there is room

    def _find(self, name: str) -> str:
        path = normal_path(name)
        there = self._store.files(self.id, path.rpartition("/")[0])
        found = find_artifact(path, there)
        if found is None:
            known = [a.path for a in there] or [a.path for a in self._store.files(self.id)]
            near = nearest(path, known)
            tail = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(known[:12]) or 'none'}"
            raise RefusedError(f"run {self.name} has no artifact {name!r}; {tail}")
        return found

    def _long_params(self) -> dict[str, str]:
        if not any(a.path == LONG_PARAMS for a in self._store.files(self.id)):
            return {}
        return dict(self.load_object(LONG_PARAMS))

    def _survey(self) -> None:
        """Save packages and, where that is wanted, uncommitted code; what fails here is told and fails nothing."""
        code = self._settings.log_code
        try:
            here = is_on_this_machine(self._store.uri)
            texts, commit = environment_files(self._settings.work_dir, code=here if code is None else code)
            for name, text in texts.items():
                self._put(text, name, "")
            if commit:
                self.set_tags(**{"mlflow.source.git.commit": commit})
        except (RecorderError, OSError) as error:
            _LOG.warning("packages and uncommitted code were not recorded: %s", error)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recorder) and other.id == self.id and other._store.uri == self._store.uri

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Recorder {self.name} {self.id} {self.status}>"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _local(seconds: float | None) -> str | None:
    if seconds is None or math.isnan(seconds):
        return None
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
