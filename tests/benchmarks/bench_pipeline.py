"""Processing Alpha158 for CSI300 2008-2020: processing chains beside the peer's, and recall from the cache.

Usage: python -m tests.benchmarks.bench_pipeline [--repeat 3]

Both start from the same raw matrix (895,000 rows, 159 columns) in memory or memory-mapped, so loading is not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .peer import SHARED, Timing, peer_python, ratio_line

SPAN = {"instruments": "csi300", "start_time": "2008-01-01", "end_time": "2020-08-01"}
FIT = {"fit_start_time": "2008-01-01", "fit_end_time": "2014-12-31"}
CHAINS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "linear: RobustZScoreNorm, Fillna, CSRankNorm": (
        [
            {"class": "RobustZScoreNorm", "kwargs": {"fields_group": "feature", **FIT}},
            {"class": "Fillna", "kwargs": {"fields_group": "feature"}},
        ],
        [{"class": "DropnaLabel", "kwargs": {}}, {"class": "CSRankNorm", "kwargs": {"fields_group": "label"}}],
    ),
    "default: DropnaLabel, CSZScoreNorm": (
        [],
        [{"class": "DropnaLabel", "kwargs": {}}, {"class": "CSZScoreNorm", "kwargs": {"fields_group": "label"}}],
    ),
    "every feature: CSZScoreNorm": ([{"class": "CSZScoreNorm", "kwargs": {"fields_group": "feature"}}], []),
    "every feature: CSRankNorm": ([{"class": "CSRankNorm", "kwargs": {"fields_group": "feature"}}], []),
}
_PEER = """
import json, os, sys, time, warnings
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
warnings.filterwarnings("ignore")
import pandas as pd
from qlib.data.dataset import processor
frame = pd.read_parquet(sys.argv[1])
found = {}
for name, (infer, learn) in json.load(open(sys.argv[2])).items():
    began = time.perf_counter()
    current = frame
    for chain in (infer, learn):
        current = current.copy() if chain else current
        for config in chain:
            step = getattr(processor, config["class"])(**config["kwargs"])
            step.fit(current)
            current = step(current)
    found[name] = time.perf_counter() - began
print(json.dumps(found))
"""


def main() -> int:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    python = peer_python()
    with tempfile.TemporaryDirectory() as folder:
        raw, recalled, again = _recall(Path(folder))
        print(f"Alpha158 from the cache to a frame: {recalled:.3f} s at first, then {again:.3f} s in process")
        ours = {name: [_ours(raw, chain) for _ in range(options.repeat)] for name, chain in CHAINS.items()}
        theirs: dict[str, list[float]] = {name: [] for name in CHAINS}
        if python is not None:
            from qnb.data.frames import frame_of

            frame_of(raw).to_parquet(Path(folder) / "raw.parquet")
            (Path(folder) / "chains.json").write_text(json.dumps(CHAINS))
            command = [str(python), "-c", _PEER, f"{folder}/raw.parquet", f"{folder}/chains.json"]
            for _ in range(options.repeat):
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                for name, seconds in json.loads(done.stdout.splitlines()[-1]).items():
                    theirs[name].append(seconds)
    for name in CHAINS:
        own = Timing(name, tuple(ours[name]))
        if theirs[name]:
            print(ratio_line(name, own, Timing(name, tuple(theirs[name])), 1))
        else:
            print(f"{name:<44} ours {own.median:8.3f} s   (the peer is not installed)")
    return 0


def _recall(cache: Path) -> tuple[Any, float, float]:
    """Return the raw table and the seconds of two loads from a filled cache."""
    from qnb.config import Settings
    from qnb.data.handlers.alpha158 import Alpha158

    settings = Settings().with_(provider_uri=str(SHARED / "data" / "cn_data"), cache_dir=cache)
    Alpha158(**SPAN, settings=settings).fetch(col_set="__raw")
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        handler = Alpha158(**SPAN, settings=settings)
        handler.fetch(col_set="__raw", data_key="raw")
        seconds.append(time.perf_counter() - began)
    return handler.table("raw"), seconds[0], seconds[1]


def _ours(raw: Any, chain: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> float:
    from qnb.config import core_count
    from qnb.data.pipeline import prepare_table
    from qnb.task.component import build_component

    infer, learn = ([build_component(c, "processor") for c in part] for part in chain)
    began = time.perf_counter()
    prepare_table(raw, infer=infer, learn=learn, threads=core_count())
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
