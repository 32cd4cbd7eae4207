"""Eight runs at once in threads of one process, on four markets, regions and recorders; prints what came of it as JSON.

The process has not run anything before, so what is loaded on first use is loaded by eight threads at once. Then each
run is made alone. Argument: the number of rounds.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import qnb
from qnb.config import session_settings
from qnb.journal import read_journal

MODEL = '''"""A model that tells which run it is in."""
import logging, threading, warnings
from contextvars import copy_context

import mark
import qnb
from qnb.task.component import build_component
from qnb.training.model import Model


class Telling(Model):
    def __init__(self, inner, name):
        self.inner, self.name = inner, name

    def tell(self, how):
        logging.getLogger("qnb.user").info("%s qnb %s", self.name, how)
        logging.getLogger("somebody.else").warning("%s other %s", self.name, how)
        warnings.warn(f"{self.name} warns {how}", UserWarning)
        warnings.warn("all warn", UserWarning)

    def fit(self, dataset, *, context=None):
        self.model = build_component(self.inner, "model")
        self.tell("at once")
        for target in (lambda: copied.run(self.tell, "by a helper"), lambda: self.tell("astray")):
            copied = copy_context()
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        qnb.R.log_metrics(days=len(qnb.D.calendar()), lot=float(qnb.D.settings.region.trade_unit), quarter=mark.NUMBER)
        qnb.R.set_tags(mark=self.name)
        self.model.fit(dataset, context=context)

    def predict(self, dataset, segment="test", *, context=None):
        return self.model.predict(dataset, segment)
'''
QUARTERS = [("cn", 30, 3), ("us", 24, 4), ("tw", 36, 3), ("us", 20, 5)]
INNER = [{"class": "LinearModel"}, {"class": "LGBModel", "kwargs": {"num_boost_round": 8, "num_threads": 1}}]


def workflow(number: int) -> dict[str, Any]:
    """Return task `number` of eight: market, region, recorder and modules of a quarter, and one of two models."""
    quarter = number % 4
    region, instruments, years = QUARTERS[quarter]
    features = ["$close/Ref($close,5)-1", "Std($close/Ref($close,1)-1,10)", "Mean($volume,5)/$volume"]
    fields = {
        "feature": [features, ["ROC5", "VOL10", "V5"]], "label": [["Ref($close,-2)/Ref($close,-1)-1"], ["LABEL0"]]
    }  # fmt: skip
    handler = {"class": "DataHandlerLP", "kwargs": {
        "instruments": "demo", "data_loader": {"class": "QlibDataLoader", "kwargs": {"config": fields}},
        "infer_processors": [{"class": "Fillna", "kwargs": {"fields_group": "feature"}}],
        "learn_processors": ["DropnaLabel", {"class": "CSZScoreNorm", "kwargs": {"fields_group": "label"}}],
    }}  # fmt: skip
    segments = {
        "train": [f"{2021 - years}-03-01", "2019-06-30"], "valid": ["2019-07-01", "2019-12-31"],
        "test": ["2020-01-01", "2020-12-31"],
    }  # fmt: skip
    strategy = {"class": "TopkDropoutStrategy", "kwargs": {"signal": "<PRED>", "topk": 5, "n_drop": 1}}
    trading = {"strategy": strategy, "backtest": {"account": 1e6, "benchmark": "DMINDEX"}}
    store = {"uri": f"sqlite:///store{quarter}.db", "default_exp_name": f"quarter{quarter}"}
    return {
        "sys": {"path": f"quarter{quarter}"},
        "qnb_init": {
            "provider_uri": f"demo:instruments={instruments},years={years},seed={quarter}", "region": region,
            "exp_manager": {"kwargs": store},
        },
        "task": {
            "model": {"class": "telling.Telling", "kwargs": {"name": f"run{number}", "inner": INNER[number // 4]}},
            "dataset": {"class": "DatasetH", "kwargs": {"handler": handler, "segments": segments}},
            "record": [
                {"class": "SignalRecord"}, {"class": "SigAnaRecord"},
                {"class": "PortAnaRecord", "kwargs": {"config": trading}},
            ],
        },
    }  # fmt: skip


def run(number: int) -> dict[str, Any]:
    """Run task `number` and return what it gave and told."""
    handle = qnb.run(json.dumps(workflow(number)), name=f"run{number}", progress=False)
    if handle.status != "finished":
        return {"status": handle.status, "error": handle.error}
    told = [e.event.text for e in read_journal(handle.directory.path) if type(e.event).__name__ == "LogLine"]
    recorder = handle.recorder
    model = recorder.load_object("params.pkl")
    return {
        "status": handle.status, "metrics": dict(handle.metrics),
        "told": sorted(t for t in told if t.startswith(("run", "UserWarning"))),
        "store": Path(recorder.uri).name, "mark": recorder.list_tags()["mark"],
        "model": [model.name, Path(sys.modules[type(model).__module__].__file__ or "").parent.name],
    }  # fmt: skip


def together() -> list[dict[str, Any]]:
    """Run all eight at once."""
    gate = threading.Barrier(8)
    found: list[Any] = [None] * 8

    def work(number: int) -> None:
        gate.wait()
        found[number] = run(number)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def process() -> dict[str, Any]:
    """Return what a run must leave as it is."""
    loggers = [logging.getLogger(n) for n in ("", "qnb", "qnb.user", "somebody.else")]
    return {
        "settings": session_settings().to_json(), "uri": qnb.R.get_uri(), "days": qnb.D.calendar().size,
        "path": list(sys.path), "folder": os.getcwd(),
        # scikit-learn sets the KMP variables when it is imported
        "environment": {k: v for k, v in os.environ.items() if not k.startswith("KMP_")},
        "loggers": [[g.level, g.propagate, g.disabled, list(map(repr, g.handlers)), len(g.filters)] for g in loggers],
        "warnings": [repr(warnings.showwarning), *map(repr, warnings.filters)],
        "modules": sorted(n for n in ("telling", "mark") if n in sys.modules),
    }  # fmt: skip


def main() -> None:
    """Make the rounds, then each run alone."""
    for quarter in range(4):
        Path(f"quarter{quarter}").mkdir()
        Path(f"quarter{quarter}/telling.py").write_text(MODEL, encoding="utf-8")
        Path(f"quarter{quarter}/mark.py").write_text(f"NUMBER = {quarter}\n", encoding="utf-8")
    qnb.init("demo:instruments=16,years=2", region="tw", recorder_uri="sqlite:///session.db")
    rounds, seconds, before = [], [], process()
    for _ in range(int(sys.argv[1])):
        began = time.perf_counter()
        rounds.append(together())
        seconds.append(round(time.perf_counter() - began, 2))
    after = process()
    alone = [run(k) for k in range(8)]
    print(json.dumps({"alone": alone, "rounds": rounds, "seconds": seconds, "before": before, "after": after}))


if __name__ == "__main__":
    main()
