"""The backtest on the golden predictions beside the peer's, and run again on quotes that are already read.

    python -m tests.benchmarks.bench_backtest [--repeat 3]

Both sides start a fresh process for each repetition, one after the other, and time the same thing: from the predictions
in memory to the report, quotes, exchange and loop included, imports not. Prints medians and their ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from .peer import ROOT, SHARED, Timing, last_json, peer_command, ratio_line

GOLDEN = SHARED / "golden" / "lightgbm_alpha158_csi300"
EXCHANGE = {
    "freq": "day",
    "limit_threshold": 0.095,
    "deal_price": "close",
    "open_cost": 0.0005,
    "close_cost": 0.0015,
    "min_cost": 5,
}
SPAN = {"start": "2017-01-01", "end": "2020-08-01"}


def ours() -> dict[str, float]:
    """Time one backtest in this process, and then one with other options on the quotes that were read."""
    import pandas as pd

    from qnb.backtest import exchange_spec, load_quotes, run_backtest
    from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy
    from qnb.data.providers.qlib_bin import QlibBinStore

    pred = pd.read_parquet(GOLDEN / "pred.parquet")
    began = time.perf_counter()
    result = run_backtest(
        pred["score"],
        store=QlibBinStore(SHARED / "data" / "cn_data"),
        strategy=TopkDropoutStrategy(topk=50, n_drop=5),
        exchange=exchange_spec(EXCHANGE),
        account=1e8,
        benchmark="SH000300",
        **SPAN,
    )
    seconds = time.perf_counter() - began
    store = QlibBinStore(SHARED / "data" / "cn_data")
    quotes = load_quotes(pred["score"], store=store, **SPAN)
    again = []
    for topk in (30, 40, 60):
        began = time.perf_counter()
        run_backtest(
            pred["score"],
            store=store,
            strategy=TopkDropoutStrategy(topk=topk, n_drop=5),
            exchange=exchange_spec({**EXCHANGE, "min_cost": topk}),
            quotes=quotes,
            **SPAN,
        )
        again.append(time.perf_counter() - began)
    return {"seconds": seconds, "again": again[-1], "days": len(result.report), "final_account": result.final_account}


def main() -> int:
    """Run both sides in turns and print the table; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--ours", action="store_true", help="time our side once and print JSON")
    arguments = parser.parse_args()
    if arguments.ours:
        print(json.dumps(ours()))
        return 0
    mine, theirs = [], []
    for _ in range(arguments.repeat):
        mine.append(_json([sys.executable, "-m", "tests.benchmarks.bench_backtest", "--ours"]))
        theirs.append(_json(peer_command("backtest")))
    accounts = mine[0]["final_account"], theirs[0]["final_account"]
    peer = Timing("peer", tuple(t["seconds"] for t in theirs))
    lines = [
        ratio_line(what, Timing("ours", tuple(t[key] for t in mine)), peer, 40)
        for what, key in (("backtest, golden predictions", "seconds"), ("other options, quotes kept", "again"))
    ]
    print("\n".join(lines))
    print(f"final account: ours {accounts[0]:.2f}, peer {accounts[1]:.2f}")
    return int(any("MISSED" in line for line in lines) or abs(accounts[0] / accounts[1] - 1) > 1e-9)


def _json(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return last_json(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
