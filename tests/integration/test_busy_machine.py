"""Threads that wait for each other sleep soon: what OpenMP is told, by every way into a run, and what that is worth."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qnb.config import core_count
from qnb.events import LogLine
from qnb.journal import read_journal

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks GNU's OpenMP library"),
]

MODEL = """
import ctypes, os, tempfile
import pandas as pd


class Asking:
    '''Writes what the OpenMP library of this process was told when it was loaded.'''

    def __init__(self, rounds=1):
        self.rounds = rounds

    def fit(self, dataset, context=None):
        import lightgbm

        with tempfile.TemporaryFile() as file:
            kept = os.dup(2)
            os.dup2(file.fileno(), 2)
            ctypes.CDLL("libgomp.so.1").omp_display_env(1)
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            with open({told!r}, "ab") as told:
                told.write(file.read())

    def predict(self, dataset, segment="test"):
        return pd.Series(0.0, index=dataset.prepare(segment).index)
"""
CELL = """\
market: demo:instruments=10,years=4
model: {class: Asking, module_path: asking.py}
features: {MOM: "$close/Ref($close, 5) - 1"}
records: [SignalRecord]
"""
WAYS = {
    "shell": "from qnb.cli import main; main(['run', 'task.yaml', '--quiet'])",
    "inline": "import qnb; qnb.run('task.yaml', progress=False)",
    "inline_backend": "%%qtask a --wait --backend inline",
    "pool": "%%qtask a --wait",
    "study": "%%qtune a --wait --trials 1 --jobs 1 --pruner none",
}


def in_a_process(way: str, folder: Path, **changes: str) -> str:
    """Run the cell in a fresh process by one of `WAYS` and return what the model was told."""
    told = folder / f"told-{len(list(folder.glob('told-*')))}"
    (folder / "asking.py").write_text(MODEL.format(told=str(told)), encoding="utf-8")
    cell = CELL.replace("asking.py}", "asking.py, kwargs: {rounds: !int [1, 9]}}") if way == "study" else CELL
    (folder / "task.yaml").write_text(cell, encoding="utf-8")
    code = WAYS[way]
    if code.startswith("%%"):
        magic, _, line = code[2:].partition(" ")
        code = (
            "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance(); "
            "shell.run_line_magic('load_ext', 'qnb'); "
            f"shell.run_cell_magic({magic!r}, {line!r}, {cell!r}); shell.run_line_magic('unload_ext', 'qnb')"
        )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_"))} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env | changes, capture_output=True, text=True)
    assert told.exists(), done.stderr
    return told.read_text(encoding="utf-8")


@pytest.mark.parametrize("way", WAYS)
def test_openmp_is_told_before_it_is_loaded(way: str, tmp_path: Path) -> None:
    assert "GOMP_SPINCOUNT = '1000'" in in_a_process(way, tmp_path)


@pytest.mark.parametrize("given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "77"}])
def test_what_the_user_told_openmp_stays(given: dict[str, str], tmp_path: Path) -> None:
    told = in_a_process("inline", tmp_path, **given)
    for name, value in given.items():
        assert f"{name} = '{value}'" in told
    assert "GOMP_SPINCOUNT = '1000'" not in told


FIT = """
import sys, time
{first}
import numpy as np, lightgbm
from lightgbm import Dataset, train
rng = np.random.default_rng(0)
x = rng.normal(size=(20_000, 30))
params = {{"verbosity": -1, "num_threads": 2, "num_leaves": 31}}
data = Dataset(x, x[:, 0] + rng.normal(size=20_000), params=params).construct()
began = time.process_time()
train(params, data, 40)
print(time.process_time() - began)
"""


@pytest.mark.skipif(core_count() < 2, reason="needs two cores")
def test_fit_beside_two_busy_processes_takes_no_more_work(tmp_path: Path) -> None:
    """Compared is the work of the processor, whatever else goes on: a thread that spins works for nothing."""
    cores = sorted(os.sched_getaffinity(0))[:2]

    def work() -> float:
        code = FIT.format(first="import qnb")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_"))} | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
        return float(done.stdout)

    quiet = min(work() for _ in range(3))
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=lambda: os.sched_setaffinity(0, cores))
        for _ in range(2)
    ]
    try:
        beside = sorted(work() for _ in range(3))[1]
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert beside <= 3 * quiet


def test_threads_of_a_run_are_its_share_of_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qnb.config import Settings
    from qnb.session import Session

    cell = """\
market: demo:instruments=10,years=4
model: {lightgbm: {num_boost_round: 2, num_threads: 20}}
features: {MOM: "$close/Ref($close, 5) - 1"}
records: [SignalRecord]
"""
    session = Session(Settings.from_env().with_(work_dir=tmp_path))
    session.pool().configure({"workers": 2, "threads": 6})
    task, settings, _ = session.load(cell, source="cell")
    settings = settings.with_(threads=6)
    runs = [session.submit(task, settings, name=name) for name in ("a", "b")]
    told = []
    for run in runs:
        run.wait(240)
        assert run.status == "finished", run.error
        lines = [e.event.text for e in read_journal(run.directory.path) if isinstance(e.event, LogLine)]
        told += [line for line in lines if line.startswith("num_threads 20 limited to ")]
    session.close()
    assert session.pool().wait_gone(90)
    assert told[-1] == "num_threads 20 limited to 3, this run's share of the cores"
    assert len(told) == 2
