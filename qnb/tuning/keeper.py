"""Keeps a study in the recorder: a run for the study, a nested run for each trial, written in a thread of its own."""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import RecorderError
from ..files import read_json, write_atomically
from ..recorder.base import PARAM_LIMIT, Entry, MetricPoint, ParamSet, TagSet
from ..recorder.experiment import Experiment
from ..recorder.names import legal_name
from ..recorder.stores import open_store
from .plan import StudyPlan
from .state import StudyState, TrialState

__all__ = ["Keeper"]

RED = "chosen on the TEST segment: its figures are no test"


class Keeper:
    """Writes what a study does to the recorder.

    Trials are looked up by their tags when a study is gone on with, so that each has one run, whatever was killed when.

    Parameters
    ----------
    folder : Path
        The study's directory; remembers the id of the study's run.
    plan : StudyPlan
        What is searched.
    settings : Settings
        Where the recorder is.
    study_id : str
        Tag of all runs of the study.
    warn : callable
        Takes a line when something cannot be written; the study goes on.
    """

    def __init__(self, folder: Path, plan: StudyPlan, settings: Settings, study_id: str, warn: Any) -> None:
        self._folder, self._plan, self._id, self._warn = folder, plan, study_id, warn
        self.experiment_name = plan.task.experiment or settings.experiment
        self._store = open_store(settings.tracking_uri, cache_dir=settings.cache_dir, work_dir=settings.work_dir)
        self._experiment = Experiment(self._store, self._store.create_experiment(self.experiment_name), settings)
        self._parent = self._open_parent()
        self._runs: dict[int, str] = {}
        self._unended: set[int] = set()
        self._find_runs()
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="qnb-study-recorder", daemon=True)
        self._thread.start()

    @property
    def run_id(self) -> str:
        """Id of the study's run."""
        return str(self._parent.id)

    def started(self, number: int, params: Mapping[str, Any]) -> None:
        """Record that a trial began."""
        self._queue.put((self._begin, number, dict(params)))

    def ended(self, trial: TrialState) -> None:
        """Record how a trial ended."""
        self._queue.put((self._end, trial))

    def finish(self, state: StudyState, status: str) -> None:
        """Write everything that waits, the study's own figures and files, and end its run."""
        self._queue.put(None)
        self._thread.join()
        try:
            self._summary(state)
            self._parent.end_run("FINISHED" if status == "finished" else "FAILED")
        except RecorderError as error:
            self._warn(f"the study's run could not be ended: {error}")

    def _open_parent(self) -> Any:
        path = self._folder / "recorder.json"
        spec = self._plan.spec
        known = (read_json(path, remedy="the study gets another run in the recorder") or {}).get("run_id")
        try:
            return self._experiment.start(recorder_id=str(known), resume=True)
        except RecorderError:
            parent = self._experiment.start(recorder_name=spec.name)
        write_atomically(path, json.dumps({"run_id": parent.id}))
        parent.set_tags(**{"qnb.kind": "study", "qnb.study": self._id, "qnb.segment": spec.validation.segment})
        if spec.on_test:
            parent.set_tags(**{"qnb.warning": RED})
        shown = {k: v for k, v in spec.to_json().items() if k not in ("name", "objectives", "validation")}
        shown |= {f"objective {i}": f"{o.direction} {o.metric}" for i, o in enumerate(spec.objectives)}
        shown |= {f"cv.{k}": v for k, v in spec.to_json()["validation"].items()}
        parent.log_params(**{f"study.{k}": v for k, v in shown.items()})
        files: dict[str, Any] = {"study.yaml": self._plan.text, "space.json": {"space": self._plan.space.to_json()}}
        parent.save_objects(**files)
        return parent

    def catch_up(self, trials: Iterable[TrialState]) -> None:
        """Record the trials that are over and whose runs an earlier manager could not write any more."""
        for trial in trials:
            if trial.is_over and (trial.number not in self._runs or trial.number in self._unended):
                self.started(trial.number, trial.params)
                self.ended(trial)

    def _find_runs(self) -> None:
        for run in self._store.search(
            [self._parent.experiment_id], filter_string=f"tags.`qnb.study` = '{self._id}'", max_results=100_000
        ):
            number = run.tags.get("qnb.trial", "")
            if number.isdigit():
                self._runs[int(number)] = run.run_id
                if run.status == "RUNNING":
                    self._unended.add(int(number))

    def _work(self) -> None:
        told: set[str] = set()
        while (item := self._queue.get()) is not None:
            call, *arguments = item
            try:
                call(*arguments)
            except RecorderError as error:
                if str(error) not in told:
                    told.add(str(error))
                    self._warn(f"a trial could not be recorded: {error}")

    def _begin(self, number: int, params: Mapping[str, Any]) -> None:
        if number in self._runs:
            return
        tags = {
            "mlflow.parentRunId": self.run_id, "qnb.study": self._id, "qnb.trial": str(number), "qnb.kind": "trial",
            "qnb.segment": self._plan.spec.validation.segment,
        }  # fmt: skip
        if self._plan.spec.on_test:
            tags["qnb.warning"] = RED
        info = self._store.create_run(self._experiment._info, f"trial {number}", tags=tags, status="RUNNING")
        self._runs[number] = info.run_id
        entries: list[Entry] = [ParamSet(legal_name("param", k), str(v)[:PARAM_LIMIT]) for k, v in params.items()]
        self._store.log(info.run_id, entries)

    def _end(self, trial: TrialState) -> None:
        run_id = self._runs[trial.number]
        now = time.time()
        metrics = {k: v for k, v in trial.metrics.items() if math.isfinite(v)}
        metrics |= {"seconds": trial.seconds, "steps": float(trial.steps)}
        for objective, value in zip(self._plan.spec.objectives, trial.values, strict=False):
            metrics[f"objective {objective.metric}"] = value
        entries: list[Entry] = [MetricPoint(legal_name("metric", k), float(v), 0, now) for k, v in metrics.items()]
        name = legal_name("metric", f"{self._plan.spec.objectives[0].metric} on the way")
        for curve in trial.curves.values():
            entries += [MetricPoint(name, value, step, now) for step, value in curve]
        entries.append(TagSet("qnb.state", trial.state))
        if trial.message:
            entries.append(TagSet("qnb.error", trial.message[:500]))
        self._store.log(run_id, entries)
        self._store.update_run(run_id, status="FAILED" if trial.state == "failed" else "FINISHED", end=now)

    def _summary(self, state: StudyState) -> None:
        best = state.best
        figures: dict[str, float] = {f"trials {s}": float(state.count(s)) for s in ("complete", "pruned", "failed")}
        if best is not None:
            figures["best trial"] = float(best.number)
            figures |= {f"best {o.metric}": v for o, v in zip(state.spec.objectives, best.values, strict=True)}
            task = self._plan.task_with(best.params)
            self._parent.save_objects(**{"best_task.yaml": task.to_yaml(), "best_params.json": dict(best.params)})
        for name in ("deflated", "overfit"):
            value = state.verdict.get(name)
            if isinstance(value, int | float) and math.isfinite(value):
                figures[name] = float(value)
        self._parent.log_metrics(**figures)
        self._parent.save_objects(**{"verdict.json": dict(state.verdict), "trials.json": trials_table(state)})
        if state.verdict:
            self._parent.set_tags(**{"qnb.verdict": str(state.verdict.get("headline", ""))})


def trials_table(state: StudyState) -> dict[str, Any]:
    """Return all trials as JSON values, with the warning where they were chosen on the test segment."""
    rows = [
        {
            "trial": t.number, "state": t.state, "values": t.values, "params": dict(t.params),
            "metrics": {k: v for k, v in t.metrics.items() if math.isfinite(v)}, "seconds": t.seconds,
            "steps": t.steps, "error": t.error, "message": t.message,
        }
        for t in sorted(state.trials.values(), key=lambda t: t.number)
    ]  # fmt: skip
    return {"warning": RED, "trials": rows} if state.spec.on_test else {"trials": rows}
