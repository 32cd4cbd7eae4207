"""What a run looks like now: a fold over its events that every view shares.

Live panel, terminal progress, `%qshow` of an old run and the run's handle read the same `RunState`; folding the whole
journal or its new entries one by one gives the same state.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import events as ev
from .journal import JournalReader

__all__ = ["Curve", "Log", "RunState", "Stage", "fold", "load_state"]

LOG_KEPT = 2000
RESOURCES_KEPT = 600


@dataclass(slots=True)
class Stage:
    """One stage of a run; status is ``waiting``, ``running``, ``finished``, ``failed`` or ``stopped``."""

    name: str
    status: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class Curve:
    """A metric by step, complete; views thin it."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def thinned(self, points: int) -> tuple[list[int], list[float]]:
        """Return at most about `points` points that keep each bucket's minimum and maximum, first and last."""
        n = len(self.values)
        if n <= points or points < 4:
            return list(self.steps), list(self.values)
        buckets = max(1, (points - 2) // 2)
        keep = {0, n - 1}
        for b in range(buckets):
            lo, hi = b * n // buckets, (b + 1) * n // buckets
            part = range(lo, hi)
            if part:
                keep.add(min(part, key=self.values.__getitem__))
                keep.add(max(part, key=self.values.__getitem__))
        order = sorted(keep)
        return [self.steps[i] for i in order], [self.values[i] for i in order]


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
        ``waiting``, ``running``, ``finished``, ``failed``, ``stopped`` or ``unknown`` before the first event.
    progress : Progress or None
        The newest progress of the current stage.
    training : Progress or None
        The newest progress of the fit, kept when later stages follow.
    metrics : dict
        Last value of every metric.
    curves : dict of str to Curve
        Metrics that were logged with a step.
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
    last_event: float = 0.0
    seq: int = 0

    @property
    def ended_well(self) -> bool:
        """True when the run finished."""
        return self.status == "finished"

    @property
    def is_over(self) -> bool:
        """True when nothing more will come."""
        return self.status in ("finished", "failed", "stopped")

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
        """Return the seconds that the current stage will still take, from two progress events on, else None."""
        first, last = self.progress_began, self.progress
        if first is None or last is None or last.stage != first.stage:
            return None
        end = last.stop_at if last.stop_at else last.total
        done = last.step - first.step
        if not end or done <= 0 or last.time <= first.time:
            return None
        return max(0.0, (end - last.step) * (last.time - first.time) / done)

    def apply(self, event: ev.Event, seq: int = 0) -> RunState:
        """Fold one event in and return self; unknown events change nothing but the time of the last sign of life."""
        self.seq = max(self.seq, seq)
        self.last_event = event.time
        match event:
            case ev.RunQueued():
                self.run_id, self.name, self.experiment = event.run_id, event.name, event.experiment
                self.task_hash, self.status, self.queued = event.task_hash, "waiting", event.time
                self.stages = [Stage(s) for s in event.stages]
            case ev.RunStarted():
                self.status, self.started, self.ended = "running", event.time, 0.0
                self.pid, self.host, self.worker = event.pid, event.host, event.worker
                self.threads, self.memory_limit, self.attempt = (
                    event.threads,
                    event.memory_limit,
                    event.attempt,
                )
                self.failure = self.stop = self.progress = self.progress_began = self.training = None
                for stage in self.stages:
                    stage.status, stage.seconds = "waiting", 0.0
            case ev.StageChanged():
                self._stage_changed(event)
            case ev.Progress():
                if self.progress_began is None or self.progress_began.stage != event.stage:
                    self.progress_began = event
                self.progress = event
                if event.stage == "fit":
                    self.training = event
            case ev.MetricLogged():
                self.metrics[event.name] = event.value
                if event.step is not None:
                    curve = self.curves.setdefault(event.name, Curve())
                    curve.steps.append(event.step)
                    curve.values.append(event.value)
            case ev.LogLine():
                self.logs.append(Log(event.time, event.stage, event.level, event.text))
                self.log_count += 1
                self.warning_count += event.level in ("warning", "error")
            case ev.ArtifactSaved():
                self.artifacts[event.name] = event
            case ev.ResourceSampled():
                self.resources.append(event)
            case ev.RunFinished():
                self._end("finished", event)
                self.metrics.update(event.metrics)
            case ev.RunFailed():
                self.failure = event
                self._end("failed", event)
            case ev.RunStopped():
                self.stop = event
                self._end("stopped", event)
        return self

    def _stage_changed(self, event: ev.StageChanged) -> None:
        stage = next((s for s in self.stages if s.name == event.stage), None)
        if stage is None:
            stage = Stage(event.stage)
            self.stages.append(stage)
        if event.status == "started":
            stage.status, stage.started = "running", event.time
            self.progress = self.progress_began = None
        else:
            stage.status, stage.seconds = event.status, event.seconds

    def _end(self, status: str, event: ev.Event) -> None:
        self.status, self.ended = status, event.time
        for stage in self.stages:
            if stage.status == "running":
                stage.status = status
                stage.seconds = max(0.0, event.time - stage.started)


def fold(events: Iterable[ev.Event], state: RunState | None = None) -> RunState:
    """Return `state` (a new one by default) after all `events`."""
    state = state or RunState()
    for event in events:
        state.apply(event)
    return state


def load_state(directory: Path) -> RunState:
    """Return the state of the run whose journal lies in `directory`."""
    state = RunState()
    for entry in JournalReader(directory).read_new():
        state.apply(entry.event, entry.seq)
    return state
