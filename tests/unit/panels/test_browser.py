"""The browser's answers: pages, changes, and what it refuses; and its forms without a front end."""

from __future__ import annotations

import sqlite3
import time
from html.parser import HTMLParser
from typing import Any

import pytest

from qnb.cleaning import clean_runs
from qnb.config import Settings
from qnb.errors import ConfigError, QnbError, UnknownNameError
from qnb.events import RunFinished, RunStarted
from qnb.handle import RunHandle
from qnb.journal import JournalWriter
from qnb.panels.browser import RunsBrowser
from qnb.panels.browser_rows import COLUMNS, started
from qnb.panels.live import LivePanel
from qnb.panels.overlay import OverlayPanel
from qnb.recorder import R
from qnb.recorder.base import RefusedError
from qnb.rundir import create_run, list_run_dirs
from qnb.session import Session
from qnb.task.spec import load_task

from .conftest import finished_run

HOSTILE = "<script>window.hostile=1</script><img src=x onerror=alert(1)>"


@pytest.fixture
def browser(settings: Settings) -> RunsBrowser:
    """Three runs of ours and one of plain MLflow with a hostile name."""
    for k, name in enumerate(("first", "second", "third"), start=1):
        finished_run(name, seed=k)
    with R.start(experiment_name="foreign", recorder_name=HOSTILE):
        R.log_params(lr="0.1")
        R.set_tags(note=HOSTILE)
    return RunsBrowser(settings)


def _ids(browser: RunsBrowser, *names: str) -> list[str]:
    rows = {r["name"]: r["id"] for r in browser.first["rows"]}
    return [rows[n] for n in names]


def _sent(browser: RunsBrowser, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """Collect what the browser sends by itself until `count` messages of `kind` are there."""
    found = [m for m in browser.sent if m["kind"] == kind]
    end = time.monotonic() + 90
    while len(found) < count and time.monotonic() < end:
        time.sleep(0.02)
        found = [m for m in browser.sent if m["kind"] == kind]
    return found


@pytest.fixture
def listening(browser: RunsBrowser, monkeypatch: pytest.MonkeyPatch) -> RunsBrowser:
    """The browser, with what it sends kept in `sent`."""
    browser.sent = []
    monkeypatch.setattr(RunsBrowser, "send", lambda self, message, buffers=None: self.sent.append(message))
    return browser


def test_the_first_page_needs_no_request(browser: RunsBrowser) -> None:
    page = browser.first
    assert (page["matching"], page["total"]) == (4, 4)
    assert [c["key"] for c in page["columns"]] == list(COLUMNS)
    row = next(r for r in page["rows"] if r["name"] == "second")
    assert (row["status"], row["cells"]["model"], row["cells"]["metrics.IC"]) == ("finished", "LightGBM", "0.0200")
    assert {"foreign", "study"} <= set(page["experiments"])


def test_queries_filter_sort_and_choose_columns(browser: RunsBrowser) -> None:
    ask = {"kind": "query", "columns": ["status", "params.model.kwargs.seed", "tags.note"]}
    page = browser.answer({**ask, "text": "metrics.IC >= 0.02", "sort": {"key": "metrics.IC", "descending": True}})
    assert page is not None
    assert [r["name"] for r in page["rows"]] == ["third", "second"]
    assert [r["cells"]["params.model.kwargs.seed"] for r in page["rows"]] == ["3", "2"]
    page = browser.answer({**ask, "experiment": "foreign"})
    assert page is not None
    assert [r["tags"][0]["text"] for r in page["rows"]] == [f"note: {HOSTILE}"[:59] + "…"]
    with pytest.raises(RefusedError, match="column"):
        browser.answer({**ask, "text": "metrics.IC >"})


def test_columns_that_can_be_added(browser: RunsBrowser) -> None:
    keys = [c["key"] for c in browser.answer({"kind": "keys"})["columns"]]  # type: ignore[index]
    assert {"metrics.IC", "params.lr", "tags.note", "experiment"} <= set(keys)
    assert not any(k.startswith(("tags.mlflow.", "tags.qnb.")) for k in keys)


def test_tags_and_names_are_changed_in_the_store(browser: RunsBrowser) -> None:
    ids = _ids(browser, "first", "second")
    browser.answer({"kind": "tag", "ids": ids, "key": "baseline", "value": ""})
    page = browser.answer({"kind": "query", "text": "tags.baseline = ''", "columns": []})
    assert page is not None
    assert page["matching"] == 2
    browser.answer({"kind": "untag", "ids": ids[:1], "key": "baseline"})
    browser.answer({"kind": "rename", "id": ids[1], "name": "champion"})
    page = browser.answer({"kind": "query", "text": "baseline", "columns": []})
    assert page is not None
    assert [r["name"] for r in page["rows"]] == ["champion"]


def test_nothing_is_deleted_without_the_confirmation_of_that_selection(browser: RunsBrowser) -> None:
    ids = _ids(browser, "first", "second")
    for request in ({"kind": "delete", "ids": ids}, {"kind": "delete", "token": ""}, {"kind": "delete", "token": "x"}):
        with pytest.raises(ConfigError, match="nothing was deleted"):
            browser.answer(request)
    asked = browser.answer({"kind": "ask_delete", "ids": ids})
    assert asked is not None
    assert asked["names"] == ["first", "second"]
    again = browser.answer({"kind": "ask_delete", "ids": ids[:1]})
    assert again is not None
    with pytest.raises(ConfigError, match="nothing was deleted"):
        browser.answer({"kind": "delete", "token": asked["token"]})  # of a selection that was asked about before
    assert browser.answer({"kind": "query", "columns": []})["total"] == 4  # type: ignore[index]
    done = browser.answer({"kind": "delete", "token": again["token"]})
    assert done is not None
    assert done["deleted"] == ids[:1]
    assert browser.answer({"kind": "query", "columns": []})["total"] == 3  # type: ignore[index]
    with pytest.raises(ConfigError, match="nothing was deleted"):
        browser.answer({"kind": "delete", "token": again["token"]})


def test_a_run_that_is_going_is_not_deleted(settings: Settings) -> None:
    directory = create_run(load_task("model: lightgbm"), settings, name="going")
    with R.start(experiment_name="study", recorder_name="going"):
        R.set_tags(**{"qnb.run_id": directory.run_id})
        R.get_recorder().flush()
        browser = RunsBrowser(settings)
        with pytest.raises(ConfigError, match="still going"):
            browser.answer({"kind": "ask_delete", "ids": [r["id"] for r in browser.first["rows"]]})


def test_runs_that_wait_stand_on_top(settings: Settings) -> None:
    finished_run("old", seed=1)
    create_run(load_task("model: lightgbm"), settings, name="waiting one")
    rows = RunsBrowser(settings).first["rows"]
    assert [(r["name"], r["status"]) for r in rows] == [("waiting one", "waiting"), ("old", "finished")]
    assert rows[0]["cells"]["model"] == "LightGBM"


def test_curves_come_later(listening: RunsBrowser) -> None:
    ids = _ids(listening, "first", HOSTILE)
    assert listening.answer({"kind": "curves", "ids": ids}) is None
    (message,) = _sent(listening, "curves")
    assert len(message["curves"][ids[0]]) == 56
    assert message["curves"][ids[1]] == []


def test_a_comparison_comes_in_two_steps(listening: RunsBrowser) -> None:
    ids = _ids(listening, "first", "second")
    at_once = listening.answer({"kind": "compare", "ids": ids})
    assert at_once is not None
    assert {r["key"] for r in at_once["view"]["config"]} == {"seed"}
    (message,) = _sent(listening, "comparison")
    assert [f["title"] for f in message["view"]["figures"]] == [
        "Excess return, after cost", "Drawdown of the excess return", "IC",
    ]  # fmt: skip
    for wrong in ([], ids[:1], ["x"] * 9):
        with pytest.raises(QnbError):
            listening.answer({"kind": "compare", "ids": wrong})


def test_opening_a_run_of_plain_mlflow_shows_what_the_store_has(browser: RunsBrowser) -> None:
    reply = browser.answer({"kind": "open", "id": _ids(browser, HOSTILE)[0]})
    assert reply is not None
    assert reply["kind"] == "details"
    assert ["lr", "0.1"] in reply["params"]


def test_a_cell_to_copy(settings: Settings) -> None:
    text = "model: {lightgbm: {num_leaves: 8}}\nmarket: demo"
    directory = create_run(load_task(text), settings, name="my run")
    with R.start(experiment_name="study", recorder_name="my run"):
        R.set_tags(**{"qnb.run_id": directory.run_id})
    other = finished_run("bare", seed=1)
    browser = RunsBrowser(settings)
    run = next(r for r in browser.first["rows"] if r["name"] == "my run")
    reply = browser.answer({"kind": "cell", "id": run["id"]})
    assert reply is not None
    assert reply["text"] == f"%%qtask 'my run'\n{text}\n"
    with pytest.raises(RefusedError, match=r"no task\.yaml"):
        browser.answer({"kind": "cell", "id": other})


def test_overrides_are_in_the_cell_that_is_copied(settings: Settings) -> None:
    task = load_task("model: {lightgbm: {num_leaves: 4}}", overrides=("task.model.kwargs.num_leaves=8",))
    directory = create_run(task, settings, name="r")
    with R.start(experiment_name="study", recorder_name="r"):
        R.set_tags(**{"qnb.run_id": directory.run_id})
    browser = RunsBrowser(settings)
    reply = browser.answer({"kind": "cell", "id": browser.first["rows"][0]["id"]})
    assert reply is not None
    cell = reply["text"].split("\n", 1)[1]
    assert load_task(cell).document == task.document


@pytest.fixture
def ours(settings: Settings) -> RunHandle:
    """A finished run with its own folder, as the newest of two."""
    found = None
    for name in ("older", "ours"):
        directory = create_run(load_task("model: lightgbm"), settings, name=name)
        with R.start(experiment_name="study", recorder_name=name):
            R.set_tags(**{"qnb.run_id": directory.run_id})
            directory.write_recorder(str(R.get_recorder().id), "study")
        with JournalWriter(directory.path) as journal:
            journal.append(RunStarted(pid=1))
            journal.append(RunFinished(seconds=1.0))
        directory.write_result({"status": "finished"})
        found = RunHandle(directory)
    assert found is not None
    return found


def test_a_new_name_is_seen_by_whoever_looks_at_the_run(settings: Settings, ours: RunHandle) -> None:
    session, panel, overlay = Session(settings), LivePanel(ours), OverlayPanel([ours])
    assert (panel.view["name"], session.find("ours").run_id) == ("ours", ours.run_id)
    submitted = ours.directory.path.joinpath("request.json").stat().st_mtime_ns
    browser = RunsBrowser(settings)
    browser.answer({"kind": "rename", "id": _ids(browser, "ours")[0], "name": " theirs "})
    assert panel.view["name"] == "theirs"
    assert "theirs" in panel.static_bundle()["text/html"]
    assert overlay._now()["runs"][0]["name"] == "theirs"
    assert (ours.name, ours.state.name, ours.recorder.info["name"]) == ("theirs", "theirs", "theirs")
    assert session.find("theirs").run_id == ours.run_id
    assert ours.directory.path.joinpath("request.json").stat().st_mtime_ns == submitted, "the order of runs is kept"
    with pytest.raises(UnknownNameError):
        session.find("ours")


def test_a_deleted_run_is_hidden_until_it_is_restored_or_cleaned_up(settings: Settings, ours: RunHandle) -> None:
    session, panel = Session(settings), LivePanel(ours)
    browser = RunsBrowser(settings)
    (run_id,) = _ids(browser, "ours")

    def delete() -> None:
        asked = browser.answer({"kind": "ask_delete", "ids": [run_id]})
        assert asked is not None
        browser.answer({"kind": "delete", "token": asked["token"]})

    delete()
    assert "This run was deleted." in panel.view["notes"][0]
    assert session.find(None).name == "older"
    assert [d.run_id for d in list_run_dirs(settings.runs_dir)] == [session.find("older").run_id]
    with pytest.raises(UnknownNameError):
        session.find("ours")

    with sqlite3.connect(settings.work_dir / "m.db") as db:  # as `mlflow runs restore` does
        db.execute("UPDATE runs SET lifecycle_stage = 'active'")
    assert {r["name"] for r in RunsBrowser(settings).first["rows"]} == {"ours", "older"}
    assert session.find(None).name == "ours"

    assert str(clean_runs(settings)) == "no deleted runs to clean up"
    delete()
    cleaned = clean_runs(settings)
    assert cleaned.names == ("ours",)
    assert str(cleaned).startswith("removed the folder of 1 deleted run, 0.0 MB: ours")
    assert not ours.directory.path.exists()
    assert session.find("older").directory.path.exists()


def test_cleaning_keeps_what_it_knows_nothing_of(settings: Settings, ours: RunHandle) -> None:
    waiting = create_run(load_task("model: lightgbm"), settings, name="waiting")
    ours.directory.write_recorder("f" * 32, "study")  # a store that was replaced by another
    assert clean_runs(settings).names == ()
    assert waiting.path.exists()
    assert ours.directory.path.exists()
    (settings.work_dir / "m.db").rename(settings.work_dir / "moved.db")
    assert clean_runs(settings).names == ()


def test_static_forms_are_complete_and_escaped(browser: RunsBrowser) -> None:
    bundle = browser.static_bundle()
    seen: set[str] = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            seen.add(tag)

    Tags().feed(bundle["text/html"])
    assert seen <= {"style", "div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    assert "second" in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]
    assert "second" in repr(browser)
    assert "4 runs" in repr(browser)


def test_what_is_empty_says_what_to_do(settings: Settings) -> None:
    assert "Run a %%qtask cell" in repr(RunsBrowser(settings))
    finished_run("only", seed=1)
    assert "No run matches. 1 without the filter." in repr(RunsBrowser(settings, text="nothing"))
    with pytest.raises(UnknownNameError, match="study"):
        RunsBrowser(settings, experiment="studdy")


def test_runs_as_a_frame(browser: RunsBrowser) -> None:
    frame = browser.frame()
    assert frame["metrics.IC"].dropna().tolist() == [0.03, 0.02, 0.01]


def test_moments_as_lists_show_them() -> None:
    now = time.mktime((2026, 11, 21, 12, 0, 0, 0, 0, -1))
    assert started(now - 3600, now) == "11:00"
    assert started(now - 86_400, now) == "yesterday"
    assert started(now - 5 * 86_400, now) == "2026-11-16"
    assert started(None, now) == "–"
