"""Trains one torch model for a few epochs on made rows and prints its times as one JSON line.

Usage: python torch_epochs.py ours|peer MODEL [--days 200] [--instruments 150] [--epochs 2] [--threads 2]
       python torch_epochs.py ours|peer MODEL --start TIME --data FOLDER

One file for both interpreters: the rows come from the same seed, the models have the sizes of the published workflows.
``first`` is from the call of ``fit`` on a loaded dataset to the first batch that is trained on, ``epoch`` the shortest
epoch with its evaluations, ``train`` the shortest pass over the batches alone, all in seconds. With ``--start``:
``first`` is from that time, when the process was started, to the first batch of the published workflow on real data
(CSI 300, 2008 to 2020).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import threading
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

RECURRENT = {"hidden_size": 64, "num_layers": 2, "dropout": 0.0, "batch_size": 800, "lr": 1e-3}
CONVOLUTION = {"num_layers": 5, "n_chans": 32, "kernel_size": 7, "dropout": 0.5, "batch_size": 2000, "lr": 1e-4}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "MLP": ("DNNModelPytorch", "nn", {"batch_size": 4096, "lr": 0.002, "optimizer": "adam"}),
    "GRU": ("GRU", "gru", {"d_feat": 6, **RECURRENT}),
    "ALSTM": ("ALSTM", "alstm", {"d_feat": 6, "rnn_type": "GRU", **RECURRENT}),
    "GRU_ts": ("GRU", "gru_ts", {"d_feat": 20, **RECURRENT}),
    "TCN_ts": ("TCN", "tcn_ts", {"d_feat": 20, **CONVOLUTION}),
}
"""Name -> (class, module of the peer without its prefix, arguments)."""

STEPS = 20


def market(features: int, days: int, instruments: int) -> pd.DataFrame:
    """Return normal numbers in the columns (feature, F...) and (label, LABEL0), by (datetime, instrument)."""
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2012-01-02", periods=days)
    names = [f"S{i:05d}" for i in range(instruments)]
    index = pd.MultiIndex.from_product([dates, names], names=["datetime", "instrument"])
    columns = [("feature", f"F{i}") for i in range(features)] + [("label", "LABEL0")]
    values = rng.standard_normal((len(index), features + 1), dtype=np.float32)
    return pd.DataFrame(values, index=index, columns=pd.MultiIndex.from_tuples(columns))


def segments(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return the first five sixths of the dates as ``train``, the others as ``valid``."""
    days = frame.index.get_level_values(0).unique()
    cut = len(days) * 5 // 6
    return {
        "train": (str(days[0])[:10], str(days[cut - 1])[:10]),
        "valid": (str(days[cut])[:10], str(days[-1])[:10]),
    }


SPAN = {"start_time": "2008-01-01", "end_time": "2020-08-01", "fit_start_time": "2008-01-01",
        "fit_end_time": "2014-12-31", "instruments": "csi300"}  # fmt: skip
REAL = {"train": ("2008-01-01", "2014-12-31"), "valid": ("2015-01-01", "2016-12-31"),
        "test": ("2017-01-01", "2020-08-01")}  # fmt: skip
LABEL = ["Ref($close, -2) / Ref($close, -1) - 1"]
CHOSEN = (
    "RESI5 WVMA5 RSQR5 KLEN RSQR10 CORR5 CORD5 CORR10 ROC60 RESI10 VSTD5 RSQR60 CORR60 WVMA60 STD5 RSQR20 CORD60 "
    "CORD10 CORR20 KLOW"
)


def processors(windows: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the processors of the published workflows."""
    scaled = {"class": "RobustZScoreNorm", "kwargs": {"fields_group": "feature", "clip_outlier": True}}
    filled = {"class": "Fillna", "kwargs": {"fields_group": "feature"}}
    chosen = {"class": "FilterCol", "kwargs": {"fields_group": "feature", "col_list": CHOSEN.split()}}
    return {
        "infer_processors": [chosen, scaled, filled] if windows else [scaled, filled],
        "learn_processors": [
            {"class": "DropnaLabel"},
            {"class": "CSRankNorm", "kwargs": {"fields_group": "label"}},
        ],
    }


class Enough(Exception):
    """The first batch has come."""


class Clock:
    """Notes when batches are trained on: networks tell before each forward pass whether they train."""

    def __init__(self, *, only_first: bool = False) -> None:
        self.trained: list[float] = []
        self.evaluated: list[float] = []
        self.only_first = only_first

    def attach(self, network: Any) -> None:
        """Look at every forward pass of `network`."""
        network.register_forward_pre_hook(self._before)

    def _before(self, module: Any, _: Any) -> None:
        (self.trained if module.training else self.evaluated).append(time.perf_counter())
        if self.only_first and module.training:
            raise Enough

    def result(self, began: float, ended: float) -> dict[str, float]:
        """Return the seconds of the first batch, of the shortest epoch and of its pass over the batches."""
        marks = sorted([(t, True) for t in self.trained] + [(t, False) for t in self.evaluated])
        marks = [m for m in marks if m[0] >= self.trained[0]]
        starts = [t for i, (t, training) in enumerate(marks) if training and (not i or not marks[i - 1][1])]
        passes = [next((t for t, training in marks if t > s and not training), ended) - s for s in starts]
        epochs = [b - a for a, b in zip(starts, [*starts[1:], ended], strict=True)]
        return {"first": self.trained[0] - began, "epoch": min(epochs), "train": min(passes)}


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=("ours", "peer"))
    parser.add_argument("model", choices=tuple(MODELS))
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--instruments", type=int, default=150)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", default="")
    parser.add_argument("--start", type=float, metavar="TIME")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    name, module, kwargs = MODELS[options.model]
    windows = module.endswith("_ts")
    if options.start is not None:
        start = _ours_from_start if options.side == "ours" else _peer_from_start
        print(json.dumps({"first": start(name, module, kwargs, options)}))
        return
    frame = market(20 if windows else 360, options.days, options.instruments)
    rows = len(frame) * 5 // 6
    if options.model == "MLP":
        steps = max(1, rows // kwargs["batch_size"])
        kwargs = {**kwargs, "max_steps": steps * options.epochs, "eval_steps": steps}
        kwargs["pt_model_kwargs"] = (
            {"input_dim": 360} if options.side == "peer" else {"input_dim": 360, "layers": [256]}
        )
    else:
        kwargs = {**kwargs, "n_epochs": options.epochs}
    side = _ours if options.side == "ours" else _peer
    print(json.dumps({**side(name, module, frame, kwargs, options), "rows": rows}))


def _ours(name: str, module: str, frame: pd.DataFrame, kwargs: dict[str, Any], options: Any) -> dict[str, float]:
    import torch  # the peer has it loaded by now, too

    from qnb import registry
    from qnb.data.dataset import DatasetH
    from qnb.data.fixed_loader import StaticDataLoader
    from qnb.data.handler import DataHandlerLP
    from qnb.data.timeseries import TSDatasetH
    from qnb.training.context import FitContext

    windows = module.endswith("_ts")
    clock = Clock()
    handler = DataHandlerLP(data_loader=StaticDataLoader(frame))
    dataset: Any = TSDatasetH(STEPS, handler=handler, segments=segments(frame))
    if not windows:
        dataset = DatasetH(handler, segments(frame))
    dataset.setup_data()
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))]).zero_grad()  # the peer's model has made its own before
    model = registry.find("model", f"{name}TS" if windows else name)(GPU=None, **kwargs)
    _watch_network(model, clock)
    began = time.perf_counter()
    model.fit(dataset, context=FitContext(threads=options.threads, seed=0))
    return clock.result(began, time.perf_counter())


def _watch_network(model: Any, clock: Clock) -> None:
    from qnb.training.torch_model import TorchModel

    build = TorchModel._prepared

    def prepared(self: Any, context: Any) -> Any:
        network = build(self, context) if type(self)._prepared is build else self.build()
        clock.attach(network)
        return network

    type(model)._prepared = prepared


def _ours_from_start(name: str, module: str, kwargs: dict[str, Any], options: Any) -> float:
    from qnb import registry
    from qnb.config import Settings, use_settings
    from qnb.data.dataset import DatasetH
    from qnb.data.timeseries import TSDatasetH
    from qnb.training.context import FitContext

    windows = module.endswith("_ts")
    use_settings(Settings().with_(provider_uri=options.data, region="cn", threads=options.threads))
    config = {"class": "Alpha158" if windows else "Alpha360",
              "kwargs": {**SPAN, **processors(windows), "label": LABEL}}  # fmt: skip
    dataset: Any = TSDatasetH(STEPS, handler=config, segments=REAL) if windows else DatasetH(config, REAL)
    model = registry.find("model", f"{name}TS" if windows else name)(GPU=None, **kwargs)
    threading.Thread(target=model.warm_up, daemon=True).start()  # as a run does
    dataset.setup_data()
    clock = Clock(only_first=True)
    _watch_network(model, clock)
    with contextlib.suppress(Enough):
        model.fit(dataset, context=FitContext(threads=options.threads, seed=0))
    return time.time() - float(options.start)


def _peer_from_start(name: str, module: str, kwargs: dict[str, Any], options: Any) -> float:
    import importlib

    from qlib.contrib.data import handler as handlers
    from qlib.data.dataset import DatasetH, TSDatasetH

    torch = _peer_ready(options)
    windows = module.endswith("_ts")
    kind = handlers.Alpha158 if windows else handlers.Alpha360
    handler = kind(**SPAN, **processors(windows), label=LABEL)
    dataset: Any = TSDatasetH(step_len=STEPS, handler=handler, segments=REAL) if windows else DatasetH(handler, REAL)
    if windows:
        kwargs = {**kwargs, "n_jobs": 0}
    model = getattr(importlib.import_module(f"qlib.contrib.model.pytorch_{module}"), name)(GPU=-1, **kwargs)
    clock = Clock(only_first=True)
    for network in {id(n): n for n in vars(model).values() if isinstance(n, torch.nn.Module)}.values():
        clock.attach(network)
    from qlib.workflow import R

    with contextlib.suppress(Enough), R.start(experiment_name="bench"):
        model.fit(dataset)
    return time.time() - float(options.start)


def _peer_ready(options: Any) -> Any:
    """Start the peer with its records in a folder of their own; return torch."""
    import os
    import tempfile

    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    import qlib
    import torch

    torch.set_num_threads(options.threads)
    uri = "file:" + tempfile.mkdtemp()
    qlib.init(
        provider_uri=options.data,
        region="cn",
        logging_level=logging.WARNING,
        exp_manager={
            "class": "MLflowExpManager",
            "module_path": "qlib.workflow.expm",
            "kwargs": {"uri": uri, "default_exp_name": "bench"},
        },
    )
    return torch


def _peer(name: str, module: str, frame: pd.DataFrame, kwargs: dict[str, Any], options: Any) -> dict[str, float]:
    import importlib

    from qlib.data.dataset import DatasetH, TSDatasetH
    from qlib.data.dataset.handler import DataHandlerLP
    from qlib.data.dataset.loader import StaticDataLoader
    from qlib.workflow import R

    torch = _peer_ready(options)
    clock = Clock()
    handler = DataHandlerLP(data_loader=StaticDataLoader(frame))
    parts = segments(frame)
    parts["test"] = parts["valid"]  # some of its models ask for it in a fit, and do not use it
    if module.endswith("_ts"):
        dataset = TSDatasetH(step_len=STEPS, handler=handler, segments=parts)
        kwargs = {**kwargs, "n_jobs": 0}
    else:
        dataset = DatasetH(handler, parts)
    if name == "DNNModelPytorch":
        kwargs = {**kwargs, "scheduler": None}  # its own default asks torch for an argument that is gone
    model = getattr(importlib.import_module(f"qlib.contrib.model.pytorch_{module}"), name)(GPU=-1, **kwargs)
    networks = {id(n): n for n in vars(model).values() if isinstance(n, torch.nn.Module)}
    for network in networks.values():
        clock.attach(network)
    with R.start(experiment_name="bench"):
        began = time.perf_counter()
        model.fit(dataset)
        return clock.result(began, time.perf_counter())


if __name__ == "__main__":
    main()
