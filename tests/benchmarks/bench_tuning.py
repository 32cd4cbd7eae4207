"""Hyperparameter search: workers, overhead, beside bare Optuna, beside a new process a trial, and what pruning saves.

    python -m tests.benchmarks.bench_tuning [--trials 50] [--only speed pruning]

``speed`` runs the same LightGBM trials (Alpha158 on the demo market, one thread a trial, no pruning, random sampler)
four ways: two workers, one worker, bare Optuna with joblib on arrays that are loaded and binned beforehand (which
records nothing), and a new process with its data load for each trial (three trials of them, and the peer's own data
load where it is installed). ``pruning`` runs studies with and without the pruner on the demo market, five seeds.

Targets: two workers at least 1.8 times one; overhead a trial (all but fit, predict, evaluation) below 0.15 s at the
median; within 10 % of bare Optuna; at least 10 times a new process and data load a trial; pruning saves 40 % of the
rounds at an equal best value, at the median of the seeds.
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
from typing import Any

import numpy as np

from qnb.config import Settings, use_settings
from qnb.task.component import build_component
from qnb.tuning.engine import manage
from qnb.tuning.open import open_study
from qnb.tuning.plan import StudyPlan, load_study
from qnb.tuning.state import StudyState

from .peer import peer_command, peer_python, timed_process

ROUNDS = 60
SPACE = """\
market: demo
model:
  lightgbm:
    learning_rate: !loguniform [0.02, 0.3]
    num_leaves: !int [16, 96]
    lambda_l1: !loguniform [0.1, 300]
    colsample_bytree: !uniform [0.4, 1.0]
    num_boost_round: {rounds}
    early_stopping_rounds: 0
features: {features}
"""
INLINE = """
  MOM5: $close/Ref($close, 5) - 1
  MOM20: $close/Ref($close, 20) - 1
  STD10: Std($close/Ref($close, 1), 10)
  VR: $volume/Mean($volume, 10)
  KLEN: ($high-$low)/$open
  RSV: ($close-Min($low, 10))/(Max($high, 10)-Min($low, 10)+1e-12)
  CORR: Corr($close, Log($volume+1), 10)
  KMID: ($close-$open)/$open"""


def main() -> int:
    """Run the parts that are asked for; exit status 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--pruning-trials", type=int, default=40)
    parser.add_argument("--only", nargs="*", choices=("speed", "pruning"), default=("speed", "pruning"))
    parser.add_argument("--one", metavar="PARAMS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(_one_trial(json.loads(options.one)))
        return 0
    missed: list[str] = []
    if "speed" in options.only:
        missed += _speed(options.trials)
    if "pruning" in options.only:
        missed += _pruning(options.pruning_trials)
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nall targets met")
    return int(bool(missed))


def _speed(trials: int) -> list[str]:
    text = SPACE.format(rounds=ROUNDS, features="Alpha158")
    _study(text, trials=1, jobs=1)  # features are in the cache from here on, as they are for all sides
    two, two_seconds = _study(text, trials=trials, jobs=2)
    one, one_seconds = _study(text, trials=trials, jobs=1)
    assert {n: t.params for n, t in one.trials.items()} == {n: t.params for n, t in two.trials.items()}
    assert all(one.trials[n].values == two.trials[n].values for n in one.trials), "the same trials, bit for bit"
    params = [dict(one.trials[n].params) for n in sorted(one.trials)]
    bare_seconds, values = _bare(text, params)
    ours = np.array([one.trials[n].values[0] for n in sorted(one.trials)])
    assert np.allclose(values, ours, atol=1e-9), "bare Optuna found the same values"
    own = [_new_process(p) for p in params[:3]]
    overhead = statistics.median(t.overhead for t in two.trials.values())
    fit = statistics.median(t.parts["fit"] for t in two.trials.values())
    results = [
        _line("two workers / one worker", one_seconds / two_seconds, 1.8, "x", least=True),
        _line("overhead a trial", overhead, 0.15, "s", least=False),
        _line("time of the study / bare Optuna with joblib", two_seconds / bare_seconds, 1.10, "x", least=False),
        _line(
            "a new process a trial, with our own cached data, 2 at a time / ours",
            statistics.median(own) / 2 / (two_seconds / trials), None, "x", least=True,
        ),
    ]  # fmt: skip
    print(f"    {trials} trials: two workers {two_seconds:.1f} s, one {one_seconds:.1f} s, bare {bare_seconds:.1f} s")
    print(f"    fit of a trial {fit:.2f} s, a new process for one {statistics.median(own):.1f} s")
    if peer_python() is not None:
        seconds = timed_process(peer_command("alpha158"))[0]
        gain = (seconds + fit) / 2 / (two_seconds / trials)
        results.append(_line("the peer: a new process and data load a trial, 2 at a time / ours", gain, 10.0, "x"))
        print(f"    the peer's data load {seconds:.1f} s (CSI300 2008-2020, a smaller market than the demo's)")
    else:
        print("    the peer is not installed: its data load is not measured")
    return [r for r in results if r]


def _pruning(trials: int) -> list[str]:
    text = SPACE.format(rounds=150, features=INLINE)
    saved, lost = [], []
    for seed in (1, 2, 3, 4, 5):
        whole, _ = _study(text, trials=trials, jobs=2, seed=seed, pruner="none", sampler="tpe")
        pruned, _ = _study(text, trials=trials, jobs=2, seed=seed, pruner="hyperband", sampler="tpe")
        rounds = [sum(t.steps for t in s.trials.values()) for s in (whole, pruned)]
        best = [s.best.values[0] for s in (whole, pruned)]
        saved.append(1 - rounds[1] / rounds[0])
        lost.append(best[0] - best[1])
        print(f"    seed {seed}: {rounds[1]:,} of {rounds[0]:,} rounds, best {best[1]:.4f} against {best[0]:.4f}")
    spread = statistics.median(abs(v) for v in lost)
    print(f"    difference of the best values: median {statistics.median(lost):+.4f}, typical size {spread:.4f}")
    results = [
        _line("rounds saved by pruning, median of 5 seeds", statistics.median(saved), 0.40, "", least=True),
        _line("best value lost by pruning, median of 5 seeds", statistics.median(lost), 0.001, "", least=False),
    ]
    return [r for r in results if r]


def _study(text: str, *, trials: int, jobs: int, **options: Any) -> tuple[StudyState, float]:
    """Run a study from a cold start of its workers and return its state and wall-clock seconds."""
    given = {"sampler": "random", "pruner": "none", "seed": 7, "threads": 1, **options}
    plan = load_study(text, name="bench", options={"trials": trials, "jobs": jobs, **given})
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env().with_(work_dir=Path(folder), **plan.task.settings)
        directory = open_study(plan, settings)
        began = time.perf_counter()
        state = manage(directory)
        return state, time.perf_counter() - began


def _bare(text: str, params: list[dict[str, Any]]) -> tuple[float, list[float]]:
    """Return seconds and values of the same trials by Optuna and joblib: arrays loaded beforehand, nothing recorded."""
    import joblib
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        _arrays(text, Path(folder))
        began = time.perf_counter()
        study = optuna.create_study(direction="maximize")
        with joblib.Parallel(n_jobs=2, backend="multiprocessing") as pool:  # loky ends workers that hold bins
            values = pool(joblib.delayed(_bare_trial)(folder, p) for p in params)
        for given, value in zip(params, values, strict=True):
            space = {k: _distribution(v) for k, v in given.items()}
            study.add_trial(optuna.trial.create_trial(params=given, distributions=space, value=value))
        return time.perf_counter() - began, values


_BINNED: list[Any] = []


def _bare_trial(folder: str, params: dict[str, Any]) -> float:
    """Evaluate one trial in a joblib worker, which bins once and keeps the bins: what a careful user would write."""
    import lightgbm as lgb

    from qnb.metrics.rows import row_correlation

    fixed = {"objective": "mse", "verbosity": -1, "num_threads": 1, "seed": 7}
    x, y, vx, vy, row, place, label = (np.load(Path(folder) / f"{n}.npy", mmap_mode="r") for n in _NAMES)
    if not _BINNED:
        train = lgb.Dataset(x, label=y, params=fixed, free_raw_data=True).construct()
        _BINNED.extend([train, train.create_valid(vx, label=vy, params=fixed).construct()])
    booster = lgb.train({**fixed, **params}, _BINNED[0], num_boost_round=ROUNDS, valid_sets=_BINNED)
    scores = booster.predict(vx, num_threads=1).astype(np.float32).astype(np.float64)
    table = np.full(label.shape, np.nan)
    table[row, place] = scores
    return float(np.nanmean(row_correlation(table, label)))


_NAMES = ("x", "y", "vx", "vy", "row", "place", "label")


def _arrays(text: str, folder: Path) -> None:
    from qnb.tuning.days import DayTable

    plan = load_study(text, name="bench")
    dataset = _dataset(plan)
    train, valid = (dataset.sample(s, data_key="learn") for s in ("train", "valid"))
    raw = dataset.sample("valid", data_key="raw")
    keep, good = np.isfinite(train.y[:, 0]), np.isfinite(valid.y[:, 0])
    infer = dataset.sample("valid", data_key="infer")
    table = DayTable.of(raw.index, raw.y[:, 0].astype(np.float64))
    assert good.sum() <= len(infer)
    arrays = {
        "x": train.x[keep], "y": train.y[keep, 0], "vx": infer.x, "vy": _aligned(valid, infer), "row": table.row,
        "place": table.place, "label": table.labels,
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array))


def _aligned(valid: Any, infer: Any) -> np.ndarray:
    """Return the learnt label of each predicted row; rows without one count as 0: the fit does not stop early."""
    place = infer.index.to_pandas().get_indexer(valid.index.to_pandas())
    label = np.zeros(len(infer), dtype=np.float32)
    label[place] = np.nan_to_num(valid.y[:, 0])
    return label


def _dataset(plan: StudyPlan) -> Any:
    use_settings(Settings.from_env().with_(threads=1, **plan.task.settings))
    dataset = build_component(plan.task.dataset, "dataset")
    dataset.setup_data()
    return dataset


def _new_process(params: dict[str, Any]) -> float:
    """Return the seconds of a trial in a process of its own, which loads its data from the cache."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_tuning", "--one", json.dumps(params)]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - began


def _one_trial(params: dict[str, Any]) -> float:
    from qnb.models.lightgbm import LGBModel
    from qnb.training.context import FitContext

    plan = load_study(SPACE.format(rounds=ROUNDS, features="Alpha158"), name="bench")
    dataset = _dataset(plan)
    model = LGBModel(num_boost_round=ROUNDS, early_stopping_rounds=0, **params)
    model.fit(dataset, context=FitContext(threads=1, seed=7))
    return float(model.predict(dataset, "valid").mean())


def _distribution(value: Any) -> Any:
    import optuna

    kind = optuna.distributions.IntDistribution if isinstance(value, int) else optuna.distributions.FloatDistribution
    return kind(min(value, 0), max(value, 10_000))


def _line(name: str, value: float, target: float | None, unit: str, *, least: bool = True) -> str:
    """Print a result beside its target and return its name when it missed it."""
    met = target is None or (value >= target if least else value <= target)
    shown = "" if target is None else f"  {'at least' if least else 'at most'} {target:g}{unit}"
    print(f"  {name}: {value:.3g}{unit}{shown}{'' if met else '  MISSED'}", flush=True)
    return "" if met else name


if __name__ == "__main__":
    sys.exit(main())
