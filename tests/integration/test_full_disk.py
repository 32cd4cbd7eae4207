"""A worker of the pool on a disk that is full for a while: it trains on, and loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qnb.config import Settings
from qnb.events import LogLine
from qnb.handle import RunHandle
from qnb.journal import read_journal
from qnb.session import Session
from qnb.tuning.handle import StudyHandle
from qnb.tuning.manager import start_manager
from qnb.tuning.open import open_study
from qnb.tuning.plan import load_study

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="fills a disk, or limits the size of files"),
]

MODEL = """
import logging, resource, sys, time, warnings
from pathlib import Path
import pandas as pd

OUTSIDE = Path({outside!r})


class Talking:
    def __init__(self, n: int = 100) -> None:
        self.n = n

    def fit(self, dataset, context=None):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for i in range(1, self.n + 1):
            context.metric("train.l2", 1 / i, step=i)
            print("step", i, file=sys.stderr)
            logging.getLogger("qnb.test").info("step %d", i)
            warnings.warn(f"step {{i}}")
            (OUTSIDE / "steps").write_text(str(i))
            time.sleep(0.01)
            while i == self.n // 3 and not (OUTSIDE / "full").exists():
                time.sleep(0.01)
            if (OUTSIDE / "limit").exists():
                small = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != soft
                if not small:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (int((OUTSIDE / "limit").read_text()), hard))
                if (OUTSIDE / "room").exists():
                    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        while not (OUTSIDE / "end").exists():
            time.sleep(0.01)

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")


class Data:
    def __init__(self, handler=None) -> None:
        self.segments = {{}}

    def prepare(self, segments, **kwargs): ...
"""
CELL = """
qlib_init: {provider_uri: demo, recorder_uri: 'sqlite:///mlflow.db'}
task:
  model: {class: Talking, module_path: talking.py, kwargs: {n: 150}}
  dataset: {class: Data, module_path: talking.py}
  record: []
"""


def until(condition: Callable[[], Any], *, what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"after {seconds:g}s still not: {what}")
        time.sleep(0.02)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of our own of 24 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


class Started:
    """A run of the pool in `folder` that trains for a third of its steps, then waits for `full`."""

    def __init__(self, folder: Path, outside: Path) -> None:
        (folder / "talking.py").write_text(MODEL.format(outside=str(outside)), encoding="utf-8")
        self._outside = outside
        self._session = Session(Settings(work_dir=folder))
        task, settings, _ = self._session.load(CELL, source="cell")
        self.run: RunHandle = self._session.submit(task, settings, name="talking")
        until(lambda: self.steps >= 50, what="it trains")

    @property
    def steps(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((self._outside / "steps").read_text() or 0)
        return 0

    def say(self, name: str, text: str = "") -> None:
        (self._outside / name).write_text(text)

    def assert_whole(self) -> None:
        self.run.wait(120)
        assert self.run.status == "finished", self.run.error
        assert list(self.run.state.curves["train.l2"].steps) == list(range(1, 151))
        entries = list(read_journal(self.run.directory.path))
        assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
        lines = [e.event.text for e in entries if isinstance(e.event, LogLine)]
        for text in ("step {}", "UserWarning: step {}"):
            assert [line for line in lines if line == text.format(100)]
        assert sum("the journal cannot be written" in line for line in lines) == 1

    def close(self) -> None:
        self._session.close()
        assert self._session.pool().wait_gone(90)


def fill(disk: Path) -> Path:
    """Leave not a byte on `disk`; what is returned is to be removed."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def test_worker_trains_on_while_the_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    started = Started(small_disk, tmp_path)
    ballast = fill(small_disk)
    started.say("full")
    until(lambda: started.steps == 150, what="it trains on")
    assert max(started.run.state.curves["train.l2"].steps) < 150
    ballast.unlink()
    started.say("end")
    started.assert_whole()
    started.close()


def test_worker_trains_on_while_its_files_may_not_grow(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    started = Started(folder, tmp_path)
    started.say("limit", str((started.run.directory.path / "journal.ndjson").stat().st_size + 40))
    started.say("full")
    until(lambda: started.steps > 110, what="it trains on")
    assert max(started.run.state.curves["train.l2"].steps) < 110
    started.say("room")
    started.say("end")
    started.assert_whole()
    started.close()


def test_training_that_ends_on_a_full_disk_waits_for_room_with_its_model(small_disk: Path, tmp_path: Path) -> None:
    started = Started(small_disk, tmp_path)
    ballast = fill(small_disk)
    started.say("full")
    started.say("end")
    until(lambda: started.steps == 150, what="it trains on")
    time.sleep(6)  # longer than a process waits that is not the pool's
    assert not started.run.is_over
    ballast.unlink()
    started.assert_whole()
    assert started.run.directory.result()["status"] == "finished"  # type: ignore[index]
    assert started.run.recorder.load_object("params.pkl", trust=True).n == 150
    started.close()


STUDY = """\
market: demo:instruments=40,years=4
model: {lightgbm: {learning_rate: !loguniform [0.02, 0.3], num_boost_round: 20}}
features: {MOM: "$close/Ref($close, 5) - 1"}
study: {trials: 6, jobs: 1, threads: 1}
"""


def test_study_on_a_full_disk_goes_on_when_there_is_room(small_disk: Path) -> None:
    settings = Settings.from_env().with_(work_dir=small_disk)
    directory = open_study(load_study(STUDY, name="s", base_dir=small_disk), settings)
    start_manager(directory)
    handle = StudyHandle(directory)
    until(lambda: handle.state.done >= 1, what="a trial has ended")
    ballast = fill(small_disk)
    time.sleep(3)
    assert directory.is_managed()
    ballast.unlink()

    def over() -> bool:
        directory.withdraw("pause")  # three trials that found no room have it wait for somebody
        return handle.is_over

    until(over, what="it has ended")
    assert handle.status == "finished", handle.state.message
    lines = (directory.path / "events.ndjson").read_text(encoding="utf-8").splitlines()
    ended = [event["trial"] for event in map(json.loads, lines) if event["event"] == "TrialEnded"]
    assert sorted(ended) == list(range(6))
