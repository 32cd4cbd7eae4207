"""What starting costs: ``import qnb``, ``%load_ext qnb``, ``qnb --help``, each in a fresh process.

And ``%load_ext qnb`` in a folder with 1,000 finished runs of 4,000 points and 200 that wait.

Usage: python -m tests.benchmarks.bench_start [--repeat 7]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_INSIDE = "import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
_SHELL = "from IPython.core.interactiveshell import InteractiveShell; s = InteractiveShell.instance(); "
TARGETS = {
    "import qnb": (0.15, _INSIDE.format(code="import qnb")),
    "%load_ext qnb": (0.3, _SHELL + _INSIDE.format(code="s.run_line_magic('load_ext', 'qnb')")),
}


def main() -> int:
    """Print medians and targets; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    missed = 0
    for name, (target, code) in TARGETS.items():
        seconds = [_inside(code) for _ in range(options.repeat)]
        missed += _report(name, statistics.median(seconds), target)
    missed += _many_runs(options.repeat)
    bare = statistics.median([_whole(["-c", "pass"]) for _ in range(options.repeat)])
    whole = statistics.median([_whole(["-m", "qnb.cli", "--help"]) for _ in range(options.repeat)])
    missed += _report(f"qnb --help, Python's own {bare:.3f} s included", whole, 0.3)
    return int(missed > 0)


def _many_runs(repeat: int) -> int:
    from qnb.pool.place import Place, Wake

    from .runs_store import make_runs

    target, code = TARGETS["%load_ext qnb"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_runs(folder)
        with Wake(Place(folder)):  # as if there was an owner, or one would run what waits
            first = _inside(code, folder)
            seconds = [_inside(code, folder) for _ in range(repeat)]
    missed = _report("  beside 1,000 runs and 200 that wait, first", first, target)
    return missed + _report("  beside 1,000 runs and 200 that wait", statistics.median(seconds), target)


def _inside(code: str, folder: Path | None = None) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return float(done.stdout.split()[-1])


def _whole(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=True)
    return time.perf_counter() - began


def _report(name: str, seconds: float, target: float) -> int:
    met = seconds <= target
    print(f"{name:<44} {seconds:6.3f} s   target {target:.2f} s   {'met' if met else 'MISSED'}")
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
