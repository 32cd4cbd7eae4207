"""Pages of runs of a store that only offers MLflow's search: read page by page, and what was not read is said."""

from __future__ import annotations

import itertools

import pytest

from qnb.panels.browser_static import runs_html, runs_text
from qnb.recorder import mlflow
from qnb.recorder.base import MetricPoint, TagSet
from qnb.recorder.browse import RunIndex, RunQuery
from qnb.recorder.filters import SortKey
from qnb.recorder.stores import open_store

RUNS = 45


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """45 runs, of which every ninth has the tag ``rare`` and the oldest alone is called ``oldest``."""
    path = tmp_path_factory.mktemp("store") / "m.db"
    store = open_store(f"sqlite:///{path}")
    experiments = [store.create_experiment(name) for name in ("first", "second")]
    for k in range(RUNS):
        run = store.create_run(experiments[k % 2], "oldest" if k == 0 else f"run {k}", tags={"market": "x"})
        rare = [TagSet("rare", "")] if k % 9 == 8 else []
        store.log(run.run_id, [MetricPoint("IC", k / 100, 0, 1.0), *rare])
        store.update_run(run.run_id, status="FINISHED", end=(run.start or 0) + (k * 7) % RUNS)
    return f"mlflow+sqlite:///{path}"


@pytest.fixture
def index(uri: str, monkeypatch: pytest.MonkeyPatch) -> RunIndex:
    """An index that reads ten runs at a time."""
    monkeypatch.setattr(mlflow, "PAGE", 10)
    return RunIndex(uri)


def test_scrolling_comes_to_the_last_run(index: RunIndex) -> None:
    found, said = [], []
    for offset in range(0, 60, 8):
        page = index.page(RunQuery(offset=offset, limit=8, depth=20))
        found += [r.run_id for r in page.runs]
        said.append((page.matching, page.searched))
    assert len(found) == len(set(found)) == RUNS
    assert said[0] == (10, 10), "no more is read than is shown"
    assert said[-1] == (RUNS, 0), "at the end all of it is known"
    assert all(a <= b for a, b in itertools.pairwise(said) if b[1])


def test_the_same_order_and_conditions_as_of_a_file(index: RunIndex, uri: str) -> None:
    file = RunIndex(uri.removeprefix("mlflow+"))
    for query in (
        RunQuery(limit=100),
        RunQuery("metrics.IC > 0.2", limit=100),
        RunQuery(experiment="second", limit=100),
        RunQuery(sort=SortKey("metric", "IC", descending=True), limit=100),
        RunQuery(sort=SortKey("attribute", "seconds", descending=True), limit=100),
        RunQuery("rare second", limit=100),
    ):
        mine, theirs = index.page(query), file.page(query)
        if query.sort is not None and query.sort.key == "seconds":
            assert [r.seconds for r in mine.runs] == pytest.approx([r.seconds for r in theirs.runs])
        else:
            assert [r.run_id for r in mine.runs] == [r.run_id for r in theirs.runs]
        assert (mine.matching, mine.searched) == (theirs.matching, 0)


def test_words_are_looked_for_as_deep_as_asked_and_the_rest_is_said(index: RunIndex) -> None:
    page = index.page(RunQuery("oldest", depth=20))
    assert (page.matching, page.searched) == (0, 30)
    deep = index.page(RunQuery("oldest", depth=10**9))
    assert [r.name for r in deep.runs] == ["oldest"]
    assert (deep.matching, deep.total, deep.searched) == (1, RUNS, 0)
    first = index.page(RunQuery("rare", limit=2, depth=10**9))
    then = index.page(RunQuery("rare", limit=3, offset=2, depth=10**9))
    assert [r.name for r in (*first.runs, *then.runs)] == ["run 44", "run 35", "run 26", "run 17", "run 8"]


def test_a_page_that_goes_on_sees_no_run_twice_though_others_came(index: RunIndex, uri: str) -> None:
    first = index.page(RunQuery(limit=8))
    store = open_store(uri.removeprefix("mlflow+"))
    new = store.create_run(store.create_experiment("first"), "just now", tags={})
    try:
        then = index.page(RunQuery(limit=8, offset=8))
        ids = [r.run_id for r in (*first.runs, *then.runs)]
        assert len(ids) == len(set(ids)) == 16
    finally:
        store.delete_run(new.run_id)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({"matching": 1000, "total": 1000, "searched": 1000}, "more than 1,000 runs, the first 1 shown"),
        ({"matching": 12, "total": 2000, "searched": 2000}, "12 of the newest 2,000 runs, the first 1 shown"),
        ({"matching": 12, "total": 40, "searched": 0}, "12 of 40 runs, the first 1 shown"),
    ],
)
def test_static_forms_say_what_was_searched(page: dict[str, int], words: str) -> None:
    row = {"name": "r", "cells": {}, "tags": [], "status_text": "Finished"}
    assert words in runs_html({**page, "rows": [row]}, [])
    assert words in runs_text({**page, "rows": [row]}, [])
    nothing = runs_text({**page, "rows": []}, [])
    assert nothing.startswith("No run matches" + (f" in the newest {page['searched']:,}." if page["searched"] else "."))
