"""A LightGBM fit beside two busy processes on two cores, and alone, by every way into a run.

Alone and beside them alternate; compared are the medians of the seconds of the stage 'fit'. The fit has its share, half
of the cores, so it takes twice as long at best. ``--spinning`` shows what libgomp's own waiting would cost.

Usage: python -m tests.benchmarks.bench_busy [--repeat 3] [--spinning]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .peer import ROOT

TARGET = 3.0
CELL = """\
market: demo
model: {lightgbm: {num_boost_round: ROUNDS, num_leaves: 31, num_threads: 2}}
features: Alpha158
records: [SignalRecord]
"""
_MAGIC = (
    "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance(); "
    "shell.run_line_magic('load_ext', 'qnb'); text = open('task.yaml').read(); "
    "shell.run_cell_magic('qtask', 'a --wait', text); shell.run_line_magic('unload_ext', 'qnb')"
)
WAYS = {
    "qnb run": ["-m", "qnb.cli", "run", "task.yaml", "--quiet"],
    "%%qtask": ["-c", _MAGIC],
    "qnb.run": ["-c", "import qnb; qnb.run('task.yaml', progress=False)"],
    "study": ["-m", "qnb.cli", "tune", "-c", "study.yaml", "--trials", "1", "--jobs", "1", "--threads", "2", "--quiet"],
}


def main() -> int:
    """Print seconds and ratios; exit status 1 when one is above the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--spinning", action="store_true")
    options = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as cache:
        os.environ["QNB_CACHE_DIR"] = cache
        _fit("qnb run", spinning=False)  # data and machine code are made once
        for way in WAYS:
            quiet, busy = [], []
            for _ in range(options.repeat):
                quiet.append(_fit(way, spinning=options.spinning))
                with _busy_processes():
                    busy.append(_fit(way, spinning=options.spinning))
            alone, beside = statistics.median(quiet), statistics.median(busy)
            met = beside <= TARGET * alone
            missed |= not met
            print(
                f"{way:<10} alone {alone:6.2f} s   beside two busy processes {beside:6.2f} s   "
                f"ratio {beside / alone:5.1f}   target {TARGET:g}   {'met' if met else 'MISSED'}", flush=True,
            )  # fmt: skip
    return int(missed)


@contextmanager
def _busy_processes() -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=_two_cores) for _ in range(2)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _two_cores() -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


def _fit(way: str, *, spinning: bool) -> float:
    """Return the seconds of the fit in a fresh folder and process on two cores."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "OMP_"))} | {"PYTHONPATH": str(ROOT)}
    if spinning:
        env["GOMP_SPINCOUNT"] = "300000"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:  # the pool tidies up meanwhile
        folder = Path(name)
        (folder / "task.yaml").write_text(CELL.replace("ROUNDS", "200"), encoding="utf-8")
        (folder / "study.yaml").write_text(CELL.replace("ROUNDS", "!int [200, 201]"), encoding="utf-8")
        command = [sys.executable, *WAYS[way]]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, preexec_fn=_two_cores)
        for line in _events(folder):
            if line["event"] == "StageChanged" and line["stage"] == "fit" and line["status"] == "finished":
                return float(line["seconds"])
            if line["event"] == "TrialEnded":
                return float(line["parts"]["fit"])
    raise SystemExit(f"{way} has no fit:\n{done.stdout}{done.stderr}")


def _events(folder: Path) -> Iterator[dict[str, object]]:
    for pattern in ("runs/*/journal.ndjson", "studies/*/events.ndjson"):
        for path in (folder / ".qnb").glob(pattern):
            yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    sys.exit(main())
