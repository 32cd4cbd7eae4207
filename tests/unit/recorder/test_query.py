"""Lists of runs: names, ids, starts of ids; a store that is not there is not made."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.errors import RecorderError, UnknownNameError
from qnb.recorder.base import MetricPoint, RunInfo
from qnb.recorder.query import find_run, list_runs
from qnb.recorder.stores import open_store

URI = "memory:query"


@pytest.fixture(scope="module")
def runs() -> list[RunInfo]:
    """Four runs in two experiments, oldest first."""
    store = open_store(URI)
    made = []
    for number, (experiment, name) in enumerate([("a", "lgb"), ("a", "linear"), ("b", "lgb"), ("b", "mlp")]):
        run = store.create_run(store.create_experiment(experiment), name, tags={"qnb.run_id": f"{number}abcdef01234"})
        store.log(run.run_id, [MetricPoint("IC", number / 100, 0, 1.0)])
        made.append(run)
    return made


def test_all_runs_or_those_of_an_experiment(runs: list[RunInfo]) -> None:
    found = list_runs(URI)
    assert {r.run_id for r in found} == {r.run_id for r in runs}
    assert {(r.experiment, r.name) for r in list_runs(URI, experiment="b")} == {("b", "lgb"), ("b", "mlp")}
    best = list_runs(URI, filter_string="metrics.IC > 0", order_by=("metrics.IC DESC",), max_results=2)
    assert [r.metrics["IC"] for r in best] == [0.03, 0.02]
    with pytest.raises(UnknownNameError, match="no experiment 'c'"):
        list_runs(URI, experiment="c")
    with pytest.raises(RecorderError, match="column"):
        list_runs(URI, filter_string="metrics")


def test_a_run_is_found_by_id_start_or_name(runs: list[RunInfo]) -> None:
    assert find_run(URI, runs[1].run_id).name == "linear"
    assert find_run(URI, runs[1].run_id).experiment == "a"
    assert find_run(URI, runs[1].run_id[:8]).run_id == runs[1].run_id
    assert find_run(URI, "3abcdef01234").run_id == runs[3].run_id
    assert find_run(URI, "3abcd").run_id == runs[3].run_id
    assert find_run(URI, "mlp").run_id == runs[3].run_id
    with pytest.raises(UnknownNameError, match="did you mean 'linear'"):
        find_run(URI, "linaer")
    with pytest.raises(UnknownNameError):
        find_run(URI, runs[1].run_id[:3])


def test_an_ambiguous_start_asks_for_more(runs: list[RunInfo]) -> None:
    store = open_store("memory:ambiguous")
    for number in range(2):
        store.create_run(store.create_experiment("e"), f"r{number}", tags={"qnb.run_id": f"abcd{number}"})
    with pytest.raises(UnknownNameError, match="2 ids start like that"):
        find_run("memory:ambiguous", "abcd")


def test_looking_makes_no_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert list_runs(uri) == []
    with pytest.raises(UnknownNameError, match="no runs yet"):
        find_run(uri, "lgb")
    assert list(tmp_path.iterdir()) == []
