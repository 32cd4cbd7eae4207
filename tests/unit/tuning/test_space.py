"""Distributions in a workflow: how they are read, filled in, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qnb.errors import ConfigError
from qnb.task.document import Document
from qnb.task.file import workflow_text
from qnb.task.parse import parse
from qnb.task.spec import load_task
from qnb.tuning.plan import load_study
from qnb.tuning.space import TAGS, Space, read_space


def _space(text: str) -> tuple[Space, Document]:
    document = parse(text, tags=TAGS)
    space, problems = read_space(document)
    assert not problems, problems
    return space, document


@pytest.mark.parametrize(
    ("text", "kind", "low", "high", "log", "step"),
    [
        ("!uniform [0.1, 2]", "float", 0.1, 2.0, False, None),
        ("!loguniform [1e-3, 1]", "float", 1e-3, 1.0, True, None),
        ("!int [16, 256]", "int", 16, 256, False, None),
        ("!int [10, 50, 10]", "int", 10, 50, False, 10),
        ("{low: 0.1, high: 0.5, log: true}", "float", 0.1, 0.5, True, None),
        ("{low: 4, high: 8}", "int", 4, 8, False, None),
        ("{low: 0.1, high: 0.5, step: 0.1}", "float", 0.1, 0.5, False, 0.1),
    ],
)
def test_a_range_is_read_in_both_forms(text: str, kind: str, low: float, high: float, log: bool, step: Any) -> None:
    (found,) = _space(f"model: {{lightgbm: {{x: {text}}}}}")[0].dimensions
    assert (found.name, found.kind, found.low, found.high, found.log, found.step) == ("x", kind, low, high, log, step)


@pytest.mark.parametrize("text", ["!choice [a, 2, null]", "{choices: [a, 2, null]}"])
def test_a_choice_is_read_in_both_forms(text: str) -> None:
    space, document = _space(f"label: {text}")
    assert space.dimensions[0].labels == ("a", 2, None)
    assert space.fill(document, {"label": None}).values["label"] is None


def test_a_mapping_of_expressions_is_no_range() -> None:
    space, _ = _space("features: {low: $low, high: $high}")
    assert len(space) == 0


def test_an_alias_shows_the_same_value_everywhere() -> None:
    space, document = _space("a: {x: &n !int [1, 9], y: *n}\nb: *n")
    assert len(space) == 1
    name = space.dimensions[0].name
    filled = space.fill(document, {name: 4}).values
    assert filled == {"a": {"x": 4, "y": 4}, "b": 4}


def test_options_hold_distributions_that_are_asked_for_only_when_chosen() -> None:
    text = "model: !choice\n  - lightgbm: {num_leaves: !int [8, 64]}\n  - linear: {alpha: !loguniform [0.1, 10]}\n"
    space, document = _space(text)
    assert [d.name for d in space.active({"model": "linear", "alpha": 1.0})] == ["model", "alpha"]
    assert space.fill(document, {"model": "linear", "alpha": 2.0}).values == {"model": {"linear": {"alpha": 2.0}}}
    assert space.fill(document, {"model": "lightgbm", "num_leaves": 9}).values == {
        "model": {"lightgbm": {"num_leaves": 9}}
    }
    assert document.values["model"].keys() == {"!choice"}, "filling must not change the document"


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    space, _ = _space("a: {kwargs: {lr: !uniform [0, 1]}}\nb: {kwargs: {lr: !uniform [0, 1], n: !int [1, 2]}}")
    assert [d.name for d in space.dimensions] == ["a.lr", "b.lr", "n"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!uniform [2, 1]", "line 3: an inverted range: 2 to 1; swap the bounds: [1, 2]"),
        ("!int [3, 3]", "line 3: an empty range: 3 to 3"),
        ("!loguniform [0, 1]", "line 3: the logarithm of 0"),
        ("!loguniform [-1, 1]", "line 3: the logarithm of -1"),
        ("!choice []", "line 3: a choice without options"),
        ("!choice [1, 1]", "the same option twice"),
        ("!int [1, 2.5]", "whole numbers"),
        ("!uniform 3", "a lower and an upper bound"),
        ("!uniform [a, b]", "needs finite numbers, received 'a'"),
        ("{low: 1, high: 2, step: 0}", "a step of 0"),
        ("!int [4, 32, 100]", "line 3: a step of 100 from 4 to 32, which leaves 4 alone"),
        ("{low: 1, high: 2, log: maybe}", "line 3: log must be true or false, received 'maybe'"),
        ("{choices: 3}", "line 3: a choice without options"),
        ("'!uniform [1, 2]'", "line 3: !uniform in quotes is text, no distribution; write !uniform [1, 2] without"),
        ("!loguniform [0.01, .inf]", "line 3: !loguniform needs finite numbers, received inf"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study(f"model:\n  lightgbm:\n    learning_rate: {text}\n")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("!uniformm [0.1, 1]", "tag !uniformm is not allowed; did you mean !uniform?"),
        ("!log_uniform [0.1, 1]", "tag !log_uniform is not allowed; did you mean !loguniform?"),
        ("!Int [1, 9]", "tag !Int is not allowed; did you mean !int?"),
        ("!!int [1, 9]", "tag !!int is not allowed; did you mean !int?"),
        ("!choise [a, b]", "tag !choise is not allowed; did you mean !choice?"),
        ("!uniformm 3", "did you mean !uniform?"),
        ("!beta [1, 2]", "tag !beta is not allowed; valid: !uniform, !loguniform, !int, !logint, !choice"),
        ("!!python/name:os.system", "is not allowed; a workflow holds plain values only"),
        ("{low: 0.1, hihg: 0.3}", "unknown key 'hihg' in a distribution; did you mean 'high'?"),
        ("{low: 0.1, high: 0.3, logg: true}", "unknown key 'logg' in a distribution; did you mean 'log'?"),
        ("{choice: [1, 2]}", "unknown key 'choice' in a distribution; did you mean 'choices'?"),
    ],
)
def test_a_misspelt_distribution_names_the_nearest_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study(f"model:\n  lightgbm:\n    num_leaves: {text}\n", first_line=2)
    assert "line 4: " in str(caught.value)
    assert said in str(caught.value)


def test_a_misspelt_tag_in_a_run_names_the_nearest_and_where_a_search_is() -> None:
    remedy = r"a run takes one value; to search a distribution use %%qtune or qnb tune -c"
    with pytest.raises(ConfigError, match=rf"line 3: .*!uniformm is not allowed; did you mean !uniform\? {remedy}"):
        load_task("model:\n  lightgbm:\n    num_leaves: !uniformm [1, 9]\n")
    with pytest.raises(ConfigError, match=rf"line 3: .*!uniform is not allowed; {remedy}"):
        load_task("model:\n  lightgbm:\n    num_leaves: !uniform [1, 9]\n")
    with pytest.raises(ConfigError, match=r"line 2: unknown key 'study'; it is for %%qtune and qnb tune"):
        load_task("model: lightgbm\nstudy: {trials: 3}\n")


def test_all_problems_are_told_at_once() -> None:
    text = "model:\n  lightgbm:\n    a: !int [3, 1]\n    b: !choice []\nstudy: {trials: 0, metric: rank_icc}\n"
    with pytest.raises(ConfigError) as caught:
        load_study(text)
    assert len(caught.value.problems) == 4
    assert "did you mean 'rank_ic'" in str(caught.value)


def test_a_space_on_a_key_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 3: LGBModel takes no argument 'num_leavess'.*'num_leaves'"):
        load_study("model:\n  lightgbm:\n    num_leavess: !int [3, 9]\n")
    text = "model: lightgbm\nstudy:\n  space:\n    model:\n      learning_ratee: {low: 0.01, high: 0.1}\n"
    with pytest.raises(ConfigError, match=r"line 5: .*'learning_ratee'.*'learning_rate'"):
        load_study(text)
    with pytest.raises(ConfigError, match=r"line 4: no space 'LightGBMSpac'; did you mean 'LightGBMSpace'"):
        load_study("model: lightgbm\nstudy:\n  space:\n    model: LightGBMSpac\n")


def test_a_space_of_a_part_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"line 3: no part 'modell' to search; did you mean 'model'"):
        load_study("model: lightgbm\nstudy:\n  space: {modell: LightGBMSpace}\n")


def test_an_option_is_named_where_it_was_given() -> None:
    text = "model: lightgbm\nstudy: {trials: 5}\n"
    with pytest.raises(ConfigError, match=r"^--space: no space 'LightGBMSpac'; did you mean 'LightGBMSpace'"):
        load_study(text, options={"space": ["LightGBMSpac"]})
    with pytest.raises(ConfigError, match=r"^--cv: 'x' folds; at least 2"):
        load_study(text, options={"cv": "walk_forward:x"})
    with pytest.raises(ConfigError, match=r"^unknown option 'trails' of a study; did you mean 'trials'"):
        load_study(text, options={"trails": 5})


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    with pytest.raises(ConfigError, match="no file"):
        workflow_text(file)
    file.write_bytes(b"market: \xff\n")
    with pytest.raises(ConfigError, match=r"study.yaml' is not UTF-8 text \(byte 8\)"):
        workflow_text(file)
    file.write_bytes(b"\xef\xbb\xbfmarket: demo\n")
    assert workflow_text(file) == "market: demo\n"


def test_a_grid_without_points_is_told_with_its_line_before_the_study_begins() -> None:
    text = "model:\n  lightgbm:\n    num_leaves: !int [3, 9]\n    learning_rate: !uniform [0.1, 0.2]\n"
    with pytest.raises(ConfigError, match=r"line 4: a grid needs a step or choices for 'learning_rate'"):
        load_study(text, options={"sampler": "grid"})
    with pytest.raises(ConfigError, match=r"write !uniform \[0\.1, 0\.2, 0\.025\]"):
        load_study(text, options={"sampler": "grid"})
    with pytest.raises(ConfigError, match=r"write !choice \[0\.01, 0\.032, 0\.1, 0\.32, 1\]"):
        load_study(text.replace("!uniform [0.1, 0.2]", "!loguniform [0.01, 1]"), options={"sampler": "grid"})


def test_every_option_of_a_choice_must_make_a_task() -> None:
    with pytest.raises(ConfigError, match="num_leavess"):
        load_study("model: !choice\n  - linear: {alpha: 0}\n  - lightgbm: {num_leavess: 3}\n")


def test_a_named_space_is_laid_over_both_forms_of_a_workflow() -> None:
    short = load_study("model: lightgbm\nstudy: {space: [LightGBMSpace, TopkDropoutStrategySpace]}\n")
    names = {d.name for d in short.space.dimensions}
    assert {"num_leaves", "learning_rate", "topk", "n_drop"} <= names
    full = short.task.to_yaml() + "study: {space: {model: LightGBMSpace, strategy: TopkDropoutStrategySpace}}\n"
    assert {d.name for d in load_study(full).space.dimensions} == names
    with pytest.raises(ConfigError, match="write strategy: TopkDropoutStrategySpace"):
        load_study("model: lightgbm\nstudy: {space: {model: TopkDropoutStrategySpace}}\n")


def test_without_a_distribution_the_models_own_space_is_searched() -> None:
    plan = load_study("model: lightgbm\n")
    assert "num_leaves" in {d.name for d in plan.space.dimensions}
    assert "LightGBMSpace is searched" in plan.notes[0]


def test_options_win_over_the_section_and_are_named_in_messages() -> None:
    text = "model: {lightgbm: {num_leaves: !int [3, 9]}}\nstudy: {trials: 5, metric: ICIR, jobs: 1}\n"
    plan = load_study(text, options={"trials": 7})
    assert (plan.spec.trials, plan.spec.objectives[0].metric, plan.spec.jobs) == (7, "ICIR", 1)
    with pytest.raises(ConfigError, match=r"--jobs: 4096 jobs, and the pool has \d+ workers"):
        load_study(text, options={"jobs": 4096})


def test_a_metric_that_needs_a_backtest_wants_one() -> None:
    text = "model: {lightgbm: {num_leaves: !int [3, 9]}}\nstrategy: null\nstudy:\n  metric: information_ratio\n"
    with pytest.raises(ConfigError, match=r"line 4: .*needs a backtest"):
        load_study(text)


def test_the_test_segment_is_said_loudly_and_prunes_nothing() -> None:
    plan = load_study("model: {lightgbm: {num_leaves: !int [3, 9]}}\nstudy: {segment: test}\n")
    assert plan.spec.on_test
    assert plan.spec.pruner == "none"
    assert any("TEST" in note for note in plan.notes)
