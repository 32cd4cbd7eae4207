"""What a tracking store is asked to do, and the frozen facts it answers with.

A `Store` keeps experiments, runs and files; `qnb.recorder.mlflow` and `qnb.recorder.memory` are two of them. What users
call (`Experiment`, `Recorder`, `R`) is written once, on top of this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["STATUSES", "ArtifactInfo", "ExperimentInfo", "MetricPoint", "RunInfo", "Store"]

STATUSES = ("SCHEDULED", "RUNNING", "FINISHED", "FAILED")
"""What a recorder's status can be."""


@dataclass(frozen=True, slots=True)
class ExperimentInfo:
    """An experiment: id, name, whether it was deleted, and where its artifacts go."""

    id: str
    name: str
    deleted: bool = False
    artifact_location: str = ""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as the store has it.

    Attributes
    ----------
    start, end : float or None
        Seconds since the epoch, UTC.
    metrics : mapping of str to float
        Last value of each.
    params, tags : mapping of str to str
        As stored; long params are shortened here (see `Recorder.list_params`).
    """

    run_id: str
    name: str
    experiment_id: str
    experiment: str = ""
    status: str = "SCHEDULED"
    start: float | None = None
    end: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifact_uri: str = ""


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of a metric; time in seconds since the epoch."""

    name: str
    value: float
    step: int
    time: float


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """A file or folder of a run, by its path within the run."""

    path: str
    is_dir: bool
    bytes: int = 0


class Store(Protocol):
    """A tracking store. What it refuses is a `qnb.errors.RecorderError`."""

    uri: str

    def experiment(self, *, id: str | None = None, name: str | None = None) -> ExperimentInfo | None:
        """Return the experiment of that id or name, or None."""

    def create_experiment(self, name: str) -> ExperimentInfo:
        """Return the experiment `name`, created if need be; safe when several processes ask at once."""

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments that are not deleted."""

    def delete_experiment(self, id: str) -> None:
        """Delete an experiment with its runs."""

    def create_run(self, experiment: ExperimentInfo, name: str, tags: Mapping[str, str]) -> RunInfo:
        """Create a run, SCHEDULED until it is updated."""

    def run(self, run_id: str) -> RunInfo:
        """Return a run with its last metrics, params and tags."""

    def update_run(
        self, run_id: str, *, status: str | None = None, name: str | None = None, end: float | None = None
    ) -> None:
        """Change status, name or end of a run."""

    def delete_run(self, run_id: str) -> None:
        """Delete a run."""

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

    def log(
        self,
        run_id: str,
        *,
        metrics: Sequence[MetricPoint] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write a batch, in order."""

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""

    def history(self, run_id: str, name: str) -> list[MetricPoint]:
        """Return all values of a metric in the order of steps."""

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file or a folder below `folder` of the run's artifacts."""

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        """Return the entries directly below `folder`."""

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        """Return a local path of an artifact: its own place when it is on this machine, else a copy below `target`."""

    def local_dir(self, run_id: str) -> Path | None:
        """Return the folder of the run's artifacts when it is on this machine."""
