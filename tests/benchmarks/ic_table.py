"""How much of the demo market's planted signal each torch model finds, and that it finds none in shuffled labels.

Usage: python -m tests.benchmarks.ic_table [--models gru_alpha360,tcn_windows] [--epochs N] [--shuffled N] [--keep FILE]

1. Each model has the arguments of its workflow in `tests/workflows`, but for `SIZES`: few epochs, and smaller batches
   where the published ones are made for a GPU and more data. ``--epochs`` takes the place of the former.
2. It is fitted on 2014-2016 or from an earlier year on, watched on 2017 and tested on 2018-2020 in the universe
   ``demo``.
3. The share is its mean daily IC over that of the oracle on the same rows.
4. With ``--shuffled N`` the labels of the fit are dealt out anew on every date, N times, and each time the model is
   fitted on 2016 and tested on 2018. What it then says is some function of the features, and such a function has an
   IC of its own by chance, the same on many days; so the mean over the N fits is compared with twice the standard
   error that their scatter gives, not with that of the days.

5. With ``--signal`` the model is fitted on the signal itself, without the noise of returns, and its IC is its
   correlation with the signal: a lower bound of what its inputs hold.

Results are kept in `--keep` as they come, so an interrupted table goes on where it was; the table is printed as
Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from qnb.config import Settings
from qnb.data.dataset import DatasetH
from qnb.data.demo import UNIVERSE
from qnb.data.processor import Processor
from qnb.data.provider import open_store
from qnb.data.timeseries import TSDatasetH
from qnb.task.component import build_component
from qnb.task.spec import load_task
from qnb.training.context import FitContext
from qnb.training.scoring import daily_ic

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
MODELS = (
    "mlp_alpha158", "double_ensemble_alpha158", "gru_windows", "lstm_windows", "alstm_windows", "tcn_windows",
    "gats_windows", "general_windows", "transformer_windows", "localformer_windows", "gru_alpha360", "lstm_alpha360",
    "alstm_alpha360", "tcn_alpha360", "gats_alpha360", "transformer_alpha360", "localformer_alpha360",
)  # fmt: skip
WIDE = {"from": 2010, "instruments": 900}
SIZES: dict[str, dict[str, int]] = {
    "mlp_alpha158": {"n_epochs": 40},
    "gru_windows": {"n_epochs": 3, **WIDE},
    "lstm_windows": {"n_epochs": 4},
    "alstm_windows": {"n_epochs": 3},
    "tcn_windows": {"n_epochs": 10, "batch_size": 500, **WIDE},
    "gats_windows": {"n_epochs": 10, "from": 2010},
    "general_windows": {"n_epochs": 3, **WIDE},
    "transformer_windows": {"n_epochs": 2, "batch_size": 256, "from": 2010, "instruments": 600},
    "localformer_windows": {"n_epochs": 1, "batch_size": 256, "from": 2010, "instruments": 600},
    "transformer_alpha360": {"n_epochs": 3, "batch_size": 512},
    "localformer_alpha360": {"n_epochs": 1, "batch_size": 256},
}
"""What differs from the workflow, for those whose fit is not five epochs.

``from``: first year of ``train``; ``instruments``: of the demo market, two thirds of which are in the universe.
"""
SEGMENTS = {
    "train": ["2014-01-01", "2016-12-31"],
    "valid": ["2017-01-01", "2017-12-31"],
    "test": ["2018-01-01", "2020-12-28"],
}
SHORT = {
    "train": ["2016-01-01", "2016-12-31"],
    "valid": ["2017-01-01", "2017-12-31"],
    "test": ["2018-01-01", "2018-12-31"],
}
"""Segments of the fits to shuffled labels."""
SPAN: dict[str, Any] = {
    "instruments": UNIVERSE, "end_time": "2020-12-31", "fit_end_time": "2016-12-31",
}  # fmt: skip


class ShuffledLabel(Processor):
    """Deal the labels of each date out anew among its instruments."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def is_for_infer(self) -> bool:
        """Return False: it looks at labels."""
        return False

    def __call__(self, df: Any) -> Any:
        """Return `df` with other labels."""
        rng = np.random.default_rng(self.seed)
        dates = df.index.get_level_values(0).to_numpy()
        order = np.empty(len(df), dtype=np.int64)
        order[np.argsort(dates, kind="stable")] = np.lexsort((rng.random(len(df)), dates))
        df["label"] = df["label"].to_numpy()[order]
        return df


def main() -> int:
    """Fit the models and print the table; exit status 1 when one finds too little, or something in shuffled labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--epochs", type=int, default=0, metavar="N")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shuffled", type=int, default=0, metavar="N")
    parser.add_argument("--signal", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    if options.signal:
        SPAN["label"] = ["$oracle"]
    for name in options.models.split(","):
        key = name + (", shuffled" if options.shuffled else "") + (", signal" if options.signal else "")
        if key not in found:
            if options.shuffled:
                found[key] = measure_shuffled(name, options.epochs, options.threads, options.shuffled)
            else:
                found[key] = measure(name, options.epochs, options.threads)
            print(key, found[key], file=sys.stderr, flush=True)
            if options.keep:
                options.keep.write_text(json.dumps(found, indent=1))
    print(table(found))
    return int(not all(good(row) for row in found.values()))


def measure_shuffled(name: str, epochs: int, threads: int, times: int) -> dict[str, float]:
    """Return the mean over `times` fits to shuffled labels, and its standard error from how the fits differ."""
    fits = [measure(name, epochs, threads, shuffle=number) for number in range(times)]
    found = np.array([fit["ic"] for fit in fits])
    return {
        **fits[0],
        "ic": round(float(found.mean()), 4),
        "error": round(float(found.std(ddof=1) / np.sqrt(times)), 4) if times > 1 else fits[0]["error"],
        "fits": times,
        "seconds": sum(fit["seconds"] for fit in fits),
    }


def measure(name: str, epochs: int, threads: int, *, shuffle: int | None = None) -> dict[str, float]:
    """Return the mean IC of the workflow's model, its standard error, that of the oracle, epochs and seconds."""
    shuffled = shuffle is not None
    task = load_task((WORKFLOWS / f"{name}.yaml").read_text(encoding="utf-8"), base_dir=WORKFLOWS)
    kwargs, size = dict(task.model["kwargs"]), dict(SIZES.get(name, {}))
    if shuffled:
        size = {k: v for k, v in size.items() if k not in WIDE}
    year, instruments = size.pop("from", 2016 if shuffled else 2014), size.pop("instruments", 300)
    settings = Settings().with_(provider_uri=f"demo:instruments={instruments}", threads=threads)
    store = open_store(settings)
    if "epochs" not in kwargs:  # those of DoubleEnsemble are trees
        kwargs |= {"n_epochs": 5} | size | ({"n_epochs": epochs} if epochs else {})
    kwargs.pop("model_path", None)
    if shuffle is not None:
        kwargs.pop("seed", None)  # first weights in common would be what the fits have in common
    config = dict(task.dataset["kwargs"])
    handler = {**config["handler"], "kwargs": {**config["handler"].get("kwargs", {}), **SPAN, **_span(year)}}
    if shuffle is not None:
        learn = handler["kwargs"].get("learn_processors") or ["DropnaLabel", "CSZScoreNorm"]
        handler["kwargs"]["learn_processors"] = [*learn, ShuffledLabel(shuffle)]
    windows = "step_len" in config
    segments = SHORT if shuffled else {**SEGMENTS, "train": [f"{year}-01-01", SEGMENTS["train"][1]]}
    dataset: Any = DatasetH(handler, segments, store=store, settings=settings)
    if windows:
        dataset = TSDatasetH(config["step_len"], handler=handler, segments=segments, store=store, settings=settings)
    dataset.setup_data()
    model = build_component({**task.model, "kwargs": kwargs}, "model")
    began = time.perf_counter()
    model.fit(dataset, context=FitContext(threads=threads, seed=1 + (shuffle or 0)))
    seconds = time.perf_counter() - began
    score = model.predict(dataset, "test")
    sample = dataset.sample("test", data_key="raw")
    by_row = score.reindex(sample.index.to_pandas()).to_numpy().astype(np.float64)
    own, best = (_daily(values, sample) for values in (by_row, _oracle(store, sample.index)))
    outcome = getattr(model, "outcome_", None)
    return {
        "ic": round(float(own.mean()), 4),
        "error": round(float(own.std(ddof=1) / np.sqrt(len(own))), 4),
        "oracle": round(float(best.mean()), 4),
        "epochs": 0 if outcome is None else len(outcome.history.get("loss.train", ())),
        "batch": size.get("batch_size", 0),
        "from": year,
        "instruments": instruments,
        "seconds": round(seconds),
    }


def _span(year: int) -> dict[str, str]:
    return {"start_time": f"{year - 1}-06-01", "fit_start_time": f"{year}-01-01"}


def table(found: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| workflow | IC | standard error | share of the oracle | epochs | seconds |", "|---|---|---|---|---|---|"]
    for key, row in found.items():
        share = "" if "fits" in row else f"{row['ic'] / row['oracle']:.0%}"
        size = [f"{row['epochs'] or 'trees'}"]
        if row["batch"]:
            size.append(f"batches of {row['batch']}")
        if "fits" in row:
            size.append(f"{row['fits']} fits")
        elif row["from"] != 2014:
            size.append(f"from {row['from']}")
        if row["instruments"] != 300:
            size.append(f"{row['instruments']} instruments")
        lines.append(
            f"| {key} | {row['ic']:.3f} | {row['error']:.3f} | {share} | {', '.join(size)} | {row['seconds']} |"
        )
    return "\n".join(lines)


def good(row: dict[str, float]) -> bool:
    """Return whether half of the signal is found, or nothing in shuffled labels."""
    if "fits" in row:
        return abs(row["ic"]) <= 2 * row["error"]
    return row["ic"] >= 0.5 * row["oracle"]


def _daily(values: np.ndarray, sample: Any) -> np.ndarray:
    label = sample.y[:, 0].astype(np.float64)
    known = np.flatnonzero(np.isfinite(values) & np.isfinite(label))
    ticks = sample.index.dates[known].view(np.int64)
    found = daily_ic(values[known], label[known], np.unique(ticks, return_inverse=True)[1])
    return found[np.isfinite(found)]


def _oracle(store: Any, index: Any) -> np.ndarray:
    values, days = np.full(len(index), np.nan), np.searchsorted(store.calendar, index.dates)
    for code, name in enumerate(index.instruments):
        start, series = store.series(name, "oracle") or (0, np.empty(0))
        rows = np.flatnonzero(index.codes == code)
        values[rows] = series[days[rows] - start]
    return values


if __name__ == "__main__":
    sys.exit(main())
