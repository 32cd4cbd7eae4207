"""Trainings survive their notebook: real kernels, workers and owners of the pool, killed at random moments.

``QNB_KILL_LOOPS=20 pytest tests/integration/test_pool_survival.py`` is the long form; the suite runs one of each.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from qnb.config import Settings
from qnb.errors import PoolError
from qnb.events import LogLine, MetricLogged, RunRetried, RunStarted
from qnb.handle import RunHandle
from qnb.journal import JournalWriter, read_journal
from qnb.machine import process_id
from qnb.pool.place import Place
from qnb.pool.tickets import Ticket
from qnb.rundir import list_run_dirs
from qnb.session import Session

from .kernels import Notebook

LOOPS = int(os.environ.get("QNB_KILL_LOOPS", "1"))
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

MODEL = """
import time
from pathlib import Path
import pandas as pd
from qnb.errors import RunStopped
from qnb.events import MetricLogged

HOLD = Path(__file__).with_name("hold")  # as long as it is there, no run comes to its end


class Counting:
    def __init__(self, n: int = 60, wait: float = 0.02) -> None:
        self.n, self.wait = n, wait

    def fit(self, dataset, context=None):
        mark = context.checkpoint_dir / "step.txt"
        context.checkpoint_dir.mkdir(exist_ok=True)
        first = int(mark.read_text() or 0) + 1 if context.resume and mark.exists() else 1
        for i in range(first, self.n + 1):
            time.sleep(self.wait)
            context.emit(MetricLogged(name="train.l2", value=1 / i, step=i))
            mark.write_text(str(i))
            while i == self.n - 1 and HOLD.exists() and not context.should_stop():
                time.sleep(0.01)
            if context.should_stop():
                raise RunStopped(f"at step {i}")

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")


class Data:
    def __init__(self, handler=None) -> None:
        self.segments = {}

    def prepare(self, segments, **kwargs): ...
"""


def cell(name: str, n: int, line: str = "") -> str:
    return (
        f"%%qtask {name} {line}\nqlib_init: {{provider_uri: demo, recorder_uri: 'sqlite:///mlflow.db'}}\ntask:\n"
        f"  model: {{class: Counting, module_path: counting.py, kwargs: {{n: {n}}}}}\n"
        "  dataset: {class: Data, module_path: counting.py}\n  record: []\n"
    )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep runs from ending, however long what is done meanwhile takes on this machine."""
    (folder / "hold").touch()
    try:
        yield
    finally:
        (folder / "hold").unlink()


def until(condition: Callable[[], Any], *, what: str, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"after {seconds:g}s still not: {what}")
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A working folder; when the test is over no process and no file of the pool may be left."""
    (tmp_path / "counting.py").write_text(MODEL, encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    yield tmp_path
    end = time.monotonic() + 90
    while processes(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    left = processes(tmp_path)
    for line in left:  # of a test that failed
        os.kill(int(line.split()[0]), signal.SIGKILL)
    assert not left
    place = Place(tmp_path)
    assert not place.tickets.names()
    assert not list(place.workers.glob("*.json"))
    assert not list((tmp_path / "tmp").glob("qnb-*"))


def processes(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        if process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE:
            try:
                found.append(f"{process.pid} {' '.join(process.cmdline())[-60:]}")
            except psutil.Error:
                continue
    return found


def handles(folder: Path) -> dict[str, RunHandle]:
    found = [RunHandle(d) for d in list_run_dirs(Settings(work_dir=folder).runs_dir)]
    return {handle.name: handle for handle in found}


def assert_whole(run: RunHandle, n: int) -> None:
    """Every event is there once, in order, and the recorder agrees."""
    assert run.status == "finished", run.error
    assert list(run.state.curves["train.l2"].steps) == list(range(1, n + 1))
    assert [e.seq for e in read_journal(run.directory.path)] == list(range(1, run.state.seq + 1))
    assert run.recorder.status == "FINISHED"
    assert len(run.recorder.metric_history("train.l2")) >= n


def test_killed_notebook_loses_nothing_and_the_next_one_finds_its_runs(
    folder: Path, yardstick: Callable[[], float]
) -> None:
    names = ["a", "b", "waits"]
    for loop in range(LOOPS):
        n = 100
        with held(folder):
            notebook = Notebook(folder)
            notebook.run("%load_ext qnb")
            for name in names:
                notebook.run(cell(f"{name}{loop}", n))
            if loop % 2 == 0:  # else at any moment, also before the pool is there
                until(lambda k=loop: handles(folder)[f"a{k}"].state.curves, what="it trains")
            time.sleep(random.uniform(0, 0.7))
            notebook.close(kill=True)
            time.sleep(random.uniform(0, 0.3))

            again = Notebook(folder)
            began = time.monotonic()
            said = again.run("%load_ext qnb")
            shown = again.run(f"from qnb.session import current_session as s\nprint(s().find('a{loop}').state.seq > 0)")
            assert time.monotonic() - began < 200 * yardstick()
        assert "still going" in said
        assert f"waits{loop}" in said
        assert shown.strip() == "True"
        again.run("%qshow")
        runs = [handles(folder)[f"{name}{loop}"] for name in names]
        for run in runs:
            assert_whole(run.wait(60), n)
        again.close()


def test_killed_worker_is_noticed_and_others_are_unaffected(folder: Path, yardstick: Callable[[], float]) -> None:
    notebook = Notebook(folder)
    notebook.run("%load_ext qnb")
    for loop in range(LOOPS):
        retries = loop % 2
        with held(folder):
            notebook.run(cell(f"victim{loop}", 150, f"--retries {retries}"))
            notebook.run(cell(f"other{loop}", 150))
            victim, other = (handles(folder)[f"{name}{loop}"] for name in ("victim", "other"))
            until(lambda v=victim, o=other: v.state.curves and o.state.curves, what="both train")
            time.sleep(random.uniform(0, 1.0))
            os.kill(victim.state.pid, signal.SIGKILL)
            began = time.monotonic()
            until(lambda v=victim: v.status != "running", what="the death is told")
            assert time.monotonic() - began < 100 * yardstick()
        if retries:
            victim.wait(60)
            assert victim.status == "finished", victim.error
            assert victim.state.attempt == 2
            assert list(victim.state.curves["train.l2"].steps) == list(range(1, 151))  # it went on from its checkpoint
        else:
            assert victim.status == "failed"
            until(lambda v=victim: v.recorder.status == "FAILED", what="its recorder is ended")
        assert_whole(other.wait(60), 150)
        assert other.state.attempt == 1
    notebook.close()


def test_everything_killed_at_once_and_taken_over(folder: Path) -> None:
    """Notebook, owner, fork server and one of two workers die together; the other worker goes on."""
    for loop in range(LOOPS):
        with held(folder):
            notebook = Notebook(folder)
            notebook.run("%load_ext qnb")
            for name in ("dies", "lives", "waits"):
                notebook.run(cell(f"{name}{loop}", 120))
            dies, lives, waits = (handles(folder)[f"{name}{loop}"] for name in ("dies", "lives", "waits"))
            until(lambda d=dies, v=lives: d.state.curves and v.state.curves, what="both train")
            time.sleep(random.uniform(0, 0.5))
            status = Place(folder).status()
            for pid in (status["pid"], status["forks"], dies.state.pid):
                os.kill(pid, signal.SIGKILL)
            notebook.close(kill=True)

            again = Notebook(folder)
            assert "3 runs are still going" in again.run("%load_ext qnb")
        for run in (dies, lives, waits):
            run.wait(60)
        assert dies.status == "finished", dies.error
        assert dies.state.attempt == 2
        assert_whole(lives, 120)
        assert lives.state.attempt == 1
        assert_whole(waits, 120)
        again.close()


def test_second_notebook_watches_stops_and_takes_over(folder: Path) -> None:
    first, second = Notebook(folder), Notebook(folder)
    first.run("%load_ext qnb")
    first.run(cell("shared", 30_000))
    shared = handles(folder)["shared"]
    until(lambda: shared.state.curves, what="it trains")
    assert "1 run is still going: shared" in second.run("%load_ext qnb")
    second.run("from qnb.session import current_session as s; from qnb.panels.live import LivePanel")
    note = second.run("print(LivePanel(s().find('shared')).view['notes'])")
    assert "Started from another notebook. You can watch and ask to stop." in note
    owner = Place(folder).status()["pid"]
    os.kill(owner, signal.SIGKILL)
    first.close(kill=True)
    until(lambda: Place(folder).wake(), what="the second one has started an owner")
    until(lambda: Place(folder).status()["pid"] != owner, what="it says so")
    second.run("%qstop shared")
    assert shared.wait(60).status == "stopped"
    assert shared.state.attempt == 1
    second.close()


def test_of_many_owners_one_remains(folder: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp"), "QNB_WORKERS": "1"}
    for _ in range(LOOPS):
        place = Place(folder).make()
        place.register()  # this process is a client, so that the winner stays
        command = [sys.executable, "-m", "qnb.pool.owner", str(folder)]
        racers = [subprocess.Popen(command, env=env, cwd=folder) for _ in range(4)]
        until(lambda r=racers: sum(p.poll() is None for p in r) == 1, what="one is left")
        until(place.wake, what="it listens")
        assert [p.returncode for p in racers if p.returncode is not None] == [0, 0, 0]
        place.forget()
        place.wake()
        for racer in racers:
            assert racer.wait(60) == 0


def test_restart_of_the_machine_interrupts_and_resume_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
    session = Session(Settings(work_dir=folder))
    task, settings, _ = session.load(cell("x", 150).partition("\n")[2], source="cell")
    with held(folder):
        run = session.submit(task, settings, name="rebooted", backend="inline")
        until(lambda: run.metrics.get("train.l2", 1.0) < 1 / 5, what="it is beyond the fifth step")
        run.stop()
        run.wait(60)
    until(lambda: not session._pool_here("inline").going(), what="nobody writes its journal any more")
    # As the journal of a run looks after a restart: it began under another boot and has no ending.
    journal = run.directory.path / "journal.ndjson"
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    lines = [line | {"boot": "another"} if line["event"] == "RunStarted" else line for line in lines]
    kept = [json.dumps(line) for line in lines if line["event"] not in ("RunStopped", "RunFinished")]
    journal.write_text("\n".join(kept) + "\n", encoding="utf-8")
    run.directory.forget_ending()
    place = Place(folder).make()
    place.tickets.put(Ticket(run.run_id, str(run.directory.path)))

    later = Session(Settings(work_dir=folder))
    assert [h.name for h in later.attach()] == ["rebooted"]
    again = later.find("rebooted")
    until(lambda: again.status == "interrupted", what="it is marked")
    assert again.state.stop is not None
    assert again.state.stop.reason.startswith("The machine restarted at ")
    assert again.state.stop.resumable
    steps = len(again.state.curves["train.l2"].steps)
    later.resume(again)
    assert again.wait(60).status == "finished", again.error
    assert list(again.state.curves["train.l2"].steps) == list(range(1, 151))
    assert steps > 5
    later.close()
    assert later.pool(folder).wait_gone(90)
    session.close()


def stopped_run(folder: Path, n: int) -> RunHandle:
    """A run of `n` steps that was stopped after some of them and left a checkpoint."""
    session = Session(Settings(work_dir=folder))
    task, settings, _ = session.load(cell("x", n).partition("\n")[2], source="cell")
    with held(folder):
        run = session.submit(task, settings, name="stopped", backend="inline")
        until(lambda: run.metrics.get("train.l2", 1.0) < 1 / 5, what="it is beyond the fifth step")
        run.stop()
        run.wait(60)
    session.close()
    return run


def test_run_goes_on_though_who_resumed_it_died_after_writing_the_ticket(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
    run = stopped_run(folder, 100)
    place = Place(folder).make()
    place.tickets.put(Ticket(run.run_id, str(run.directory.path), attempt=1, after=run.state.seq))
    session = Session(Settings(work_dir=folder))
    session.attach()
    until(lambda: run.status == "finished", what="it went on to its end")
    assert_resumed_once(run, 100)
    until(lambda: not place.tickets.names(), what="its ticket is gone, it does not go on again")
    session.close()
    assert session.pool().wait_gone(90)
    assert_resumed_once(run, 100)


def test_run_that_two_notebooks_resume_at_once_goes_on_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
    run = stopped_run(folder, 100)
    sessions = [Session(Settings(work_dir=folder)) for _ in range(2)]
    together = threading.Barrier(2)

    def resume(session: Session) -> None:
        handle = session.find("stopped")
        assert handle.is_over
        together.wait(60)
        with contextlib.suppress(PoolError):  # "waiting already"
            session.resume(handle)

    threads = [threading.Thread(target=resume, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.wait(60)
    assert_resumed_once(run, 100)
    for session in sessions:
        session.close()
    assert session.pool().wait_gone(90)


def assert_resumed_once(run: RunHandle, n: int) -> None:
    """It went on after its stop, once, and no event was lost."""
    assert run.status == "finished", run.error
    entries = list(read_journal(run.directory.path))
    assert [e.seq for e in entries] == list(range(1, len(entries) + 1))
    assert sum(isinstance(e.event, RunRetried) for e in entries) == 1
    assert list(run.state.curves["train.l2"].steps) == list(range(1, n + 1))


def test_run_of_a_process_that_is_gone_is_told_as_interrupted(folder: Path) -> None:
    session = Session(Settings(work_dir=folder))
    task, settings, _ = session.load(cell("x", 40).partition("\n")[2], source="cell")
    from qnb.rundir import create_run

    directory = create_run(task, settings, name="shell")
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        identity = process_id(gone.pid)
    with JournalWriter(directory.path) as journal:
        journal.append(RunStarted(pid=identity.pid, began=identity.began or 1.0))
    assert session.going() == []
    assert session.find("shell").status == "interrupted"


FULL = """
import resource, sys
from pathlib import Path
from qnb.events import LogLine, MetricLogged
from qnb.execution.fan_out import FanOut
from qnb.journal import JournalWriter

folder = Path(sys.argv[1])
with JournalWriter(folder) as journal, FanOut(journal.append, line=LogLine) as fan:
    for step in range(100):
        fan(MetricLogged(name="a", value=1.0, step=step))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((folder / "journal.ndjson").stat().st_size + 40, hard))
    for step in range(100, 200):
        fan(MetricLogged(name="a", value=1.0, step=step))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    fan(MetricLogged(name="a", value=1.0, step=200))
    assert fan.catch_up(None)
"""


def test_full_disk_under_the_journal_delays_events_and_loses_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr.count("the journal cannot be written") == 1
    entries = list(read_journal(tmp_path))
    told = [e.event.text for e in entries if isinstance(e.event, LogLine)]
    assert len(told) == 1
    assert "the journal cannot be written" in told[0]
    assert [e.event.step for e in entries if isinstance(e.event, MetricLogged)] == list(range(201))
    assert [e.seq for e in entries] == list(range(1, 203))
