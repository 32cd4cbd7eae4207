"""Runs every benchmark, one after the other: ``python -m tests.benchmarks``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run them all; exit status 1 when one missed a target."""
    failed = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"\n{path.stem}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.benchmarks.{path.stem}"], check=False).returncode:
            failed.append(path.stem)
    if failed:
        print(f"\nmissed a target: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
