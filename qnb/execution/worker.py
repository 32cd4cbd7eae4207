"""The process entry of a run: reads the request, runs the task, keeps the journal, writes the result.

This is the one place with a broad ``except``: whatever a task raises becomes a `RunFailed` event.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import events as ev
from ..config import use_settings
from ..errors import ConfigError, QnbError, RecorderError, RunStopped
from ..journal import JournalWriter
from ..recorder import R
from ..recorder.uris import masked
from ..rundir import Request, RunDir
from .execute import Outcome, run_task
from .logs import logs_as_events
from .resources import ResourceSampler

__all__ = ["busy", "execute_run", "main"]

STOP_POLL = 0.1
_going = 0


def execute_run(
    directory: RunDir,
    *,
    listeners: Sequence[ev.Emit] = (),
    stop: Callable[[], bool] = lambda: False,
    worker: str = "",
) -> dict[str, Any]:
    """Run what `directory` asks for, in this process, and return its result.

    Parameters
    ----------
    directory : RunDir
        Holds the request; receives journal, checkpoints and ``result.json``.
    listeners : sequence of callable
        Called with every event after the journal has it.
    stop : callable
        A further way to ask for a stop, beside the file ``stop`` in the directory.

    Returns
    -------
    dict
        ``status`` (finished, failed, stopped), ``metrics``, ``report``, ``recorder_id``, ``experiment``, ``seconds``,
        and for a failure ``error``, ``message`` and ``traceback``.
    """
    global _going
    _going += 1
    try:
        return _execute(directory, listeners, stop, worker)
    finally:
        _going -= 1


def _execute(directory: RunDir, listeners: Sequence[ev.Emit], stop: Callable[[], bool], worker: str) -> dict[str, Any]:
    request = directory.request()
    began = time.perf_counter()
    with JournalWriter(directory.path) as journal:
        emit = _Fan(journal, listeners)
        emit(ev.RunStarted(pid=os.getpid(), host=platform.node(), worker=worker, threads=request.threads))
        result: dict[str, Any] = {"run_id": request.run_id, "name": request.name}
        ending: ev.Event
        try:
            with logs_as_events(emit, level=request.settings.logging_level), ResourceSampler(emit):
                outcome, recorder_id = _run(request, directory, emit, _StopPoll(directory, stop))
            result |= {"status": "finished", "metrics": outcome.metrics, "recorder_id": recorder_id}
            result["report"] = str(outcome.report) if outcome.report else None
            ending = ev.RunFinished(seconds=time.perf_counter() - began, metrics=outcome.metrics)
        except (RunStopped, KeyboardInterrupt) as stopped:
            reason = str(stopped) or "interrupted"
            resumable = directory.checkpoint_dir.is_dir() and any(directory.checkpoint_dir.iterdir())
            result |= {"status": "stopped", "message": reason}
            ending = ev.RunStopped(reason=reason, resumable=resumable, seconds=time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - the worker's boundary
            ending = _failure(error, time.perf_counter() - began)
            result |= {
                "status": "failed",
                "error": ending.error,
                "message": ending.message,
                "traceback": ending.traceback,
            }
        result["seconds"] = time.perf_counter() - began
        directory.write_result(result)
        emit(ending)
    return result


def busy() -> bool:
    """Return whether a run is going on in this process."""
    return _going > 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the directory that is named on the command line; exit status 0 finished, 1 failed, 2 stopped."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    result = execute_run(RunDir(Path(arguments[0])))
    return {"finished": 0, "failed": 1}.get(result["status"], 2)


def _run(request: Request, directory: RunDir, emit: ev.Emit, stop: Callable[[], bool]) -> tuple[Outcome, str]:
    settings = use_settings(request.settings)
    experiment = request.task.experiment or settings.experiment
    with R.start(experiment_name=experiment, recorder_name=request.name, uri=settings.tracking_uri):
        recorder = R.get_recorder()
        R.set_tags(**{"qnb.run_id": request.run_id, "qnb.task_hash": request.task.hash})
        recorder.log_params(**flat_params(request.task.document.get("task", {})))
        recorder.save_objects(**{"task.yaml": masked(request.task.to_yaml())})
        to_recorder = _MetricsToRecorder(recorder, emit)
        outcome = run_task(
            request.task, recorder=recorder, emit=to_recorder, settings=settings, should_stop=stop,
            checkpoint_dir=directory.checkpoint_dir, seed=request.seed, resume=request.resume, run_id=request.run_id,
            directory=directory.path,
        )  # fmt: skip
        return outcome, recorder.id


def flat_params(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested settings as ``{"model.kwargs.num_leaves": 210, ...}``; positions of a list count as keys."""
    if isinstance(config, Mapping):
        items = [(str(k), v) for k, v in config.items()]
    elif isinstance(config, list | tuple) and any(isinstance(v, Mapping | list) for v in config):
        items = [(str(k), v) for k, v in enumerate(config)]
    else:
        return {prefix: config}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= flat_params(value, f"{prefix}.{key}" if prefix else key)
    return flat


def _failure(error: Exception, seconds: float) -> ev.RunFailed:
    line = None
    if isinstance(error, ConfigError):
        line = next((p.line for p in error.problems if p.line is not None), None)
    own = isinstance(error, QnbError)
    message = str(error) or type(error).__name__
    return ev.RunFailed(
        error=type(error).__name__,
        message=message if own else f"{type(error).__name__}: {message}",
        line=line,
        traceback="".join(traceback.format_exception(error)),
        seconds=seconds,
    )


class _Fan:
    """Hands an event to the journal first, then to the listeners; a full disk is told once and does not end the run."""

    def __init__(self, journal: JournalWriter, listeners: Sequence[ev.Emit]) -> None:
        self._journal, self._listeners = journal, listeners
        self._lock = threading.Lock()
        self._told = False

    def __call__(self, event: ev.Event) -> None:
        with self._lock:
            try:
                self._journal.append(event)
            except OSError as error:
                if not self._told:
                    self._told = True
                    sys.stderr.write(f"qnb: the journal cannot be written: {error}\n")
            for listener in self._listeners:
                listener(event)


class _MetricsToRecorder:
    """Logs the points of curves to the recorder as they pass by."""

    def __init__(self, recorder: Any, emit: ev.Emit) -> None:
        self._recorder, self._emit = recorder, emit

    def __call__(self, event: ev.Event) -> None:
        self._emit(event)
        if isinstance(event, ev.MetricLogged) and event.step is not None:
            try:
                self._recorder.log_metrics(step=event.step, **{event.name: event.value})
            except RecorderError as error:
                self._emit(ev.LogLine(text=str(error), level="warning"))


class _StopPoll:
    """Answers whether a stop was asked for, looking at the file at most ten times a second."""

    def __init__(self, directory: RunDir, stop: Callable[[], bool]) -> None:
        self._directory, self._stop = directory, stop
        self._next = 0.0
        self._asked = False

    def __call__(self) -> bool:
        if self._asked or self._stop():
            return True
        now = time.monotonic()
        if now >= self._next:
            self._next = now + STOP_POLL
            self._asked = self._directory.stop_asked()
        return self._asked


if __name__ == "__main__":
    sys.exit(main())
