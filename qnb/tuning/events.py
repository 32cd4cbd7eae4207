"""The facts a study tells about itself: frozen event types, an append-only file of them, and reading it on and on."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ..files import AnyFloat, Moment, Natural, make, move_aside, parse_json, tell
from .messages import plain

__all__ = [
    "EmitStudy",
    "EventLog",
    "EventReader",
    "JobEnded",
    "JobStarted",
    "StudyEnded",
    "StudyEvent",
    "StudyLog",
    "StudyPaused",
    "StudyStarted",
    "StudyVerdict",
    "StudyWentOn",
    "TrialEnded",
    "TrialStarted",
    "TrialValue",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEvent:
    """Base: when it happened, seconds since the epoch."""

    time: Moment = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStarted(StudyEvent):
    """A manager took the study; ``done`` trials were over already."""

    study_id: str
    name: str
    spec: Mapping[str, Any]
    space: list[Any]
    done: Natural = 0
    pid: Natural = 0
    experiment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted(StudyEvent):
    """A trial has its parameters."""

    trial: int
    params: Mapping[str, Any]
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(StudyEvent):
    """A worker (1-based) took a fold of a trial."""

    trial: int
    fold: int
    worker: int
    pid: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded(StudyEvent):
    """A worker is done with a fold."""

    trial: int
    fold: int
    worker: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialValue(StudyEvent):
    """The objective of a trial on its way."""

    trial: int
    fold: int
    step: int
    value: AnyFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded(StudyEvent):
    """A trial is over.

    Attributes
    ----------
    state : str
        ``complete``, ``pruned`` or ``failed``.
    values : list of float
        Of the objectives; empty without any.
    seconds : float
        From the first job to the end; ``parts`` says of what, ``overhead`` what is neither fit, predict nor evaluation.
    """

    trial: int
    state: str
    values: list[AnyFloat] = field(default_factory=list)
    metrics: Mapping[str, AnyFloat] = field(default_factory=dict)
    seconds: AnyFloat = 0.0
    overhead: AnyFloat = 0.0
    parts: Mapping[str, AnyFloat] = field(default_factory=dict)
    steps: int = 0
    of: int = 0
    days: int = 0
    reused: list[str] = field(default_factory=list)
    error: str = ""
    message: str = ""
    span: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPaused(StudyEvent):
    """No new trial starts, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWentOn(StudyEvent):
    """A pause is over; or, `anew`, a study that had ended or was killed goes on with a new manager."""

    anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyLog(StudyEvent):
    """A line for people; level ``info``, ``warning`` or ``error``."""

    text: str
    level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyVerdict(StudyEvent):
    """How much of the best is luck, as far as the trials go."""

    verdict: Mapping[str, Any]
    importances: Mapping[str, AnyFloat] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEnded(StudyEvent):
    """The manager is done: ``finished``, ``stopped``, ``paused`` or ``failed``."""

    status: str
    message: str = ""


EmitStudy: TypeAlias = Callable[[StudyEvent], None]
"""Takes an event of a study."""

_TYPES: dict[str, type[StudyEvent]] = {
    t.__name__: t
    for t in (
        StudyStarted, TrialStarted, JobStarted, JobEnded, TrialValue, TrialEnded, StudyPaused, StudyWentOn, StudyLog,
        StudyVerdict, StudyEnded,
    )
}  # fmt: skip


class EventLog:
    """Appends events to the file of a study; a torn last line, of a process that was killed, is cut off first."""

    def __init__(self, folder: Path) -> None:
        if (folder / "events.ndjson").is_dir():
            move_aside(folder / "events.ndjson")
        self._fd = os.open(folder / "events.ndjson", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        data = (folder / "events.ndjson").read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._fd, whole)

    def __call__(self, event: StudyEvent) -> None:
        """Write an event with one call, so that readers see whole lines.

        Raises
        ------
        OSError
            When the disk is full; nothing of the line is left behind.
        """
        data: dict[str, Any] = {"event": type(event).__name__}
        data |= {f.name: getattr(event, f.name) for f in dataclasses.fields(event)}
        line = json.dumps(plain(data), separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
        start = os.fstat(self._fd).st_size
        if os.write(self._fd, line) < len(line):
            os.ftruncate(self._fd, start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "events.ndjson")

    def close(self) -> None:
        """Flush to the disk and close."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1


class EventReader:
    """Reads the events of a study from where it stopped the last time; what it cannot read is left out and told."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.ndjson"
        self._offset = 0

    def read_new(self) -> list[StudyEvent]:
        """Return the events that were appended since; a torn last line is left."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            tell(self._path, f"it cannot be read ({error.strerror})", "check what lies there, and its rights")
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        found = []
        for line in data[:end].splitlines():
            try:
                found.append(_event_of(parse_json(line)))
            except ValueError as error:
                tell(
                    self._path, f"a line and perhaps others are left out ({error})",
                    "update qnb if a newer version wrote it; else the study is shown as far as it can be read",
                )  # fmt: skip
        return found


def _event_of(raw: Any) -> StudyEvent:
    kind = _TYPES.get(str(raw.get("event"))) if isinstance(raw, dict) else None
    if kind is None:
        raise ValueError("no event that is known here")
    try:
        return make(kind, raw)
    except ValueError as error:
        raise ValueError(f"{kind.__name__}, {error}") from None
