"""The whole LightGBM / Alpha158 / CSI300 workflow, ours and the peer's, interleaved, each in a fresh process.

Importing LightGBM counts as no part of the fitting. No data is cached at the start of a run. What a machine makes once
(machine code of the kernels, MLflow's empty store) is made by a first run, whose time is printed but not compared.

Usage: python -m tests.benchmarks.bench_workflow [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from .peer import ROOT, SHARED, Timing, last_json, peer_command, ratio_line, timed_process

Sample = tuple[float, float, int]
WORKFLOW = ROOT / "tests" / "workflows" / "lightgbm_alpha158.yaml"


def main() -> int:
    """Run the comparison and print it; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    ours: list[Sample] = []
    theirs: list[Sample] = []
    with tempfile.TemporaryDirectory() as cache:
        with tempfile.TemporaryDirectory() as folder:
            print(f"the very first run on a machine: {_ours(Path(folder), Path(cache))[0]:.1f} s", flush=True)
        for _ in range(options.repeat):
            shutil.rmtree(Path(cache) / "arrays")
            with tempfile.TemporaryDirectory() as folder:
                ours.append(_ours(Path(folder), Path(cache)))
            seconds, peak, out = timed_process(peer_command("workflow"))
            step = last_json(out)
            theirs.append((seconds, seconds - step["fit"], peak))
            print(f"  ours {ours[-1][0]:.1f} s, peer {seconds:.1f} s", file=sys.stderr, flush=True)
    lines = [
        ratio_line("whole workflow, process start to end", *_timings(ours, theirs, 0), 5),
        ratio_line("all of it but the fitting", *_timings(ours, theirs, 1), 20),
    ]
    print("\n".join(lines))
    own, peer = max(o[2] for o in ours), max(t[2] for t in theirs)
    print(f"peak memory: ours {own / 2**30:.2f} GiB, peer {peer / 2**30:.2f} GiB, {'met' if own <= peer else 'MISSED'}")
    return int(any("MISSED" in line for line in lines) or own > peer)


def _ours(folder: Path, cache: Path) -> Sample:
    """Return whole seconds, seconds without the fit stage, and peak bytes of one run in `folder`."""
    command = [
        sys.executable, "-m", "qnb.cli", "run", str(WORKFLOW), "--quiet",
        "--provider-uri", str(SHARED / "data" / "cn_data"), "--uri", f"sqlite:///{folder}/mlflow.db",
    ]  # fmt: skip
    env = {"QNB_CACHE_DIR": str(cache), "QNB_WORK_DIR": str(folder)}
    seconds, peak, _ = timed_process(command, env=env, cwd=folder)
    fit = 0.0
    for journal in (folder / ".qnb" / "runs").glob("*/journal.ndjson"):
        for line in journal.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "StageChanged" and event["stage"] == "fit" and event["status"] == "finished":
                fit = event["seconds"]
    return seconds, seconds - fit + _import_seconds(), peak


def _import_seconds() -> float:
    """Return what importing LightGBM takes in a process that has numpy and pandas; it falls into the stage 'fit'."""
    code = "import time, pandas, pyarrow; t = time.perf_counter(); import lightgbm; print(time.perf_counter() - t)"
    return float(timed_process([sys.executable, "-c", code])[2])


def _timings(ours: list[Sample], theirs: list[Sample], k: int) -> tuple[Timing, Timing]:
    return Timing("ours", tuple(o[k] for o in ours)), Timing("peer", tuple(t[k] for t in theirs))


if __name__ == "__main__":
    sys.exit(main())
