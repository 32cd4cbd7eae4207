"""What a run looks like now: a fold over its events that every view shares.

Live panel, terminal progress, `%qshow` of an old run and the run's handle read the same `RunState`; folding the whole
journal or its new entries one by one gives the same state.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import events as ev
from .files import LARGEST, LAST_MOMENT
from .journal import JournalReader

__all__ = ["OVER", "Curve", "Log", "RunState", "Stage", "fold", "load_state"]

OVER = ("finished", "failed", "stopped", "interrupted", "damaged")
"""Statuses after which nothing more comes."""

LOG_KEPT = 2000
RESOURCES_KEPT = 600
_NOT_FINITE = {text: float(text) for text in ("nan", "inf", "-inf")}
_PROGRESS = (("step", 0), ("total", 0), ("unit", ""), ("best_step", 0), ("stop_at", 0), ("text", ""))


@dataclass(slots=True)
class Stage:
    """One stage of a run; status is ``waiting``, ``running``, ``finished``, ``failed`` or ``stopped``."""

    name: str
    status: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    title: str = ""

    def __post_init__(self) -> None:
        self.title = self.title or self.name.capitalize()  # of another version


@dataclass(slots=True)
class Curve:
    """A metric by step, complete; views thin it."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, step: int, value: float) -> None:
        """Add a point."""
        n = len(self.steps)
        try:
            self.steps.append(step)
            self.values.append(value)
        except BufferError:  # somebody has an array of NumPy on them: theirs stays as it is
            self.steps, self.values = self.steps[:n], self.values[:n]
            self.steps.append(step)
            self.values.append(value)

    def thinned(self, points: int) -> tuple[list[int], list[float]]:
        """Return at most about `points` points that keep each bucket's minimum and maximum, first and last."""
        n = len(self.values)
        if n <= points or points < 4:
            return list(self.steps), list(self.values)
        import numpy as np

        values, steps = np.array(self.values), np.array(self.steps)
        width = -(-n // max(1, (points - 2) // 2))
        at = np.minimum(np.arange(-(-n // width) * width), n - 1).reshape(-1, width)
        known = values[at]
        low = np.where(np.isnan(known), np.inf, known).argmin(axis=1)
        high = np.where(np.isnan(known), -np.inf, known).argmax(axis=1)
        rows = np.arange(len(at))
        keep = np.unique(np.concatenate([at[rows, low], at[rows, high], [0, n - 1]]))
        return steps[keep].tolist(), values[keep].tolist()

    def drop_from(self, step: int) -> None:
        """Drop the last points that are of `step` or later ones."""
        n = len(self.steps)
        while n and self.steps[n - 1] >= step:
            n -= 1
        self.steps, self.values = self.steps[:n], self.values[:n]

    def span(self) -> float:
        """Return the distance from the lowest to the highest finite value; 0 without one."""
        if len(self.values) < 1000:
            finite = [v for v in self.values if math.isfinite(v)]
            return max(finite) - min(finite) if finite else 0.0
        import numpy as np

        values = np.array(self.values)
        values = values[np.isfinite(values)]
        return float(values.max() - values.min()) if len(values) else 0.0

    def at(self, step: int) -> float | None:
        """Return the last finite value at `step`; None without one."""
        try:
            first = self.steps.index(step)
        except ValueError:
            return None
        for i in range(first, len(self.steps)):
            if self.steps[i] == step and math.isfinite(self.values[i]):
                return self.values[i]
            if self.steps[i] != step and i > first + 8:
                break
        return None


@dataclass(frozen=True, slots=True)
class Log:
    """A line of the log as a view shows it."""

    time: float
    stage: str
    level: str
    text: str


@dataclass(slots=True)
class RunState:
    """The state of one run.

    Attributes
    ----------
    status : str
        ``waiting``, ``running``, ``finished``, ``failed``, ``stopped``, ``interrupted`` (its process ended without a
        word, as when the machine restarts), ``damaged`` (nobody can run it, since its request cannot be read) or
        ``unknown`` before the first event.
    progress : Progress or None
        The newest progress of the current stage.
    training : Progress or None
        The newest progress of the fit, kept when later stages follow.
    metrics : dict
        Last value of every metric.
    curves : dict of str to Curve
        Metrics that were logged with a step.
    seed : int or None
        What the fit drew for want of a seed.
    seq : int
        Number of the last event folded in.
    """

    run_id: str = ""
    name: str = ""
    experiment: str = ""
    task_hash: str = ""
    status: str = "unknown"
    queued: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    pid: int = 0
    began: float = 0.0
    boot: str = ""
    host: str = ""
    worker: str = ""
    threads: int = 0
    memory_limit: int = 0
    attempt: int = 0
    stages: list[Stage] = field(default_factory=list)
    progress: ev.Progress | None = None
    progress_began: ev.Progress | None = None
    training: ev.Progress | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    logs: deque[Log] = field(default_factory=lambda: deque(maxlen=LOG_KEPT))
    log_count: int = 0
    warning_count: int = 0
    artifacts: dict[str, ev.ArtifactSaved] = field(default_factory=dict)
    resources: deque[ev.ResourceSampled] = field(default_factory=lambda: deque(maxlen=RESOURCES_KEPT))
    failure: ev.RunFailed | None = None
    stop: ev.RunStopped | None = None
    retried: ev.RunRetried | None = None
    retry_of: str = ""
    seed: int | None = None
    last_event: float = 0.0
    seq: int = 0
    _going_on: set[str] = field(default_factory=set)  # curves that had no point yet since the run went on

    @property
    def ended_well(self) -> bool:
        """True when the run finished."""
        return self.status == "finished"

    @property
    def is_over(self) -> bool:
        """True when nothing more will come."""
        return self.status in OVER

    @property
    def stage(self) -> Stage | None:
        """The stage that is running, or None."""
        return next((s for s in self.stages if s.status == "running"), None)

    def elapsed(self, now: float) -> float:
        """Return seconds since the start; the whole duration once it is over."""
        if not self.started:
            return 0.0
        return max(0.0, (self.ended or now) - self.started)

    def remaining(self) -> float | None:
        """Return the seconds that the current stage will still take, from two progress events on, else None.

        None at its last step, too: how long what follows it takes, such as a validation, is not known.
        """
        first, last = self.progress_began, self.progress
        if first is None or last is None or last.stage != first.stage:
            return None
        end = last.stop_at if last.stop_at else last.total
        done = last.step - first.step
        if not end or last.step >= end or done <= 0 or last.time <= first.time:
            return None
        return (end - last.step) * (last.time - first.time) / done

    def apply(self, event: ev.Event, seq: int = 0) -> RunState:
        """Fold one event in and return self; unknown events change nothing but the time of the last sign of life."""
        self.seq = max(self.seq, seq)
        self.last_event = event.time
        match event:
            case ev.RunQueued():
                self.run_id, self.name, self.experiment = event.run_id, event.name, event.experiment
                self.task_hash, self.status, self.queued = event.task_hash, "waiting", event.time
                self.stages = [Stage(s, title=event.titles.get(s, "")) for s in event.stages]
                self.retry_of = event.retry_of
            case ev.RunStarted():
                self._start(event)
            case ev.RunRetried():
                self.status, self.ended, self.retried = "waiting", 0.0, event
                self.failure = self.stop = None
            case ev.StageChanged():
                self._stage_changed(event)
            case ev.Progress():
                if self.progress_began is None or self.progress_began.stage != event.stage:
                    self.progress_began = event
                self.progress = event
                if event.stage == "fit":
                    self.training = event
            case ev.MetricLogged():
                self._metric_logged(event.name, event.value, event.step)
            case ev.LogLine():
                self._logged(Log(event.time, event.stage, event.level, event.text))
            case ev.ArtifactSaved():
                self.artifacts[event.name] = event
            case ev.SeedDrawn():
                self.seed = event.seed
            case ev.ResourceSampled():
                self.resources.append(event)
            case ev.RunFinished():
                self._end("finished", event)
                self.stages = [s for s in self.stages if s.status != "waiting"]  # what never began was none
                self.metrics.update(event.metrics)
            case ev.RunFailed():
                self.failure = event
                self._end("failed", event)
            case ev.RunStopped():
                self.stop = event
                self._end("interrupted" if event.interrupted else "stopped", event)
        return self

    def apply_raw(
        self, lines: Iterable[Mapping[str, Any]], complain: Callable[[str], None] = lambda what: None
    ) -> RunState:
        """Fold in lines of a journal as `qnb.journal.JournalReader.read_raw` gives them, and return self.

        `complain` is told of lines that are left out, see `qnb.events.from_json`.

        The state is that of `apply` event by event. What trainings emit by the hundred thousand takes a short way:
        points of curves go to their curve without an event in between, and of a stage's progress the newest counts.
        """
        newest: Mapping[str, Any] | None = None
        for raw in lines:
            try:
                when = raw["time"]
                short = self._apply_shortly(raw) if type(when) is float and 0 <= when < LAST_MOMENT else ""
            except KeyError:  # of another version; what it lacks has a default
                short = ""
            if short:
                self.last_event = when
                if raw["seq"] > self.seq:
                    self.seq = raw["seq"]
                if short == "Progress":
                    newest = raw
                continue
            event = ev.from_json(raw, complain)
            if event is not None:
                self._progress_made(newest)
                newest = None
                self.apply(event, raw["seq"])
        self._progress_made(newest)
        return self

    def _apply_shortly(self, raw: Mapping[str, Any]) -> str:
        """Fold in a line of a kind that comes often and return its kind; '' where an event has to be made of it."""
        kind = raw.get("event", "")
        if kind == "MetricLogged":
            name, value, step = raw["name"], raw["value"], raw["step"]
            if type(value) is str:
                value = _NOT_FINITE.get(value)
            elif type(value) is int and abs(value) <= LARGEST:
                value = float(value)
            if type(name) is not str or type(value) is not float:
                return ""
            if step is not None and (type(step) is not int or abs(step) > LARGEST):
                return ""
            self._metric_logged(name, value, step)
        elif kind == "LogLine":
            stage, level, text = raw["stage"], raw["level"], raw["text"]
            if not type(stage) is type(level) is type(text) is str:
                return ""
            self._logged(Log(raw["time"], stage, level, text))
        else:
            began = self.progress_began
            if kind != "Progress" or began is None or began.stage != raw["stage"]:
                return ""
            if any(type(raw.get(key, usual)) is not type(usual) for key, usual in _PROGRESS):
                return ""
        return str(kind)

    def _logged(self, line: Log) -> None:
        self.logs.append(line)
        self.log_count += 1
        self.warning_count += line.level in ("warning", "error")

    def _metric_logged(self, name: str, value: float, step: int | None) -> None:
        self.metrics[name] = value
        if step is not None:
            curve = self.curves.get(name)
            if curve is None:
                curve = self.curves[name] = Curve()
            if name in self._going_on:  # what was trained after the checkpoint is trained again
                self._going_on.discard(name)
                curve.drop_from(step)
            curve.add(step, value)

    def _progress_made(self, raw: Mapping[str, Any] | None) -> None:
        """Fold in the newest progress of the stage that the state is in, after others of that stage."""
        event = None if raw is None else ev.from_json(raw)
        if event is not None:
            last = self.last_event
            self.apply(event)
            self.last_event = last

    def _start(self, event: ev.RunStarted) -> None:
        self.status, self.started, self.ended = "running", event.time, 0.0
        self.pid, self.began, self.boot = event.pid, event.began, event.boot
        self.host, self.worker = event.host, event.worker
        self.threads, self.memory_limit, self.attempt = event.threads, event.memory_limit, event.attempt
        self.failure = self.stop = self.progress = self.progress_began = self.training = self.retried = None
        self._going_on = set(self.curves) if event.resumed else set()
        if not event.resumed:
            self.curves.clear()
            self.metrics.clear()
            self.artifacts.clear()
        for stage in self.stages:
            stage.status, stage.seconds = "waiting", 0.0

    def _stage_changed(self, event: ev.StageChanged) -> None:
        stage = next((s for s in self.stages if s.name == event.stage), None)
        if stage is None:
            stage = Stage(event.stage, title=event.title)
            begun = [k + 1 for k, s in enumerate(self.stages) if s.status != "waiting"]
            self.stages.insert(max(begun, default=0), stage)
        if event.status == "started":
            stage.status, stage.started = "running", event.time
            self.progress = self.progress_began = None
        else:
            stage.status, stage.seconds = event.status, event.seconds

    def _end(self, status: str, event: ev.RunFinished | ev.RunFailed | ev.RunStopped) -> None:
        # The duration was measured; the clock of the day may have been set meanwhile.
        self.status, self.ended = status, self.started + event.seconds if event.seconds else event.time
        for stage in self.stages:
            if stage.status == "running":
                stage.status = status
                stage.seconds = max(0.0, self.ended - stage.started)


def fold(events: Iterable[ev.Event], state: RunState | None = None) -> RunState:
    """Return `state` (a new one by default) after all `events`."""
    state = state or RunState()
    for event in events:
        state.apply(event)
    return state


def load_state(directory: Path) -> RunState:
    """Return the state of the run whose journal lies in `directory`."""
    reader = JournalReader(directory)
    return RunState().apply_raw(reader.read_raw(), reader.complain)
