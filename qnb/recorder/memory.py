"""A tracking store in the memory of this process: for tests and throw-away runs."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import RecorderError
from .base import ArtifactInfo, ExperimentInfo, MetricPoint, RunInfo

__all__ = ["MemoryStore"]

_TERM = re.compile(
    r"\s*(?:(metrics|params|tags|attributes)\.)?[`\"]?([\w.\-/ ]+?)[`\"]?\s*(!=|>=|<=|=|>|<|\bI?LIKE\b)\s*"
    r"(?:'([^']*)'|\"([^\"]*)\"|([-+\d.eE]+))\s*",
    re.IGNORECASE,
)


class MemoryStore:
    """Keeps everything in dicts; artifacts lie in a temporary folder that goes with the process.

    Parameters
    ----------
    uri : str
        ``memory:NAME``.
    """

    def __init__(self, uri: str = "memory:") -> None:
        self.uri = uri
        self._folder = tempfile.TemporaryDirectory(prefix="qnb-memory-")
        self._experiments: dict[str, ExperimentInfo] = {}
        self._runs: dict[str, RunInfo] = {}
        self._deleted: set[str] = set()
        self._points: dict[str, list[MetricPoint]] = {}

    def experiment(self, *, id: str | None = None, name: str | None = None) -> ExperimentInfo | None:
        """Return the experiment of that id or name, or None."""
        for experiment in self._experiments.values():
            if not experiment.deleted and (experiment.id == id or (id is None and experiment.name == name)):
                return experiment
        return None

    def create_experiment(self, name: str) -> ExperimentInfo:
        """Return the experiment `name`, created if need be."""
        found = self.experiment(name=name)
        if found is None:
            found = ExperimentInfo(str(len(self._experiments) + 1), name)
            self._experiments[found.id] = found
        return found

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments that are not deleted."""
        return [e for e in self._experiments.values() if not e.deleted]

    def delete_experiment(self, id: str) -> None:
        """Delete an experiment with its runs."""
        self._experiments[id] = replace(self._experiments[id], deleted=True)
        self._deleted.update(r.run_id for r in self._runs.values() if r.experiment_id == id)

    def create_run(self, experiment: ExperimentInfo, name: str, tags: Mapping[str, str]) -> RunInfo:
        """Create a run, SCHEDULED until it is updated."""
        run_id = uuid.uuid4().hex
        folder = Path(self._folder.name) / run_id
        folder.mkdir()
        self._runs[run_id] = RunInfo(
            run_id, name, experiment.id, experiment.name, start=time.time(), tags=dict(tags), artifact_uri=str(folder)
        )
        self._points[run_id] = []
        return self._runs[run_id]

    def run(self, run_id: str) -> RunInfo:
        """Return a run with its last metrics, params and tags."""
        if run_id not in self._runs or run_id in self._deleted:
            raise RecorderError(f"no run {run_id!r} in {self.uri}")
        last = {p.name: p.value for p in self._points[run_id]}
        return replace(self._runs[run_id], metrics=last)

    def update_run(
        self, run_id: str, *, status: str | None = None, name: str | None = None, end: float | None = None
    ) -> None:
        """Change status, name or end of a run."""
        run = self.run(run_id)
        self._runs[run_id] = replace(run, status=status or run.status, name=name or run.name, end=end or run.end)

    def delete_run(self, run_id: str) -> None:
        """Delete a run."""
        self.run(run_id)
        self._deleted.add(run_id)

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str = "",
        deleted: bool | None = False,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
    ) -> list[RunInfo]:
        """Return runs by the part of MLflow's filter grammar that compares and joins with ``and``."""
        test = _filter(filter_string)
        found = []
        for run in self._runs.values():
            gone = run.run_id in self._deleted
            if run.experiment_id in experiment_ids and (deleted is None or gone == deleted):
                full = replace(run, metrics={p.name: p.value for p in self._points[run.run_id]})
                if test(full):
                    found.append(full)
        found.sort(key=lambda r: r.start or 0.0, reverse=True)
        for order in reversed(list(order_by)):
            name, _, way = order.partition(" ")
            found.sort(key=lambda r: str(_value(r, *_split(name)) or ""), reverse=way.upper() == "DESC")
        return found[:max_results]

    def log(
        self,
        run_id: str,
        *,
        metrics: Sequence[MetricPoint] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write a batch, in order."""
        run = self.run(run_id)
        self._points[run_id].extend(metrics)
        self._runs[run_id] = replace(run, params={**run.params, **(params or {})}, tags={**run.tags, **(tags or {})})

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        run = self.run(run_id)
        if key not in run.tags:
            raise RecorderError(f"run {run.name} has no tag {key!r}")
        self._runs[run_id] = replace(run, tags={k: v for k, v in run.tags.items() if k != key})

    def history(self, run_id: str, name: str) -> list[MetricPoint]:
        """Return all values of a metric in the order of steps."""
        self.run(run_id)
        return sorted((p for p in self._points[run_id] if p.name == name), key=lambda p: p.step)

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file or a folder below `folder` of the run's artifacts."""
        target = self.local_dir(run_id) / folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, target)

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        """Return the entries directly below `folder`."""
        root = self.local_dir(run_id)
        base = root / folder
        entries = sorted(base.iterdir()) if base.is_dir() else []
        return [ArtifactInfo(p.relative_to(root).as_posix(), p.is_dir(), p.stat().st_size) for p in entries]

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        """Return the artifact's own place."""
        return self.local_dir(run_id) / path

    def local_dir(self, run_id: str) -> Path:
        """Return the folder of the run's artifacts."""
        return Path(self.run(run_id).artifact_uri)


def _filter(text: str) -> Callable[[RunInfo], bool]:
    tests = []
    for part in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text.strip() else []:
        match = _TERM.fullmatch(part)
        if match is None:
            raise RecorderError(f"cannot read the filter {part!r}; write e.g. metrics.IC > 0.04 and tags.market = 'cn'")
        kind, name, operator, single, double, number = match.groups()
        wanted: str | float = float(number) if number is not None else single if single is not None else double
        tests.append((kind or "attributes", name, operator.upper(), wanted))
    return lambda run: all(_holds(_value(run, k, n), o, w) for k, n, o, w in tests)


def _split(name: str) -> tuple[str, str]:
    kind, _, key = name.partition(".")
    return (kind, key) if key else ("attributes", kind)


def _value(run: RunInfo, kind: str, name: str) -> str | float | None:
    if kind == "attributes":
        fields = {"run_name": run.name, "run_id": run.run_id, "status": run.status, "start_time": run.start}
        return fields.get(name)
    return getattr(run, kind).get(name)


def _holds(value: str | float | None, operator: str, wanted: str | float) -> bool:
    if value is None:
        return False
    if operator in ("LIKE", "ILIKE"):
        pattern = re.escape(str(wanted)).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, str(value), re.IGNORECASE if operator == "ILIKE" else 0) is not None
    if operator in ("=", "!="):
        return (value == wanted) == (operator == "=")
    left, right = float(value), float(wanted)
    return {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}[operator]
