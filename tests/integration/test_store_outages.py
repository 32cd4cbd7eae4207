"""A database that stops or stands still while a run goes on, and runs that are killed: journal and store agree after.

``QNB_TEST_KILLS=20 pytest tests/integration/test_store_outages.py -k killed`` kills twenty runs.
"""

from __future__ import annotations

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

import pytest

import qnb
from qnb import cli
from qnb.config import Settings, session_settings, use_settings
from qnb.errors import RecorderError
from qnb.handle import RunHandle
from qnb.pool.tickets import Ticket
from qnb.recorder.base import RunInfo
from qnb.recorder.stores import open_store
from qnb.rundir import list_run_dirs
from qnb.session import Session

from ..chaos.server import Database, missing

KILLS = int(os.environ.get("QNB_TEST_KILLS", "2"))
STEPS = 40
GATED = """
import time
from pathlib import Path
import pandas as pd
from qnb.record_templates import Recorded, RecordTemplate

HERE = Path(__file__).parent

def gate(name):
    (HERE / f"{name}.reached").touch()
    while not (HERE / f"{name}.open").exists():
        time.sleep(0.01)

class Model:
    def fit(self, dataset, context=None):
        for step in range(1, 40 + 1):
            context.metric("l2.valid", 1 / step, step=step)
            if step == 10:
                gate("fit")
            if (HERE / "slow").exists():
                time.sleep(0.02)

    def predict(self, dataset, segment="test"):
        index = pd.MultiIndex.from_product([pd.to_datetime(["2020-01-02"]), ["A"]], names=["datetime", "instrument"])
        return pd.Series([0.5], index, name="score")

class Data:
    segments = {}

    def prepare(self, segments, **wanted):
        return None

class LastRecord(RecordTemplate):
    artifact_path = "last"

    def compute(self, emit):
        gate("record")
        return Recorded({"found.pkl": {"a": 1}}, {"hits": 0.75})
"""
WORKFLOW = """
task:
  model: {class: Model, module_path: gated.py}
  dataset: {class: Data, module_path: gated.py}
  record: [SignalRecord, {class: LastRecord, module_path: gated.py}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "gated.py").write_text(GATED)
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    monkeypatch.chdir(tmp_path)  # MLflow puts artifacts of a database's runs below the working folder
    return tmp_path


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A server of our own."""
    if missing():
        pytest.skip(missing())
    with Database.running() as database:
        yield database


@pytest.fixture
def settings(folder: Path, database: Database) -> Iterator[Settings]:
    """Settings for runs that are kept in a store of their own."""
    before = session_settings()
    yield use_settings(Settings(work_dir=folder, recorder_uri=database.store(f"d{time.time_ns()}")))
    use_settings(before)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a tenth, so that a frozen server is told soon."""
    monkeypatch.setattr("qnb.recorder.mlflow.CALL_SECONDS", 3.0)
    monkeypatch.setattr("qnb.recorder.probe.CONNECT_SECONDS", 2.0)
    monkeypatch.setattr("qnb.recorder.probe.ANSWER_SECONDS", 3.0)
    monkeypatch.setattr("qnb.recorder.patience.AGAIN", 3.0)


class Going:
    """A run that goes on in a thread of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._handles = folder, []  # type: tuple[Path, list[RunHandle]]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self._handles.append(qnb.run(self._folder / "w.yaml", progress=False))

    def reach(self, gate: str) -> None:
        soon(lambda: (self._folder / f"{gate}.reached").exists() or bool(self._handles))
        assert not self._handles, self._handles[0].error

    def pass_(self, gate: str) -> None:
        (self._folder / f"{gate}.open").touch()

    def over(self) -> RunHandle:
        self._thread.join(240)
        assert self._handles, "it hangs"
        return self._handles[0]


def soon(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def outage(database: Database, how: str) -> Iterator[None]:
    """Have the server away in the block: ``stop`` or ``freeze``."""
    going = database.outage(how)
    going.begin()
    try:
        yield
    finally:
        going.end()


def warnings_of(handle: RunHandle) -> str:
    return "\n".join(log.text for log in handle.state.logs if log.level == "warning")


def stored(settings: Settings) -> list[RunInfo]:
    """Return all runs of the store, once what waits for it was written."""
    store = open_store(settings.tracking_uri, cache_dir=settings.cache_dir, work_dir=settings.work_dir)
    return store.search([e.id for e in store.experiments()])


def assert_whole(settings: Settings, handle: RunHandle) -> None:
    """Compare journal and store of a finished run."""
    assert handle.status == "finished", handle.error
    (run,) = stored(settings)
    assert run.status == "FINISHED"
    assert run.tags["qnb.run_id"] == handle.run_id
    assert "qnb.status" not in run.tags
    assert run.metrics == pytest.approx({"l2.valid": 1 / STEPS, "hits": 0.75})
    assert run.params["model.class"] == "Model"
    history = handle.recorder.metric_history("l2.valid")
    assert [step for step, _ in history] == list(range(1, STEPS + 1)), "each point once"
    assert handle.recorder.load_object("last/found.pkl") == {"a": 1}
    assert handle.recorder.load_object("pred.pkl")["score"].tolist() == [0.5]
    assert not (settings.work_dir / ".qnb" / "unwritten").exists()


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_a_database_that_is_away_at_the_start_is_told_as_such(
    settings: Settings, database: Database, folder: Path, how: str
) -> None:
    with outage(database, how):
        handle = qnb.run(folder / "w.yaml", progress=False)
    assert handle.status == "failed"
    assert {"stop": "nothing answers at", "freeze": "does not answer"}[how] in str(handle.error)
    assert "password" not in str(handle.error)
    assert "hunter2" not in str(handle.error)
    assert [run.status for run in stored(settings)] == []


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_a_run_does_not_mind_a_database_that_is_away_in_between(
    settings: Settings, database: Database, folder: Path, how: str
) -> None:
    going = Going(folder)
    going.reach("fit")
    with outage(database, how):
        going.pass_("fit")
        going.reach("record")
        soon(lambda: list((folder / ".qnb" / "unwritten").glob("*.ndjson")))
    going.pass_("record")
    assert_whole(settings, going.over())


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_at_the_end_it_is_waited_for(settings: Settings, database: Database, folder: Path, how: str) -> None:
    going = Going(folder)
    going.pass_("fit")
    going.reach("record")
    with outage(database, how):
        going.pass_("record")
        (directory,) = list_run_dirs(settings.runs_dir)
        soon(lambda: "waiting for that" in warnings_of(RunHandle(directory)))
    handle = going.over()
    assert_whole(settings, handle)
    assert "hunter2" not in warnings_of(handle)


@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_one_that_stays_away_gets_what_it_missed_when_it_is_back(
    settings: Settings, database: Database, folder: Path, how: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("QNB_STORE_PATIENCE", "2")
    going = Going(folder)
    going.pass_("fit")
    going.reach("record")
    with outage(database, how):
        going.pass_("record")
        handle = going.over()
        assert handle.status == "finished", handle.error
        assert handle.metrics == pytest.approx({"l2.valid": 1 / STEPS, "hits": 0.75})
        assert "which is written by itself when the store answers again" in warnings_of(handle)
        (kept,) = (folder / ".qnb" / "unwritten").glob("*.ndjson")
        assert "hunter2" not in kept.read_text()
        with pytest.raises(RecorderError, match="answer"):
            stored(settings)
        assert kept.exists()
    assert cli.main(["runs", "--uri", settings.recorder_uri]) == 0
    assert " finished " in capsys.readouterr().out
    assert_whole(settings, handle)


def test_a_stop_ends_the_waiting_and_the_run_is_finished(settings: Settings, database: Database, folder: Path) -> None:
    going = Going(folder)
    going.pass_("fit")
    going.reach("record")
    with outage(database, "stop"):
        going.pass_("record")
        (directory,) = list_run_dirs(settings.runs_dir)
        soon(lambda: "waiting for that" in warnings_of(RunHandle(directory)))
        RunHandle(directory).stop()
        assert going.over().status == "finished"
    assert_whole(settings, RunHandle(directory))


def test_a_run_that_fails_while_its_database_is_away_does_not_wait(
    settings: Settings, database: Database, folder: Path
) -> None:
    (folder / "gated.py").write_text(GATED.replace("return Recorded(", 'raise ValueError("no luck")\n        print('))
    going = Going(folder)
    going.pass_("fit")
    going.reach("record")
    with outage(database, "stop"):
        going.pass_("record")
        handle = going.over()
    assert handle.status == "failed"
    assert "waiting for that" not in warnings_of(handle)
    (run,) = stored(settings)
    assert (run.status, run.tags["qnb.status"], run.tags["qnb.error"]) == ("FAILED", "failed", "ValueError: no luck")


def shell(folder: Path, *command: str, **environment: str) -> subprocess.Popen[str]:
    """Start ``qnb COMMAND``."""
    return subprocess.Popen(
        [sys.executable, "-m", "qnb.cli", *command], cwd=folder, env=os.environ | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def assert_agreed(settings: Settings, runs: int = 1) -> None:
    """Compare how the runs ended in their journals with how the store has it, with nobody asked to settle anything."""
    handles = {directory.run_id: RunHandle(directory) for directory in list_run_dirs(settings.runs_dir)}
    assert len(handles) == runs
    for run in stored_as_it_is(settings):
        handle = handles[run.tags["qnb.run_id"]]
        assert handle.is_over, handle.status
        assert run.status == ("FINISHED" if handle.status == "finished" else "FAILED"), handle.status
        assert handle.status == "finished" or run.tags["qnb.status"] == handle.status
        assert run.end is not None
    soon(lambda: not (settings.work_dir / ".qnb" / "unwritten").exists())


def look_by_shell(settings: Settings) -> None:
    """List the runs as ``qnb runs`` does."""
    said, _ = shell(settings.work_dir, "runs", QNB_RECORDER_URI=settings.recorder_uri).communicate(timeout=240)
    assert " running " not in said
    assert "Traceback" not in said


def look_by_notebook(settings: Settings) -> None:
    """Load the extension, as far as it looks at runs."""
    session = Session(settings)
    assert session.attach() == []
    session.close()


@pytest.mark.parametrize("look", [look_by_shell, look_by_notebook])
@pytest.mark.parametrize("kill", range(KILLS))
def test_a_shell_command_that_is_killed_leaves_no_run_going(
    folder: Path, look: Callable[[Settings], None], kill: int
) -> None:
    settings = Settings(work_dir=folder)
    chance = random.Random(None if KILLS > 2 else kill)
    for name in ("fit.open", "record.open", "slow"):
        (folder / name).touch()
    command = shell(folder, "run", "w.yaml")
    soon(lambda: list_run_dirs(settings.runs_dir))
    (directory,) = list_run_dirs(settings.runs_dir)
    moments: list[Callable[[], object]] = [
        lambda: (directory.path / "recorder.json").exists(), lambda: (folder / "fit.reached").exists(),
        lambda: (folder / "record.reached").exists(), lambda: (directory.path / "result.json").exists(),
    ]  # fmt: skip
    soon(chance.choice(moments))
    time.sleep(chance.random() * 0.3)
    command.kill()
    command.communicate()
    look(settings)
    assert_agreed(settings)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "freeze"])
def test_a_shell_command_that_is_killed_while_its_database_is_away(
    settings: Settings, database: Database, folder: Path, how: str
) -> None:
    command = shell(folder, "run", "w.yaml", QNB_RECORDER_URI=settings.recorder_uri)
    soon(lambda: (folder / "fit.reached").exists())
    with outage(database, how):
        command.kill()
        command.communicate()
        said, _ = shell(folder, "runs", QNB_RECORDER_URI=settings.recorder_uri).communicate(timeout=240)
        assert {"stop": "nothing answers at", "freeze": "does not answer"}[how] in said
    look_by_shell(settings)
    assert_agreed(settings)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("store", ["file", "database"])
def test_a_new_owner_of_the_pool_settles_the_runs_that_went_with_the_one_before(
    folder: Path, store: str, request: pytest.FixtureRequest
) -> None:
    settings = request.getfixturevalue("settings") if store == "database" else Settings(work_dir=folder)
    session = Session(settings)
    task, with_task, _ = session.load(WORKFLOW, source="cell")
    run = session.submit(task, with_task, name="r", ticket=Ticket("", "", retries=0))
    soon(lambda: (folder / "fit.reached").exists() or run.is_over)
    assert not run.is_over, run.error
    for pid in (int(session.pool().status()["pid"]), run.state.pid):
        os.kill(pid, signal.SIGKILL)
    later = Session(settings)
    later.attach()
    assert run.wait(120).status == "failed"
    soon(lambda: all(info.status == "FAILED" for info in stored_as_it_is(settings)))
    assert_agreed(settings)
    for one in (session, later):
        one.close()
    assert later.pool().wait_gone(90)


def stored_as_it_is(settings: Settings) -> list[RunInfo]:
    """Return all runs of the store; nothing that waits is written."""
    store = open_store(settings.tracking_uri)
    return store.search([e.id for e in store.experiments()])
