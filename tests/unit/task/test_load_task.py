"""A Task: what it holds, how it travels, what `--set` changes."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnb.errors import ConfigError
from qnb.models.linear import LinearModel
from qnb.task.spec import Task, load_task

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
GOOD = (WORKFLOWS / "lightgbm_alpha158.yaml").read_text()


def test_what_a_task_holds() -> None:
    task = load_task(GOOD + "experiment_name: trees\n", source="some/where/lgb.yaml")
    assert (task.name, task.experiment, task.source) == ("lgb", "trees", "some/where/lgb.yaml")
    assert task.settings == {"provider_uri": "~/.qlib/qlib_data/cn_data", "region": "cn"}
    assert task.model["class"] == "LGBModel"
    assert task.model["kwargs"]["lambda_l1"] == 205.6999
    assert task.dataset["kwargs"]["handler"]["kwargs"]["instruments"] == "csi300"
    assert task.dataset["kwargs"]["segments"]["train"] == ["2008-01-01", "2014-12-31"]
    assert [r["class"] for r in task.records] == ["SignalRecord", "SigAnaRecord", "PortAnaRecord"]
    assert task.records[2]["kwargs"]["config"]["strategy"]["kwargs"]["signal"] == "<PRED>"
    assert task.records[0]["kwargs"] == {"model": "<MODEL>", "dataset": "<DATASET>"}
    assert task.reweighter is None
    assert task.text.startswith("#")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("record: SignalRecord", ("SignalRecord",)),
        ("record: {class: SignalRecord}", ({"class": "SignalRecord"},)),
        ("record: [SignalRecord, {class: SigAnaRecord}]", ("SignalRecord", {"class": "SigAnaRecord"})),
        ("record: []", ()),
        ("record:", ()),
    ],
)
def test_records_are_a_dict_a_list_or_bare_names(record: str, expected: tuple[Any, ...]) -> None:
    assert load_task(f"{GOOD[: GOOD.index('  record:')]}  {record}\n").records == expected


def test_lines_of_the_cell() -> None:
    task = load_task(GOOD, first_line=2)
    lines = ["", "%%qtask", *GOOD.split("\n")]
    for path in ("task.model", "task.dataset", "task.record.1", "task.model.kwargs.num_leaves"):
        word = {"1": "class: SigAnaRecord"}.get(path.rpartition(".")[2], path.rpartition(".")[2] + ":")
        assert word in lines[task.line_of(path) or 0]
    assert task.line_of("task.model.kwargs.not_there") == task.line_of("task.model.kwargs")
    where = task.line_of("task.record.2.kwargs.config.strategy.kwargs.topk")
    assert "topk: 50" in lines[where or 0]


def test_json_round_trip() -> None:
    task = load_task(GOOD, source="lgb.yaml", first_line=2)
    back = Task.from_json(json.loads(json.dumps(task.to_json())))
    assert back.document == task.document
    assert (back.hash, back.name, back.source, back.text) == (task.hash, task.name, task.source, task.text)
    assert back.line_of("task.model") == task.line_of("task.model")


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda p: p.stem)
def test_yaml_round_trip(path: Path) -> None:
    try:
        task = load_task(path.read_text(), source=str(path), base_dir=path.parent)
    except ConfigError as error:  # a model that is not there yet is told by test_workflows
        if "qnb has no" not in str(error):
            raise
        return
    text = task.to_yaml()
    again = load_task(text)
    assert again.document == task.document
    assert again.hash == task.hash
    assert max(map(len, text.split("\n"))) < 300


def test_hash_says_what_is_computed() -> None:
    base = load_task(GOOD).hash
    assert load_task(GOOD.replace("# Gradient", "# gradient") + "experiment_name: other\n").hash == base
    assert load_task(GOOD.replace("~/.qlib/qlib_data/cn_data", "demo")).hash == base
    assert load_task(GOOD.replace("num_leaves: 210", "num_leaves: 211")).hash != base
    assert len(base) == 16


def test_hash_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    text = GOOD.replace("module_path: qlib.contrib.model.gbdt", "module_path: mine.py")
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.py").write_text(
            "class LGBModel:\n    fit = predict = None\n"
            "    def __init__(self, **kwargs):\n        self.kwargs = kwargs\n"
        )
        task = load_task(text, base_dir=folder)
        assert task.model["module_path"] == str(folder / "mine.py")
        found.append(task.hash)
    assert found[0] == found[1]


def test_replace() -> None:
    task = load_task(GOOD)
    other = task.replace(name="mine", experiment="trees")
    assert (other.name, other.experiment, other.hash) == ("mine", "trees", task.hash)
    assert (task.name, task.experiment) == ("", "")


def test_from_document_takes_python_values() -> None:
    class Own:
        pass

    document = {
        "task": {
            "model": {"class": LinearModel, "kwargs": {"alpha": np.float32(0.5)}},
            "dataset": {
                "class": "DatasetH",
                "kwargs": {
                    "handler": {"class": "Alpha158", "kwargs": {"start_time": datetime.date(2008, 1, 1)}},
                    "segments": {"train": ("2008-01-01", datetime.datetime(2014, 12, 31))},
                },
            },
        }
    }
    task = Task.from_document(document, overrides=("task.dataset.kwargs.segments.test=[2015-01-01, 2016-01-01]",))
    assert task.model["class"] == "LinearModel"
    assert task.model["module_path"] == "qnb.models.linear"
    assert task.model["kwargs"] == {"alpha": 0.5}
    assert task.dataset["kwargs"]["handler"]["kwargs"]["start_time"] == "2008-01-01"
    segments = task.dataset["kwargs"]["segments"]
    assert segments == {"train": ["2008-01-01", "2014-12-31"], "test": ["2015-01-01", "2016-01-01"]}
    document["task"]["model"]["kwargs"]["alpha"] = Own()  # type: ignore[index]
    with pytest.raises(ConfigError, match=r"task\.model\.kwargs\.alpha: a Own cannot be part of a task"):
        Task.from_document(document)


def test_set_changes_a_value_and_reads_yaml() -> None:
    task = load_task(GOOD, overrides=("task.model.kwargs.num_leaves=64", "task.model.kwargs.learning_rate=1e-2"))
    assert task.model["kwargs"]["num_leaves"] == 64
    assert task.model["kwargs"]["learning_rate"] == 0.01
    task = load_task(GOOD, overrides=("task.dataset.kwargs.segments.test=[2018-01-01, 2019-01-01]",))
    assert task.dataset["kwargs"]["segments"]["test"] == ["2018-01-01", "2019-01-01"]


def test_set_follows_anchors_both_ways() -> None:
    handler = "task.dataset.kwargs.handler.kwargs"
    task = load_task(GOOD, overrides=("market=csi500",))
    assert task.dataset["kwargs"]["handler"]["kwargs"]["instruments"] == "csi500"
    assert task.document["data_handler_config"]["instruments"] == "csi500"
    task = load_task(GOOD, overrides=(f"{handler}.start_time=2009-01-01",))
    assert task.document["data_handler_config"]["start_time"] == "2009-01-01"
    task = load_task(GOOD, overrides=(f"{handler}.instruments=csi100",))
    assert task.document["market"] == "csi300"
    assert task.document["data_handler_config"]["instruments"] == "csi100"
    task = load_task(GOOD, overrides=("port_analysis_config.strategy.kwargs.topk=30",))
    assert task.records[2]["kwargs"]["config"]["strategy"]["kwargs"]["topk"] == 30


def test_set_can_add_arguments() -> None:
    task = load_task(
        GOOD,
        overrides=(
            "task.model.kwargs.num_boost_round=10",
            "experiment_name=mine",
            "task.record.0.kwargs.model=<MODEL>",
        ),
    )
    assert task.model["kwargs"]["num_boost_round"] == 10
    assert task.experiment == "mine"
    text = (
        "task:\n  model: {class: lightgbm}\n  dataset: {class: DatasetH, kwargs: {handler: Alpha158, segments: {}}}\n"
    )
    assert load_task(text, overrides=("task.model.kwargs.loss=mse",)).model["kwargs"] == {"loss": "mse"}


@pytest.mark.parametrize(
    ("override", "message", "remedy"),
    [
        ("task.model.kwargs", "has no value", ""),
        ("task.modell.kwargs.a=1", "nothing called 'modell' in task", "'model'"),
        ("task.dataset.kwargs.handler.kwarg.x=1", "nothing called 'kwarg'", "'kwargs'"),
        ("tsk.model=1", "nothing called 'tsk' in the document", "'task'"),
        ("task.record.7.kwargs=1", "nothing called 7 in task.record", "it has 3 entries"),
        ("task.model.kwargs.a=[1", "--set task.model.kwargs.a: YAML", ""),
        ("task.model.kwargs.num_leavs=1", "LGBModel takes no argument 'num_leavs'", "'num_leaves'"),
        ("task.model.kwargs.loss=1", "loss of LGBModel must be text", ""),
    ],
)
def test_set_that_cannot_be(override: str, message: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task(GOOD, overrides=(override,))
    (problem,) = caught.value.problems
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.line is None


def test_the_demo_workflow_loads() -> None:
    import qnb

    text = (Path(qnb.__file__).parent / "demo.yaml").read_text(encoding="utf-8")
    assert load_task(text).experiment == "demo"
