"""The schema is right about every workflow, and every entry has its documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qnb.errors import ConfigError
from qnb.task.docstrings import parameter_docs, summary
from qnb.task.parse import parse
from qnb.task.schema import entries, schema, write_schema
from qnb.task.spec import load_task

jsonschema = pytest.importorskip("jsonschema")
WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


@pytest.fixture(scope="module")
def validator() -> object:
    found = schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_workflow_fits(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    values = parse(path.read_text(), base_dir=path.parent).values
    assert [e.message for e in validator.iter_errors(values)] == []


@pytest.mark.parametrize(
    "text",
    [
        "task: {model: lightgbm}",
        "task: {model: {class: LGBModel, kwargs: {loss: 3}}, dataset: {class: DatasetH}}",
        "task: {model: {clas: LGBModel}, dataset: x}",
        "task: {model: x, dataset: {class: DatasetH, kwargs: {segments: {train: 3}}}}",
        "task: {model: x, dataset: {class: DatasetH, kwargs: {handler: {class: Alpha158, kwargs: {filter_pipe: 3}}}}}",
        "task: {model: x, dataset: y, recrod: z}",
        "task: {model: x, dataset: y, record: {class: PortAnaRecord, kwargs: {config: {backtest: {acount: 1}}}}}",
        "region: mars\nmodel: lightgbm",
    ],
)
def test_what_does_not_fit(text: str, validator: jsonschema.Draft202012Validator) -> None:
    assert list(validator.iter_errors(parse(text).values))
    with pytest.raises(ConfigError):
        load_task(text)


def test_the_short_form_fits(validator: jsonschema.Draft202012Validator) -> None:
    text = "market: demo\nmodel: {lightgbm: {num_leaves: 8}}\nstrategy: {topk: 3}\nbacktest: {account: 1}\n"
    assert [e.message for e in validator.iter_errors(parse(text).values)] == []


def test_entries_carry_what_completion_shows() -> None:
    (model,) = [e for e in entries("model") if e.name == "LGBModel"]
    assert model.short == "lightgbm"
    arguments = {a.name: a for a in model.arguments}
    assert arguments["num_boost_round"].default == "1000"
    assert "iterations" in arguments["num_boost_round"].doc
    assert "learning_rate" in model.more
    (operator,) = [e for e in entries("operator") if e.name == "Mean"]
    assert summary(operator.doc)
    for kind in ("model", "processor", "handler", "dataset", "record", "strategy"):
        assert all(summary(e.doc) for e in entries(kind)), kind


def test_written_all_at_once(tmp_path: Path) -> None:
    write_schema(tmp_path / "sub" / "qnb.json")
    assert json.loads((tmp_path / "sub" / "qnb.json").read_text()) == json.loads(json.dumps(schema()))
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["qnb.json"]


def test_parameters_of_a_docstring() -> None:
    doc = """Sum up.

    Over two lines.

    Parameters
    ----------
    a, b : int
        Numbers
        to add.
    **kwargs
        The rest.

    Returns
    -------
    int
        Not a parameter.
    """
    assert parameter_docs(doc) == {"a": "Numbers to add.", "b": "Numbers to add.", "kwargs": "The rest."}
    assert summary(doc) == "Sum up."
    assert parameter_docs("") == {}
