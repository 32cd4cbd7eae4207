"""A plug-in with a fault is told with its file and costs its own members alone; shown on a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import qnb

FAULTS = {
    "expr/operators/without_all.py": "from ..operator import Element, Parameter\n\n"
    "class Twice(Element):\n    signature = (Parameter('x', 'series'),)\n"
    "    def compute(self, x):\n        return 2 * x\n"
    "def helper():\n    pass\n",
    "expr/operators/wrong_all.py": "from ..operator import Element\n__all__ = [*names]\nclass Lost(Element): ...\n",
    "expr/operators/torn.py": "class Half(:\n",
    "expr/operators/binary.py": b"\xff\xfe\x00",
    "expr/operators/absent.py": "import no_such_library\nclass Absent: ...\n",
    "models/torn.py": "class Mine\n",
    "models/exits.py": "import sys\nsys.exit('no licence')\nclass Exits: ...\n",
    "data/processors/torn.py": "def (\n",
    "data/handlers/torn.py": "class (\n",
    "tuning/spaces/raises.py": "class Space: ...\nraise RuntimeError('not today')\n",
    "reports/figures/without_figure.py": "def compute(material): ...\ndef draw(data, theme=None): ...\n",
    "reports/figures/nowhere.py": "from ..figure_spec import FigureSpec\n"
    "def compute(material): ...\ndef draw(data): ...\nFIGURE = FigureSpec('x', 'attic', 1, compute, draw)\n",
}
WORKS = """
import qnb
from qnb.check import check_task
from qnb.config import Settings
from qnb.expr.catalogue import operators
from qnb.reports.figure_spec import all_figures
from qnb.task.document import Document
from qnb.task.spec import load_task
from qnb.tuning.overlay import named_space_for

market = "demo:instruments=60,years=12"
task = load_task("model: lightgbm\\nfeatures:\\n  A: Twice($close)\\n  B: Mean($close, 5)")
print([str(problem) for problem in check_task(task, Settings().with_(provider_uri=market))])
print([name for name in ("Twice", "Lost", "Half", "Absent", "Gone", "helper", "Mean") if name in operators()])
print(len(all_figures()), named_space_for(Document({"model": "lightgbm"})))
qnb.init(market)
print(qnb.D.features(["DM000001"], ["Twice($close)/$close"]).iloc[:, 0].dropna().unique())
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with faulty plug-ins in it, and another package whose entry points fail."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(Path(qnb.__file__).parent, folder / "qnb", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FAULTS.items():
        (folder / "qnb" / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    info = folder / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    groups = ("operator", "figure", "model")
    (info / "entry_points.txt").write_text("".join(f"[qnb.{g}]\nGone = no_such_package:Gone\n" for g in groups))
    return folder


def run(package: Path, code: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(package)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, cwd=package, capture_output=True, text=True, timeout=250, check=False)


def test_all_else_works_and_each_fault_is_told_once(package: Path) -> None:
    done = run(package, WORKS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "['Twice', 'Mean']", "12 LightGBMSpace", "[2.]"]
    sound = {"expr/operators/without_all.py", "models/exits.py"}  # nobody asked for a model of the second
    assert {name for name in FAULTS if done.stderr.count(f"{name} ") == 1} == FAULTS.keys() - sound, done.stderr
    assert done.stderr.count("no_such_package:Gone of the package other cannot be loaded") == 1


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("model", "Mine", "torn.py is left out, it cannot be read: expected ':'"),
        ("model", "Exits", "exits.py cannot be loaded: SystemExit: no licence"),
        ("model", "Gone", "no_such_package:Gone of the package other cannot be loaded: ModuleNotFoundError"),
        ("operator", "Absent", "absent.py cannot be loaded: ModuleNotFoundError: No module named 'no_such_library'"),
    ],
)
def test_who_asks_for_the_faulty_one_is_told_why(package: Path, kind: str, name: str, said: str) -> None:
    done = run(package, f"from qnb import registry\nregistry.find({kind!r}, {name!r})")
    assert "qnb.errors." in done.stderr.splitlines()[-1]
    assert said in done.stderr.splitlines()[-1]
