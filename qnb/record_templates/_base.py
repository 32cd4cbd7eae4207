"""What record templates share: loading what earlier records left, saving, logging, telling.

A template of your own derives from `RecordTemplate` and implements `RecordTemplate.compute`; anything with a method
``generate()`` works in a task, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..errors import RecorderError
from ..events import ArtifactSaved, Emit, Event, MetricLogged

__all__ = ["RecordTemplate", "Recorded"]

_KINDS = {".parquet": "table", ".json": "json", ".npy": "array", ".model": "model", ".pkl": "pickle"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a template computed: artifacts by name, and final metrics."""

    artifacts: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class RecordTemplate:
    """Base of record templates: the constructor stores, `generate` checks, computes and saves.

    Parameters
    ----------
    recorder : Recorder
        Where artifacts and metrics go.
    skip_existing : bool
        Do nothing when all the artifacts are there already.

    Attributes
    ----------
    stage, title : str
        Stage of the run in which it is generated, and how views call that; by default the class's own name. Written as
        plain texts, since they are read from the source before anything is imported.
    trades : bool
        Its argument ``config`` describes a backtest, as that of `PortAnaRecord`: it is checked beforehand, and what-if
        trades it again.
    artifact_path : str
        Folder of the artifacts within the run.
    needs : tuple of (str, str)
        Artifacts of earlier records, and the record that leaves them: ``(("pred.pkl", "SignalRecord"),)``.
    """

    stage: ClassVar[str] = ""
    title: ClassVar[str] = ""
    trades: ClassVar[bool] = False
    artifact_path: ClassVar[str] = ""
    needs: ClassVar[Sequence[tuple[str, str]]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.stage = cls.stage or cls.__name__

    def __init__(self, recorder: Any = None, skip_existing: bool = False) -> None:
        self.recorder = recorder
        self.skip_existing = skip_existing

    def generate(self, *, emit: Emit | None = None) -> None:
        """Compute, save the artifacts below `artifact_path` and log the metrics.

        Parameters
        ----------
        emit : callable, optional
            Receives Progress, ArtifactSaved and MetricLogged.

        Raises
        ------
        RecorderError
            Without a recorder, or when an artifact of an earlier record is missing.
        """
        if self.recorder is None:
            name = type(self).__name__
            raise RecorderError(f"{name} has no recorder; pass recorder=R.get_recorder() within `with R.start`")
        tell = emit or _nobody
        if self.skip_existing and self.is_there():
            return
        self.check()
        done = self.compute(tell)
        for name, value in done.artifacts.items():
            self.save(name, value, emit=tell)
        if done.metrics:
            self.recorder.log_metrics(**done.metrics)
        for name, number in done.metrics.items():
            tell(MetricLogged(name=name, value=float(number)))

    def compute(self, emit: Emit) -> Recorded:
        """Return artifacts and metrics; what a template implements."""
        raise RecorderError(f"{type(self).__name__} computes nothing; implement compute(emit)")

    def list(self) -> list[str]:
        """Return the names of the artifacts that `generate` leaves, below `artifact_path`."""
        return []

    def load(self, name: str) -> Any:
        """Return an artifact of this record's folder, or of the run's top where earlier records leave theirs."""
        return self.recorder.load_object(self._place(name) or name)

    def save(self, name: str, value: Any, *, emit: Emit | None = None) -> None:
        """Save an artifact in this record's folder."""
        for path in self.recorder.save_objects(artifact_path=self.artifact_path or None, **{name: value}):
            suffix = path[path.rfind(".") :] if "." in path else ""
            (emit or _nobody)(ArtifactSaved(name=path, kind=_KINDS.get(suffix, "")))

    def check(self) -> None:
        """Raise `RecorderError` for the first artifact of an earlier record that is missing."""
        for name, record in self.needs:
            if self._place(name) is None:
                raise RecorderError(
                    f"{type(self).__name__} needs {name}, which run {self.recorder.name} does not have; put {record} "
                    "before it under task.record"
                )

    def is_there(self) -> bool:
        """Return whether all artifacts of `list` are there."""
        names = self.list()
        return bool(names) and all(self._in_folder(self.artifact_path, name) for name in names)

    def _place(self, name: str) -> str | None:
        """Return the path of an artifact in this record's folder, else at the top; None without either."""
        for folder in dict.fromkeys((self.artifact_path, "")):
            if self._in_folder(folder, name):
                return f"{folder}/{name}".lstrip("/")
        return None

    def _in_folder(self, folder: str, name: str) -> bool:
        stem = name.rpartition(".")[0] or name
        there = (path.rpartition("/")[2] for path in self.recorder.list_artifacts(folder or None))
        return any(found in (name, stem) or found.rpartition(".")[0] == stem for found in there)


def _nobody(event: Event) -> None:
    """Drop an event."""
