"""What record templates share: the recorder, loading what earlier records left, saving with an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..errors import RecorderError
from ..events import ArtifactSaved, Emit, Event, MetricLogged

__all__ = ["RecordTemplate"]


class RecordTemplate:
    """Base of record templates: the constructor stores, `generate` computes and saves.

    Parameters
    ----------
    recorder : Recorder
        Where artifacts and metrics go.
    skip_existing : bool
        Do nothing when the artifacts are there already.

    Attributes
    ----------
    artifact_path : str
        Folder of the artifacts within the run.
    """

    artifact_path: ClassVar[str] = ""

    def __init__(self, recorder: Any, skip_existing: bool = False) -> None:
        self.recorder = recorder
        self.skip_existing = skip_existing
        self._emit: Emit = _ignore

    def generate(self, *, emit: Emit | None = None) -> None:
        """Compute, save the artifacts below `artifact_path` and log the metrics.

        Raises
        ------
        RecorderError
            When an artifact of an earlier record is missing.
        """
        self._emit = emit or _ignore
        if self.skip_existing and self._all_there():
            return
        artifacts, metrics = self.compute()
        for name, value in artifacts.items():
            self.recorder.save_objects(artifact_path=self.artifact_path or None, **{name: value})
            path = f"{self.artifact_path}/{name}".lstrip("/")
            self._emit(ArtifactSaved(name=path, kind="table"))
        if metrics:
            self.recorder.log_metrics(**metrics)
        for name, number in metrics.items():
            self._emit(MetricLogged(name=name, value=float(number)))

    def compute(self) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """Return artifacts by name and metrics; what a new record template implements."""
        raise RecorderError(f"{type(self).__name__} computes nothing; implement compute()")

    def list(self) -> list[str]:
        """Return the names of the artifacts that `generate` leaves."""
        return []

    def load(self, name: str) -> Any:
        """Return an artifact of this record, or of an earlier one.

        Raises
        ------
        RecorderError
            When there is none; it says which record has to come before.
        """
        for path in (f"{self.artifact_path}/{name}".lstrip("/"), name):
            try:
                return self.recorder.load_object(path)
            except RecorderError as error:
                missing = error
        raise RecorderError(
            f"{type(self).__name__} needs {name}, which the run does not have; put SignalRecord before it in the task"
        ) from missing

    def _all_there(self) -> bool:
        names = self.list()
        if not names:
            return False
        there = {path.rpartition("/")[2].partition(".")[0] for path in self.recorder.list_artifacts(self.artifact_path)}
        return all(name.partition(".")[0] in there for name in names)


def _ignore(event: Event) -> None:
    """Drop an event."""
