"""Settings are looked up by the facades and the ways in alone; everything below is given them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import qnb

ROOT = Path(qnb.__file__).parent
LOOK_UP = {"current_settings", "session_settings", "_current", "_of_run"}
FACADES = {"api.py", "session.py", "notebook.py", "tuning/api.py", "data/facade.py", "recorder/facade.py"}
PUT_IN_FORCE = {"use_settings", "settings_of_run"}
PROCESSES = {"api.py", "execution/worker.py", "tuning/worker.py"}
BY_HAND = {"data/loader.py", "data/handler.py", "record_templates/portfolio_analysis.py"}


def users_of(names: set[str]) -> set[str]:
    """Return the files of the package, but `qnb.config`, in which one of `names` is imported or asked of a module."""
    found = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = isinstance(node, ast.ImportFrom) and {a.name for a in node.names} & names
            asked = isinstance(node, ast.Attribute) and node.attr in names and "config" in ast.unparse(node.value)
            if imported or asked:
                found.add(path.relative_to(ROOT).as_posix())
    return found - {"config.py"}


def test_settings_are_looked_up_by_the_facades_alone() -> None:
    assert users_of(LOOK_UP) == FACADES


def test_settings_are_put_in_force_by_the_ways_in_alone() -> None:
    assert users_of(PUT_IN_FORCE) == PROCESSES


def test_of_the_data_only_what_is_made_by_hand_asks_the_facade() -> None:
    below = ("data/", "expr/", "models/", "record_templates/", "execution/")
    assert {f for f in users_of({"D"}) if f.startswith(below)} == BY_HAND


CHANGES = (
    r"sys\.path\.\w+\(|sys\.path\[.*\] =|os\.environ\[.*\] =|os\.environ\.(setdefault|update)|os\.chdir\(|"
    r"\bshowwarning ="
)
ALLOWED = {
    "__init__.py": "OpenMP's threads, before any library is loaded",
    "pool/forkserver.py": "a worker's process is its own",
    "execution/logs.py": "the one hook that asks whose warning it is",
    "recorder/mlflow.py": "how long MLflow's client waits, where the user did not say so",
}


def test_what_belongs_to_the_process_is_left_alone() -> None:
    found = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.py") if re.search(CHANGES, p.read_text("utf-8"))}
    assert found == ALLOWED.keys()
