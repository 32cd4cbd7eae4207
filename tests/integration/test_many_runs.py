"""A folder with the runs of some weeks: what is done often stays quick there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qnb.pool.place import Place, Wake
from tests.benchmarks.runs_store import make_runs

ROOT = Path(__file__).resolve().parents[2]
LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.process_time()
shell.run_line_magic("load_ext", "qnb")
print(time.process_time() - began)
"""


def load(folder: Path) -> tuple[float, str]:
    """Return the processor's seconds of `%load_ext qnb` in a new process, and what it said."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython")}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=True
    )
    said, _, seconds = done.stdout.rstrip().rpartition("\n")
    return float(seconds), said


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="stands in for the owner with a pipe")
def test_extension_loads_beside_many_runs_about_as_quickly_as_in_an_empty_folder(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    for folder in (empty, full):
        folder.mkdir()
    make_runs(full)
    alone, beside = [], []
    with Wake(Place(full)):  # somebody listens, so no owner is started, who would run what waits
        for _ in range(3):
            (full / ".qnb" / "over").unlink(missing_ok=True)
            alone.append(load(empty)[0])
            seconds, said = load(full)
            assert said == "200 runs are still going: waits 199, waits 198, waits 197, waits 196, waits 195, …; " + (
                "%qshow shows them"
            )
            beside.append(seconds)
    assert min(beside) < 2 * min(alone)
