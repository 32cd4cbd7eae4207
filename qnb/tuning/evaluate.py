"""Evaluates one fold of a trial in a worker: data, fit, scores on the validation days, figures.

1. The data is prepared once a distinct dataset (`prepared`), LightGBM's bins once a distinct key (`binned`).
2. Scores are kept under the address of everything they depend on: a trial that differs in its strategy alone only
   runs the backtest.
3. On the way the value of the objective goes to the manager, which answers whether to go on. For LightGBM it is the
   objective itself on the validation rows; for other models their own validation loss.
4. The daily IC and the daily return of the trial are kept for the verdict.
"""

from __future__ import annotations

import inspect
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..backtest.config import backtest_from_config
from ..backtest.engine import load_quotes
from ..cache import digest
from ..config import Settings
from ..data.provider import open_store
from ..errors import ModelError, QnbError, RunStopped
from ..events import Event, LogLine, MetricLogged, Progress
from ..files import locked
from ..models.lightgbm import LGBModel
from ..project import make_folder
from ..secrets import Vault
from ..task.component import build_component
from ..task.modules import user_modules
from ..task.records import records_of
from ..task.spec import Task
from ..training.context import FitContext
from .binned import BinnedLGB, BinnedStore
from .days import figures, mean_and_ratio
from .messages import Done, Job
from .objectives import Objective
from .prepared import Prepared, PreparedData
from .series import write_series
from .spec import StudySpec

__all__ = ["Evaluator"]

REPORTS = 20
"""Values that a fit of the most rounds reports on the way."""

_LARGER_IS_BETTER = ("ic", "rank_ic", "auc", "ndcg", "map", "r2", "score")


@dataclass(slots=True)
class _Scores:
    """What a fit left: scores of the compared rows, rounds."""

    values: np.ndarray
    steps: int = 0
    of: int = 0
    pruned: bool = False


@dataclass(slots=True)
class _Clock:
    """Seconds by part."""

    seconds: dict[str, float] = field(default_factory=dict)

    def took(self, name: str, since: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - since


class Evaluator:
    """Evaluates the jobs of one study.

    Parameters
    ----------
    spec : StudySpec
        What is searched for.
    settings : Settings
        Where data and cache are.
    folder : Path
        The study's directory: bins, scores and daily series are kept there.
    """

    def __init__(self, spec: StudySpec, settings: Settings, folder: Path) -> None:
        self._spec, self._settings, self._folder = spec, settings, folder
        self._data = PreparedData(settings, spec.validation)
        self._bins = BinnedStore(folder / "work" / "bins")
        self._store: Any = None

    def run(self, job: Job, report: Callable[[int, float, int], bool], log: Callable[[str], None]) -> Done:
        """Return the outcome of `job`.

        Parameters
        ----------
        report : callable
            Takes step, value and the most steps, answers whether to end the trial.
        log : callable
            Takes lines for the trial's log.
        """
        task = Task.from_json(Vault.beside(self._folder).reveal(job.task))
        with user_modules(task.imports, task.base_dir, self._settings.work_dir):
            return self._run(task, job, report, log)

    def _run(self, task: Task, job: Job, report: Callable[[int, float, int], bool], log: Callable[[str], None]) -> Done:
        began = time.perf_counter()
        clock = _Clock()

        def emit(event: Event) -> None:
            if isinstance(event, LogLine) and event.level != "debug":
                log(event.text)

        prepared, known = self._data.get(task, job.fold, emit)
        clock.took("data", began)
        reused = ["data"] if known else []
        scores, same = self._scores(task, prepared, job, report, emit, clock)
        if same:
            reused.append("predictions")
        since = time.perf_counter()
        metrics, daily = self._figures(task, prepared, scores, clock)
        write_series(self._folder, job.trial, job.fold, days=prepared.table.days, **daily)
        clock.took("evaluate", since)
        clock.seconds["total"] = time.perf_counter() - began
        state, error, message = "pruned" if scores.pruned else "complete", "", ""
        wrong = [o.metric for o in self._spec.objectives if not math.isfinite(metrics.get(o.metric, math.nan))]
        if state == "complete" and wrong:
            state, error, message = "failed", "NotANumber", f"{wrong[0]} is not a number"
        return Done(
            job.trial, job.fold, state, metrics, clock.seconds, scores.steps, scores.of,
            len(prepared.table.days), tuple(reused), error, message, prepared.span,
        )  # fmt: skip

    def _scores(
        self,
        task: Task,
        prepared: Prepared,
        job: Job,
        report: Callable[[int, float, int], bool],
        emit: Any,
        clock: _Clock,
    ) -> tuple[_Scores, bool]:
        """Return the scores of the compared rows, and whether they were there already."""
        spec = self._spec
        address = digest(
            "scores", prepared.key, prepared.segment,
            json.dumps([task.model, task.reweighter], sort_keys=True, default=str), spec.seed, spec.threads,
        )  # fmt: skip
        path = self._folder / "work" / "scores" / f"{address}.npz"
        make_folder(path.parent)
        with locked(path.with_suffix(".lock"), seconds=math.inf):
            if path.exists():
                with np.load(path, allow_pickle=False) as kept:
                    return _Scores(kept["values"], int(kept["steps"]), int(kept["of"])), True
            scores = self._fit(task, prepared, job, report, emit, clock)
            if not scores.pruned:
                part = path.with_suffix(".part.npz")
                np.savez(part, values=scores.values, steps=scores.steps, of=scores.of)
                part.replace(path)
        return scores, False

    def _fit(
        self,
        task: Task,
        prepared: Prepared,
        job: Job,
        report: Callable[[int, float, int], bool],
        emit: Any,
        clock: _Clock,
    ) -> _Scores:
        base = Path(task.base_dir) if task.base_dir else None
        model = build_component(task.model, "model", base_dir=base)
        reweighter = build_component(task.reweighter, "reweighter", base_dir=base) if task.reweighter else None
        watch = _Watch(self._spec.objectives[0], prepared, report if job.watch else None, emit)
        context = FitContext(
            threads=self._spec.threads, seed=self._spec.seed, emit=watch.event, should_stop=lambda: watch.stopped
        )
        if type(model) is LGBModel and reweighter is None:
            return self._fit_binned(model, prepared, watch, context, clock)
        since = time.perf_counter()
        accepted = inspect.signature(model.fit).parameters
        extra: dict[str, Any] = {"context": context} if "context" in accepted else {}
        if reweighter is not None:
            extra["reweighter"] = reweighter
        try:
            model.fit(prepared.dataset, **extra)
        except RunStopped:
            if not watch.stopped:
                raise
        clock.took("fit", since)
        values = self._predict(model, prepared, clock)
        return _Scores(values, watch.step, watch.total, watch.stopped)

    def _fit_binned(
        self, model: LGBModel, prepared: Prepared, watch: _Watch, context: FitContext, clock: _Clock
    ) -> _Scores:
        since = time.perf_counter()
        _, total, _ = model._plan(context)
        watch.total = total
        tuned = BinnedLGB(model, self._bins, prepared.key, watch.look if watch.wanted else None)
        try:
            tuned.fit(prepared.dataset, context=context)
        except RunStopped:
            if not watch.stopped:
                raise
        clock.took("fit", since)
        return _Scores(self._predict(tuned, prepared, clock), tuned.rounds_run, tuned.rounds_of, watch.stopped)

    def _predict(self, model: Any, prepared: Prepared, clock: _Clock) -> np.ndarray:
        since = time.perf_counter()
        extra: dict[str, Any] = {}
        if "context" in inspect.signature(model.predict).parameters:
            extra["context"] = FitContext(threads=self._spec.threads)
        scores = model.predict(prepared.dataset, prepared.segment, **extra)
        clock.took("predict", since)
        index = prepared.table.index
        if len(scores) != len(index):
            if getattr(scores, "index", None) is None:
                raise ModelError(
                    f"{type(model).__name__} predicted {len(scores)} of {len(index)} rows, without an index"
                )
            scores = scores.reindex(index)
        return np.asarray(scores, dtype=np.float32).reshape(-1)

    def _figures(
        self, task: Task, prepared: Prepared, scores: _Scores, clock: _Clock
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Return all figures that the objectives need, and the daily series for the verdict."""
        table, values = prepared.table, scores.values.astype(np.float64)
        needs = {o.need for o in self._spec.objectives}
        metrics: dict[str, float] = {}
        ic = table.daily_ic(values)
        metrics["IC"], metrics["ICIR"] = mean_and_ratio(ic)
        if not scores.pruned:
            metrics["Rank IC"], metrics["Rank ICIR"] = mean_and_ratio(table.daily_rank_ic(values))
        groups = table.groups(values)
        if "groups" in needs:
            metrics |= {f"{name}.{k}": v for name, daily in groups.items() for k, v in figures(daily).items()}
        if "loss" in needs:
            metrics |= _loss(prepared, values)
        daily = {"ic": ic, "returns": groups["pred_long_short"]}
        if "backtest" in needs and not scores.pruned:
            found, returns = self._backtest(task, prepared, values)
            metrics |= found
            daily["excess"] = _on_days(returns, table.days)
        return metrics, daily

    def _backtest(self, task: Task, prepared: Prepared, values: np.ndarray) -> tuple[dict[str, float], Any]:
        """Backtest the scores on the validation days with the task's own strategy and costs."""
        import pandas as pd

        record = next(r for r, facts in zip(task.records, records_of(task), strict=True) if facts.trades)
        kwargs = record.get("kwargs") if isinstance(record, Mapping) else None
        config = json.loads(json.dumps((kwargs or {}).get("config") or {}))
        days = prepared.table.days
        first, last = str(days[0])[:10], str(days[-1])[:10]
        config.setdefault("backtest", {}).update({"start_time": first, "end_time": last})
        signal = pd.DataFrame({"score": values}, index=prepared.table.index)
        self._store = self._store or open_store(self._settings)
        key = f"{first} {last}"
        if key not in prepared.quotes:
            prepared.quotes[key] = load_quotes(signal, store=self._store, start=first, end=last)

        result = backtest_from_config(
            config, signal=signal, store=self._store, region=self._settings.region,
            quotes=prepared.quotes[key],
        )  # fmt: skip
        gross = result.report["return"] - result.report["bench"]
        net = gross - result.report["cost"]
        metrics = {f"excess_return_without_cost.{k}": v for k, v in figures(gross.to_numpy()).items()}
        metrics |= {f"excess_return_with_cost.{k}": v for k, v in figures(net.to_numpy()).items()}
        metrics["turnover"] = float(result.report["turnover"].mean())
        before_cost = any(o.metric.startswith("excess_return_without") for o in self._spec.objectives)
        return metrics, gross if before_cost else net


class _Watch:
    """Reports the trial's value every few rounds and remembers whether the answer was to end."""

    def __init__(self, objective: Objective, prepared: Prepared, report: Any, emit: Any) -> None:
        self._objective, self._prepared, self._report, self._emit = objective, prepared, report, emit
        self._sign = 1.0 if objective.optuna_direction == "maximize" else -1.0
        self.total = 0
        self.step = 0
        self.stopped = False
        self._rows: np.ndarray | None = None

    @property
    def wanted(self) -> bool:
        """Whether anybody asks for values."""
        return self._report is not None

    def look(self, step: int, scores: np.ndarray) -> None:
        """Take the scores of LightGBM's validation rows after round `step`."""
        self.step = step
        if self._due(step):
            self._tell(step, self._value(scores))

    def event(self, event: Event) -> None:
        """Take an event of any other model: the first validation metric counts."""
        self._emit(event)
        if isinstance(event, Progress) and event.total:
            self.total = event.total
        if isinstance(event, MetricLogged) and event.step is not None and event.name.endswith(".valid"):
            if event.step <= self.step or self._rows is not None:
                return
            self.step = event.step
            if self._due(event.step):
                better_high = event.name.lower().startswith(_LARGER_IS_BETTER)
                self._tell(event.step, self._sign * (event.value if better_high else -event.value))

    def _due(self, step: int) -> bool:
        interval = max(1, self.total // REPORTS)
        return self._report is not None and not self.stopped and step % interval == 0 and step < (self.total or 1e9)

    def _tell(self, step: int, value: float) -> None:
        if math.isfinite(value):
            self.stopped = bool(self._report(step, value, self.total))

    def _value(self, scores: np.ndarray) -> float:
        """Return the objective of these scores, or the IC (with the objective's sign) where that takes a backtest."""
        prepared, table = self._prepared, self._prepared.table
        if self._rows is None:
            self._rows = prepared.fit_rows(_learn_rows)
        full = np.full(len(table.row), np.nan)
        full[self._rows] = scores
        metric = self._objective.metric
        if metric.startswith("Rank"):
            mean, ratio = mean_and_ratio(table.daily_rank_ic(full))
        elif metric == "loss":
            labels = _learn_labels(prepared)
            return float(np.mean((np.asarray(scores) - labels) ** 2))
        else:
            mean, ratio = mean_and_ratio(table.daily_ic(full))
        value = ratio if metric.endswith("ICIR") else mean
        return value if metric in ("IC", "ICIR", "Rank IC", "Rank ICIR") else self._sign * value


def _learn_rows(prepared: Prepared) -> np.ndarray:
    """Return where the rows that LightGBM validates on stand among the rows that are compared."""
    index = prepared.dataset.sample("valid", data_key="learn")
    keep = np.isfinite(index.y[:, 0])
    learn = index.index.to_pandas()[keep]
    return prepared.table.index.get_indexer(learn)


def _learn_labels(prepared: Prepared) -> np.ndarray:
    y = prepared.dataset.sample("valid", data_key="learn").y[:, 0]
    return y[np.isfinite(y)]


def _loss(prepared: Prepared, values: np.ndarray) -> dict[str, float]:
    """Return the mean squared error against the label that models are fitted on, and the correlation with it."""
    sample = prepared.dataset.sample(prepared.segment, data_key="learn")
    place = prepared.table.index.get_indexer(sample.index.to_pandas())
    label = sample.y[:, 0].astype(np.float64)
    known = np.isfinite(label) & (place >= 0)
    score, label = values[place[known]], label[known]
    loss = float(np.mean((score - label) ** 2)) if len(label) else math.nan
    spread = score.std() * label.std() if len(label) else 0.0
    pearson = float(np.mean((score - score.mean()) * (label - label.mean())) / spread) if spread else math.nan
    return {"loss": loss, "model.model_score": loss, "model.model_pearsonr": pearson}


def _on_days(returns: Any, days: np.ndarray) -> np.ndarray:
    import pandas as pd

    return returns.reindex(pd.DatetimeIndex(days)).to_numpy(dtype=np.float64)


def failure_of(error: BaseException) -> tuple[str, str]:
    """Return type and message of a failure, in one line."""
    text = str(error).strip() or type(error).__name__
    kind = type(error).__name__
    return kind, text if isinstance(error, QnbError) else f"{kind}: {text}"
