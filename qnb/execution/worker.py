"""The process entry of a run: reads the request, runs the task, keeps the journal, writes the result.

This is the one place with a broad ``except``: whatever a task raises becomes a `RunFailed` event.
"""

from __future__ import annotations

import importlib
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import events as ev
from ..config import settings_of_run, use_settings
from ..errors import ConfigError, QnbError, RecorderError, RunStopped
from ..expr.catalogue import own_operators
from ..journal import JournalWriter, read_journal
from ..machine import boot_id, process_id
from ..private import keep_private
from ..project import Anchor, is_gone, project_of, used
from ..recorder import R
from ..recorder.base import RUN_ID, MetricPoint, RefusedError, UnreachableError
from ..recorder.names import legal_name
from ..recorder.patience import Patience, store_patience
from ..recorder.settle import owe, pay
from ..refused import OF_THE_MACHINE, refusal
from ..rundir import TIME_LIMIT, Request, RunDir
from ..secrets import Vault
from ..task.modules import user_modules
from .execute import ROOM_POLL, Outcome, run_task
from .fan_out import LAST_WAIT, FanOut
from .logs import logs_as_events
from .output import output_as_log
from .resources import ResourceSampler
from .session_objects import fresh_modules, notebook_objects

__all__ = ["Place", "busy", "execute_run", "main"]

STOP_POLL = 0.1
_going: set[object] = set()
_going_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a run is executed.

    Attributes
    ----------
    worker : str
        The worker's name; empty for a shell or script.
    threads : int or None
        CPU threads it may use, where that is less than the request says.
    memory_limit : int
        Bytes at which the pool ends it; 0 without a limit.
    attempt : int
        1 for the first try.
    own_process : bool
        The process is a worker's: its standard output belongs to the run, modules of the user may be dropped.
    alone : bool
        No other run shares the process, so that settings, logs and warnings of all its threads are the run's; True
        for a worker's.
    """

    worker: str = ""
    threads: int | None = None
    memory_limit: int = 0
    attempt: int = 1
    own_process: bool = False
    alone: bool = False


def execute_run(
    directory: RunDir,
    *,
    listeners: Sequence[ev.Emit] = (),
    stop: Callable[[], bool] = lambda: False,
    place: Place | None = None,
) -> dict[str, Any]:
    """Run what `directory` asks for, in this process, and return its result.

    Parameters
    ----------
    directory : RunDir
        Holds the request; receives journal, checkpoints and ``result.json``.
    listeners : sequence of callable
        Called with every event, in a thread of their own; see `qnb.execution.fan_out`.
    stop : callable
        A further way to ask for a stop, beside the file ``stop`` in the directory.
    place : Place, optional
        Worker, threads, memory and attempt, where a pool runs it.

    Returns
    -------
    dict
        ``status`` (finished, failed, stopped), ``metrics``, ``report``, ``recorder_id``, ``experiment``, ``seconds``,
        and for a failure ``error``, ``message`` and ``traceback``.
    """
    this = object()
    with _going_lock:
        _going.add(this)
    try:
        return _execute(directory, listeners, stop, place or Place())
    finally:
        with _going_lock:
            _going.discard(this)


def _execute(directory: RunDir, listeners: Sequence[ev.Emit], stop: Callable[[], bool], place: Place) -> dict[str, Any]:
    request = directory.request()
    threads = min(request.threads, place.threads or request.threads)
    request = replace(request, threads=threads, settings=request.settings.with_(threads=threads))
    began = time.perf_counter()
    own = process_id()
    resumed = (request.resume or place.attempt > 1) and directory.has_checkpoint
    request = replace(request, resume=resumed)
    spare = (ev.Progress, ev.ResourceSampled, ev.LogLine)
    clean = Vault.beside(directory.path).cleaner()
    used(directory.project)
    with (
        Anchor(directory.path) as anchor,
        JournalWriter(directory.path) as journal,
        FanOut[ev.Event](journal.append, listeners, line=ev.LogLine, spare=spare) as emit,
    ):
        emit(
            ev.RunStarted(
                pid=own.pid, began=own.began, boot=boot_id(), host=platform.node(), worker=place.worker,
                threads=request.threads, memory_limit=place.memory_limit, attempt=place.attempt, resumed=resumed,
            )
        )  # fmt: skip
        result: dict[str, Any] = {"run_id": request.run_id, "name": request.name}
        ending: ev.Event

        def tell(event: ev.Event) -> None:
            emit(replace(event, text=clean(event.text)) if isinstance(event, ev.LogLine) else event)

        try:
            with _surroundings(request, directory, tell, place, clean):
                outcome, recorder_id = _run(request, directory, tell, _StopPoll(directory, stop, anchor), place)
            result |= {"status": "finished", "metrics": outcome.metrics, "recorder_id": recorder_id}
            result["report"] = str(outcome.report) if outcome.report else None
            ending = ev.RunFinished(seconds=time.perf_counter() - began, metrics=outcome.metrics)
        except (RunStopped, KeyboardInterrupt) as stopped:
            ending = _stopped(stopped, directory, time.perf_counter() - began)
            if isinstance(ending, ev.RunFailed):
                result |= {"status": "failed", "error": ending.error, "message": ending.message}
            else:
                result |= {"status": "stopped", "message": ending.reason}
        except Exception as error:  # noqa: BLE001 - the worker's boundary
            ending = _failure(error, time.perf_counter() - began, clean)
            result |= {
                "status": "failed",
                "error": ending.error,
                "message": ending.message,
                "traceback": ending.traceback,
            }
        if anchor.is_gone:
            directory, ending = _moved(anchor, request, ending)
            if isinstance(ending, ev.RunStopped):
                result |= {"status": "stopped", "message": ending.reason}
        result["seconds"] = time.perf_counter() - began
        recorder = directory.recorder()
        if recorder is not None:
            result.setdefault("recorder_id", recorder[0])
        _end(directory, result, ending, emit, patient=place.own_process)
    keep_private(directory.path)  # checkpoints and reports are written by code that knows nothing of it
    return result


def _end(
    directory: RunDir, result: Mapping[str, Any], ending: ev.Event, emit: FanOut[ev.Event], *, patient: bool
) -> None:
    """Write the outcome, then the ending; the ending alone where there is room for no file.

    Where there is no room at all, a patient process waits for it until it is asked to stop.
    """
    asked = directory.stop_asked()
    soon = time.monotonic() + LAST_WAIT

    def give_up() -> bool:
        return (not patient and time.monotonic() > soon) or (not asked and directory.stop_asked())

    refused = _refused(directory, result)
    if refused:
        emit(ev.LogLine(text=f"the outcome cannot be written yet: {refused}", level="error"))
    while refused and not give_up() and not (emit.catch_up(ROOM_POLL) and time.monotonic() > soon):
        time.sleep(ROOM_POLL)
        refused = _refused(directory, result)
    emit(ending)
    if not emit.catch_up(None, give_up):
        emit(ev.LogLine(text="there was no room on the disk for the end of the run's journal", level="error"))
    while refused and not give_up():
        time.sleep(ROOM_POLL)
        refused = _refused(directory, result)


def _refused(directory: RunDir, result: Mapping[str, Any]) -> str:
    """Write the outcome, or return why it cannot be written; where its folder is gone, nobody looks for it."""
    try:
        directory.write_result(result)
    except OSError as error:
        return "" if is_gone(directory.path) else refusal(error)
    return ""


@contextmanager
def _surroundings(
    request: Request, directory: RunDir, emit: ev.Emit, place: Place, clean: Callable[[str], str]
) -> Iterator[None]:
    """Settings, operators, logs, output, resources and the notebook's classes, in place during the run."""
    with ExitStack() as stack:
        alone = place.own_process or place.alone
        if alone:
            use_settings(request.settings)
        else:
            stack.enter_context(settings_of_run(request.settings))
        stack.enter_context(own_operators())
        if place.own_process:
            stack.enter_context(output_as_log(directory.log_path, emit, clean))
            folders: list[str | Path] = [request.settings.work_dir, request.task.base_dir, *request.task.imports]
            dropped = stack.enter_context(fresh_modules(folders))
            if dropped:
                emit(ev.LogLine(text=f"changed since the last run and imported anew: {', '.join(dropped)}"))
            stack.enter_context(notebook_objects(directory.objects_path))
            _limit_threads(request.threads)
        stack.enter_context(user_modules(request.task.imports, request.task.base_dir, request.settings.work_dir))
        stack.enter_context(logs_as_events(emit, level=request.settings.logging_level, alone=alone))
        stack.enter_context(ResourceSampler(emit))
        yield


def _limit_threads(threads: int) -> None:
    """Give linear algebra its share of the cores; models are told theirs as an argument."""
    try:
        threadpoolctl = importlib.import_module("threadpoolctl")
    except ImportError:
        return
    threadpoolctl.threadpool_limits(threads)


def busy() -> bool:
    """Return whether a run is going on in this process."""
    return bool(_going)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the directory that is named on the command line; exit status 0 finished, 1 failed, 2 stopped."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    result = execute_run(RunDir(Path(arguments[0])), place=Place(alone=True))
    return {"finished": 0, "failed": 1}.get(result["status"], 2)


def _run(
    request: Request, directory: RunDir, emit: ev.Emit, stop: Callable[[], bool], place: Place
) -> tuple[Outcome, str]:
    settings = request.settings
    experiment = request.task.experiment or settings.experiment
    again = place.attempt > 1 or request.resume
    patience = Patience(store_patience(), stop, lambda text: emit(ev.LogLine(text=text, level="warning")))
    with _recording(request, directory, experiment, patience, again=again):
        recorder = R.get_recorder()
        try:
            directory.write_recorder(recorder.id, experiment)
        except OSError as error:  # a full disk: the training may still end well
            emit(ev.LogLine(text=f"the place of the recorder cannot be noted: {refusal(error)}", level="warning"))
        recorder.set_tags(**{"qnb.task_hash": request.task.hash})
        if again:  # what a process that was killed had not yet written
            recorder.log_curves(_points(directory))
        known = recorder.list_params()  # of a run that goes on; its paths differ where the project was moved
        params = flat_params(request.task.document.get("task", {}))
        recorder.log_params(**{k: v for k, v in params.items() if legal_name("param", k) not in known})
        if request.seed is not None:
            recorder.log_params(seed=request.seed)
        recorder.save_objects(**{"task.yaml": request.task.to_yaml()})
        to_recorder = _ToRecorder(recorder, emit)
        outcome = run_task(
            request.task, recorder=recorder, emit=to_recorder, settings=settings, should_stop=stop,
            checkpoint_dir=directory.checkpoint_dir, seed=request.seed, resume=request.resume, run_id=request.run_id,
            directory=directory.path, revealed=directory.revealed(request.task),
        )  # fmt: skip
        return outcome, recorder.id


@contextmanager
def _recording(
    request: Request, directory: RunDir, experiment: str, patience: Patience, *, again: bool
) -> Iterator[None]:
    """Start the recorder of the run, which goes on in the one it had, and wait for its store from then on."""
    uri = request.settings.tracking_uri
    known = directory.recorder() if again else None
    with ExitStack() as stack:
        try:
            if known is not None and known[1] == experiment:
                try:
                    stack.enter_context(R.start(experiment_name=experiment, recorder_id=known[0], resume=True, uri=uri))
                except RefusedError:
                    known = None  # deleted meanwhile, or a recorder in the memory of the process that died
            if known is None:
                tags = {RUN_ID: request.run_id}
                stack.enter_context(R.start(experiment_name=experiment, recorder_name=request.name, uri=uri, tags=tags))
        except UnreachableError as error:
            owe(directory, "failed", str(error))  # the store may have it, and only its answer was lost
            raise
        R.get_recorder().wait_for_store(patience)
        try:
            yield
        except BaseException:
            patience.end()
            raise


def _points(directory: RunDir) -> Iterator[MetricPoint]:
    """Yield the points of curves that are in the journal."""
    for entry in read_journal(directory.path):
        event = entry.event
        if isinstance(event, ev.MetricLogged) and event.step is not None:
            yield MetricPoint(event.name, event.value, event.step, event.time)


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


def _failure(error: Exception, seconds: float, clean: Callable[[str], str]) -> ev.RunFailed:
    line = None
    if isinstance(error, ConfigError):
        line = next((p.line for p in error.problems if p.line is not None), None)
    message = str(error) or type(error).__name__
    if not isinstance(error, QnbError):
        message = f"{type(error).__name__}: {message}"
    if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
        message = refusal(error)
    return ev.RunFailed(
        error=type(error).__name__,
        message=clean(message),
        line=line,
        traceback=clean("".join(traceback.format_exception(error))),
        seconds=seconds,
    )


def _stopped(error: BaseException, directory: RunDir, seconds: float) -> ev.RunFailed | ev.RunStopped:
    asked = directory.stop_reason()
    if asked.startswith(TIME_LIMIT):
        return ev.RunFailed(error="TimeLimit", message=f"stopped: {asked}", seconds=seconds)
    reason = str(error) or asked or "interrupted"
    return ev.RunStopped(reason=reason, resumable=directory.has_checkpoint, seconds=seconds)


class _ToRecorder:
    """Logs the points of curves, and a seed that was drawn, to the recorder as they pass by."""

    def __init__(self, recorder: Any, emit: ev.Emit) -> None:
        self._recorder, self._emit = recorder, emit

    def __call__(self, event: ev.Event) -> None:
        self._emit(event)
        try:
            if isinstance(event, ev.MetricLogged) and event.step is not None:
                self._recorder.log_curves([MetricPoint(event.name, event.value, event.step, event.time)])
            elif isinstance(event, ev.SeedDrawn):
                self._recorder.log_params(seed=event.seed)
        except RecorderError as error:
            self._emit(ev.LogLine(text=str(error), level="warning"))


def _moved(anchor: Anchor, request: Request, ending: ev.Event) -> tuple[RunDir, ev.Event]:
    """Return the folder of a run that was moved while it went on, and the ending that this makes of another one.

    What its files have open moves with them, the journal too; but the database, the checkpoint and what it writes anew
    are looked for where they were. A run that had finished is whole; any other is interrupted and can go on there.
    """
    found = anchor.find()
    directory = RunDir(anchor.folder if found is None else found)
    if isinstance(ending, ev.RunFinished):
        return directory, ending
    old = project_of(anchor.folder)
    if found is None:
        reason = f"Its folder was moved out of {old}, or removed, while it ran."
    else:
        go_on = f"%qresume {request.name} goes on there." if directory.has_checkpoint else "Run its cell again there."
        reason = f"The folder {old} was moved to {directory.project} while it ran. {go_on}"
        owe(directory, "interrupted", reason)
        pay(directory)
    seconds = getattr(ending, "seconds", 0.0)
    return directory, ev.RunStopped(
        reason=reason, resumable=directory.has_checkpoint, interrupted=True, seconds=seconds
    )


class _StopPoll:
    """Answers whether a stop was asked for, or the run's folder moved, looking at most ten times a second."""

    def __init__(self, directory: RunDir, stop: Callable[[], bool], anchor: Anchor) -> None:
        self._directory, self._stop, self._anchor = directory, stop, anchor
        self._next = 0.0
        self._asked = False

    def __call__(self) -> bool:
        if self._asked or self._stop():
            return True
        now = time.monotonic()
        if now >= self._next:
            self._next = now + STOP_POLL
            self._asked = self._directory.stop_asked() or self._anchor.is_gone
        return self._asked


if __name__ == "__main__":
    sys.exit(main())
