"""The recorder beside MLflow's own client on the same SQLite file: opening, starting, logging, searching.

    python -m tests.benchmarks.bench_recorder [--repeat 3]

Every repetition is a fresh process with an existing store; ours and MLflow's take turns. Targets: a new store and its
first run within 2 s, a run in 0.1 s, a call of log_metrics within 50 microseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

POINTS = 20_000
RUNS = 200
TARGETS = {"new store": 2.0, "run": 0.1, "call": 50e-6}


def ours(uri: str) -> dict[str, float]:
    """Time our side: seconds for each step."""
    began = time.perf_counter()
    from qnb.recorder import R

    took = {"import": _since(began)}
    began = time.perf_counter()
    with R.start(experiment_name="bench", uri=uri):
        took["open and run"] = _since(began)
        calls = []
        began = time.perf_counter()
        for step in range(POINTS):
            call = time.perf_counter()
            R.log_metrics(step=step, loss=1.0 / (step + 1))
            calls.append(_since(call))
        R.get_recorder().flush()
        took[f"{POINTS} points"] = _since(began)
        took["call"] = statistics.median(calls)
    began = time.perf_counter()
    with R.start(experiment_name="bench", uri=uri):
        took["run"] = _since(began)
    with R.uri_context(uri):
        experiment = R.get_exp(experiment_name="many")
        _make_runs(uri, experiment.id)
        began = time.perf_counter()
        found = experiment.search_records("metrics.IC > 0.01", order_by=["metrics.IC DESC"])
        took["search"] = _since(began)
    assert len(found) >= RUNS // 2
    return took


def mlflows(uri: str) -> dict[str, float]:
    """Time MLflow's client doing the same."""
    began = time.perf_counter()
    from mlflow import search_runs, set_tracking_uri
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

    took = {"import": _since(began)}
    began = time.perf_counter()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("bench").experiment_id
    run = client.create_run(experiment).info.run_id
    took["open and run"] = _since(began)
    began = time.perf_counter()
    for first in range(0, POINTS, 1000):
        client.log_batch(run, [Metric("loss", 1.0 / (s + 1), first, s) for s in range(first, first + 1000)])
    took[f"{POINTS} points"] = _since(began)
    began = time.perf_counter()
    client.create_run(experiment)
    took["run"] = _since(began)
    set_tracking_uri(uri)
    began = time.perf_counter()
    many = client.get_experiment_by_name("many").experiment_id
    search_runs([many], "metrics.IC > 0.01", order_by=["metrics.IC DESC"])
    took["search"] = _since(began)
    return took


def main() -> int:
    """Print medians and ratios; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--side", choices=["ours", "mlflows"])
    parser.add_argument("--uri", default="")
    options = parser.parse_args()
    if options.side:
        print(json.dumps((ours if options.side == "ours" else mlflows)(options.uri)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        cache = {"QNB_CACHE_DIR": str(Path(folder) / "cache")}
        first = _timed("ours", f"sqlite:///{folder}/a.db", cache)
        second = _timed("ours", f"sqlite:///{folder}/b.db", cache)
        uri = f"sqlite:///{folder}/b.db"
        sides = {side: [_timed(side, uri, cache) for _ in range(options.repeat)] for side in ("ours", "mlflows")}
    whole = first["import"] + first["open and run"]
    print(f"  first store on this machine  {whole:8.2f} s  (MLflow makes its tables, once)")
    made = second["import"] + second["open and run"]
    print(f"  any further new store        {made:8.2f} s")
    print(f"  {'':24}{'ours':>12}{'MLflow':>12}{'ratio':>8}")
    medians = {side: {k: statistics.median(t[k] for t in times) for k in times[0]} for side, times in sides.items()}
    for step, theirs in medians["mlflows"].items():
        mine = medians["ours"][step]
        print(f"  {step:24}{mine * 1e3:9.1f} ms{theirs * 1e3:9.1f} ms{theirs / mine:8.1f}")
    print(f"  one call of log_metrics {medians['ours']['call'] * 1e6:9.1f} µs")
    missed = [
        name
        for name, value in (("new store", made), ("run", medians["ours"]["run"]), ("call", medians["ours"]["call"]))
        if value > TARGETS[name]
    ]
    print(f"  missed: {', '.join(missed)}" if missed else "  all targets met")
    return int(bool(missed))


def _timed(side: str, uri: str, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name, "--side", side, "--uri", uri]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return json.loads(done.stdout.splitlines()[-1])


def _make_runs(uri: str, experiment: str) -> None:
    """Fill the experiment that is searched, once."""
    from qnb.recorder.base import MetricPoint, ParamSet
    from qnb.recorder.stores import open_store

    store = open_store(uri)
    if store.search([experiment], max_results=1):
        return
    found = store.experiment(id=experiment)
    assert found is not None
    for number in range(RUNS):
        run = store.create_run(found, f"r{number}", tags={}, status="FINISHED")
        points = [MetricPoint(f"m{k}", float(k), 0, 1.0) for k in range(20)]
        params = [ParamSet(f"p{k}", str(k)) for k in range(40)]
        store.log(run.run_id, [MetricPoint("IC", number / 1000, 0, 1.0), *points, *params])


def _since(began: float) -> float:
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
