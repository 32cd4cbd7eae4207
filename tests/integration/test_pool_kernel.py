"""Real detached workers: success, a user's exception, output, stop, limits, kill -9 of the worker, retries."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qnb.config import Settings
from qnb.handle import RunHandle
from qnb.pool.tickets import Ticket
from qnb.pool.watch import GRACE
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


class Greedy(Counting):
    def fit(self, dataset, context=None):
        kept = []
        while len(kept) < 250:  # an end, should nobody else make one
            kept.append(bytearray(8_000_000))
            context.emit(MetricLogged(name="mb", value=8.0 * len(kept), step=len(kept)))
            time.sleep(0.01)


class Crashing(Counting):
    def fit(self, dataset, context=None):
        import os, pathlib
        mark = pathlib.Path("crashed")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        super().fit(dataset, context=context)


class Talking(Counting):
    def fit(self, dataset, context=None):
        import os
        print("hello", end="\\n\\n")
        os.write(2, b"from C\\n")
        print("x" * 100_000)
        for i in range(1000):
            print("flood", i)


class Data:
    def __init__(self, handler=None) -> None:
        self.segments = {}

    def prepare(self, segments, **kwargs): ...
"""


def workflow(model: str = "Counting", recorder: str = "memory:x", **kwargs: Any) -> str:
    inner = ", ".join(f"{k}: {v}" for k, v in kwargs.items())
    return (
        f"qlib_init: {{provider_uri: demo, recorder_uri: '{recorder}'}}\ntask:\n"
        f"  model: {{class: {model}, module_path: counting.py, kwargs: {{{inner}}}}}\n"
        "  dataset: {class: Data, module_path: counting.py}\n  record: []\n"
    )


def until(condition: Callable[[], Any], *, what: str, seconds: float = 60) -> Any:
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
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # compiled files are there, as with most users
        session = Session(Settings(work_dir=folder))
        yield session
        pool = session.pool()
        session.close()
        assert pool.wait_gone(90)
        assert not list(pool.place.workers.glob("*.json"))


def submit(session: Session, *, ticket: Ticket | None = None, **kwargs: Any) -> RunHandle:
    task, settings, _ = session.load(workflow(**kwargs), source="cell")
    return session.submit(task, settings, name="count", ticket=ticket or Ticket("", "", retries=0))


def test_run_finishes_and_the_worker_stays_warm(session: Session) -> None:
    first = submit(session).wait(60)
    assert first.status == "finished", first.error
    assert first.state.pid != os.getpid()
    assert first.state.worker == "worker 1"
    assert list(first.state.curves["train.l2"].steps) == [1, 2, 3]
    second = submit(session).wait(60)
    assert second.state.pid == first.state.pid
    until(lambda: not session.pool().place.tickets.names(), what="its ticket is gone")


def test_failure_tells_the_users_message(session: Session) -> None:
    run = submit(session, fail="no rows on Tuesdays", ticket=Ticket("", "", retries=3)).wait(60)
    assert run.status == "failed"
    assert run.error == "RuntimeError: no rows on Tuesdays"
    assert run.state.failure is not None
    assert run.state.attempt == 1  # a user's exception is never tried again
    assert "counting.py" in run.state.failure.traceback
    assert run.directory.result()["status"] == "failed"


def test_output_of_the_users_code_is_kept_and_bounded(session: Session) -> None:
    run = submit(session, model="Talking").wait(60)
    lines = [log.text for log in run.state.logs]
    assert lines[0] == "hello"
    assert any(line.endswith("more characters") and len(line) < 21_000 for line in lines)
    assert len(lines) < 1000
    text = run.directory.log_path.read_text(encoding="utf-8")
    assert "from C\n" in text
    assert "flood 999\n" in text


def test_stop_of_a_running_and_of_a_waiting_run(session: Session) -> None:
    run, waiting = submit(session, n=2000), submit(session, n=2000)
    until(lambda: run.state.curves, what="it trains")
    until(lambda: session.pool().status().get("waiting") == [waiting.run_id], what="the other one waits")
    waiting.stop()
    run.stop()
    run.wait(60)
    assert run.status == "stopped"
    assert run.state.stop is not None
    assert run.state.stop.reason.startswith("at step"), "not interrupted, which comes 5 s later"
    assert waiting.wait(60).status == "stopped"
    assert not waiting.state.curves


def test_stop_of_a_run_that_waits_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNB_WORKERS", "1")
    (tmp_path / "counting.py").write_text(MODEL, encoding="utf-8")
    session = Session(Settings(work_dir=tmp_path))
    task, settings, _ = session.load(workflow(n=20000), source="cell")
    run, stopped, closed = (session.submit(task, settings, backend="inline") for _ in range(3))
    until(lambda: run.state.curves, what="it trains")
    assert [stopped.status, closed.status] == ["waiting", "waiting"]
    stopped.stop()
    stopped.wait(60)
    assert stopped.state.stop is not None
    assert stopped.state.stop.reason == "stopped while it waited"
    session.close()
    assert closed.status == "interrupted", "nobody would run it any more"
    assert run.status == "running"
    run.stop()
    assert run.wait(60).status == "stopped"


@pytest.mark.slow
def test_all_of_a_long_queue_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, yardstick: Callable[[], float]
) -> None:
    monkeypatch.setenv("QNB_WORKERS", "2")
    (tmp_path / "counting.py").write_text(MODEL, encoding="utf-8")
    session = Session(Settings(work_dir=tmp_path))
    running = [submit(session, n=20000) for _ in range(2)]
    until(lambda: all(run.state.curves for run in running), what="both train", seconds=120)
    waiting = [submit(session, n=20000) for _ in range(300)]
    began = time.monotonic()
    going = session.going()
    assert {h.run_id for h in going} == {h.run_id for h in [*running, *waiting]}
    for handle in going:
        handle.stop()
    for handle in going:
        assert handle.wait(120).status == "stopped"
    assert time.monotonic() - began < 1000 * yardstick()
    assert not any(handle.state.curves for handle in waiting)
    until(lambda: not session.pool().place.tickets.names(), what="their tickets are gone")
    session.close()
    assert session.pool().wait_gone(90)


@pytest.mark.slow
def test_stop_escalates_where_the_model_does_not_listen(session: Session) -> None:
    run = submit(session, n=20000, wait=0.05, deaf="true")
    until(lambda: run.state.curves, what="it trains")
    run.stop()
    began = time.monotonic()
    run.wait(60)
    assert run.status == "stopped"
    assert time.monotonic() - began > 0.8 * GRACE[0]
    assert run.state.stop is not None
    assert not run.state.stop.reason.startswith(("at step", "ended by a signal")), "the first step, SIGINT, ended it"


def test_time_limit_is_a_failure_with_its_reason(session: Session) -> None:
    run = submit(session, n=20000, ticket=Ticket("", "", timeout=0.5)).wait(60)
    assert run.status == "failed"
    assert run.error == "stopped: time limit of 0.5s reached"


def test_memory_cap_ends_the_worker_and_says_so(session: Session) -> None:
    limit = 400_000_000
    run = submit(session, model="Greedy", ticket=Ticket("", "", memory=limit, retries=3)).wait(60)
    assert run.status == "failed"
    told = re.fullmatch(r"stopped: out of memory at (\d\.\d) of 0\.4 GB; give it more with --memory", str(run.error))
    assert told, run.error
    assert 0.4 <= float(told[1]) < 1.5  # how much it got between two looks depends on the machine
    assert run.state.attempt == 1
    following = submit(session).wait(60)
    assert following.status == "finished", following.error
    assert following.state.pid != run.state.pid


def test_killed_worker_is_noticed_replaced_and_its_recorder_ended(
    session: Session, yardstick: Callable[[], float]
) -> None:
    seconds = []
    for _ in range(3):
        run = submit(session, n=20000, recorder="sqlite:///killed.db")
        until(lambda run=run: run.state.curves, what="it trains")
        pid = run.state.pid
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        run.wait(60)
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 100 * yardstick()
    assert run.status == "failed"
    assert run.state.failure is not None
    assert run.state.failure.exit_code == -signal.SIGKILL
    assert "Worker 1 was ended by the system (exit \u22129, memory 0." in str(run.error)

    following = submit(session).wait(60)
    assert following.status == "finished", following.error
    assert following.state.pid != pid
    until(lambda: run.recorder.status == "FAILED", what="its recorder is ended")


def test_crashed_run_is_tried_again_in_the_same_recorder(session: Session) -> None:
    run = submit(
        session, model="Crashing", recorder="sqlite:///killed.db", ticket=Ticket("", "", retries=1)
    )  # fmt: skip
    run.wait(60)
    assert run.status == "finished", run.error
    assert run.state.attempt == 2
    assert list(run.state.curves["train.l2"].steps) == [1, 2, 3]
    assert run.recorder.status == "FINISHED"
    assert any("tried again in 1s" in log.text for log in run.state.logs)


def test_changed_module_of_the_user_is_imported_anew(session: Session, folder: Path) -> None:
    (folder / "mine.py").write_text(MODEL.replace("1 / i", "1.0"), encoding="utf-8")
    text = workflow().replace("counting.py", "mine")
    task, settings, _ = session.load(f"sys: {{path: '{folder}'}}\n{text}", source="cell")
    first = session.submit(task, settings).wait(60)
    assert first.metrics["train.l2"] == 1.0, first.error
    before = (folder / "mine.py").stat().st_mtime_ns
    (folder / "mine.py").write_text(MODEL.replace("1 / i", "2.0"), encoding="utf-8")
    same_second = before + 1 if before % 10**9 < 10**9 - 1 else before - 1  # all that compiled files know of a time
    os.utime(folder / "mine.py", ns=(same_second, same_second))
    assert session.submit(task, settings).wait(60).metrics["train.l2"] == 2.0


def test_worker_is_spawned_where_it_cannot_be_forked(tmp_path: Path) -> None:
    """And a worker that has only just started ends with its owner, too."""
    from qnb.pool.backends.kernel import KernelBackend
    from qnb.pool.protocols import Limits
    from qnb.rundir import create_run

    (tmp_path / "counting.py").write_text(MODEL, encoding="utf-8")
    session = Session(Settings(work_dir=tmp_path))
    task, settings, _ = session.load(workflow(), source="cell")
    run = RunHandle(create_run(task, settings))
    backend = KernelBackend(tmp_path, tmp_path, fork=False)
    assert backend.server_pid() == 0
    worker = backend.worker(1)
    assert worker.run(run.directory, Limits(threads=1)) is None
    assert run.status == "finished", run.error
    process = worker._process
    assert process is not None
    assert process.pid == run.state.pid
    worker.close()
    assert process.ended
    backend.close()
    assert not [p for p in tmp_path.iterdir() if p.suffix in (".json", ".pid", ".log")]


def test_worker_leaves_nothing_where_its_kernel_removed_the_connection_file_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qnb.pool.backends.kernel import KernelBackend

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    backend = KernelBackend(tmp_path, tmp_path, fork=False)
    worker = backend.worker(1)
    worker.warm()
    (connection,) = tmp_path.glob("*.json")
    connection.unlink()
    worker.close()
    backend.close()
    assert [p.name for p in tmp_path.rglob("*")] == ["tmp"]


def test_sockets_of_a_dead_worker_are_removed_wherever_they_lie_and_nothing_else(tmp_path: Path) -> None:
    """The temporary folder is another one while the disk with the usual one is full."""
    import json
    import socket

    from qnb.pool.backends.kernel import sweep

    for name in ("worker-1", "worker-2"):
        folder = tmp_path / f"qnb-{name}"
        folder.mkdir()
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.path.relpath(folder / "k-1"))
        text = json.dumps({"transport": "ipc", "ip": str(folder / "k")})
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    (tmp_path / "qnb-worker-2" / "notes.txt").write_text("mine")
    assert sweep(tmp_path) == []
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["notes.txt", "qnb-worker-2"]


@pytest.mark.parametrize("what", ["connection", "number"])
def test_worker_that_a_full_disk_does_not_let_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    from qnb.pool.backends import kernel

    def full(path: Path | str, *_: object, **__: object) -> None:
        Path(path).touch()
        raise OSError(28, "No space left on device")

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    if what == "connection":
        monkeypatch.setattr("jupyter_client.connect.write_connection_file", full)
    else:
        monkeypatch.setattr(kernel, "write_atomically", full)
    backend = kernel.KernelBackend(tmp_path, tmp_path, fork=False)
    worker = backend.worker(1)
    with pytest.raises(OSError, match="No space"):
        worker.warm()
    process = worker._process
    worker.close()
    backend.close()
    assert process is None or process.ended
    assert [p.name for p in tmp_path.rglob("*")] == ["tmp"]


def test_idle_worker_that_died_costs_its_next_run_no_try(session: Session) -> None:
    for _ in range(3):
        before = submit(session).wait(60)
        os.kill(before.state.pid, signal.SIGKILL)
        following = submit(session).wait(60)
        assert following.status == "finished", following.error
        assert following.state.attempt == 1
        assert following.state.pid != before.state.pid
