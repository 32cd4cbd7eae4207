"""The state of a study as its events tell it: what panel, terminal and handle are views of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from . import events as ev
from .spec import StudySpec

__all__ = ["JobSpan", "StudyState", "TrialState"]

LOG_LINES = 200


@dataclass(slots=True)
class JobSpan:
    """A stretch of a worker's time."""

    worker: int
    trial: int
    fold: int
    start: float
    end: float | None = None
    state: str = "running"


@dataclass(slots=True)
class TrialState:
    """A trial so far; `curves` holds (step, value) by fold."""

    number: int
    params: Mapping[str, Any]
    state: str = "running"
    values: list[float] = field(default_factory=list)
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    overhead: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    steps: int = 0
    of: int = 0
    days: int = 0
    reused: tuple[str, ...] = ()
    error: str = ""
    message: str = ""
    worker: int = 0
    started: float = 0.0
    curves: dict[int, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state != "running"


@dataclass(slots=True)
class StudyState:
    """A study so far."""

    study_id: str = ""
    name: str = ""
    experiment: str = ""
    status: str = "waiting"
    message: str = ""
    spec: StudySpec = field(default_factory=StudySpec)
    space: list[Any] = field(default_factory=list)
    trials: dict[int, TrialState] = field(default_factory=dict)
    jobs: list[JobSpan] = field(default_factory=list)
    log: list[tuple[float, str, str]] = field(default_factory=list)
    verdict: Mapping[str, Any] = field(default_factory=dict)
    importances: Mapping[str, float] = field(default_factory=dict)
    span: str = ""
    pid: int = 0
    seq: int = 0
    started: float = 0.0
    ended: float | None = None
    active: float = 0.0  # seconds of earlier managers
    last_event: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes unless it is resumed."""
        return self.status in ("finished", "stopped", "failed", "paused") and self.ended is not None

    def count(self, state: str) -> int:
        """Return the number of trials in a state."""
        return sum(t.state == state for t in self.trials.values())

    @property
    def done(self) -> int:
        """Number of trials that are over."""
        return sum(t.is_over for t in self.trials.values())

    @property
    def best(self) -> TrialState | None:
        """The best complete trial by the first objective; the earlier one of two that are equal."""
        objective = self.spec.objectives[0]
        best: TrialState | None = None
        for trial in sorted(self.trials.values(), key=lambda t: t.number):
            if trial.state != "complete" or not trial.values or not math.isfinite(trial.values[0]):
                continue
            if best is None or objective.better(trial.values[0], best.values[0]):
                best = trial
        return best

    def front(self) -> list[TrialState]:
        """Return the complete trials that no other one beats in every objective."""
        complete = [t for t in self.trials.values() if t.state == "complete" and all(map(math.isfinite, t.values))]
        objectives = self.spec.objectives

        def beats(a: TrialState, b: TrialState) -> bool:
            no_worse = all(not o.better(y, x) for o, x, y in zip(objectives, a.values, b.values, strict=True))
            return no_worse and any(o.better(x, y) for o, x, y in zip(objectives, a.values, b.values, strict=True))

        return [t for t in complete if not any(beats(other, t) for other in complete)]

    def seconds(self, now: float) -> float:
        """Return how long it has been worked on."""
        if not self.started:
            return self.active
        return self.active + (self.ended or now) - self.started

    def apply(self, event: ev.StudyEvent) -> None:
        """Fold an event in."""
        self.seq += 1
        self.last_event = event.time
        match event:
            case ev.StudyStarted():
                if self.started:
                    self.active += (self.ended or self.jobs_end()) - self.started
                self.study_id, self.name, self.experiment = event.study_id, event.name, event.experiment
                with suppress(ValueError):  # of another version: shown as far as it is known
                    self.spec = StudySpec.from_json(event.spec)
                self.space, self.pid = event.space, event.pid
                self.status, self.message, self.started, self.ended = "running", "", event.time, None
                for job in self.jobs:
                    if job.end is None:
                        job.end, job.state = event.time, "lost"
            case ev.TrialStarted():
                old = self.trials.get(event.trial)
                trial = TrialState(event.trial, event.params, started=event.time)
                if old is not None and old.is_over:
                    return
                self.trials[event.trial] = trial
            case ev.JobStarted():
                self.jobs.append(JobSpan(event.worker, event.trial, event.fold, event.time))
                if event.trial in self.trials:
                    self.trials[event.trial].worker = event.worker
            case ev.JobEnded():
                for job in reversed(self.jobs):
                    if (job.trial, job.fold, job.worker) == (event.trial, event.fold, event.worker):
                        job.end, job.state = event.time, event.state
                        break
            case ev.TrialValue():
                if event.trial in self.trials:
                    curve = self.trials[event.trial].curves.setdefault(event.fold, [])
                    if not curve or event.step > curve[-1][0]:
                        curve.append((event.step, event.value))
            case ev.TrialEnded():
                self._ended(event)
            case ev.StudyPaused():
                self.status, self.message = "paused", event.reason
            case ev.StudyWentOn() if event.anew or self.ended is not None:  # a new manager is on its way
                if self.started:
                    self.active += (self.ended or self.jobs_end()) - self.started
                self.status, self.message, self.started, self.ended = "waiting", "", 0.0, None
            case ev.StudyWentOn():
                self.status, self.message = "running", ""
            case ev.StudyLog():
                self.log.append((event.time, event.level, event.text))
                del self.log[:-LOG_LINES]
            case ev.StudyVerdict():
                self.verdict, self.importances = event.verdict, event.importances
            case ev.StudyEnded():
                self.status, self.ended = event.status, event.time
                self.message = event.message or self.message

    def jobs_end(self) -> float:
        """Return when the last job that is known ended or began."""
        return max([j.end or j.start for j in self.jobs], default=self.started)

    def _ended(self, event: ev.TrialEnded) -> None:
        trial = self.trials.setdefault(event.trial, TrialState(event.trial, {}))
        trial.state, trial.values, trial.metrics = event.state, list(event.values), event.metrics
        trial.seconds, trial.overhead, trial.parts = event.seconds, event.overhead, event.parts
        trial.steps, trial.of, trial.days = event.steps, event.of, event.days
        trial.reused, trial.error, trial.message = tuple(event.reused), event.error, event.message
        self.span = event.span or self.span
