"""The facts a run tells about itself: frozen event types and their JSON form.

Events are small; bulk goes to the recorder and the event carries its name. The worker emits them, the journal
numbers and keeps them, every view is a fold over them (`qnb.state`).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .files import AnyFloat, Moment, Natural, make

__all__ = [
    "ArtifactSaved",
    "Emit",
    "Event",
    "LogLine",
    "MetricLogged",
    "Progress",
    "ResourceSampled",
    "RunFailed",
    "RunFinished",
    "RunQueued",
    "RunRetried",
    "RunStarted",
    "RunStopped",
    "SeedDrawn",
    "StageChanged",
    "from_json",
    "to_json",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events.

    Attributes
    ----------
    time : float
        Seconds since the epoch, UTC, when it happened.
    """

    time: Moment = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueued(Event):
    """The run exists and waits; ``stages`` is what it will go through, ``titles`` how views call those."""

    run_id: str
    name: str
    experiment: str = ""
    stages: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    task_hash: str = ""
    retry_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A worker took the run.

    Attributes
    ----------
    pid, began, boot : int, float, str
        Who runs it: the process, when it began and in which start of the machine (`qnb.machine`).
    attempt : int
        1 for the first try, one more after every crash.
    resumed : bool
        It goes on from a checkpoint, so the curves go on, too.
    """

    pid: Natural
    began: float = 0.0
    boot: str = ""
    resumed: bool = False
    host: str = ""
    worker: str = ""
    threads: Natural = 0
    memory_limit: Natural = 0
    attempt: Natural = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChanged(Event):
    """A stage began (``status='started'``, with its ``title``) or ended (``'finished'``, with its ``seconds``)."""

    stage: str
    status: str
    seconds: float = 0.0
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """How far a stage is.

    Attributes
    ----------
    step, total : int
        Done and maximum, in ``unit`` (``iteration``, ``epoch``, ``instrument``, ``day``); total 0 if unknown.
    best_step : int
        Step of the best validation value so far; 0 if there is none.
    stop_at : int
        Step at which it will stop unless the validation improves (best + patience); 0 without early stopping.
    """

    stage: str
    step: int
    total: int = 0
    unit: str = "step"
    best_step: int = 0
    stop_at: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLogged(Event):
    """A metric has a value; ``step`` orders a curve (iteration, epoch), None for a final figure."""

    name: str
    value: AnyFloat
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine(Event):
    """One line for the log; level is ``debug``, ``info``, ``warning`` or ``error``."""

    text: str
    level: str = "info"
    stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactSaved(Event):
    """The recorder holds an artifact under ``name`` (path within the run); kind: table, figure, model, text, html."""

    name: str
    kind: str = ""
    bytes: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceSampled(Event):
    """What the worker uses: CPU in per cent of one core, resident memory and GPU memory in bytes."""

    cpu: AnyFloat
    memory: Natural
    gpu: AnyFloat | None = None
    gpu_memory: Natural | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDrawn(Event):
    """The fit was given no seed and drew one, which is the run's from then on."""

    seed: Natural


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRetried(Event):
    """The run waits again: its worker crashed and will be replaced after `delay` seconds, or it is to be resumed."""

    reason: str = ""
    attempt: Natural = 1
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run ended well."""

    seconds: float = 0.0
    metrics: Mapping[str, AnyFloat] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(Event):
    """The run ended badly: a user's exception, a crash (``exit_code``), memory, a timeout."""

    error: str
    message: str
    line: int | None = None
    traceback: str = ""
    exit_code: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStopped(Event):
    """The run ended on request, or was interrupted; ``resumable`` says whether a checkpoint is kept."""

    reason: str = ""
    resumable: bool = False
    interrupted: bool = False
    seconds: float = 0.0


Emit: TypeAlias = Callable[[Event], None]
"""Where a worker's code hands an event; must not raise and must not block for long."""

_TYPES: dict[str, type[Event]] = {
    cls.__name__: cls
    for cls in (
        RunQueued, RunStarted, StageChanged, Progress, MetricLogged, LogLine, ArtifactSaved, ResourceSampled,
        SeedDrawn, RunRetried, RunFinished, RunFailed, RunStopped,
    )
}  # fmt: skip


_ENDINGS = (RunFinished, RunFailed, RunStopped)
_FIELDS = {cls: tuple(f.name for f in dataclasses.fields(cls)) for cls in _TYPES.values()}


def to_json(event: Event) -> dict[str, Any]:
    """Return `event` as a dict of JSON values with its type under ``"event"``; a non-finite float becomes a string."""
    data: dict[str, Any] = {"event": type(event).__name__}
    for name in _FIELDS[type(event)]:
        data[name] = _plain(getattr(event, name))
    return data


def from_json(data: Mapping[str, Any], complain: Callable[[str], None] = lambda what: None) -> Event | None:
    """Return the event of `data`; None, which `complain` is told, for what is none that this version can read.

    A type that is not known here, a value of a wrong type and one that is missing are reasons; unknown keys, which a
    newer version added, are none. An ending remains one when something that it need not say cannot be read.
    """
    cls = _TYPES.get(str(data.get("event")))
    if cls is None:
        complain(f"unknown event {str(data.get('event'))[:40]!r}")
        return None
    try:
        return make(cls, data, complain if cls in _ENDINGS else None)
    except (TypeError, ValueError) as error:
        complain(f"{cls.__name__}, {error}")
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "item"):  # a numpy scalar
        return _plain(value.item())
    return value
