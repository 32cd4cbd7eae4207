"""Seconds an epoch and seconds to the first batch of torch models, ours and the peer's, on the same rows.

Usage: python -m tests.benchmarks.bench_torch [--models MLP,GRU] [--repeat 1] [--days 200] [--instruments 150]
       python -m tests.benchmarks.bench_torch --start        from the start of a process to its first batch, real data

Each side trains in a fresh process, the two interleaved, on two cores. An epoch counts with what the side evaluates
after it: the peer predicts ``train`` and ``valid`` again, we predict ``valid``; the pass over the batches alone is
printed beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .peer import SHARED, Timing, last_json, peer_python, ratio_line, timed_process

TARGETS = {"MLP": 1.5, "GRU": 1.5, "ALSTM": 1.5, "GRU_ts": 5.0, "TCN_ts": 5.0}
FIRST = 20.0
STARTS = ("GRU", "GRU_ts")
STATES = {"kernels not compiled yet": "first", "features not computed yet": "second", "features in the cache": "second"}
"""What an earlier process has left, and the name of its cache folder."""
SCRIPT = Path(__file__).with_name("torch_epochs.py")


def main() -> int:
    """Run the comparison and print it; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(TARGETS))
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--instruments", type=int, default=150)
    parser.add_argument("--start", action="store_true")
    options = parser.parse_args()
    peer = peer_python()
    if peer is None:
        sys.exit("the peer is not installed; see ../shared/peer/README.md, or set QNB_PEER_PYTHON")
    if options.start:
        return max([start(model, str(peer), options.repeat) for model in STARTS])
    size = ["--days", str(options.days), "--instruments", str(options.instruments)]
    missed = False
    for model in options.models.split(","):
        found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
        for _ in range(options.repeat):
            for side, python in (("ours", sys.executable), ("peer", str(peer))):
                words = [python, str(SCRIPT), side, model, *size, "--data", str(SHARED / "data" / "cn_data")]
                found[side].append(last_json(timed_process(words)[2]))
        print(f"{model}: {found['ours'][0]['rows']:,.0f} rows")
        for what, key, target in (
            ("an epoch with its evaluations", "epoch", TARGETS[model]),
            ("the pass over the batches", "train", 0.0),
            ("from fit() to the first batch, data loaded", "first", 0.0),
        ):
            ours, theirs = (Timing(side, tuple(f[key] for f in found[side])) for side in ("ours", "peer"))
            line = ratio_line(f"  {what}", ours, theirs, target)
            print(line if target else line.partition("   target")[0], flush=True)
            missed = missed or (target > 0 and "MISSED" in line)
    return int(missed)


def start(model: str, peer: str, repeat: int) -> int:
    """Compare how soon a new process trains on its first batch of the published workflow."""
    found: dict[str, list[float]] = {state: [] for state in (*STATES, "peer")}
    data = str(SHARED / "data" / "cn_data")
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            for side in found:  # each of ours finds what those before it have left
                env = {"QNB_KERNEL_DIR": f"{folder}/kernels", "QNB_CACHE_DIR": f"{folder}/{STATES.get(side, side)}"}
                words = [peer, str(SCRIPT), "peer"] if side == "peer" else [sys.executable, str(SCRIPT), "ours"]
                words += [model, "--data", data, "--start", str(time.time())]
                found[side].append(last_json(timed_process(words, env=env)[2])["first"])
    theirs, missed = Timing("peer", tuple(found.pop("peer"))), False
    for state, seconds in found.items():
        line = ratio_line(
            f"{model}, process start to first batch, {state}", Timing("ours", tuple(seconds)), theirs, FIRST
        )
        print(line, flush=True)
        missed = missed or "MISSED" in line
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
