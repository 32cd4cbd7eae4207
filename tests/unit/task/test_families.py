"""What stands as a model, a strategy, a record ... is a class of that family: told by the check and by the run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from qnb import registry
from qnb.config import Settings
from qnb.errors import ConfigError
from qnb.execution.build import build_parts
from qnb.task import catalogue
from qnb.task.component import build_component, resolve
from qnb.task.families import PROTOCOLS, is_standard, refusal
from qnb.task.spec import Task, load_task

TASK = """
task:
  model: {model}
  dataset: {{class: DatasetH, kwargs: {{handler: {handler}, segments: {{train: [2014, 2015]}}}}}}
  reweighter: {reweighter}
  record:
    - SignalRecord
    - {record}
    - class: PortAnaRecord
      kwargs:
        config: {{strategy: {strategy}, backtest: {{}}}}
"""
GOOD = {
    "model": "LinearModel",
    "handler": "{class: Alpha158, kwargs: {learn_processors: [DropnaLabel]}}",
    "reweighter": "null",
    "strategy": "{class: TopkDropoutStrategy, kwargs: {topk: 1, n_drop: 1, signal: <PRED>}}",
    "record": "SigAnaRecord",
}


def written(**changes: str) -> str:
    return TASK.format(**{**GOOD, **changes})


def messages(text: str, folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_task(text, base_dir=folder)
    return [str(p) for p in caught.value.problems]


RUNS = "{class: Popen, module_path: subprocess, kwargs: {args: [touch, ran]}}"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("model", "{class: system, module_path: os, kwargs: {command: touch ran}}", "line 3: system of os is no model"),
        ("model", "os.system", "line 3: system of os is no model"),
        ("model", RUNS, "Popen of subprocess is no model: subprocess belongs to Python itself"),
        ("handler", RUNS, "line 4: Popen of subprocess is no handler"),
        ("handler", f"{{class: DataHandlerLP, kwargs: {{data_loader: {RUNS}}}}}", "is no loader"),
        ("handler", f"{{class: Alpha158, kwargs: {{infer_processors: [{RUNS}]}}}}", "is no processor"),
        (
            "handler",
            "{class: DataHandlerLP, kwargs: {data_loader: {class: QlibDataLoader, kwargs: {config: [$close], "
            f"inst_processors: [{RUNS}]}}}}}}}}",
            "is no processor",
        ),
        (
            "handler",
            f"{{class: DataHandlerLP, kwargs: {{data_loader: {{class: NestedDataLoader, kwargs: "
            f"{{dataloader_l: [{RUNS}]}}}}}}}}",
            "is no loader",
        ),
        ("reweighter", RUNS, "line 5: Popen of subprocess is no reweighter"),
        ("strategy", RUNS, "line 11: Popen of subprocess is no strategy"),
        (
            "strategy",
            "{class: TopkDropoutStrategy, kwargs: {topk: 1, n_drop: 1, signal: "
            "{func: system, module_path: os, kwargs: {command: touch ran}}}}",
            "line 11: system of os is no signal: os belongs to Python itself",
        ),
        ("record", RUNS, "line 8: Popen of subprocess is no record"),
        (
            "record",
            "{class: read_pickle, module_path: pandas}",
            "read_pickle of pandas is no record: it is not a class",
        ),
        (
            "record",
            "qnb.models.linear.LinearModel",
            "LinearModel of qnb.models.linear is no record: it has no generate",
        ),
        ("model", "qlib.contrib.strategy.TopkDropoutStrategy", "is no model: it has no fit"),
        ("model", "{class: GeneralPTNN, kwargs: {pt_model_uri: os.system}}", "system of os is no network"),
    ],
)
def test_the_check_and_the_build_refuse_what_is_not_of_the_family(
    place: str, value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = messages(written(**{place: value}), tmp_path)
    assert any(said in m for m in found), found
    assert len(found) == 1
    monkeypatch.setattr("qnb.task.spec.validate", lambda document, base_dir: [])  # as if it had not been checked
    task = load_task(written(**{place: value}), base_dir=tmp_path)
    with pytest.raises(ConfigError) as caught:
        build_parts(task, recorder=None, settings=Settings())
    assert [str(p) for p in caught.value.problems] == found
    assert not list(tmp_path.iterdir())


def test_the_good_one_is_built(tmp_path: Path) -> None:
    assert (
        type(build_parts(load_task(written(), base_dir=tmp_path), recorder=None, settings=Settings()).model).__name__
        == "LinearModel"
    )


def test_classes_of_a_user_stand_if_they_have_the_methods(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from collections import deque\n"
        "class Base:\n    def fit(self, dataset): ...\n    def predict(self, dataset, segment='test'): ...\n"
        "class Mine(Base):\n    def __init__(self, size=1): ...\n"
        "class Half:\n    def fit(self, dataset): ...\n"
        "class Queue(deque):\n    def fit(self, dataset): ...\n"
        "def make(size=1):\n    return Mine()\n"
        "made = Mine\nready = Mine()\n"
        "class Odd:\n    fit = predict = None\n    fit = predict = lambda self, dataset: 1\n"
        "class Step:\n    def __call__(self, df): return df\n"
        "def complete(cls):\n    cls.fit = cls.predict = None\n    return cls\n"
        "@complete\nclass Decorated: ...\n"
        "class Wrapper:\n    def __getattr__(self, name): return getattr(Mine(), name)\n"
        "class Later: ...\nLater.fit = Later.predict = None\n"
        "class Maybe:\n    if True:\n        def fit(self, dataset): ...\n    else:\n        fit = None\n"
        "    try:\n        from os.path import join as predict\n    except ImportError:\n        predict = None\n"
    )

    def model(name: str) -> Task:
        return load_task(written(model=f"{{class: {name}, module_path: mine.py}}"), base_dir=tmp_path)

    for name in ("Mine", "made", "Odd", "Decorated", "Wrapper", "Later", "Maybe"):
        assert hasattr(build_parts(model(name), recorder=None, settings=Settings()).model, "predict")
    mine = str(tmp_path / "mine.py")
    for name, why in (("Half", "it has no predict"), ("make", "it is not a class"), ("Step", "it has no fit")):
        assert messages(written(model=f"{{class: {name}, module_path: mine.py}}"), tmp_path) == [
            f"line 3: {name} of {mine} is no model: {why}; a model has fit(dataset) and predict(dataset, segment)"
        ]
    for name, why in (("Queue", "it has no predict"), ("ready", "it is not a class")):  # seen once it is imported
        with pytest.raises(ConfigError, match=rf"line 3: {name} of .*mine.py is no model: {why}"):
            build_parts(model(name), recorder=None, settings=Settings())
    step = {"class": "Step", "module_path": mine}
    assert build_component(step, "processor")(3) == 3
    with pytest.raises(ConfigError, match=r"Half of .* is no processor: it has no __call__"):
        build_component({"class": "Half", "module_path": mine}, "processor")


def test_a_check_imports_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise RuntimeError('imported')\nclass Mine:\n    pass\n")
    (found,) = messages(written(model="{class: Mine, module_path: mine.py}"), tmp_path)
    assert "it has no fit" in found
    (found,) = messages(written(model="{class: fly, module_path: antigravity}"), tmp_path)
    assert "antigravity belongs to Python itself" in found
    assert "antigravity" not in sys.modules
    with pytest.raises(ConfigError, match="belongs to Python itself"):
        resolve("antigravity.fly", "model")
    assert "antigravity" not in sys.modules


def test_wrappers_of_other_libraries_and_classes_at_hand_stand_too() -> None:
    assert build_component("sklearn.linear_model.LogisticRegression", "model").C == 1.0
    with pytest.raises(ConfigError, match=r"OneHotEncoder of sklearn.preprocessing is no model: it has no predict"):
        build_component("sklearn.preprocessing.OneHotEncoder", "model")

    class Here:
        def decide(self, day: Any) -> None: ...

    assert isinstance(build_component({"class": Here}, "strategy"), Here)
    with pytest.raises(ConfigError, match=r"Here of .* is no record: it has no generate"):
        build_component(Here, "record")
    with pytest.raises(ConfigError, match="is no strategy: it is not a class"):
        build_component(lambda: 1, "strategy")


def test_a_signal_is_read_by_pandas_or_made_by_code_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def scores(scale=1):\n    return scale\n")
    assert build_component({"func": "scores", "module_path": str(tmp_path / "mine.py")}, "signal") == 1
    assert refusal("signal", "pandas", "read_parquet") is None
    for described in ("pandas.read_pickle", "numpy.load", "os.system", "qnb.recorder.objects.load_object"):
        module, _, name = described.rpartition(".")
        problem = refusal("signal", module, name)
        assert problem is not None
        assert problem.message.startswith(f"{name} of {module} is no signal: ")


def test_what_belongs_to_python() -> None:
    assert all(map(is_standard, ("os", "os.path", "subprocess", "builtins", "shutil", "importlib", "_thread")))
    assert not any(map(is_standard, ("qnb", "pandas", "__main__", "", "mine.py", "no_such_module", "sklearn.pipeline")))


@pytest.mark.parametrize("kind", [k for k in PROTOCOLS if k != "signal"])
def test_every_class_of_ours_is_of_its_family(kind: str) -> None:
    found = registry.members(kind) if kind in registry.FAMILIES else dict.fromkeys(catalogue.names(kind))
    assert found
    for name in found:
        member = catalogue.locate(kind, name)
        cls = getattr(importlib.import_module(member.module), member.name)
        if kind == "operator" and not isinstance(cls, type):
            continue  # the functions that operators share
        names = {n for c in cls.__mro__ for n in vars(c)}
        assert refusal(kind, member.module, name, is_class=isinstance(cls, type), has=names) is None
