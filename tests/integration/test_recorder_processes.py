"""The recorder among processes: six open a new store at once, one is killed while it logs, two write for long."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from qnb.recorder.facade import RecorderFacade

LOG_FOR_EVER = """
import sys, time
from qnb.recorder.facade import RecorderFacade
r = RecorderFacade()
with r.uri_context(sys.argv[1]), r.start(experiment_name="killed", recorder_name="k"):
    for step in range(10**6):
        r.log_metrics(step=step, loss=float(step))
        if step == 200:
            time.sleep(0.8)
            print("ready", flush=True)
        time.sleep(0.001)
"""
ONE_RUN = """
import sys
from qnb.recorder.facade import RecorderFacade
r = RecorderFacade()
with r.uri_context(sys.argv[1]), r.start(experiment_name="same", recorder_name=sys.argv[2]):
    r.log_metrics(x=1.0)
"""


def start(code: str, *words: str) -> subprocess.Popen[str]:
    """Start a Python process."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_six_processes_open_a_new_store_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    processes = [start(ONE_RUN, uri, f"r{k}") for k in range(6)]
    failures = [err for p in processes for err in [p.communicate(timeout=120)[1]] if p.returncode]
    assert not failures
    facade = RecorderFacade()
    with facade.uri_context(uri):
        found = facade.get_exp(experiment_name="same", create=False).list_recorders(status="FINISHED", rtype="list")
    assert sorted(r.name for r in found) == [f"r{k}" for k in range(6)]


def test_kill_9_while_logging_keeps_what_was_flushed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    process = start(LOG_FOR_EVER, uri)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    facade = RecorderFacade()
    with facade.uri_context(uri):
        recorder = facade.get_recorder(experiment_name="killed", recorder_name="k")
        steps = [step for step, _ in recorder.metric_history("loss")]
    assert steps == list(range(len(steps)))
    assert len(steps) > 200


WRITE_MUCH = """
import sys
from qnb.recorder.facade import RecorderFacade
r = RecorderFacade()
with r.uri_context(sys.argv[1]), r.start(experiment_name="many", recorder_name=sys.argv[2]):
    recorder = r.get_recorder()
    for step in range(300):
        r.log_metrics(step=step, a=float(step), b=-float(step))
        if step % 10 == 0:
            recorder.flush()
"""


def test_four_processes_write_to_one_store_for_long(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    processes = [start(WRITE_MUCH, uri, f"r{k}") for k in range(4)]
    failures = [err for p in processes for err in [p.communicate(timeout=120)[1]] if p.returncode]
    assert not failures
    facade = RecorderFacade()
    with facade.uri_context(uri):
        for recorder in facade.list_recorders(experiment_name="many").values():
            assert recorder.metric_history("a") == [(step, float(step)) for step in range(300)]
            assert recorder.list_metrics() == {"a": 299.0, "b": -299.0}


def test_a_store_is_whole_after_kill_9(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(3):
        process = start(LOG_FOR_EVER, uri)
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
