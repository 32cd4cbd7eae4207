"""Alpha158 or Alpha360 with the label, CSI300 2008-2020, to a DataFrame: ours and the peer's, interleaved.

Usage: python -m tests.benchmarks.bench_features [--repeat 3] [--set Alpha158 Alpha360]
       python -m tests.benchmarks.bench_features --scale          cost and memory over 1,000 to 5,000 demo instruments
       python -m tests.benchmarks.bench_features --compile        CPU time to compile each kernel, and to load numba
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile

from .peer import SHARED, Timing, last_json, peer_command, ratio_line, timed_process

TARGETS = {
    "Alpha158": {"cold": 15, "whole": 40, "again": 80, "cached": 300},
    "Alpha360": {"cold": 15, "whole": 60, "again": 120, "cached": 300},
}
WORDS = {
    "cold": "whole process, nothing compiled yet",
    "whole": "whole process",
    "again": "recomputed in process",
    "cached": "from our cache, in process",
}
_OURS = """
import json, sys, time
began = time.perf_counter()
from qnb.config import Settings, use_settings
use_settings(Settings().with_(provider_uri=sys.argv[2], region="cn"))
from qnb.data.handlers import alpha158, alpha360
handler = {"Alpha158": alpha158.Alpha158, "Alpha360": alpha360.Alpha360}[sys.argv[1]]
def frame(cache):
    if not cache:
        from qnb.data.provider import open_cache
        from qnb.config import current_settings
        open_cache(current_settings()).clear()
    t = time.perf_counter()
    made = handler(instruments="csi300", start_time="2008-01-01", end_time="2020-08-01", infer_processors=[],
                   learn_processors=[]).fetch(data_key="raw")
    return time.perf_counter() - t, made.shape
first, shape = frame(True)
print(json.dumps({"first": first}), file=sys.stderr)
if sys.argv[3] == "more":
    again = min(frame(False)[0] for _ in range(3))
    cached = min(frame(True)[0] for _ in range(3))
    print(json.dumps({"again": again, "cached": cached, "rows": shape[0], "columns": shape[1]}))
else:
    print(json.dumps({"rows": shape[0], "columns": shape[1]}))
"""
_SCALE = """
import json, sys, time
from pathlib import Path
from qnb.config import Settings, use_settings
n = int(sys.argv[1])
s = use_settings(Settings().with_(provider_uri=f"demo:instruments={n}", region="cn"))
from qnb.data.provider import open_store
from qnb.data.universe import rows_for
from qnb.data.feature_sets import alpha158
from qnb.expr.evaluate import evaluate
from qnb.cache import Cache
store = open_store(s)
rows = rows_for("all", store)
t = time.perf_counter()
values = evaluate(alpha158.fields()[0], store, rows, threads=2, cache=Cache(Path(sys.argv[2]), 20 * 2**30))
print(json.dumps({"rows": len(rows), "seconds": time.perf_counter() - t}))
"""
_COMPILE = """
import json, time
from qnb.expr import native
spent = {}
began = time.process_time()
import numba
for name in ("loading numba", *native.KERNELS):
    if name in native.KERNELS:
        native.compile_kernel(name)
    now = time.process_time()
    spent[name], began = now - began, now
print(json.dumps(spent))
"""


def main() -> int:
    """Run the comparison and print it; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--set", nargs="+", default=["Alpha158", "Alpha360"], choices=["Alpha158", "Alpha360"])
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if options.compile:
        return compilation(options.repeat)
    if options.scale:
        return scale()
    return max(compare(name, options.repeat) for name in options.set)


def compare(name: str, repeat: int) -> int:
    """Compare one feature set and print a line for each way of getting it."""
    seconds: dict[str, list[float]] = {key: [] for key in WORDS}
    peer_inside: list[float] = []
    peer_whole: list[float] = []
    memory: list[tuple[int, int]] = []
    for _ in range(repeat):
        own, top = _ours(name, seconds)
        whole, peak, out = timed_process(peer_command(name.lower()))
        peer_whole.append(whole)
        peer_inside.append(last_json(out)["seconds"])
        memory.append((top, peak))
        print(f"  {name}: ours {own:.2f} s, peer {whole:.1f} s", file=sys.stderr, flush=True)
    missed = 0
    for key, target in TARGETS[name].items():
        theirs = peer_inside if key in ("again", "cached") else peer_whole
        line = ratio_line(
            f"{name} {WORDS[key]}", Timing(key, tuple(seconds[key])), Timing("peer", tuple(theirs)), target
        )
        missed += "MISSED" in line
        print(line)
    own, peer = max(m[0] for m in memory), max(m[1] for m in memory)
    print(f"{name} peak resident memory: ours {own / 2**30:.2f} GiB, peer {peer / 2**30:.2f} GiB")
    return int(missed > 0)


def _ours(name: str, seconds: dict[str, list[float]]) -> tuple[float, int]:
    data = str(SHARED / "data" / "cn_data")
    command = [sys.executable, "-c", _OURS, name, data]
    with tempfile.TemporaryDirectory() as compiled:

        def timed(how: str) -> tuple[float, int, str]:
            """Run with a cache of its own, whose pages are free again when the next process begins."""
            with tempfile.TemporaryDirectory() as folder:
                return timed_process([*command, how], env={"QNB_CACHE_DIR": folder, "QNB_KERNEL_DIR": compiled})

        cold, _, _ = timed("once")
        whole, top, _ = timed("once")
        _, _, out = timed("more")
    inside = last_json(out)
    for key, value in (("cold", cold), ("whole", whole), ("again", inside["again"]), ("cached", inside["cached"])):
        seconds[key].append(value)
    return whole, top


def compilation(repeat: int) -> int:
    """Print the CPU seconds to compile each kernel, the median of `repeat` processes, and their sum."""
    found = [last_json(timed_process([sys.executable, "-c", _COMPILE])[2]) for _ in range(repeat)]
    spent = {name: statistics.median(f[name] for f in found) for name in found[0]}
    for name, seconds in (spent | {"all": sum(spent.values())}).items():
        print(f"{name:<14} {seconds:5.2f} s of CPU")
    return 0


def scale() -> int:
    """Print rows, seconds, microseconds a row and peak memory for growing demo markets."""
    costs = []
    top = 0
    for n in (1000, 2500, 5000):
        subprocess.run(
            [sys.executable, "-m", "qnb.cli", "data", "demo", "--instruments", str(n)], check=True, capture_output=True
        )
        with tempfile.TemporaryDirectory() as folder:
            _, peak, out = timed_process([sys.executable, "-c", _SCALE, str(n), folder])
        found = json.loads(out.splitlines()[-1])
        top = max(top, peak)
        costs.append(found["seconds"] / found["rows"])
        print(
            f"{n:>6,} instruments  {found['rows']:>11,.0f} rows  {found['seconds']:6.1f} s  "
            f"{1e6 * costs[-1]:5.2f} us a row  peak {peak / 2**30:.2f} GiB",
            flush=True,
        )
    linear = max(costs) / min(costs) < 1.5
    print(f"cost a row varies by {max(costs) / min(costs):.2f}; {'met' if linear and top < 8 * 2**30 else 'MISSED'}")
    return int(not (linear and top < 8 * 2**30))


if __name__ == "__main__":
    sys.exit(main())
