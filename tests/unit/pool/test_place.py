"""The pool's folder: what it says of processes, and that nothing brings it back once its project was moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.config import Settings
from qnb.machine import ProcessId, process_id
from qnb.panels.live import LivePanel
from qnb.pool.client import PoolClient
from qnb.pool.place import Place
from qnb.recorder.stores import open_store
from qnb.rundir import create_run
from qnb.session import Session
from qnb.task.spec import load_task


def test_nothing_brings_back_a_folder_that_was_moved(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    client = PoolClient(old)
    client.place.make()
    old.rename(tmp_path / "new")
    assert client.wait_gone(1)
    client.place.tickets.remove("0123456789ab", 1)
    client.place.forget()
    assert not old.exists()


def test_a_client_that_is_a_folder_is_forgotten(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    own = process_id()
    (place.folder / "clients" / f"{own.pid}-{own.began:.0f}").mkdir()
    place.forget()
    assert not place.clients()


@pytest.mark.parametrize("raw", [None, "12", {"pid": 1}, [], [1], ["1", 2.0], [1, "2"], [1, 2, 3], 5])
def test_what_is_no_process_lives_nowhere(raw: object, tmp_path: Path) -> None:
    assert not ProcessId.of(raw).alive
    settings = Settings(work_dir=tmp_path)
    run = create_run(load_task("model: lightgbm"), settings)
    run._change_request("submitter", raw)
    assert LivePanel(Session(settings).find(run.run_id)).view["status"] == "waiting"


@pytest.mark.parametrize("line", ['"text"', "[]", "5", "null", "{", '{"uri": 1}'])
def test_a_spool_that_begins_with_something_else_is_left_alone(line: str, tmp_path: Path) -> None:
    settings = Settings(work_dir=tmp_path)
    spool = tmp_path / ".qnb" / "unwritten" / "abc.ndjson"
    spool.parent.mkdir(parents=True)
    spool.write_text(f"{line}\n")
    open_store(settings.tracking_uri, work_dir=tmp_path)
    assert spool.exists()


def test_this_process_lives() -> None:
    own = process_id()
    assert ProcessId.of([own.pid, own.began]).alive
