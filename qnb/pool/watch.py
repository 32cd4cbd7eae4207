"""Watches over one run in one process: stop, time, memory, death.

1. Every `POLL` seconds: has the process ended, has it said that it is idle, was the run asked to stop?
2. A request to stop escalates: the file ``stop`` first, then SIGINT, SIGTERM and SIGKILL (`GRACE`).
3. A run that takes longer than it may is asked to stop for that reason, and escalates likewise.
4. A process that has more memory of its own than it may is killed at once: asking takes memory, too.
5. A process that is gone without an ending in the journal is a crash, which the pool decides about.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..events import Event, LogLine, RunFailed, RunFinished, RunRetried, RunStopped
from ..journal import JournalWriter
from ..machine import private_memory
from ..ongoing import last_status
from ..recorder.settle import owe, pay
from ..rundir import TIME_LIMIT, RunDir
from ..state import OVER, load_state
from .protocols import Crash, Limits

__all__ = ["GRACE", "POLL", "Watched", "go_on", "supervise", "write_failed", "write_stopped"]

POLL = 0.1
MEMORY_POLL = 0.1
GRACE = (5.0, 5.0, 2.0)
"""Seconds given to the stop file before SIGINT, to SIGINT before SIGTERM, to SIGTERM before SIGKILL."""
_STEPS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM))


class Watched(Protocol):
    """A process that runs a task."""

    name: str
    pid: int

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""

    @property
    def exit_code(self) -> int | None:
        """Its status, negative for a signal; None where it is not known."""

    def signal(self, number: int) -> None:
        """Send a signal to the process and those it started."""


def supervise(process: Watched, directory: RunDir, limits: Limits, idle: Callable[[float], bool]) -> Crash | None:
    """Return when the run in `directory` is over: None with an ending, else how its process died.

    Parameters
    ----------
    process : Watched
        Runs the task.
    directory : RunDir
        The run.
    limits : Limits
        Its time and memory.
    idle : callable
        Waits at most the seconds it is given and returns whether the process says that the run is over.
    """
    began = time.monotonic()
    asked_at: float | None = None
    step = 0
    most = next_look = 0.0
    while True:
        now = time.monotonic()
        if now >= next_look:  # before the first wait: a process that dies soon has been looked at, too
            next_look = now + MEMORY_POLL
            most = private_memory(process.pid) or most
            if limits.memory and most > limits.memory:
                return _too_large(process, directory, limits, int(most))
        if process.ended:
            return _died(process, directory, limits, int(most), asked=asked_at is not None)
        if idle(POLL):
            return None
        now = time.monotonic()
        if asked_at is None:
            if limits.timeout and now - began > limits.timeout:
                directory.ask_to_stop(f"{TIME_LIMIT} of {limits.timeout:g}s reached")
            if directory.stop_asked():
                asked_at = now
        elif step < len(GRACE) and now - asked_at > sum(GRACE[: step + 1]):
            process.signal(_STEPS[step])
            step += 1


def write_stopped(directory: RunDir, reason: str, *, interrupted: bool = False, sync: bool = True) -> None:
    """Write the ending of a run that its process did not write; `sync` has the disk confirm it."""
    status = "interrupted" if interrupted else "stopped"
    ending = RunStopped(reason=reason, resumable=directory.has_checkpoint, interrupted=interrupted)
    write_ending(directory, ending, {"status": status, "message": reason}, sync=sync)


def write_ending(directory: RunDir, ending: Event, result: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write how a run ended whose process did not, to its store, its journal and ``result.json``, in this order.

    Nothing happens when the journal has an ending. Where ``result.json`` says that the run finished, that is how it
    ended: its process was ended before it could write it to the journal.
    """
    started = False
    with contextlib.suppress(FileNotFoundError), directory.lock():  # unless somebody removed or moved it
        status = last_status(directory.path)
        if status in OVER:
            return
        told = directory.result() or {}
        if told.get("status") == "finished":
            result = told
            ending = RunFinished(seconds=told.get("seconds", 0.0), metrics=told.get("metrics", {}))
        started = status == "running" or (directory.path / "recorder.json").exists()
        if started:
            owe(directory, str(result["status"]), str(result.get("message", "")))
        with JournalWriter(directory.path, sync=sync) as journal:
            if isinstance(ending, RunFailed):
                journal.append(LogLine(text=ending.message, level="error", time=ending.time))
            journal.append(ending)
        if result is not told:
            directory.write_result(result)
    if started:
        pay(directory)


def write_failed(directory: RunDir, error: str, message: str, exit_code: int | None = None) -> None:
    """Write the ending of a run that failed without its process having said so."""
    ending = RunFailed(error=error, message=message, exit_code=exit_code)
    write_ending(directory, ending, {"status": "failed", "error": error, "message": message})


def go_on(directory: RunDir, after: int) -> None:
    """Have a run that ended with event number `after` wait once more; nothing happens when it does already.

    Called with the locks of the run and of the tickets held (`TicketBox.locked`), after its ticket was written.
    """
    state = load_state(directory.path)
    if not state.is_over or state.seq != after:
        return
    directory.set_resume(True)
    directory.forget_ending()
    with JournalWriter(directory.path, sync=False) as journal:
        journal.append(RunRetried(reason="goes on from its checkpoint", attempt=state.attempt + 1))


def _too_large(process: Watched, directory: RunDir, limits: Limits, memory: int) -> Crash | None:
    process.signal(_STEPS[-1])
    end = time.monotonic() + GRACE[-1]
    while not process.ended and time.monotonic() < end:
        time.sleep(0.01)
    if last_status(directory.path) in OVER:
        return None
    message = f"stopped: out of memory at {_gb(memory)} of {_gb(limits.memory)} GB; give it more with --memory"
    return Crash(message, error="OutOfMemory", exit_code=process.exit_code, again=False)


def _died(process: Watched, directory: RunDir, limits: Limits, memory: int, *, asked: bool) -> Crash | None:
    if last_status(directory.path) in OVER or (directory.result() or {}).get("status") == "finished":
        return None
    if asked:
        reason = directory.stop_reason()
        if reason.startswith(TIME_LIMIT):
            return Crash(f"stopped: {reason}", error="TimeLimit", exit_code=process.exit_code, again=False)
        write_stopped(directory, "ended by a signal after it did not answer the request to stop")
        return None
    code = process.exit_code
    words = [] if code is None else [f"exit {code}".replace("-", "\u2212")]
    if memory:
        words.append(f"memory {_gb(memory)}" + (f" of {_gb(limits.memory)} GB" if limits.memory else " GB"))
    name = process.name[:1].upper() + process.name[1:]
    return Crash(f"{name} was ended by the system" + (f" ({', '.join(words)})" if words else ""), exit_code=code)


def _gb(value: int) -> str:
    return f"{value / 2**30:.1f}"
