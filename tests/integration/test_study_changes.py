"""A study that several notebooks have go on at once: one manager manages it, the others watch and are told so."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qnb.config import Settings
from qnb.errors import StudyError
from qnb.files import is_locked, locked
from qnb.machine import ProcessId
from qnb.tuning import manager
from qnb.tuning.engine import manage
from qnb.tuning.events import EventLog, EventReader, StudyEnded, StudyStarted, StudyWentOn
from qnb.tuning.handle import StudyHandle
from qnb.tuning.manager import start_manager
from qnb.tuning.open import open_study
from qnb.tuning.plan import StudyPlan, load_study
from qnb.tuning.studydir import GoingOnError, StudyDir, create_study

WORKFLOW = """\
market: demo:instruments=40,years=4
model: {lightgbm: {num_leaves: !int [4, 32], num_boost_round: 20}}
features: {MOM: '$close/Ref($close, 5) - 1', VOL: 'Std($close/Ref($close, 1), 10)'}
study: {trials: 2, jobs: 1, threads: 1}
"""
OTHER = """
import sys
from pathlib import Path
from qnb.errors import StudyError
from qnb.tuning.handle import StudyHandle
from qnb.tuning.studydir import StudyDir
handle = StudyHandle(StudyDir(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
try:
    handle.resume()
    print("done")
except StudyError as error:
    print(error)
print(handle.wait(200).status)
"""


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    return load_study(WORKFLOW, name="s", base_dir=tmp_path)


@pytest.fixture
def settings(tmp_path: Path, plan: StudyPlan) -> Settings:
    return Settings.from_env().with_(work_dir=tmp_path, **plan.task.settings)


@pytest.fixture
def study(settings: Settings, plan: StudyPlan) -> Iterator[StudyDir]:
    """A study that was stopped before its first trial."""
    directory = create_study(plan, settings)
    directory.claim(None)
    log = EventLog(directory.path)
    log(StudyEnded(status="stopped"))
    log.close()
    yield directory
    StudyHandle(directory).stop()
    end = time.monotonic() + 60
    while directory.is_managed():
        assert time.monotonic() < end
        time.sleep(0.05)


def events(study: StudyDir, kind: type) -> int:
    return sum(isinstance(e, kind) for e in EventReader(study.path).read_new())


@pytest.mark.timeout(400)
def test_of_several_notebooks_that_have_it_go_on_one_does_and_none_sees_it_fail(study: StudyDir) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER, str(study.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0].splitlines() for process in started]
    told = "study s is going on already, as it was started; this shows it"
    assert sorted(said) == [["done", "finished"], [told, "finished"], [told, "finished"]]
    assert (events(study, StudyStarted), events(study, StudyWentOn), events(study, StudyEnded)) == (1, 1, 2)
    assert StudyHandle(study).state.done == 2


def test_a_cell_with_resume_watches_what_another_notebook_begins(
    study: StudyDir, plan: StudyPlan, settings: Settings
) -> None:
    study.go_on()
    other = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    study.claim(ProcessId(other.pid))
    assert StudyHandle(study).status == "waiting"
    with pytest.raises(GoingOnError, match="going on already"):
        open_study(plan, settings, resume=True)
    with pytest.raises(GoingOnError, match="going on already"):
        StudyHandle(study).resume()
    assert events(study, StudyWentOn) == 1
    other.communicate()
    assert StudyHandle(study).status == "interrupted"
    assert open_study(plan, settings, resume=True) == study
    assert events(study, StudyWentOn) == 2


def test_who_manages_is_not_disturbed_by_many_who_look(study: StudyDir, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = threading.Event()

    def look() -> None:
        while not looking.is_set():
            assert not study.is_managed()  # another who looks is no manager

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    looking.set()
    for thread in threads:
        thread.join()
    with locked(study.path / "lock"):
        assert study.is_managed()
        monkeypatch.setattr("qnb.tuning.engine.LOCK_SECONDS", 0.2)
        with pytest.raises(GoingOnError, match="managed by another process"):
            manage(study)
        assert manager.main([str(study.path)]) == 1
        assert events(study, StudyEnded) == 1, "the study has not failed: another process manages it"
    assert not is_locked(study.path / "lock")


def test_a_manager_that_cannot_be_started_keeps_nobody_from_it(
    study: StudyDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.go_on()
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(StudyError, match="manager cannot be started"):
        start_manager(study)
    assert study.claimed() is None
    assert not study.is_taken()
