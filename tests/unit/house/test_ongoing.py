"""Which runs are not over: as a fold of every journal has it, without reading the journals of those that are."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from qnb import events as ev
from qnb.config import Settings
from qnb.errors import UnknownNameError
from qnb.events import Event
from qnb.journal import JournalWriter
from qnb.ongoing import last_status, ongoing_runs
from qnb.panels.browser_rows import COLUMNS, Rows
from qnb.pool.tickets import Ticket, TicketBox
from qnb.pool.watch import write_stopped
from qnb.recorder.browse import RunIndex
from qnb.rundir import RunDir, create_run, find_run_dir, list_run_dirs
from qnb.session import Session
from qnb.state import load_state
from qnb.task.spec import load_task

TASK = load_task("model: lightgbm")
QUEUED = ev.RunQueued(run_id="a", name="a")
STARTED = ev.RunStarted(pid=1)
FAILED = ev.RunFailed(error="E", message="m", traceback='"event":"RunFinished"\n' * 1000)
POINTS = tuple(ev.MetricLogged(name="l2.valid", value=1.0, step=k) for k in range(300))
LATE = ev.LogLine(text='{"event":"RunStarted"} said after the end')


def new_run(folder: Path, name: str, *events: Event) -> RunDir:
    directory = create_run(TASK, Settings(work_dir=folder), name=name)
    with JournalWriter(directory.path, sync=False) as journal:
        for event in events:
            journal.append(event)
    return directory


@pytest.mark.parametrize(
    "events",
    [
        (),
        (QUEUED,),
        (LATE,),
        (QUEUED, STARTED),
        (QUEUED, STARTED, *POINTS),
        (QUEUED, STARTED, *POINTS, ev.RunFinished(metrics={f"m{i}": 1.0 for i in range(500)})),
        (QUEUED, STARTED, *POINTS, FAILED),
        (QUEUED, STARTED, *POINTS, FAILED, LATE, LATE),
        (QUEUED, ev.RunStopped(reason="r")),
        (QUEUED, STARTED, ev.RunStopped(interrupted=True)),
        (QUEUED, STARTED, FAILED, ev.RunRetried()),
        (QUEUED, STARTED, FAILED, ev.RunRetried(), *POINTS, STARTED, *POINTS),
    ],
)
@pytest.mark.parametrize("end", ["", '{"seq":9,"event":"RunFin', '{"event":"RunFinished",\n', '{"event":"RunNap"}\n'])
@pytest.mark.parametrize("spaced", [False, True])
def test_status_from_the_end_is_that_of_the_fold(
    tmp_path: Path, events: tuple[Event, ...], end: str, spaced: bool
) -> None:
    with JournalWriter(tmp_path, sync=False) as journal:
        for event in events:
            journal.append(event)
    text = journal.path.read_text(encoding="utf-8")
    if spaced:
        text = "".join(json.dumps(json.loads(line)) + "\n" for line in text.splitlines())
    journal.path.write_text(text + end, encoding="utf-8")
    assert last_status(tmp_path) == load_state(tmp_path).status


def test_status_without_a_journal(tmp_path: Path) -> None:
    assert last_status(tmp_path) == "unknown"


def test_long_run_is_seen_behind_many_short_ones_and_finished_ones_are_not_folded(tmp_path: Path) -> None:
    session = Session(Settings(work_dir=tmp_path))
    new_run(tmp_path, "long", ev.RunStarted(pid=os.getpid()))
    waits = new_run(tmp_path, "waits")
    session.pool().place.tickets.put(Ticket(waits.run_id, str(waits.path)))
    ended = new_run(tmp_path, "ended", STARTED, *POINTS * 10, ev.RunFinished())
    journal = (ended.path / "journal.ndjson").read_bytes()
    for i in range(120):
        (new_run(tmp_path, f"short{i}").path / "journal.ndjson").write_bytes(journal)
    began = time.process_time()
    for _ in range(3):
        load_state(ended.path)
    fold = (time.process_time() - began) / 3
    began = time.process_time()
    going = session.going()
    spent = time.process_time() - began
    assert [h.name for h in going] == ["waits", "long"]
    assert spent < 30 * fold, "121 journals were folded"
    assert {r["name"] for r in Rows(session.settings.runs_dir, RunIndex("memory:").run).waiting(set(), COLUMNS)} == {
        "waits",
        "long",
    }


def test_run_whose_submitter_is_gone_is_interrupted_unless_the_pool_is_answerable_for_it_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(Settings(work_dir=tmp_path))
    run = new_run(tmp_path, "resumed")
    request = json.loads((run.path / "request.json").read_text(encoding="utf-8"))
    (run.path / "request.json").write_text(json.dumps(request | {"submitter": [2**22 + 1, 5.0]}), encoding="utf-8")
    tickets = session.pool().place.tickets
    with monkeypatch.context() as patch:  # its ticket comes after the first look at them
        patch.setattr(TicketBox, "names", lambda box: frozenset())
        tickets.put(Ticket(run.run_id, str(run.path)))
        assert [h.name for h in session.going()] == ["resumed"]
    assert [h.status for h in session.going()] == ["waiting"]
    tickets.remove(run.run_id)
    assert session.going() == []
    assert load_state(run.path).status == "interrupted"


def test_run_that_is_over_is_not_looked_at_again_unless_it_has_a_ticket(tmp_path: Path) -> None:
    runs = Settings(work_dir=tmp_path).runs_dir
    assert ongoing_runs(runs) == []
    over, going = new_run(tmp_path, "over", STARTED, ev.RunFinished()), new_run(tmp_path, "going", STARTED)
    (runs / "no run").mkdir()
    assert ongoing_runs(runs) == [going]
    with JournalWriter(over.path) as journal:
        journal.append(ev.RunRetried())
    assert ongoing_runs(runs) == [going]
    assert ongoing_runs(runs, {over.run_id}) == [going, over]
    write_stopped(going, "enough")
    assert ongoing_runs(runs) == []
    note = runs.with_name("over")
    assert sorted(note.read_text().split()) == sorted([over.run_id, going.run_id])
    note.write_text("torn")  # or removed: what is not noted is looked at
    assert ongoing_runs(runs) == [over]
    assert ongoing_runs(runs) == [over]
    assert note.read_text().split() == ["torn", going.run_id]
    note.write_text("\n".join(f"gone{i}" for i in range(2000)))
    ongoing_runs(runs)
    assert note.read_text().split() == [going.run_id]
    note.unlink()
    note.mkdir()  # it cannot be written
    assert ongoing_runs(runs) == [over]


def test_run_is_found_by_its_newest_name_without_reading_tasks(tmp_path: Path) -> None:
    runs = Settings(work_dir=tmp_path).runs_dir
    name = 'ein "Lauf" \\ größer'
    first, second, other = (new_run(tmp_path, n) for n in (name, name, "other"))
    for k, directory in enumerate((first, second, other)):
        os.utime(directory.path / "request.json", ns=(k, k))
        text = (directory.path / "request.json").read_text(encoding="utf-8")
        half = text[: text.index('"task"')] if directory is other else text
        (directory.path / "request.json").write_text(half, encoding="utf-8")
        os.utime(directory.path / "request.json", ns=(k, k))
    assert list_run_dirs(runs) == [other, second, first]
    assert find_run_dir(runs, name) == second
    assert find_run_dir(runs, "other") == other
    assert find_run_dir(runs, first.run_id) == first
    assert find_run_dir(runs, first.run_id[:6]) == first
    second.rename("other")
    assert second.name() == second.request().name == "other"
    assert find_run_dir(runs, name) == first
    second.set_deleted(True)
    assert list_run_dirs(runs) == [other, first]
    assert list_run_dirs(runs, deleted=True) == [other, second, first]
    with pytest.raises(UnknownNameError, match="other"):
        find_run_dir(runs, "othr")
