"""Runs a study: asks for trials, hands their folds to workers, listens, prunes, records, and judges in the end.

1. Trials that were running when an earlier manager died are taken up again.
2. An idle worker gets the next fold of a running trial, else the first fold of a new one.
3. A report on the way is answered at once: go on, or end (pruned). Workers wait for the answer, so with one worker the
   same seed gives the same trials.
4. A trial is over when its last fold is: its figures are the means over the folds. A fold that failed, a value that is
   not a number or too long a time make it failed; a worker that died gives the fold one more try.
5. Three identical failures in a row pause the study.
6. The verdict is brought up to date while trials come in, and is part of the end.
"""

from __future__ import annotations

import math
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from ..config import Settings
from ..errors import ConfigError, StudyError
from ..execution.fan_out import LAST_WAIT, FanOut
from ..files import locked, write_atomically
from ..private import keep_private
from ..project import Anchor, project_of, used
from ..refused import refusal
from . import events as ev
from .attributes import trial_attributes, verdict_attributes
from .crew import Crew, Died, ProcessCrew
from .keeper import Keeper
from .messages import Done, Hello, Job, Report
from .plan import StudyPlan
from .search import FEWEST, Proposal, Search
from .state import StudyState, TrialState
from .studydir import GoingOnError, StudyDir
from .verdict import judge

__all__ = ["StudyEngine", "manage"]

POLL = 0.2
ATTEMPTS = 2
SAME_FAILURES = 3
VERDICT_EVERY = 10.0
LOCK_SECONDS = 10.0
"""How long the manager before, which has said that the study ended, is given to end."""


@dataclass(slots=True)
class _Running:
    """A trial on its way."""

    proposal: Proposal
    pending: list[int]
    began: float
    active: dict[int, int] = field(default_factory=dict)  # fold -> worker
    done: dict[int, Done] = field(default_factory=dict)
    tries: dict[int, int] = field(default_factory=dict)
    own: float = 0.0  # seconds of this process
    pruned: bool = False
    failure: tuple[str, str] | None = None


class StudyEngine:
    """One study, from its directory to its verdict.

    Parameters
    ----------
    directory : StudyDir
        The study.
    listeners : callables
        Called with every event, in a thread of their own; ``recall``, where a listener has it, with those of before.
    waits : bool
        Whether a pause waits for somebody to go on (a manager in the background), or ends the study for now.
    stop : callable
        A further way to ask for a stop.
    crew : callable, optional
        Makes the workers; default processes.
    """

    def __init__(
        self,
        directory: StudyDir,
        *,
        listeners: tuple[ev.EmitStudy, ...] = (),
        waits: bool = False,
        stop: Callable[[], bool] = lambda: False,
        crew: Callable[..., Crew] = ProcessCrew,
    ) -> None:
        self._directory, self._listeners, self._waits, self._stop, self._make_crew = (
            directory, listeners, waits, stop, crew,
        )  # fmt: skip
        self.state = StudyState()
        self._running: dict[int, _Running] = {}
        self._again: list[Proposal] = []
        self._failures: list[tuple[str, str]] = []
        self._paused = False
        self._judged = (0.0, -1)
        self._loading: threading.Thread | None = None
        self._weighed = 0

    def run(self) -> StudyState:
        """Manage the study until it is finished, stopped or paused, and return its state.

        Raises
        ------
        StudyError
            Another process manages it, or its storage cannot be reached.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self._directory.path / "lock", seconds=LOCK_SECONDS))
            except TimeoutError:
                raise GoingOnError(
                    f"study {self._directory.study_id} is managed by another process; wait, or stop it"
                ) from None
            stack.callback(self._directory.claim, None)
            return self._run()

    def _run(self) -> StudyState:
        request = self._directory.request()
        self._plan, self._settings = request.plan(), request.settings
        self._spec = self._plan.spec
        for event in ev.EventReader(self._directory.path).read_new():
            self.state.apply(event)
            for listener in self._listeners:
                recall = getattr(listener, "recall", None)
                if recall is not None:
                    recall(event)
        used(self._directory.project)
        log = ev.EventLog(self._directory.path)
        with (
            Anchor(self._directory.path) as self._anchor,
            closing(log),
            FanOut[ev.StudyEvent](log, self._listeners, line=ev.StudyLog) as self._fan,
        ):
            try:
                self._search = Search(self._spec, self._plan.space, self._directory.path, self._directory.study_id)
                self._reconcile()
                self._keeper = Keeper(
                    self._directory.path, self._plan, self._settings, self._directory.study_id,
                    lambda text: self._emit(ev.StudyLog(text=text, level="warning")),
                )  # fmt: skip
                return self._managed(request.name)
            except (StudyError, ConfigError) as error:
                self._emit(ev.StudyEnded(status="failed", message=str(error)))
                raise
            finally:  # on a full disk events wait for room, in the background as long as it takes
                self._fan.catch_up(None if self._waits else LAST_WAIT, self._stop_asked)

    def _managed(self, name: str) -> StudyState:
        import os

        self._emit(
            ev.StudyStarted(
                study_id=self._directory.study_id, name=name, spec=self._spec.to_json(),
                space=self._plan.space.to_json(), done=self.state.done, pid=os.getpid(),
                experiment=self._keeper.experiment_name,
            )
        )  # fmt: skip
        self._keeper.catch_up(self.state.trials.values())
        for note in self._plan.notes:
            self._emit(ev.StudyLog(text=note, level="warning" if self._spec.on_test else "info"))
        status, message = "failed", ""
        crew = self._make_crew(self._directory.path, jobs=self._spec.jobs, threads=self._spec.threads)
        try:
            status = self._loop(crew)
            message = self.state.message if status == "paused" else ""
        except KeyboardInterrupt:
            status = "stopped"
        except BaseException as error:
            message = refusal(error) or f"{type(error).__name__}: {error}"
            if not self._anchor.is_gone:
                raise
        finally:
            crew.close()
            if self._anchor.is_gone:
                self._end_there()
            else:
                self._end(status, message)
        return self.state

    def _end_there(self) -> None:
        """Say that the folder was moved. Its events go there; the storage, the recorder and the trials do not."""
        self._keeper.finish(self.state, "stopped")
        found, old = self._anchor.find(), self._directory.project
        moved = f"was moved to {project_of(found)}" if found is not None else "was moved or removed"
        message = f"The folder {old} {moved} while the study went on; there it can be resumed."
        self._emit(ev.StudyEnded(status="stopped", message=message))
        self._search.close()

    def _end(self, status: str, message: str) -> None:
        self._verdict(force=True)
        self._search.describe(verdict_attributes(self.state.verdict))
        if status == "finished":
            shutil.rmtree(self._directory.path / "work", ignore_errors=True)
            for request in ("stop", "pause"):
                self._directory.withdraw(request)
        self._keeper.finish(self.state, status)
        try:
            self._write_outcome(status)
        except OSError as error:
            self._emit(ev.StudyLog(text=f"the outcome cannot be written: {refusal(error)}", level="error"))
        self._emit(ev.StudyEnded(status=status, message=message))
        self._search.close()
        keep_private(self._directory.path)

    def _reconcile(self) -> None:
        """Bring events and storage in line: a kill may have come between the two."""
        finished = self._search.finished()
        for number, state in finished.items():
            trial = self.state.trials.get(number)
            if trial is None or not trial.is_over:
                self._emit(ev.TrialEnded(trial=number, state=state, values=self._search.values(number)))
        self._again = self._search.interrupted()

    def _loop(self, crew: Crew) -> str:
        deadline = None if self._spec.timeout is None else time.monotonic() + self._spec.timeout
        while not self._anchor.is_gone:
            if self._stop_asked():
                self._directory.withdraw("stop")
                return "stopped"  # what is running stays so in the storage and is taken up again on resume
            late = deadline is not None and time.monotonic() > deadline
            self._check_pause()
            if not self._paused:
                while (worker := next(iter(crew.idle()), None)) is not None and self._dispatch(crew, worker, late):
                    pass
            if not self._running:
                if self._paused and not self._waits:
                    return "paused"
                if not self._paused and (late or not self._more()):
                    return "finished"
            for worker, message in crew.poll(POLL):
                if self._anchor.is_gone:  # what workers say of it now is no result
                    return "stopped"
                self._hear(crew, worker, message)
            self._check_times(crew)
            self._verdict()
        return "stopped"

    def _more(self) -> bool:
        return bool(self._again) or len(self._search.finished()) < self._search.limit

    def _dispatch(self, crew: Crew, worker: int, late: bool) -> bool:
        """Give `worker` something to do; return whether there was something."""
        running = next((r for r in self._running.values() if r.pending and not r.failure and not r.pruned), None)
        if running is None:
            running = None if late else self._new_trial()
            if running is None:
                return False
        began = time.perf_counter()
        fold = running.pending.pop(0)
        number = running.proposal.number
        watched = self._spec.validation.folds == 1 and len(self._spec.objectives) == 1 and self._spec.pruner != "none"
        try:
            task = self._plan.task_with(running.proposal.params)
        except ConfigError as error:
            running.failure = ("ConfigError", str(error))
            self._close_trial(running)
            return True
        values = {**task.to_json(), "text": "", "places": {}}
        crew.start(worker, Job(number, fold, values, watch=watched))
        running.active[fold] = worker
        self._emit(ev.JobStarted(trial=number, fold=fold, worker=worker, pid=crew.pid(worker)))
        running.own += time.perf_counter() - began
        return True

    def _new_trial(self) -> _Running | None:
        began = time.perf_counter()
        proposal = self._again.pop(0) if self._again else self._search.ask()
        if proposal is None:
            return None
        running = _Running(proposal, list(range(self._spec.validation.folds)), began)
        self._running[proposal.number] = running
        self._emit(ev.TrialStarted(trial=proposal.number, params=dict(proposal.params), again=proposal.again))
        self._keeper.started(proposal.number, proposal.params)
        running.own = time.perf_counter() - began
        return running

    def _hear(self, crew: Crew, worker: int, message: Hello | Report | Done | Died) -> None:
        if isinstance(message, Report):
            began = time.perf_counter()
            self._emit(ev.TrialValue(trial=message.trial, fold=message.fold, step=message.step, value=message.value))
            prune = self._search.report(message.trial, message.step, message.value, of=message.of)
            crew.answer(worker, prune=prune)
            self._running[message.trial].own += time.perf_counter() - began
        elif isinstance(message, Done):
            self._done(worker, message)
        elif isinstance(message, Died):
            self._died(worker, message)

    def _done(self, worker: int, done: Done) -> None:
        running = self._running[done.trial]
        began = time.perf_counter()
        running.active.pop(done.fold, None)
        running.done[done.fold] = done
        self._emit(ev.JobEnded(trial=done.trial, fold=done.fold, worker=worker, state=done.state))
        if done.state == "failed":
            running.failure = running.failure or (done.error, done.message)
        elif done.state == "pruned":
            running.pruned = True
        elif running.pending and not running.failure:
            self._prune_between_folds(running)
        running.own += time.perf_counter() - began
        self._close_trial(running)

    def _prune_between_folds(self, running: _Running) -> None:
        """Report the mean over the first folds once they are complete; what is not promising skips the others."""
        ready = [running.done[k] for k in range(len(running.done)) if k in running.done]
        if len(ready) == len(running.done) and len(self._spec.objectives) == 1:
            value = _mean(ready, self._spec.objectives[0].metric)
            if math.isfinite(value):
                folds = self._spec.validation.folds
                self._emit(ev.TrialValue(trial=running.proposal.number, fold=folds, step=len(ready), value=value))
                running.pruned = self._search.report(running.proposal.number, len(ready), value, of=folds)

    def _died(self, worker: int, died: Died) -> None:
        job = died.job
        if job is None or job.trial not in self._running:
            return
        running = self._running[job.trial]
        running.active.pop(job.fold, None)
        self._emit(ev.JobEnded(trial=job.trial, fold=job.fold, worker=worker, state="died"))
        if running.failure is None:
            tries = running.tries[job.fold] = running.tries.get(job.fold, 0) + 1
            text = f"worker {worker} was ended by the system (exit {died.code})"
            if tries < ATTEMPTS:
                self._emit(ev.StudyLog(text=f"{text}; trial {job.trial} is tried again", level="warning"))
                running.pending.insert(0, job.fold)
                return
            running.failure = ("WorkerDied", text)
        self._close_trial(running)

    def _check_times(self, crew: Crew) -> None:
        limit = self._spec.trial_timeout
        if limit is None:
            return
        for running in self._running.values():
            if running.failure is None and running.active and time.perf_counter() - running.began > limit:
                running.failure = ("TimedOut", f"took longer than {limit:g} s")
                for worker in running.active.values():
                    crew.kill(worker)

    def _close_trial(self, running: _Running) -> None:
        """End the trial when nothing of it is on its way any more."""
        over = running.failure is not None or running.pruned or not running.pending
        if running.active or not over:
            return
        began = time.perf_counter()
        number = running.proposal.number
        del self._running[number]
        done = [running.done[k] for k in sorted(running.done)]
        metrics = {k: _mean(done, k) for k in sorted({k for d in done for k in d.metrics})}
        values = [o.value(metrics) for o in self._spec.objectives]
        state = "failed" if running.failure else "pruned" if running.pruned else "complete"
        if state == "complete" and not all(map(math.isfinite, values)):
            state, running.failure = "failed", ("NotANumber", "the value is not a number")
        failure = running.failure or ("", "")
        self._search.note(number, trial_attributes(self._spec, metrics, span=_span(done), failure=failure))
        self._search.tell(number, state, values)
        parts = _parts(done)
        spent = sum(parts.get(k, 0.0) for k in ("fit", "predict", "evaluate"))
        running.own += time.perf_counter() - began
        error, message = failure
        self._emit(
            ev.TrialEnded(
                trial=number, state=state, values=values if state == "complete" else [], metrics=metrics,
                seconds=time.perf_counter() - running.began, parts=parts, steps=sum(d.steps for d in done),
                overhead=running.own + sum(d.seconds.get("total", 0.0) for d in done) - spent,
                of=sum(d.of for d in done), days=sum(d.days for d in done), error=error, message=message,
                reused=sorted({r for d in done for r in d.reused}), span=_span(done),
            )
        )  # fmt: skip
        self._keeper.ended(self.state.trials[number])
        self._count_failure(running.failure)

    def _count_failure(self, failure: tuple[str, str] | None) -> None:
        if failure is None:
            self._failures.clear()
            return
        kind = (failure[0], re.sub(r"[\d.]+", "#", failure[1]))
        self._failures = [*self._failures, kind] if self._failures[-1:] in ([], [kind]) else [kind]
        if len(self._failures) >= SAME_FAILURES:
            self._failures.clear()
            reason = f"{SAME_FAILURES} trials in a row failed alike: {failure[1]}"
            self._directory.ask("pause")
            self._paused = True
            self._emit(ev.StudyPaused(reason=reason))

    def _check_pause(self) -> None:
        asked = self._directory.asked("pause")
        if asked and not self._paused:
            self._paused = True
            self._emit(ev.StudyPaused(reason="paused on request"))
        elif self._paused and not asked:
            self._paused = False
            self._emit(ev.StudyWentOn())

    def _verdict(self, *, force: bool = False) -> None:
        done = self.state.done
        if not force and (time.monotonic() - self._judged[0] < VERDICT_EVERY or done == self._judged[1]):
            return
        self._judged = (time.monotonic(), done)
        states = {t.number: t.state for t in self.state.trials.values() if t.is_over}
        best = self.state.best
        verdict = judge(self._directory.path, self._spec, states, None if best is None else best.number)
        self._emit(ev.StudyVerdict(verdict=verdict.to_json(), importances=self._importances(force=force)))

    def _importances(self, *, force: bool) -> dict[str, float]:
        """Return the importances: at the end, and on the way each time that there are half as many trials again.

        What they need takes a second to import; a thread does that, so that no worker waits for an answer meanwhile.
        """
        complete = self.state.count("complete")
        if complete < FEWEST or (not force and complete < 1.5 * self._weighed):
            return dict(self.state.importances)
        if self._loading is None:
            self._loading = threading.Thread(target=self._search.load_importances, name="qnb-study-load", daemon=True)
            self._loading.start()
        if self._loading.is_alive() and not force:
            return dict(self.state.importances)
        self._loading.join()
        self._weighed = complete
        return self._search.importances()

    def _write_outcome(self, status: str) -> None:
        import json

        best = self.state.best
        outcome: dict[str, Any] = {
            "study_id": self._directory.study_id, "status": status, "verdict": dict(self.state.verdict),
            "best": best and {"trial": best.number, "values": best.values, "params": dict(best.params)},
            "segment": self._spec.validation.segment, "recorder_id": self._keeper.run_id,
        }  # fmt: skip
        write_atomically(self._directory.path / "verdict.json", json.dumps(outcome, indent=1, default=str))

    def _stop_asked(self) -> bool:
        return self._stop() or self._directory.asked("stop")

    def _emit(self, event: ev.StudyEvent) -> None:
        self.state.apply(event)
        self._fan(event)


def manage(directory: StudyDir, **options: Any) -> StudyState:
    """Manage the study in `directory` in this process; see `StudyEngine`."""
    return StudyEngine(directory, **options).run()


def _mean(done: list[Done], metric: str) -> float:
    found = [d.metrics[metric] for d in done if metric in d.metrics]
    return sum(found) / len(found) if found else math.nan


def _parts(done: list[Done]) -> dict[str, float]:
    names: Mapping[str, None] = dict.fromkeys(k for d in done for k in d.seconds)
    return {name: sum(d.seconds.get(name, 0.0) for d in done) for name in names}


def _span(done: list[Done]) -> str:
    spans = [d.span for d in done if d.span]
    if not spans:
        return ""
    return spans[0] if len(spans) == 1 else f"{spans[0].partition(' to ')[0]} to {spans[-1].rpartition(' to ')[2]}"


def new_settings(settings: Settings, plan: StudyPlan) -> Settings:
    """Return the settings of a study: those given, with what its workflow says."""
    return settings.with_(**plan.task.settings)


def trial_of(state: StudyState, number: int) -> TrialState:
    """Return a trial by number; raises `StudyError` with those there are."""
    if number not in state.trials:
        raise StudyError(f"no trial {number}; there are {len(state.trials)}, counted from 0")
    return state.trials[number]
