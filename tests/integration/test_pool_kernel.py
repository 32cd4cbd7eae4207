"""Real detached workers: success, a user's exception, stop, kill -9 of the worker and of the process that submitted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from qnb.config import Settings
from qnb.handle import RunHandle
from qnb.rundir import RunDir
from qnb.session import Session

MODEL = """
import time
import pandas as pd
from qnb.errors import RunStopped
from qnb.events import MetricLogged


class Counting:
    def __init__(self, n: int = 3, wait: float = 0.02, fail: str = "", deaf: bool = False) -> None:
        self.n, self.wait, self.fail, self.deaf = n, wait, fail, deaf

    def fit(self, dataset, context=None):
        for i in range(1, self.n + 1):
            time.sleep(self.wait)
            context.emit(MetricLogged(name="train.l2", value=1 / i, step=i))
            if self.fail:
                raise RuntimeError(self.fail)
            if context.should_stop() and not self.deaf:
                raise RunStopped(f"at step {i}")

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")


class Data:
    def __init__(self, handler=None) -> None:
        self.segments = {}
"""

SUBMIT = """
from pathlib import Path
import time
from qnb.config import Settings
from qnb.session import Session
session = Session(Settings(work_dir=Path.cwd()))
task, settings, _ = session.load(open("task.yaml").read(), source="task.yaml")
handle = session.submit(task, settings, name="orphan")
while not handle.state.curves:
    time.sleep(0.02)
print(handle.run_id, flush=True)
time.sleep(60)
"""


def workflow(**kwargs: Any) -> str:
    inner = ", ".join(f"{k}: {v}" for k, v in kwargs.items())
    return (
        "qlib_init: {provider_uri: demo, recorder_uri: 'memory:x'}\ntask:\n"
        f"  model: {{class: Counting, module_path: counting.py, kwargs: {{{inner}}}}}\n"
        "  dataset: {class: Data, module_path: counting.py}\n  record: []\n"
    )


def until(condition: Callable[[], Any], *, seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"after {seconds:g}s still not: {what}")
        time.sleep(0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    (folder / "counting.py").write_text(MODEL, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Session]:
    """One session with one worker, so that each test meets the worker that the test before left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QNB_WORKERS", "1")
        session = Session(Settings(work_dir=folder))
        yield session
        session.close()


def submit(session: Session, **kwargs: Any) -> RunHandle:
    task, settings, _ = session.load(workflow(**kwargs), source="cell")
    return session.submit(task, settings, name="count")


def test_run_finishes_and_the_worker_stays_warm(session: Session) -> None:
    first = submit(session).wait(60)
    assert first.status == "finished", first.error
    assert first.state.pid != os.getpid()
    assert first.state.worker == "worker 1"
    assert list(first.state.curves["train.l2"].steps) == [1, 2, 3]
    second = submit(session).wait(30)
    assert second.state.pid == first.state.pid


def test_failure_tells_the_users_message(session: Session) -> None:
    run = submit(session, fail="no rows on Tuesdays").wait(60)
    assert run.status == "failed"
    assert run.error == "RuntimeError: no rows on Tuesdays"
    assert run.state.failure is not None
    assert "counting.py" in run.state.failure.traceback
    assert run.directory.result()["status"] == "failed"


def test_stop_of_a_running_and_of_a_waiting_run(session: Session) -> None:
    run, waiting = submit(session, n=2000), submit(session, n=2000)
    until(lambda: run.state.curves, seconds=60, what="it trains")
    waiting.stop()
    run.stop()
    began = time.monotonic()
    run.wait(10)
    assert time.monotonic() - began < 3
    assert run.status == "stopped"
    assert run.state.stop is not None
    assert run.state.stop.reason.startswith("at step")
    assert waiting.wait(10).status == "stopped"
    assert not waiting.state.curves


@pytest.mark.slow
def test_stop_escalates_where_the_model_does_not_listen(session: Session) -> None:
    run = submit(session, n=20000, wait=0.05, deaf="true")
    until(lambda: run.state.curves, seconds=60, what="it trains")
    run.stop()
    began = time.monotonic()
    run.wait(15)
    assert run.status == "stopped"
    assert 4 < time.monotonic() - began < 10


def test_killed_worker_is_noticed_and_replaced(session: Session) -> None:
    run = submit(session, n=20000)
    until(lambda: run.state.curves, seconds=60, what="it trains")
    pid = run.state.pid
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    run.wait(10)
    assert time.monotonic() - began < 1.0
    assert run.status == "failed"
    assert run.state.failure is not None
    assert run.state.failure.exit_code == -signal.SIGKILL
    assert "worker 1 was ended by the system (exit -9)" in str(run.error)

    following = submit(session).wait(60)
    assert following.status == "finished", following.error
    assert following.state.pid != pid


def test_run_outlives_the_process_that_submitted_it(folder: Path) -> None:
    """Also with its kernel killed the training ends well, and then the worker goes too."""
    (folder / "task.yaml").write_text(workflow(n=60, wait=0.05), encoding="utf-8")
    env = os.environ | {"QNB_WORKERS": "1"}
    root = Path(__file__).resolve().parents[2]
    env["PYTHONPATH"] = os.pathsep.join([str(root), env.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", SUBMIT], cwd=folder, env=env, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        run_id = owner.stdout.readline().strip()
        owner.kill()
    run = RunHandle(RunDir(Settings(work_dir=folder).runs_dir / run_id))
    assert run.status == "running"
    worker = psutil.Process(run.state.pid)
    assert run.wait(30).status == "finished", run.error
    assert len(run.state.curves["train.l2"].steps) == 60
    gone = lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE  # noqa: E731
    until(gone, seconds=10, what="the worker has ended itself")
