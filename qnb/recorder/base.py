"""What a tracking store is asked to do, and the frozen facts it answers with.

A `Store` keeps experiments, runs and files. `qnb.recorder.sqlite` writes an MLflow SQLite file, `qnb.recorder.mlflow`
speaks to any other MLflow store through MLflow, `qnb.recorder.memory` is for tests. What users call (`Experiment`,
`Recorder`, `R`) is written once, on top of this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import RecorderError

__all__ = [
    "KEY_LIMIT",
    "PARAM_LIMIT",
    "RUN_ID",
    "STATUSES",
    "TAG_LIMIT",
    "ArtifactInfo",
    "Entry",
    "ExperimentInfo",
    "MetricPoint",
    "ParamSet",
    "RefusedError",
    "RunInfo",
    "Store",
    "TagDeleted",
    "TagSet",
    "UnreachableError",
]

STATUSES = ("SCHEDULED", "RUNNING", "FINISHED", "FAILED")
"""What a recorder's status can be."""

KEY_LIMIT = 250
PARAM_LIMIT = 6000
TAG_LIMIT = 8000
"""Longest key, param and tag that MLflow takes, in characters."""

RUN_ID = "qnb.run_id"
"""Tag with the id of the run's own folder, which the run has in the store, too, where the store lets it choose."""


class RefusedError(RecorderError):
    """The store was reached and refuses what it was given; asking again does not help."""


class UnreachableError(RecorderError):
    """The store does not answer, or has no room: asking again later may help."""


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
    run_id, name, experiment_id, experiment : str
        Who it is; the experiment's name only where it was looked up.
    status : str
        As stored: one of `STATUSES`, or ``KILLED`` from a run that plain MLflow wrote.
    start, end : float or None
        Seconds since the epoch, UTC.
    metrics : mapping of str to float
        Last value of each.
    params, tags : mapping of str to str
        As stored; long params are shortened here (see `Recorder.list_params`).
    artifact_uri : str
        Where its files are.
    deleted : bool
        Whether it was deleted.
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
    deleted: bool = False

    @property
    def shown_id(self) -> str:
        """The id that views show: that of the run's own folder, else the store's."""
        return self.tags.get(RUN_ID, self.run_id)

    @property
    def seconds(self) -> float | None:
        """How long it ran; None while it has not ended."""
        return self.end - self.start if self.start is not None and self.end is not None else None


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of a metric; time in seconds since the epoch."""

    name: str
    value: float
    step: int = 0
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class ParamSet:
    """A param, written once and for all."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class TagSet:
    """A tag's new value."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class TagDeleted:
    """A tag that goes."""

    name: str


Entry = MetricPoint | ParamSet | TagSet | TagDeleted
"""What is logged to a run."""


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """A file or folder of a run, by its path within the run."""

    path: str
    is_dir: bool
    bytes: int = 0


class Store(Protocol):
    """A tracking store.

    Every method raises `RecorderError` when the store cannot be reached and `RefusedError` when it refuses.
    """

    uri: str

    def experiment(self, *, id: str | None = None, name: str | None = None) -> ExperimentInfo | None:
        """Return the experiment of that id or name, or None; a deleted one counts as none."""

    def create_experiment(self, name: str) -> ExperimentInfo:
        """Return the experiment `name`, created if need be; safe when several processes ask at once."""

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments that are not deleted, oldest first."""

    def delete_experiment(self, id: str) -> None:
        """Delete an experiment with its runs; its name is free again."""

    def create_run(
        self, experiment: ExperimentInfo, name: str, *, tags: Mapping[str, str], status: str = "SCHEDULED"
    ) -> RunInfo:
        """Create a run."""

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
        """Return runs by MLflow's filter grammar, newest first unless ordered; `deleted` None means both kinds."""

    def log(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Write a batch, in order. Nothing of it may be assumed written when this raises."""

    def history(self, run_id: str, name: str) -> list[MetricPoint]:
        """Return all values of a metric in the order of steps."""

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Keep a file or a folder below `folder` of the run's artifacts, replacing one of that name."""

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        """Return the entries directly below `folder`."""

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        """Return a local path of an artifact: its own place when it is on this machine, else a copy below `target`."""

    def local_dir(self, run_id: str) -> Path | None:
        """Return the folder of the run's artifacts when it is on this machine."""
