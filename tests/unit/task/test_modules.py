"""Modules of the user: each folder has its own, imports of siblings work, and their objects come back anywhere."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from qnb.recorder.objects import load_object, save_object
from qnb.task.component import build_component
from qnb.task.modules import code_name, find_module, load_file, user_modules

MODEL = """
import json
import helper
from helper import NAME as imported
from parts import inner
from parts.inner import depth
import parts.inner as again
import weights.numbers

class Net:
    def fit(self, dataset): ...
    def predict(self, dataset, segment="test"):
        import lazily
        return [helper.NAME, imported, inner.up(), depth, again.depth, weights.numbers.N, lazily.NAME, json.dumps(1)]
"""


def folder(path: Path, name: str) -> Path:
    """Make a folder of modules that all tell its `name`."""
    files = {
        "model.py": MODEL,
        "helper.py": f"NAME = {name!r}\n",
        "lazily.py": f"NAME = 'lazy ' + {name!r}\n",
        "parts/__init__.py": "",
        "parts/inner.py": "from . import other\nimport helper\ndepth = 2\ndef up(): return other.NAME + helper.NAME\n",
        "parts/other.py": "NAME = 'inner '\n",
        "weights/numbers.py": "N = 7\n",
        "json/readme.txt": "a folder that is called like a module of Python",
    }
    for file, text in files.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_text(text, encoding="utf-8")
    return path


def told(name: str) -> list[Any]:
    return [name, name, f"inner {name}", 2, 2, 7, f"lazy {name}", "1"]


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make all calls in threads that start together, and return what they return."""
    gate = threading.Barrier(len(calls))

    def work(call: Callable[[], Any]) -> Any:
        gate.wait(20)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(work, calls))


@pytest.mark.parametrize("by_path", [False, True], ids=["dotted", "file"])
def test_each_folder_has_its_own_modules_also_at_once(tmp_path: Path, by_path: bool) -> None:
    before, known = [*sys.path], set(sys.modules)
    homes = [folder(tmp_path / name, name) for name in "abcd"]

    def use(home: Path) -> list[Any]:
        config = {"class": "Net", "module_path": str(home / "model.py") if by_path else "model"}
        with user_modules([] if by_path else [str(home)], str(home)):
            return list(build_component(config, "model").predict(None))

    for _ in range(5):
        found = at_once(*[lambda h=h: use(h) for h in homes * 2])  # type: ignore[misc]
        assert found == [told(name) for name in "abcd"] * 2
    assert sys.path == before
    assert {n for n in set(sys.modules) - known if not n.startswith("qnb_user_")} <= {"json"}


def test_a_module_is_run_once_however_many_ask_first(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.2)\nclass Net: ...\n")
    found = at_once(*[lambda: load_file(str(tmp_path / "slow.py"))] * 8)
    assert len(set(map(id, found))) == 1


def test_the_next_run_sees_what_was_changed_and_one_that_goes_on_does_not(tmp_path: Path) -> None:
    home = folder(tmp_path, "old")
    with user_modules([str(home)], str(home)):
        first = find_module("model").Net  # type: ignore[union-attr]
        (home / "helper.py").write_text("NAME = 'new'\n")
        assert find_module("model").Net is first  # type: ignore[union-attr]
        with user_modules([str(home)], str(home)):
            second = find_module("model").Net  # type: ignore[union-attr]
            assert second().predict(None)[:3] == ["new", "new", "inner new"]
        assert first().predict(None)[:3] == ["old", "old", "inner old"]
    with user_modules([str(home)], str(home)):
        assert find_module("model").Net is second, "nothing was changed since"  # type: ignore[union-attr]


def test_what_the_process_has_of_the_very_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "qnb_test_known.py").write_text("class Net: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path / "mine"))
    importlib.import_module("qnb_test_known")

    try:
        with user_modules([], str(tmp_path / "mine")):
            assert find_module("qnb_test_known") is None, "it is Python's"
        with user_modules([str(tmp_path / "other")], str(tmp_path)):
            assert find_module("qnb_test_known").__file__ == str(tmp_path / "other" / "qnb_test_known.py")  # type: ignore[union-attr]
    finally:
        del sys.modules["qnb_test_known"]


def test_a_folder_of_the_task_counts_where_python_looks_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        folder(tmp_path / name, name)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    for name in "ab":
        monkeypatch.chdir(tmp_path / name)
        with user_modules([], str(tmp_path / name), str(tmp_path / name)):
            assert build_component("model.Net", "model").predict(None) == told(name)
    assert "model" not in sys.modules


def test_an_operator_of_a_folders_module_is_known_in_its_runs(tmp_path: Path) -> None:
    from qnb.expr.catalogue import operators

    text = (
        "from qnb.expr import Element, Parameter, register_operator\n@register_operator\nclass Own(Element):\n"
        "    home = {!r}\n    signature = (Parameter('x', 'series'),)\n    def compute(self, x): return x\n"
    )
    before = dict(operators())
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.py").write_text(text.format(name))

    def use(name: str) -> str:
        with user_modules([str(tmp_path / name)], str(tmp_path / name)):
            find_module("own")
            return operators()["Own"].home  # type: ignore[attr-defined]

    for _ in range(3):
        assert at_once(*[lambda n=n: use(n) for n in "abab"]) == [*"abab"]  # type: ignore[misc]
    assert dict(operators()) == before


def test_what_is_wrong_is_told_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_xyz\n")
    with user_modules([str(tmp_path)], str(tmp_path)), pytest.raises(ModuleNotFoundError, match="no_such_module_xyz"):
        build_component("broken.Net", "model")
    (tmp_path / "broken.py").write_text("class Net:\n    def fit(self): ...\n    def predict(self): ...\n")
    with user_modules([str(tmp_path)], str(tmp_path)):
        assert build_component("broken.Net", "model")


LOAD = """
import sys
from pathlib import Path
from qnb.recorder.objects import load_object, save_object
found = load_object(Path(sys.argv[1]), trusted=True)
print(found.predict(None))
again = save_object(found, "again.pkl", Path(sys.argv[1]).parent)
print(load_object(again.path, trusted=True).predict(None))
"""


@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
@pytest.mark.parametrize("own_format", [False, True], ids=["pickle", "model"])
def test_an_object_comes_back_in_another_process(tmp_path: Path, gone: bool, own_format: bool) -> None:
    home = folder(tmp_path / "home", "a")
    if own_format:
        with (home / "model.py").open("a") as file:
            file.write("    def save(self, path): path.write_text('x')\n")
            file.write("    @classmethod\n    def load(cls, path): return cls()\n")
    with user_modules([str(home)], str(home)):
        model = build_component("model.Net", "model")
        model.predict(None)  # what is imported late is there, too
        saved = save_object(model, "params.pkl", tmp_path)
    assert type(load_object(saved.path, trusted=True)) is type(model)
    if gone:
        home.rename(tmp_path / "moved")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(saved.path)], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.stdout.splitlines() == [str(told("a"))] * 2, done.stderr


def test_a_class_is_known_by_its_code_not_by_its_place(tmp_path: Path) -> None:
    names = []
    for place, text in (("a", "class Net: ...\n"), ("b", "class Net: ...\n"), ("c", "class Net:\n    x = 1\n")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "own.py").write_text(text)
        names.append(code_name(load_file(str(tmp_path / place / "own.py")).Net))
    assert names[0] == names[1] != names[2]
    assert names[0].startswith("own@")
    assert code_name(Path) == "pathlib.Path"
