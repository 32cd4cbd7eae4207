"""The experiment browser beside MLflow's own search, on one store of 10,000 runs of which 100 are finished runs of qnb.

    python -m tests.benchmarks.bench_browser [--runs 10000] [--repeat 3]

Every repetition is a fresh process. `open` is what a notebook waits for after `%load_ext qnb`: the modules, the store,
the first hundred rows as the front end gets them. MLflow's side asks its client what `mlflow ui` asks: all experiments,
the newest hundred that fit. Targets: open within 1 s, every filter within 0.2 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .runs_store import make_store

FILTERS = (
    "",
    "metrics.IC > 0.05",
    "tags.market = 'csi300' and metrics.IC > 0.03",
    "params.`model.class` = 'LGBModel'",
    "metrics.IC > 0.03 and metrics.`Rank IC` > 0.04 and params.`model.class` = 'GRU'",
    "attributes.run_name LIKE 'qnb 1%'",
)
WORDS = ("qnb", "lgb csi300", "run 123", "nothing like it")
TARGETS = {"open": 1.0, "filter": 0.2, "curves of 100 runs": 2.0}


def ours(uri: str) -> dict[str, float]:
    """Time our side: seconds for each step."""
    import qnb
    from qnb.config import Settings, use_settings

    use_settings(Settings().with_(recorder_uri=uri, work_dir=str(Path(uri.removeprefix("sqlite:///")).parent)))
    began = time.perf_counter()
    browser = qnb.runs()
    took = {"open": _since(began)}
    assert len(browser.first["rows"]) == 100
    for text in (*FILTERS, *WORDS):
        began = time.perf_counter()
        page = browser.answer({"kind": "query", "text": text, "columns": [c["key"] for c in browser.first["columns"]]})
        took[_name(text)] = _since(began)
        assert page is not None
    sort = {"key": "metrics.IC", "descending": True}
    began = time.perf_counter()
    browser.answer({"kind": "query", "text": "", "sort": sort, "columns": ["metrics.IC"]})
    took["sort by IC"] = _since(began)
    from qnb.panels.browser_curves import excess_curve

    ids = [r["id"] for r in browser.answer({"kind": "query", "text": "qnb", "columns": []})["rows"]]  # type: ignore[index]
    began = time.perf_counter()
    assert all(excess_curve(browser._store(), i, points=56) for i in ids)
    took["curves of 100 runs"] = _since(began)
    return took


def mlflows(uri: str) -> dict[str, float]:
    """Time MLflow's client answering the same."""
    began = time.perf_counter()
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiments = [e.experiment_id for e in client.search_experiments()]

    def search(text: str, order: str = "attributes.start_time DESC") -> None:
        client.search_runs(experiments, filter_string=text, max_results=100, order_by=[order])

    search("")
    took = {"open": _since(began)}
    for text in FILTERS:
        began = time.perf_counter()
        search(text)
        took[_name(text)] = _since(began)
    began = time.perf_counter()
    search("attributes.run_name ILIKE '%qnb%'")
    took[_name("qnb")] = _since(began)
    began = time.perf_counter()
    search("", "metrics.IC DESC")
    took["sort by IC"] = _since(began)
    return took


def main() -> int:
    """Print medians side by side; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--side", choices=["ours", "mlflows"])
    parser.add_argument("--uri", default="")
    options = parser.parse_args()
    if options.side:
        print(json.dumps((ours if options.side == "ours" else mlflows)(options.uri)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        uri = make_store(Path(folder), runs=options.runs)
        times: dict[str, list[dict[str, float]]] = {"ours": [], "mlflows": []}
        for _ in range(options.repeat):
            for side, found in times.items():
                found.append(_timed(side, uri))
    medians = {side: {k: statistics.median(t[k] for t in found) for k in found[0]} for side, found in times.items()}
    print(f"  {'':80}{'ours':>10}{'MLflow':>12}{'ratio':>8}")
    for step, mine in medians["ours"].items():
        theirs = medians["mlflows"].get(step)
        beside = f"{theirs * 1e3:9.0f} ms{theirs / mine:8.1f}" if theirs is not None else f"{'–':>12}"
        print(f"  {step:80}{mine * 1e3:7.0f} ms{beside}")
    missed = [k for k, v in medians["ours"].items() if v > TARGETS.get(k, TARGETS["filter"])]
    print(f"  missed: {', '.join(missed)}" if missed else "  all targets met")
    return int(bool(missed))


def _name(text: str) -> str:
    return f"filter {text}" if text else "no filter"


def _timed(side: str, uri: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name, "--side", side, "--uri", uri]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _since(began: float) -> float:
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
