"""Pages of runs: words, grammar, order, counts, and the few changes a browser makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.errors import RecorderError, UnknownNameError
from qnb.recorder.base import MetricPoint, ParamSet, RefusedError, TagSet
from qnb.recorder.browse import RunIndex, RunQuery, read_query
from qnb.recorder.filters import SortKey
from qnb.recorder.stores import open_store


@pytest.fixture(params=["sqlite", "memory"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> RunIndex:
    """Six runs in two experiments; run k has IC k/100, run 3 has none."""
    uri = f"sqlite:///{tmp_path / 'm.db'}" if request.param == "sqlite" else f"memory:{tmp_path.name}"
    store = open_store(uri)
    experiments = [store.create_experiment(name) for name in ("first", "second")]
    for k in range(6):
        run = store.create_run(experiments[k % 2], f"run {k}", tags={"market": "csi300" if k < 3 else "other"})
        entries = [ParamSet("model.class", "LGBModel" if k % 3 else "GRU"), TagSet("mlflow.note", "zebra")]
        if k != 3:
            entries.append(MetricPoint("IC", k / 100, 0, 1.0))
        store.log(run.run_id, entries)
        store.update_run(run.run_id, status="FINISHED", end=(run.start or 0) + 10 - k)
    return RunIndex(uri)


def _names(index: RunIndex, **query: object) -> list[str]:
    return sorted(r.name for r in index.page(RunQuery(**query)).runs)  # type: ignore[arg-type]


def test_a_page_counts_what_fits_and_what_is_there(index: RunIndex) -> None:
    page = index.page(RunQuery(limit=2, offset=1))
    assert (len(page.runs), page.matching, page.total) == (2, 6, 6)
    page = index.page(RunQuery("metrics.IC > 0.015", limit=1))
    assert (len(page.runs), page.matching, page.total) == (1, 3, 6)


def test_pages_follow_each_other_without_gap(index: RunIndex) -> None:
    whole = [r.run_id for r in index.page(RunQuery()).runs]
    parts = [r.run_id for at in (0, 2, 4) for r in index.page(RunQuery(offset=at, limit=2)).runs]
    assert parts == whole


def test_words_are_found_in_names_tags_models_and_experiments(index: RunIndex) -> None:
    assert _names(index, text="gru") == ["run 0", "run 3"]
    assert _names(index, text="CSI300 lgb") == ["run 1", "run 2"]
    assert _names(index, text="second 5") == ["run 5"]
    assert _names(index, text="zebra") == []  # MLflow's own tags are no words of the user
    assert _names(index, text="'; DROP TABLE runs") == []


def test_the_start_of_an_id_is_found_and_a_single_letter_of_it_is_not(index: RunIndex) -> None:
    run = index.page(RunQuery()).runs[0]
    assert _names(index, text=run.run_id[:12]) == [run.name]
    for digit in "6789":  # in no name, tag or model
        assert _names(index, text=digit) == []


def test_an_experiment_alone(index: RunIndex) -> None:
    page = index.page(RunQuery(experiment="second"))
    assert {r.experiment for r in page.runs} == {"second"}
    assert (page.matching, page.total) == (3, 6)
    with pytest.raises(UnknownNameError, match="second"):
        index.page(RunQuery(experiment="secnd"))


def test_sorting_by_a_metric_puts_runs_without_it_last(index: RunIndex) -> None:
    found = index.page(RunQuery(sort=SortKey("metric", "IC", descending=True))).runs
    assert [r.name for r in found] == ["run 5", "run 4", "run 2", "run 1", "run 0", "run 3"]
    found = index.page(RunQuery(sort=SortKey("attribute", "seconds"))).runs
    assert [r.name for r in found] == [f"run {k}" for k in (5, 4, 3, 2, 1, 0)]


def test_keys_that_can_be_columns(index: RunIndex) -> None:
    keys = index.keys()
    assert list(keys["metrics"]) == ["IC"]
    assert list(keys["params"]) == ["model.class"]
    assert "market" in keys["tags"]


def test_tag_rename_delete(index: RunIndex) -> None:
    run = next(r for r in index.page(RunQuery()).runs if r.name == "run 4")
    index.tag(run.run_id, "baseline")
    assert index.run(run.run_id).tags["baseline"] == ""
    index.untag(run.run_id, "baseline")
    assert "baseline" not in index.run(run.run_id).tags
    index.rename(run.run_id, "better")
    assert index.run(run.run_id).name == "better"
    index.delete(run.run_id)
    assert index.page(RunQuery()).total == 5


def test_what_belongs_to_others_is_refused(index: RunIndex) -> None:
    run = index.page(RunQuery()).runs[0]
    for key in ("mlflow.user", "qnb.run_id", " "):
        with pytest.raises(RefusedError):
            index.tag(run.run_id, key, "x")
    with pytest.raises(RefusedError):
        index.rename(run.run_id, "  ")


def test_grammar_and_words_are_told_apart() -> None:
    assert read_query("best in class") == ([], ["best", "in", "class"])
    assert read_query("status LIKE 'F%'")[0][0].operator == "LIKE"
    assert read_query("lgb158 baseline") == ([], ["lgb158", "baseline"])
    with pytest.raises(RefusedError, match="column"):
        read_query("metrics.IC >")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    index = RunIndex(f"sqlite:///{tmp_path / 'none.db'}")
    assert index.page(RunQuery()).total == 0
    assert index.experiments() == []
    with pytest.raises(RecorderError):
        index.delete("x")
    assert not (tmp_path / "none.db").exists()
