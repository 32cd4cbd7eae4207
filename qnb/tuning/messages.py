"""What the manager of a study and its workers tell each other: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Done", "Hello", "Job", "Report", "decode", "encode"]


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker is ready."""

    pid: int


@dataclass(frozen=True, slots=True)
class Job:
    """Evaluate one fold of a trial.

    Attributes
    ----------
    trial, fold : int
        Which.
    task : mapping
        The trial's task (`qnb.task.spec.Task.to_json`, without text).
    watch : bool
        Whether to report in between and wait for the answer.
    """

    trial: int
    fold: int
    task: Mapping[str, Any]
    watch: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """A value of a trial after `step` of at most `of` steps; the worker waits for an `Answer`."""

    trial: int
    fold: int
    step: int
    value: float
    of: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the trial is to end now."""

    prune: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A job is over.

    Attributes
    ----------
    state : str
        ``complete``, ``pruned`` or ``failed``.
    metrics : mapping
        Figures on the validation days; those of the pruned model, too.
    seconds : mapping
        ``data``, ``fit``, ``predict``, ``evaluate``, ``total``.
    steps, of : int
        Boosting rounds or epochs run, and the most there could have been.
    days : int
        Days compared on.
    reused : tuple of str
        What was not computed again: ``data``, ``bins``, ``predictions``.
    error, message : str
        Of a failure.
    span : str
        The days compared on, in words.
    """

    trial: int
    fold: int
    state: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0
    of: int = 0
    days: int = 0
    reused: tuple[str, ...] = ()
    error: str = ""
    message: str = ""
    span: str = ""


Message = Hello | Job | Report | Answer | Done
_TYPES = {t.__name__: t for t in (Hello, Job, Report, Answer, Done)}


def encode(message: Message) -> bytes:
    """Return a message as a line."""
    data = {"kind": type(message).__name__}
    data |= {f.name: getattr(message, f.name) for f in dataclasses.fields(message)}
    return json.dumps(plain(data), separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message | None:
    """Return the message of a line; None for one that cannot be read."""
    try:
        data = json.loads(line)
        kind = _TYPES[data.pop("kind")]
    except (ValueError, KeyError, AttributeError):
        return None
    if kind is Done:
        data["metrics"] = {k: float(v) for k, v in data["metrics"].items()}
        data["reused"] = tuple(data["reused"])
    if kind is Report:
        data["value"] = float(data["value"])
    return kind(**data)


def plain(value: Any) -> Any:
    """Return `value` as JSON values; a float that is not finite becomes text."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value.item() if hasattr(value, "item") else value
