"""Runs a task, start to end: data, fit, predict, one record after the other, report.

1. Everything is constructed (`build_parts`), so that a wrong argument fails before data is loaded.
2. The dataset is loaded and processed.
3. The model is fitted and saved.
4. Each record template computes and saves its part.
5. The report is drawn from what the records left.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import ConfigError, Problem, RunStopped
from ..events import ArtifactSaved, Emit, LogLine, StageChanged
from ..refused import refusal
from ..task.spec import Task
from ..threads import start_thread
from ..training.context import FitContext
from .build import Parts, build_parts
from .report import write_report

__all__ = ["Outcome", "run_task"]

ROOM = 1 << 20
ROOM_POLL = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run leaves.

    Attributes
    ----------
    metrics : dict of str to float
        All final metrics of the recorder.
    report : Path or None
        The HTML report on this machine; None when there was nothing to report or the store is remote.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    report: Path | None = None


def run_task(
    task: Task,
    *,
    recorder: Any,
    emit: Emit,
    settings: Settings,
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint_dir: Path | None = None,
    seed: int | None = None,
    resume: bool = False,
    run_id: str = "",
    directory: Path | None = None,
    revealed: Task | None = None,
) -> Outcome:
    """Execute `task` and leave everything in `recorder`.

    Parameters
    ----------
    task : Task
        What to run.
    recorder : Recorder
        A started recorder.
    emit : callable
        Receives every event.
    settings : Settings
        Where data and cache are, threads.
    should_stop : callable
        Asked at safe places; True ends the run with `RunStopped`.
    directory : Path, optional
        The run's directory, where panels find what they show of the result.
    revealed : Task, optional
        The task with its secrets, which its parts are built of; what is shown and kept is of `task`.

    Raises
    ------
    ConfigError
        A component refuses its arguments.
    RunStopped
        The run was asked to stop and did.
    """
    context = FitContext(
        threads=settings.threads, seed=seed, emit=emit, should_stop=should_stop, checkpoint_dir=checkpoint_dir,
        resume=resume,
    )  # fmt: skip
    began = time.perf_counter()
    parts = build_parts(revealed or task, recorder=recorder, settings=settings)
    with _stage("data", emit):
        _warm_up(parts.model, context)
        _load(parts.dataset, context)
        _check_stop(context)
    with _stage("fit", emit):
        stopped = _fit(parts, context)
        _wait_for_room(directory, context)
        for path in recorder.save_objects(**{"params.pkl": parts.model}) or ():
            emit(ArtifactSaved(name=str(path), kind="model"))
    if stopped is not None:
        raise stopped
    for step in parts.records:
        with _stage(step.stage, emit, title=step.title):
            _wait_for_room(directory, context)
            _generate(step.record, replace(context, stage=step.stage))
            _check_stop(context)
    with _stage("report", emit):
        _wait_for_room(directory, context)
        report = write_report(
            task, recorder=recorder, dataset=parts.dataset, settings=settings, emit=emit, run_id=run_id,
            seconds=time.perf_counter() - began, directory=directory,
        )  # fmt: skip
    return Outcome({k: float(v) for k, v in recorder.list_metrics().items()}, report)


def _wait_for_room(directory: Path | None, context: FitContext) -> None:
    """Wait as long as there is no space for what was computed, unless the run is asked to stop; rather than lose it."""
    told = False
    with contextlib.suppress(OSError):  # where the system does not say, saving will
        while directory is not None and shutil.disk_usage(directory).free < ROOM and not context.should_stop():
            if not told:
                said = refusal(OSError(errno.ENOSPC, "", str(directory)))
                context.log(f"{said}; what was computed waits for room, stop the run to give it up", level="error")
            told = True
            time.sleep(ROOM_POLL)


def _warm_up(model: Any, context: FitContext) -> None:
    """Let the model load its libraries meanwhile; a failure is told here, and ends the run in the fit at the latest."""
    warm_up = getattr(model, "warm_up", None)
    if callable(warm_up):

        def run() -> None:
            try:
                warm_up()
            except (ImportError, OSError) as error:
                context.log(f"warm_up of the model: {type(error).__name__}: {error}", level="warning")

        start_thread(run, name="qnb-warm-up")


def _load(dataset: Any, context: FitContext) -> None:
    setup = getattr(dataset, "setup_data", None)
    if setup is not None:
        accepted = inspect.signature(setup).parameters
        extra: dict[str, Any] = {"context": context} if "context" in accepted else {}
        if "emit" in accepted:
            extra["emit"] = context.emit
        setup(**extra)


def _fit(parts: Parts, context: FitContext) -> RunStopped | None:
    """Fit the model; a stop that left a usable model is returned, so the model is saved before the run ends."""
    accepted = inspect.signature(parts.model.fit).parameters
    extra: dict[str, Any] = {}
    if parts.reweighter is not None:
        if "reweighter" not in accepted:
            name = type(parts.model).__name__
            raise ConfigError(
                [Problem(f"{name}.fit takes no reweighter", "remove it from the task", "task.reweighter")]
            )
        extra["reweighter"] = parts.reweighter
    if "context" in accepted:
        extra["context"] = context
    try:
        parts.model.fit(parts.dataset, **extra)
    except RunStopped as stop:
        return stop
    _check_stop(context)
    return None


def _generate(record: Any, context: FitContext) -> None:
    """Generate a record with what it takes: where events go, and for one that predicts all that a fit is given."""
    accepted = inspect.signature(record.generate).parameters
    extra = {name: given for name, given in (("emit", context.emit), ("context", context)) if name in accepted}
    record.generate(**extra)


def _check_stop(context: FitContext) -> None:
    if context.should_stop():
        raise RunStopped("stopped on request")


@contextmanager
def _stage(name: str, emit: Emit, *, title: str = "") -> Iterator[None]:
    emit(StageChanged(stage=name, status="started", title=title))
    began = time.perf_counter()
    try:
        yield
    except RunStopped as stop:
        emit(LogLine(text=str(stop), stage=name))
        raise
    emit(StageChanged(stage=name, status="finished", seconds=time.perf_counter() - began))
