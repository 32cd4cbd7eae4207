"""Threads that look at one handle at the same time: a panel's own, and the notebook's."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from qnb.config import Settings
from qnb.events import MetricLogged, RunFinished, RunStarted
from qnb.handle import RunHandle
from qnb.journal import JournalWriter
from qnb.panels.live import LivePanel
from qnb.rundir import create_run
from qnb.state import Curve
from qnb.task.spec import load_task
from qnb.tuning.events import EventLog, StudyLog
from qnb.tuning.handle import StudyHandle
from qnb.tuning.plan import load_study
from qnb.tuning.state import StudyState
from qnb.tuning.studydir import create_study

STEPS = 60_000


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*calls: Callable[[], object]) -> list[BaseException]:
    faults: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever a thread may raise
            faults.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_a_curve_grows_while_somebody_has_an_array_on_it() -> None:
    curve = Curve()
    for step in range(3):
        curve.add(step, step / 2)
    seen = np.frombuffer(curve.values), np.frombuffer(curve.steps, np.int64)
    curve.add(3, 1.5)
    also = np.frombuffer(curve.steps, np.int64)
    curve.add(4, 2.0)
    curve.drop_from(4)
    assert (curve.steps.tolist(), curve.values.tolist()) == ([0, 1, 2, 3], [0.0, 0.5, 1.0, 1.5])
    assert [len(column) for column in (*seen, also)] == [3, 3, 4]


def test_a_panel_is_drawn_while_its_thread_reads_on(tmp_path: Path) -> None:
    run = create_run(load_task("model: lightgbm"), Settings(work_dir=tmp_path))
    panel = LivePanel(RunHandle(run))
    with JournalWriter(run.path, sync=False) as journal:
        journal.append(RunStarted(pid=1, began=0.0))
        for step in range(1, STEPS + 1):
            journal.append(MetricLogged(name=f"metric {step % 50}", value=1 / step, step=step))
    done = threading.Event()

    def draw() -> None:
        while not done.is_set():
            panel.static_bundle()

    def write() -> None:
        with JournalWriter(run.path, sync=False) as journal:
            for step in range(STEPS + 1, STEPS + 2001):
                journal.append(MetricLogged(name=f"late {step % 500}", value=1 / step, step=step))
                journal.append(MetricLogged(name="metric 1", value=1 / step, step=step))
                if step % 20 == 0:
                    panel._draw()
            journal.append(RunFinished(seconds=1.0, metrics={}))
        done.set()

    assert not together(draw, write)
    panel._draw()
    assert panel.view["status"] == "finished"


def test_each_event_of_a_study_is_told_once(tmp_path: Path) -> None:
    text = "market: demo\nmodel: {lightgbm: {num_leaves: !int [4, 9]}}\nfeatures: Alpha158\n"
    directory = create_study(load_study(text, name="s", options={"trials": 2}), Settings(work_dir=tmp_path))
    log = EventLog(directory.path)
    for number in range(2000):
        log(StudyLog(text=str(number)))
    log.close()
    handle = StudyHandle(directory)
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudyState, "apply", lambda state, event: seen.append(int(event.text)))
        assert not together(*[lambda: handle.state] * 4)
    assert seen == list(range(2000))
