"""A worker of a study: a long-lived process that evaluates one job after the other.

Jobs and answers come on standard input, results go to what standard output was; both carry one JSON object a line.
Everything that libraries print goes to the worker's log. When the manager ends, however it ends, standard input closes
and the worker ends at once.
"""

from __future__ import annotations

import io
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..config import Settings, use_settings
from ..events import Event, LogLine
from ..execution.logs import logs_as_events
from ..execution.session_objects import notebook_objects
from ..secrets import Vault
from .evaluate import Evaluator, failure_of
from .messages import Answer, Done, Hello, Job, Report, decode, encode
from .studydir import StudyDir

__all__ = ["main"]


class _Clean(io.TextIOBase):
    """What Python code prints, without secrets, in the worker's log."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        os.write(2, self._clean(text).encode("utf-8", "replace"))
        return len(text)


class _Wire:
    """The two ends of the connection to the manager."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)  # what libraries print goes to the log
        self.jobs: queue.Queue[Job] = queue.Queue()
        self.answers: queue.Queue[Answer] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, message: Hello | Report | Done) -> None:
        try:
            self._out.write(encode(message))
        except OSError:
            os._exit(3)

    def ask(self, message: Report) -> bool:
        self.send(message)
        return self.answers.get().prune

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            message = decode(line)
            if isinstance(message, Job):
                self.jobs.put(message)
            elif isinstance(message, Answer):
                self.answers.put(message)
        os._exit(3)  # the manager is gone


def main(argv: list[str] | None = None) -> int:
    """Evaluate jobs of the study whose directory is named on the command line, until standard input closes."""
    wire = _Wire()
    directory = StudyDir(Path((argv or sys.argv[1:])[0]))
    sys.stdout = sys.stderr = _Clean(Vault.beside(directory.path).cleaner())
    request = directory.request()
    settings = use_settings(request.settings.with_(threads=request.spec.threads))
    evaluator = Evaluator(request.spec, settings, directory.path)
    with notebook_objects(directory.objects_path):
        wire.send(Hello(os.getpid()))
        while True:
            job = wire.jobs.get()
            wire.send(_evaluate(evaluator, job, wire, directory, settings))


def _evaluate(evaluator: Evaluator, job: Job, wire: _Wire, directory: StudyDir, settings: Settings) -> Done:
    began = time.perf_counter()
    path = directory.trial_log(job.trial)
    clean = Vault.beside(directory.path).cleaner()

    def log(text: str) -> None:
        with suppress(OSError), path.open("ab", buffering=0) as file:  # a full disk must not end a trial that logs
            file.write(f"{time.strftime('%H:%M:%S')} {clean(text)}\n".encode("utf-8", "replace"))

    def emit(event: Event) -> None:
        if isinstance(event, LogLine):
            log(event.text)

    def report(step: int, value: float, of: int) -> bool:
        return wire.ask(Report(job.trial, job.fold, step, value, of))

    try:
        with logs_as_events(emit, level=settings.logging_level, alone=True):
            return evaluator.run(job, report, log)
    except Exception as error:  # noqa: BLE001 - the worker's boundary: a trial may raise anything
        log(traceback.format_exc())
        kind, text = failure_of(error)
        seconds = {"total": time.perf_counter() - began}
        return Done(job.trial, job.fold, "failed", seconds=seconds, error=kind, message=clean(text))


if __name__ == "__main__":
    sys.exit(main())
