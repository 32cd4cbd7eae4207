"""A run whose request cannot be read: shown as damaged with its id everywhere, deleted like others, no hindrance."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qnb import files
from qnb.cleaning import clean_runs
from qnb.config import Settings
from qnb.errors import PoolError
from qnb.events import RunFinished, RunStarted, RunStopped
from qnb.handle import RunHandle
from qnb.journal import JournalWriter
from qnb.panels.browser import RunsBrowser
from qnb.panels.live import LivePanel
from qnb.pool.tickets import Ticket
from qnb.recorder import R
from qnb.rundir import MAKING, RunDir, create_run, list_run_dirs
from qnb.session import Session
from qnb.summary import print_run, print_runs
from qnb.task.spec import load_task

DAMAGES = ["", "[]", '{"run_id": 5}', "\udcff\udcfe", None]


def _run(settings: Settings, name: str, damage: str | None = "", *events: object) -> RunDir:
    directory = create_run(load_task("market: demo\nmodel: lightgbm"), settings, name=name)
    with JournalWriter(directory.path) as journal:
        for event in events:
            journal.append(event)  # type: ignore[arg-type]
    if damage != "sound":
        _damage(directory, damage)
    return directory


def _damage(directory: RunDir, damage: str | None) -> None:
    path = directory.path / "request.json"
    path.unlink()
    if damage is None:
        long_ago = time.time() - MAKING - 60
        os.utime(directory.path / "task.yaml", (long_ago, long_ago))
    else:
        path.write_bytes(damage.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_shown_as_damaged_and_stops_nothing(
    settings: Settings, capsys: pytest.CaptureFixture[str], damage: str | None
) -> None:
    ours, sound = _run(settings, "ours", damage), _run(settings, "sound", "sound")
    session = Session(settings)
    assert [h.name for h in session.going()] == ["sound"]
    handle = session.find(ours.run_id)
    assert (handle.status, handle.name, handle.is_over) == ("damaged", "ours", True)
    assert handle.wait(1) is handle
    for refused in (session.resume, session.retry):
        with pytest.raises(PoolError, match=r"request\.json cannot be read"):
            refused(handle)
    assert print_run(settings, ours.run_id[:6], log=True, config=True) == 0
    assert "request.json cannot be read" in capsys.readouterr().out
    assert print_runs(settings, experiment=None, filter_string="", limit=20) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if ours.run_id[:6] in x)
    assert "damaged" in line
    rows = {r["id"]: r for r in RunsBrowser(settings).first["rows"]}
    assert rows[f"dir:{ours.run_id}"]["status_text"] == "Damaged"
    assert rows[f"dir:{sound.run_id}"]["status_text"] == "Waiting"
    panel = LivePanel(handle)
    assert panel.view["status_text"] == "Damaged"
    assert "request.json cannot be read" in panel.view["failure"]["message"]


def test_a_folder_that_is_being_made_is_no_damaged_run(settings: Settings) -> None:
    ours = _run(settings, "ours", None)
    os.utime(ours.path / "task.yaml")
    (settings.runs_dir / "notes").mkdir()
    (settings.runs_dir / "read.me").touch()
    assert list_run_dirs(settings.runs_dir) == []


def test_it_is_deleted_and_its_folder_removed(settings: Settings) -> None:
    ours = _run(settings, "ours")
    browser = RunsBrowser(settings)
    asked = browser.answer({"kind": "ask_delete", "ids": [f"dir:{ours.run_id}"]})
    assert asked is not None
    assert asked["names"] == ["ours"]
    browser.answer({"kind": "delete", "token": asked["token"]})
    assert RunsBrowser(settings).first["rows"] == []
    assert clean_runs(settings).names == ("ours",)
    assert not ours.path.exists()


def test_a_finished_run_that_lost_its_request_keeps_its_results(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = _run(settings, "ours", "sound", RunStarted(pid=1), RunFinished(metrics={"IC": 0.05}))
    with R.start(experiment_name="study", recorder_name="ours"):
        R.set_tags(**{"qnb.run_id": ours.run_id})
        ours.write_recorder(R.get_recorder().id, "study")
    _damage(ours, "{")
    handle = RunHandle(ours)
    assert (handle.status, handle.metrics) == ("finished", {"IC": 0.05})
    assert print_run(settings, ours.run_id, log=False, config=False) == 0
    out = capsys.readouterr().out
    assert "0.05" in out
    assert "damaged: " in out
    rows = RunsBrowser(settings).first["rows"]
    assert [r["status_text"] for r in rows] == ["Damaged"]
    print_runs(settings, experiment=None, filter_string="", limit=20)
    assert "damaged" in capsys.readouterr().out
    assert "request.json cannot be read" in LivePanel(handle).view["notes"][0]


def test_one_that_was_going_ends_as_interrupted(settings: Settings) -> None:
    ours = _run(settings, "ours", "", RunStarted(pid=2**22 + 1, began=1.0))
    assert Session(settings).going() == []
    assert RunHandle(ours).status == "interrupted"


@pytest.mark.parametrize("ticket", [False, True])
def test_a_journal_that_tells_nothing_is_damage_unless_the_pool_will_run_it(settings: Settings, ticket: bool) -> None:
    ours = _run(settings, "ours", "sound")
    (ours.path / "journal.ndjson").write_text("\x00" * 50 + "\n[]\n")
    if ticket:
        Session(settings).pool().place.tickets.put(Ticket(ours.run_id, ""))
    handle = RunHandle(ours)
    assert handle.status == ("unknown" if ticket else "damaged")
    assert ("tells nothing" in handle.damage) == (not ticket)


def test_a_stop_or_a_mark_that_is_a_folder_is_taken_back(settings: Settings) -> None:
    ours = _run(settings, "ours", "sound", RunStopped(reason="x", resumable=True))
    for name in ("stop", "deleted", "result.json"):
        (ours.path / name).mkdir()
    ours.forget_ending()
    ours.set_deleted(False)
    assert not ours.stop_asked()
    assert not ours.is_deleted
    assert ours.result() is None


def test_what_is_wrong_is_said_once(settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    ours = _run(settings, "ours", "sound")
    (ours.path / "recorder.json").write_text("[]")
    for _ in range(3):
        assert ours.recorder() is None
    assert len([r for r in caplog.records if r.name == files.__name__]) == 1
