"""Events on their way to journal and listeners: what leads back into itself, blocks or fails holds nobody up."""

from __future__ import annotations

import gc
import io
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qnb.events import Event, LogLine, MetricLogged, Progress
from qnb.execution import fan_out
from qnb.execution.fan_out import FanOut
from qnb.execution.logs import logs_as_events
from qnb.execution.output import output_as_log


def point(step: int) -> MetricLogged:
    return MetricLogged(name="a", value=1.0, step=step)


class Disk:
    """A journal on a disk that is full when asked."""

    def __init__(self) -> None:
        self.full = False
        self.kept: list[Event] = []
        self.tries = 0

    def append(self, event: Event) -> None:
        self.tries += 1
        if self.full:
            raise OSError(28, "No space left on device", "journal.ndjson")
        self.kept.append(event)

    @property
    def steps(self) -> list[int | None]:
        return [e.step for e in self.kept if isinstance(e, MetricLogged)]

    @property
    def lines(self) -> list[str]:
        return [e.text for e in self.kept if isinstance(e, LogLine)]


@contextmanager
def fan(disk: Disk, *listeners: Callable[[Event], None]) -> Iterator[FanOut[Event]]:
    with FanOut[Event](disk.append, listeners, line=LogLine, spare=(Progress, LogLine)) as emit:
        yield emit


def within(work: Callable[[], Any], seconds: float = 60) -> None:
    """Do something in a thread that a deadlock would leave behind."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it stands still"


def test_an_event_is_written_when_emit_returns() -> None:
    disk = Disk()
    with fan(disk) as emit:
        for step in range(100):
            emit(point(step))
            assert disk.steps[-1] == step


def test_full_disk_without_a_redirection_is_told_once_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    disk = Disk()

    def work() -> None:
        with fan(disk) as emit:
            emit(point(0))
            disk.full = True
            for step in range(1, 1000):
                emit(point(step))
            assert not emit.catch_up(0.1)
            assert disk.steps == [0]
            disk.full = False
            assert emit.catch_up(None)  # nothing has to be emitted for that
            assert disk.steps == list(range(1000))

    within(work)
    assert disk.steps == list(range(1000))
    assert capsys.readouterr().err.count("the journal cannot be written, events wait until it can") == 1


def test_full_disk_where_standard_error_leads_back_to_the_events(tmp_path: Path) -> None:
    disk = Disk()

    def work() -> None:
        with fan(disk) as emit, output_as_log(tmp_path / "log.txt", emit):
            disk.full = True
            for step in range(500):
                emit(point(step))
                print("printed", step, file=sys.stderr)
            disk.full = False
            assert emit.catch_up(None)

    within(work)
    assert disk.steps == list(range(500))
    assert sum("the journal cannot be written" in line for line in disk.lines) == 1
    assert any(line.startswith("printed") for line in disk.lines)


def test_very_many_events_on_a_full_disk_leave_out_only_what_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "MANY", 50)
    disk = Disk()
    with fan(disk) as emit:
        disk.full = True
        for step in range(100):
            emit(point(step))
            emit(Progress(stage="fit", step=step))
        disk.full = False
        assert emit.catch_up(None)
        assert emit.catch_up(None)
    assert disk.steps == list(range(100))
    kept = sum(isinstance(e, Progress) for e in disk.kept)
    assert kept < 50
    told = any("cannot be written" in line for line in disk.lines)  # that line may be among those left out
    assert f"{100 - kept + (not told)} events are missing here: the disk was full" in disk.lines


def test_what_an_event_says_of_itself_while_it_is_written_waits_for_its_turn() -> None:
    disk = Disk()

    class Talking:
        """A number that warns when it is looked at."""

        def item(self) -> float:
            warnings.warn("looked at", stacklevel=1)
            return 1.0

    def append(event: Event) -> None:
        if isinstance(event, MetricLogged) and isinstance(event.value, Talking):
            event.value.item()
        disk.append(event)

    def work() -> None:
        with FanOut[Event](append, line=LogLine) as emit, logs_as_events(emit, alone=True):
            warnings.simplefilter("always")
            emit(MetricLogged(name="a", value=Talking(), step=0))  # type: ignore[arg-type]
            emit(point(1))

    within(work)
    assert disk.steps == [0, 1]
    assert disk.lines == ["UserWarning: looked at"]


def test_what_garbage_says_anywhere_stops_nobody(tmp_path: Path) -> None:
    """A finalizer runs in whatever thread collects it, the one that writes included."""
    disk = Disk()

    class Talking:
        def __init__(self) -> None:
            self.self = self

        def __del__(self) -> None:
            print("gone\n", end="")
            logging.getLogger("qnb.test").info("gone")

    def append(event: Event) -> None:
        Talking()
        gc.collect()
        disk.append(event)

    def work() -> None:
        with (
            FanOut[Event](append, line=LogLine) as emit,
            output_as_log(tmp_path / "log.txt", emit),
            logs_as_events(emit, alone=True),
        ):
            threads = [threading.Thread(target=lambda: [print("said\n", end="") for _ in range(5)]) for _ in range(3)]
            for thread in threads:
                thread.start()
            for step in range(5):
                emit(point(step))
            for thread in threads:
                thread.join()
            assert emit.catch_up(None)

    within(work)
    assert disk.steps == list(range(5))
    assert disk.lines.count("said") == 15


def test_listeners_hear_everything_in_order_and_what_they_say_is_kept_but_not_heard() -> None:
    disk = Disk()
    heard: list[Event] = []

    def work() -> None:
        def draw(event: Event) -> None:
            logging.getLogger("qnb.view").info("drawn")

        with fan(disk, draw, heard.append) as emit, logs_as_events(emit, alone=True):
            for step in range(20):
                emit(point(step))
            while disk.lines.count("drawn") < 20:
                time.sleep(0.01)

    within(work)
    assert [e.step for e in heard if isinstance(e, MetricLogged)] == list(range(20))
    assert len(heard) == 20
    assert disk.steps == list(range(20))


def test_a_listener_that_raises_is_told_and_left_out() -> None:
    disk = Disk()
    heard: list[Event] = []

    def view(event: Event) -> None:
        raise io.UnsupportedOperation("no terminal")

    with fan(disk, view, heard.append) as emit:
        for step in range(5):
            emit(point(step))
    assert len(heard) == 5
    assert disk.steps == list(range(5))
    assert [line.partition("view")[1:] for line in disk.lines] == [
        ("view", " shows no more of this: UnsupportedOperation: no terminal")
    ]


def test_a_listener_that_blocks_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "LAST_WAIT", 0.2)
    disk = Disk()
    for_ever = threading.Event()
    with fan(disk, lambda event: bool(for_ever.wait())) as emit:
        for step in range(100):
            emit(point(step))
        assert disk.steps == list(range(100))
    for_ever.set()


def test_a_disk_that_hangs_holds_up_the_first_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "PATIENCE", 0.2)
    disk = Disk()
    hangs = threading.Event()

    def append(event: Event) -> None:
        hangs.wait()
        disk.append(event)

    with FanOut[Event](append, line=LogLine) as emit:
        within(lambda: [emit(point(step)) for step in range(1000)])
        assert disk.steps == []
        hangs.set()
        assert emit.catch_up(None)
    assert disk.steps == list(range(1000))


def test_an_event_that_cannot_be_written_is_told_and_takes_no_other_with_it(tmp_path: Path) -> None:
    from qnb.journal import JournalWriter, read_journal

    with JournalWriter(tmp_path) as journal, FanOut[Event](journal.append, line=LogLine) as emit:
        emit(point(1))
        emit(MetricLogged(name="a", value=object(), step=2))  # type: ignore[arg-type]
        emit(point(3))
        assert emit.catch_up(None)
    entries = [e.event for e in read_journal(tmp_path)]
    assert [e.step for e in entries if isinstance(e, MetricLogged)] == [1, 3]
    assert any(
        "an event of the kind MetricLogged cannot be written" in e.text for e in entries if isinstance(e, LogLine)
    )


def test_a_journal_that_takes_no_event_at_all_is_no_endless_task() -> None:
    tries = []

    def append(event: Event) -> None:
        tries.append(event)
        raise RuntimeError("broken")

    with FanOut[Event](append, line=LogLine) as emit:
        emit(point(1))
        assert emit.catch_up(None)
    assert len(tries) <= 2  # the event, and what is told of it


def test_a_log_record_whose_arguments_do_not_fit_is_told(caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []
    with logs_as_events(events.append):
        logging.getLogger("qnb.test").warning("%d of %d", "one")
    assert [e.text for e in events if isinstance(e, LogLine)] == ["%d of %d ('one',)"]
