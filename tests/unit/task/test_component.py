"""Components from their descriptions: classes, paths, names, files, injection."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from qnb.errors import ConfigError, UnknownNameError
from qnb.task.aliases import alias
from qnb.task.component import accepted_names, build_component, describe, resolve
from qnb.task.modules import load_file, user_modules

METHODS = "    def fit(self, dataset): ...\n    def predict(self, dataset): ...\n"


class Plain:
    def __init__(self, a: int = 1, recorder: Any = None) -> None:
        self.a, self.recorder = a, recorder

    def fit(self, dataset: Any) -> None: ...

    def predict(self, dataset: Any) -> None: ...


class HandsOn(Plain):
    def __init__(self, b: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.b = b


class Broken(Plain):
    def __init__(self, recorder: Any) -> None:
        raise TypeError("mine")


def test_class_module_path_kwargs() -> None:
    described = {"class": "LinearModel", "module_path": "qnb.models.linear", "kwargs": {"estimator": "ridge"}}
    assert build_component(described, "model").estimator == "ridge"


def test_dotted_path_alone_and_as_class() -> None:
    assert type(build_component("qnb.models.linear.LinearModel", "model")).__name__ == "LinearModel"
    assert resolve({"class": "qnb.models.linear.LinearModel"}, "model")[0].__name__ == "LinearModel"


def test_func() -> None:
    assert callable(resolve({"func": "read_csv", "module_path": "pandas"}, "signal")[0])


def test_a_class_and_a_module_object() -> None:
    assert isinstance(build_component(Plain, "model"), Plain)
    assert build_component({"class": Plain, "kwargs": {"a": 3}}, "model").a == 3
    module = types.ModuleType("somewhere")
    module.Plain = Plain  # type: ignore[attr-defined]
    assert isinstance(build_component({"class": "Plain", "module_path": module}, "model"), Plain)


def test_a_ready_object_is_returned() -> None:
    ready = Plain()
    assert build_component(ready, "model") is ready
    assert build_component("text", "loader", accept=str) == "text"
    mapping = {"train": 1}
    assert build_component(mapping, "loader", accept=dict) is mapping


def test_injection_follows_the_signature_and_never_overrides() -> None:
    inject = {"recorder": "R", "model": "M"}
    assert build_component(Plain, "model", inject=inject).recorder == "R"
    assert build_component({"class": Plain, "kwargs": {"recorder": None}}, "model", inject=inject).recorder is None
    assert build_component(HandsOn, "model", inject=inject).recorder == "R"
    assert accepted_names(HandsOn) == {"a", "b", "recorder"}


def test_a_type_error_of_the_constructor_is_not_hidden() -> None:
    with pytest.raises(TypeError, match="mine"):
        build_component(Broken, "model", inject={"recorder": 1})
    with pytest.raises(TypeError, match="nonsense"):
        build_component({"class": Plain, "kwargs": {"nonsense": 1}}, "model")


def test_kwargs_are_copied() -> None:
    config = {"class": Plain, "kwargs": {"a": {"list": [1]}}}
    build_component(config, "model").a["list"].append(2)
    assert config["kwargs"] == {"a": {"list": [1]}}


def test_python_file_relative_to_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Net:\n    size = 1\n" + METHODS)
    at = file.stat().st_mtime_ns
    first = build_component({"class": "Net", "module_path": "mine.py"}, "model", base_dir=tmp_path)
    assert first.size == 1
    assert load_file("mine.py", base_dir=tmp_path) is load_file(str(file))
    file.write_text("class Net:\n    size = 2\n" + METHODS)
    os.utime(file, ns=(at, at))  # changed within a second, the size the same: Python's own cache would not see it
    assert build_component({"class": "Net", "module_path": str(file)}, "model").size == 2
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.py").write_text("class Net:\n    size = 3\n" + METHODS)
    assert build_component({"class": "Net", "module_path": str(other / "mine.py")}, "model").size == 3


def test_folders_of_the_sys_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "qnb_test_own_module.py").write_text("class Net:\n    size = 4\n" + METHODS)
    config = {"class": "qnb_test_own_module.Net"}
    with pytest.raises(UnknownNameError, match="no module"):
        build_component(config, "model")
    folders = (str(tmp_path / "a"), str(tmp_path))
    before = [*sys.path]
    with user_modules(folders):
        assert build_component(config, "model").size == 4
    assert sys.path == before
    assert "qnb_test_own_module" not in sys.modules
    with pytest.raises(UnknownNameError, match="no module"):
        build_component(config, "model")


def test_python_file_that_is_missing_or_lacks_the_class(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        build_component({"class": "Net", "module_path": "absent.py"}, "model", base_dir=tmp_path)
    (tmp_path / "mine.py").write_text("class Network:\n    pass\n")
    with pytest.raises(UnknownNameError, match="did you mean 'Network'"):
        build_component({"class": "Netwrk", "module_path": "mine.py"}, "model", base_dir=tmp_path)


def test_a_class_of_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__

    monkeypatch.setattr(__main__, "CellModel", Plain, raising=False)
    assert isinstance(build_component({"class": "CellModel", "module_path": "__main__"}, "model"), Plain)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class": "LGBModell"}, "no model 'LGBModell'"),
        ({"class": "Thing", "module_path": "no_such_module_xyz"}, "no module 'no_such_module_xyz'"),
        ({"class": "LinearModl", "module_path": "qnb.models.linear"}, "did you mean 'LinearModel'"),
        ({"class": "X", "module_path": "qlib.contrib.model.gbdtt"}, "did you mean 'qlib.contrib.model.gbdt'"),
    ],
)
def test_unknown_names(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        resolve(config, "model")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"clas": "X"}, "unknown key 'clas' in a component; did you mean 'class'"),
        ({"module_path": "math"}, "without a class"),
        ({"class": "X", "kwargs": [1]}, "kwargs must be a mapping"),
        (3, "a component is wanted"),
    ],
)
def test_descriptions_that_are_none(config: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        describe(config)


def test_time_series_twins_have_names_of_their_own() -> None:
    assert alias("qlib.contrib.model.pytorch_lstm", "LSTM") == ("model", "LSTM")
    assert alias("qlib.contrib.model.pytorch_lstm_ts", "LSTM") == ("model", "LSTMTS")
    assert alias("qlib.contrib.strategy", "TopkDropoutStrategy") == ("strategy", "TopkDropoutStrategy")
