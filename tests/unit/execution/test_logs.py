"""Whose log lines and warnings are whose, where several runs share a process."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest

from qnb.events import Event, LogLine
from qnb.execution.logs import logs_as_events

OURS, THEIRS = logging.getLogger("qnb.test.logs"), logging.getLogger("somebody.else")


class Heard(logging.Handler):
    """The process's own handler."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def process() -> Iterator[Heard]:
    """What the process's root logger is told, and which warnings it shows."""
    heard, root = Heard(), logging.getLogger()
    root.addHandler(heard)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = lambda message, *_: heard.lines.append(str(message))
            yield heard
    finally:
        root.removeHandler(heard)


def state() -> list[Any]:
    """Return how logging and warnings are set up."""
    loggers = [logging.getLogger(name) for name in ("", "qnb", OURS.name, THEIRS.name)]
    return [
        *[(g.level, g.propagate, list(g.handlers), list(g.filters)) for g in loggers],
        warnings.showwarning, list(warnings.filters),
    ]  # fmt: skip


def at_once(*calls: Callable[[], None]) -> None:
    """Make all calls, each in a thread of its own; what one raises is raised here."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result(60)


def say(mark: str) -> None:
    OURS.info("%s info", mark)
    THEIRS.warning("%s of a library", mark)
    THEIRS.info("%s not of interest", mark)
    warnings.warn(f"{mark} warns", UserWarning, stacklevel=1)
    warnings.warn("all warn", UserWarning, stacklevel=1)


def texts(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, LogLine)]


def test_runs_in_threads_have_their_own_lines_and_the_process_is_as_before(process: Heard) -> None:
    before = state()
    gate = threading.Barrier(8)
    told: dict[str, list[Event]] = {f"run{k}": [] for k in range(8)}

    def run(mark: str) -> None:
        gate.wait(10)
        for _ in range(20):
            with logs_as_events(told[mark].append):
                say(mark)

    at_once(*[lambda mark=mark: run(mark) for mark in told])  # type: ignore[misc]
    assert state() == before
    for mark, events in told.items():
        own = [f"{mark} info", f"{mark} of a library", f"UserWarning: {mark} warns", "UserWarning: all warn"]
        assert texts(events) == own * 20


def test_a_thread_that_lost_the_context_goes_to_the_process_one_that_kept_it_to_the_run(process: Heard) -> None:
    events: list[Event] = []
    with logs_as_events(events.append):
        context = copy_context()
        at_once(lambda: say("stray"))
        at_once(lambda: context.run(say, "kept"))
    assert texts(events) == ["kept info", "kept of a library", "UserWarning: kept warns", "UserWarning: all warn"]
    assert process.lines == ["stray of a library", "stray warns", "all warn", "kept of a library"]


def test_the_process_hears_what_it_heard_before(process: Heard) -> None:
    with logs_as_events([].append, level="DEBUG"):
        at_once(lambda: OURS.warning("ours"), lambda: OURS.info("too low"))
        OURS.setLevel("INFO")
        try:
            at_once(lambda: OURS.info("asked for"))
        finally:
            OURS.setLevel(logging.NOTSET)
    assert sorted(process.lines) == ["asked for", "ours"]


def test_without_handlers_the_last_resort_stays_the_last_resort(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    events: list[Event] = []
    with logs_as_events(events.append):
        at_once(lambda: THEIRS.warning("theirs"), lambda: OURS.error("ours"))
        THEIRS.warning("of the run")
    assert sorted(capsys.readouterr().err.split()) == ["ours", "theirs"]
    assert texts(events) == ["of the run"]


def test_each_run_has_its_own_level() -> None:
    quiet: list[Event] = []
    loud: list[Event] = []
    with logs_as_events(loud.append, level="DEBUG"):
        OURS.debug("one")
        with logs_as_events(quiet.append, level="WARNING"):
            OURS.info("two")
            OURS.warning("three")
        OURS.debug("four")
    assert (texts(loud), texts(quiet)) == (["one", "four"], ["three"])


def test_in_a_process_of_its_own_all_threads_are_the_runs(process: Heard) -> None:
    events: list[Event] = []
    with logs_as_events(events.append, alone=True):
        at_once(lambda: say("helper"))
    assert texts(events) == ["helper info", "helper of a library", "UserWarning: helper warns", "UserWarning: all warn"]


def test_what_comes_after_the_end_of_a_run_is_not_lost(process: Heard) -> None:
    events: list[Event] = []
    with logs_as_events([].append):
        with logs_as_events(events.append):
            late = copy_context()
        at_once(lambda: late.run(OURS.warning, "late"))
    assert texts(events) == []
    assert process.lines == ["late"]
