"""Differences between a task and the defaults of its components."""

from __future__ import annotations

from pathlib import Path

from qnb.task.defaults import Difference, differences
from qnb.task.spec import load_task

WORKFLOW = (Path(__file__).parents[2] / "workflows" / "lightgbm_alpha158.yaml").read_text(encoding="utf-8")


def by_name(text: str) -> dict[tuple[str, str], Difference]:
    return {(d.component, d.name): d for d in differences(load_task(text))}


def test_what_is_not_the_default_is_told_with_the_default() -> None:
    found = by_name(WORKFLOW)
    assert found["Alpha158", "instruments"].value == "csi300"
    assert found["Alpha158", "instruments"].default == "'csi500'"
    assert found["exchange", "open_cost"] == Difference("exchange", "open_cost", 0.0005, "0.0015")
    assert ("exchange", "min_cost") not in found, "5 is the default"
    assert found["TopkDropoutStrategy", "topk"].required
    assert found["LGBModel", "num_leaves"].default == "", "the library's own"


def test_what_the_run_fills_in_is_left_out() -> None:
    assert not {name for _, name in by_name(WORKFLOW)} & {"model", "dataset", "signal"}


def test_components_inside_of_arguments_are_looked_at() -> None:
    text = WORKFLOW.replace("      num_leaves: 210\n", "      num_leaves: 210\n      early_stopping_rounds: 7\n")
    found = by_name(text)
    assert ("LGBModel", "loss") not in found
    assert found["LGBModel", "early_stopping_rounds"].default == "50"


def test_a_class_whose_source_cannot_be_read_shows_all_its_arguments(tmp_path: Path) -> None:
    text = """
model: {class: MyNet, module_path: __main__, kwargs: {width: 8}}
features: Alpha158
"""
    found = by_name(text)
    assert found["MyNet", "width"] == Difference("MyNet", "width", 8)
