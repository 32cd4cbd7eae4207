"""Models of a user: those of the page about adding one, and a class of the notebook."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.errors import RunStopped
from qnb.events import Event, MetricLogged
from qnb.task.component import build_component
from qnb.training.context import FitContext
from qnb.training.importance import permutation_importance
from qnb.training.model import load_model
from qnb.training.synthetic import SyntheticDataset

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "how_to" / "add_a_model.md").read_text(encoding="utf-8")


def code_of(name: str) -> str:
    return next(b for b in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"class {name}" in b)


@pytest.fixture
def data() -> SyntheticDataset:
    return SyntheticDataset(days=80, instruments=20, features=6, missing=0.0)


@pytest.fixture
def my_net(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the class of the page, defined in ``__main__`` as a cell does."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(code_of("MyNet"), names)
    monkeypatch.setattr(sys.modules["__main__"], "MyNet", names["MyNet"], raising=False)
    return lambda **kwargs: build_component(
        {"class": "MyNet", "module_path": "__main__", "kwargs": {"inputs": 6, "GPU": None, "n_epochs": 15, **kwargs}},
        "model",
    )


def test_a_class_of_the_notebook_has_all_that_a_model_has(data: Any, my_net: Any, tmp_path: Path) -> None:
    events: list[Event] = []
    model = my_net(lr=0.01, batch_size=200)
    model.fit(data, context=FitContext(threads=1, seed=1, emit=events.append, checkpoint_dir=tmp_path))
    curve = [e.value for e in events if isinstance(e, MetricLogged) and e.name == "rank_ic.valid"]
    assert curve[-1] > 0.3
    scores = model.predict(data, "valid")
    model.save(tmp_path / "saved")
    pd.testing.assert_series_equal(load_model(tmp_path / "saved").predict(data, "valid"), scores)
    assert len(permutation_importance(model, data, repeats=1)) == 6
    model.finetune(data, n_epochs=1)
    asked = iter(range(1000))
    with pytest.raises(RunStopped):
        my_net().fit(data, context=FitContext(threads=1, seed=1, should_stop=lambda: next(asked) > 5))


@pytest.mark.parametrize("seed", [1, None])
def test_a_class_of_the_notebook_resumes(data: Any, my_net: Any, tmp_path: Path, seed: int | None) -> None:
    asked = iter(range(1000))
    stop = FitContext(threads=1, seed=seed, checkpoint_dir=tmp_path, should_stop=lambda: next(asked) > 8)
    with pytest.raises(RunStopped):
        my_net().fit(data, context=stop)
    again = my_net().fit(data, context=FitContext(threads=1, seed=seed, checkpoint_dir=tmp_path, resume=True))
    same = stop.drawn_seed() if seed is None else seed
    whole = my_net().fit(data, context=FitContext(threads=1, seed=same))
    np.testing.assert_array_equal(whole.predict(data), again.predict(data))


def test_the_models_of_the_page_are_found_in_their_files(data: Any, tmp_path: Path) -> None:
    for name, kwargs in (("MyNet", {"inputs": 6, "n_epochs": 1, "GPU": None}), ("Momentum", {"feature": "F1"})):
        code = code_of(name)
        file = tmp_path / re.match(r"# (\w+\.py)", code)[1]  # type: ignore[index]
        file.write_text(code)
        model = build_component({"class": name, "module_path": str(file), "kwargs": kwargs}, "model")
        model.fit(data)
        assert len(model.predict(data, "test")) > 0
