"""The peer's published workflows, as rewritten in tests/workflows, load without a single complaint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qnb.errors import ConfigError
from qnb.task.catalogue import kinds_of
from qnb.task.component import describe
from qnb.task.parse import parse
from qnb.task.spec import load_task

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yaml")), ids=lambda p: p.stem)
def test_it_loads(path: Path) -> None:
    try:
        task = load_task(path.read_text(), source=str(path), base_dir=path.parent)
    except ConfigError as error:
        if all("no counterpart of it yet" in p.remedy for p in error.problems):
            pytest.skip(f"needs {describe(parse(path.read_text(), base_dir=path.parent).values['task']['model']).name}")
        raise
    assert task.warnings == ()
    assert len(task.records) == 3


def test_models_of_issue_are_there() -> None:
    for name in ("LGBModel", "XGBModel", "CatBoostModel", "LinearModel"):
        assert any(m.kind == "model" for m in kinds_of(name))


def test_reading_a_workflow_takes_milliseconds(yardstick: Callable[[], float]) -> None:
    text = (WORKFLOWS / "lightgbm_alpha158.yaml").read_text()
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        parse(text)
        best = min(best, time.perf_counter() - began)
    assert best < 3 * yardstick()
