"""Two processes change how a run stands at the same moment: one of them does, the other is told."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qnb.cleaning import clean_runs, delete_run
from qnb.config import Settings
from qnb.errors import PoolError
from qnb.events import RunFinished, RunStarted, RunStopped
from qnb.files import is_locked, locked
from qnb.handle import RunHandle
from qnb.journal import JournalWriter, read_journal
from qnb.panels.browser import RunsBrowser
from qnb.pool.client import PoolClient
from qnb.pool.watch import write_stopped
from qnb.recorder import R
from qnb.rundir import RunDir, create_run, list_run_dirs
from qnb.session import Session
from qnb.task.spec import load_task

OTHER = """
import sys
from qnb.config import Settings
from qnb.errors import QnbError
from qnb.pool.client import PoolClient
from qnb.session import Session
PoolClient.ensure = lambda self: None  # nobody to run it: what is asked is who may have it go on
session = Session(Settings().with_(work_dir=sys.argv[1], recorder_uri=sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
try:
    {deed}
    print("done")
except QnbError as error:
    print(error)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path, recorder_uri=f"sqlite:///{tmp_path / 'm.db'}")


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run that was stopped and can go on; its recorder is in the store."""
    monkeypatch.setattr(PoolClient, "ensure", lambda self: None)
    directory = create_run(load_task("market: demo\nmodel: gru"), settings, name="net")
    directory.checkpoint_dir.mkdir()
    (directory.checkpoint_dir / "checkpoint.pt").touch()
    with R.uri_context(settings.tracking_uri), R.start(experiment_name="study", recorder_name="net"):
        R.set_tags(**{"qnb.run_id": directory.run_id})
        directory.write_recorder(R.get_recorder().id, "study")
    with JournalWriter(directory.path) as journal:
        journal.append(RunStarted(pid=1))
        journal.append(RunStopped(reason="asked", resumable=True))
    return directory


def others(settings: Settings, deed: str, number: int = 1) -> Callable[[], list[str]]:
    """Start processes that wait for the word; calling the result gives it to all and returns what each said."""
    command = [sys.executable, "-c", OTHER.replace("{deed}", deed), str(settings.work_dir), settings.recorder_uri]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def go() -> list[str]:
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [process.communicate()[0].strip() for process in started]

    return go


def retried(run: RunDir) -> int:
    return sum(type(e.event).__name__ == "RunRetried" for e in read_journal(run.path))


def test_of_several_processes_that_have_a_run_go_on_one_does(settings: Settings, run: RunDir) -> None:
    said = others(settings, "session.resume(session.find('net'))", 4)()
    assert sorted(said) == ["done", *["net is waiting already"] * 3]
    assert retried(run) == 1
    assert Session(settings).pool().place.tickets.names() == {run.run_id}


def test_a_run_that_goes_on_between_question_and_yes_is_kept(settings: Settings, run: RunDir) -> None:
    browser = RunsBrowser(settings)
    asked = browser.answer({"kind": "ask_delete", "ids": [browser.first["rows"][0]["id"]]})
    assert asked is not None
    assert others(settings, "session.resume(session.find('net'))")() == ["done"]
    reply = browser.answer({"kind": "delete", "token": asked["token"]})
    assert reply is not None
    assert reply["deleted"] == []
    assert "net is going (waiting); stop it before you delete it" in reply["text"]
    assert not run.is_deleted
    assert [h.name for h in Session(settings).going()] == ["net"]
    assert len(RunsBrowser(settings).first["rows"]) == 1


def test_a_deleted_run_does_not_go_on(settings: Settings, run: RunDir) -> None:
    handle = RunHandle(run)
    browser = RunsBrowser(settings)
    asked = browser.answer({"kind": "ask_delete", "ids": [browser.first["rows"][0]["id"]]})
    assert asked is not None
    browser.answer({"kind": "delete", "token": asked["token"]})
    with pytest.raises(PoolError, match="net was deleted; bring it back"):
        Session(settings).resume(handle)
    assert retried(run) == 0
    assert Session(settings).pool().place.tickets.names() == frozenset()
    clean_runs(settings)
    with pytest.raises(PoolError, match=r"is gone: its folder .* was moved or removed"):
        Session(settings).resume(handle)
    assert not run.path.exists()


def test_deleting_and_going_on_at_once_leaves_one_of_the_two(settings: Settings, run: RunDir) -> None:
    for _ in range(5):
        go = others(settings, "session.resume(session.find('net'))")
        said: list[str] = []
        resuming = threading.Thread(target=lambda go=go, said=said: said.extend(go()))
        resuming.start()
        time.sleep(0.004)
        with contextlib.suppress(PoolError):
            delete_run(RunHandle(run))
        resuming.join()
        assert run.is_deleted != (said == ["done"])
        if not run.is_deleted:
            break
        run.set_deleted(False)


def test_a_run_that_is_going_is_not_cleaned_up(settings: Settings, run: RunDir) -> None:
    run.set_deleted(True)
    with R.uri_context(settings.tracking_uri):
        R.delete_recorder(recorder_id=run.recorder()[0])  # type: ignore[index]
    PoolClient(settings.work_dir).resume(run, attempt=1, after=3)
    assert clean_runs(settings).names == ()
    assert run.path.exists()


def test_cleaning_from_several_processes_removes_each_folder_once(settings: Settings, run: RunDir) -> None:
    for _ in range(20):
        more = create_run(load_task("model: lightgbm"), settings, name="more")
        (more.path / "request.json").write_text("{")
        with JournalWriter(more.path) as journal:
            journal.append(RunFinished())
        more.set_deleted(True)
    (settings.runs_dir / ".abc.removed").mkdir()  # of one that was killed
    said = others(settings, "from qnb.cleaning import clean_runs; print(len(clean_runs(session.settings).names))", 3)()
    assert sum(int(text.split()[0]) for text in said) == 20
    assert [d.run_id for d in list_run_dirs(settings.runs_dir, deleted=True)] == [run.run_id]
    assert {p.name for p in settings.runs_dir.iterdir()} == {run.run_id}


def test_names_given_at_once_lose_no_other_change(settings: Settings, run: RunDir) -> None:
    go = others(settings, "[session.find(None).directory.rename(f'n{k}') for k in range(200)]")
    renaming = threading.Thread(target=go)
    renaming.start()
    for k in range(100):
        with run.changing():
            run.set_resume(k % 2 == 0)
            assert run.request().resume == (k % 2 == 0)
    renaming.join()
    assert run.name() == "n199"


def test_one_ending_is_written_however_many_see_that_it_is_missing(settings: Settings, run: RunDir) -> None:
    with JournalWriter(run.path) as journal:
        journal.append(RunStarted(pid=2**22 + 1, began=1.0))
    threads = [threading.Thread(target=write_stopped, args=(run, "gone"), kwargs={"interrupted": True}) for _ in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(e.event, RunStopped) for e in read_journal(run.path)) == 2
    write_stopped(RunDir(run.path / "gone"), "nobody is there")


def test_a_lock_is_asked_about_by_many_and_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert not path.exists()
    with locked(path):
        assert is_locked(path)
        with pytest.raises(TimeoutError, match="another process has held"), locked(path, seconds=0.05):
            pass
    assert not is_locked(path)
    with pytest.raises(FileNotFoundError), locked(tmp_path / "gone" / "lock"):
        pass
    assert not (tmp_path / "gone").exists()
    path.unlink()
    path.mkdir()
    with locked(path):
        assert path.is_file()
