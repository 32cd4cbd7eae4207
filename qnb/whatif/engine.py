"""Runs the backtest of a run again with other settings of strategy and exchange, as often as a slider moves.

1. Predictions are loaded once, quotes when a price is first asked for; both are kept.
2. A run with other settings is the array backtest alone, with the run's own configuration for all that was not moved.
3. What comes out is what the run's report is judged by: the excess return after cost by day.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backtest import load_quotes
from ..backtest.config import backtest_from_config, exchange_from_config
from ..config import Settings
from ..data.provider import open_store
from ..errors import BacktestError
from ..metrics.returns import max_drawdown
from ..task.modules import user_modules
from ..task.schema import entries

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEAL_PRICES", "Knobs", "Outcome", "WhatIf"]

DEAL_PRICES = ("close", "open", "vwap", "high", "low")
PERIODS = 238


@dataclass(frozen=True, slots=True)
class Knobs:
    """The settings that can be moved.

    Attributes
    ----------
    topk, n_drop : int or None
        Of the strategy; None where it has no such argument.
    open_cost, close_cost : float
        Cost of a buy and a sell as a share of the value.
    limit_threshold : float or None
        Price limit as a share; None where the run has expressions or no limit, which then stay.
    deal_price : str
        Field, without ``$``; '' where the run has another kind of price, which then stays.
    """

    topk: int | None
    n_drop: int | None
    open_cost: float
    close_cost: float
    limit_threshold: float | None
    deal_price: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backtest with these settings gave.

    Attributes
    ----------
    knobs : Knobs
    dates : ndarray of datetime64[ns], shape (days,)
    excess, excess_before : ndarray of shape (days,)
        Return less the benchmark's, after and before cost, by day.
    metrics : mapping of str to float
        Under the names that a run records: annualized_return, information_ratio, max_drawdown of the excess after
        cost; ``turnover`` a day, ``cost`` a year; ``account`` at the end.
    """

    knobs: Knobs
    dates: np.ndarray
    excess: np.ndarray
    excess_before: np.ndarray
    metrics: Mapping[str, float]


class WhatIf:
    """A run's backtest, ready to be run again.

    Parameters
    ----------
    config : mapping
        ``strategy``, ``backtest`` and, if need be, ``executor``, as the run's portfolio record has them.
    pred : DataFrame
        Its predictions, index (datetime, instrument).
    settings : Settings
        Its settings: where the market is, and the region.
    imports : sequence of str
        Folders of its task in which a strategy of the user's is looked for.

    Attributes
    ----------
    base : Knobs
        The run's own settings.
    outcomes : dict of Knobs to Outcome
        What was tried so far.
    """

    def __init__(
        self, config: Mapping[str, Any], pred: pd.DataFrame, *, settings: Settings, imports: Sequence[str] = ()
    ) -> None:
        self.config = copy.deepcopy(dict(config))
        self.pred = pred
        self.settings = settings
        self._imports = imports
        self.outcomes: dict[Knobs, Outcome] = {}
        self._store = open_store(settings)
        self._quotes: Any = None
        self.base = self._base()

    def run(self, knobs: Knobs) -> Outcome:
        """Return the outcome with `knobs`; one that was asked for before comes at once.

        Raises
        ------
        BacktestError
            For settings that make no sense together, as more names dropped than held.
        """
        if knobs in self.outcomes:
            return self.outcomes[knobs]
        if knobs.topk is not None and knobs.n_drop is not None and knobs.n_drop > knobs.topk:
            raise BacktestError(f"n_drop {knobs.n_drop} is more than topk {knobs.topk}; hold more or drop fewer")
        config = self.configured(knobs)
        if self._quotes is None:
            section = config.get("backtest") or {}
            self._quotes = load_quotes(
                self.pred, store=self._store, start=section.get("start_time"), end=section.get("end_time")
            )
        with user_modules(self._imports):
            result = backtest_from_config(
                config, signal=self.pred, store=self._store, region=self.settings.region, quotes=self._quotes
            )
        self.outcomes[knobs] = _outcome(knobs, result.report)
        return self.outcomes[knobs]

    def configured(self, knobs: Knobs) -> dict[str, Any]:
        """Return the run's configuration with `knobs` in it."""
        config = copy.deepcopy(self.config)
        kwargs = _strategy_kwargs(config)
        for name in ("topk", "n_drop"):
            if getattr(knobs, name) is not None:
                kwargs[name] = getattr(knobs, name)
        exchange = config.setdefault("backtest", {}).setdefault("exchange_kwargs", {})
        exchange["open_cost"], exchange["close_cost"] = knobs.open_cost, knobs.close_cost
        if knobs.limit_threshold is not None:
            exchange["limit_threshold"] = knobs.limit_threshold
        if knobs.deal_price:
            exchange["deal_price"] = knobs.deal_price
        return config

    def to_yaml(self, knobs: Knobs) -> str:
        """Return the portfolio record with `knobs`, to take the place of the one in the workflow."""
        from ..task.dump import dump_yaml

        return dump_yaml({"class": "PortAnaRecord", "kwargs": {"config": self.configured(knobs)}})

    def prices(self) -> tuple[str, ...]:
        """Return the fields of the market that orders could be filled at, the run's own among them."""
        there = {f.lstrip("$") for f in self._store.fields()}
        found = [p for p in DEAL_PRICES if p in there]
        own = self.base.deal_price
        return tuple(found if not own or own in found else [own, *found])

    def names(self) -> int:
        """Return how many instruments have a score on a usual day."""
        return int(np.median(self.pred.groupby(level=0).size().to_numpy()))

    def _base(self) -> Knobs:
        spec = exchange_from_config(self.config, region=self.settings.region)
        kwargs = _strategy_kwargs(self.config)
        with user_modules(self._imports):
            known = _strategy_arguments(self.config["strategy"])
        price = spec.deal_price if isinstance(spec.deal_price, str) else ""
        limit = spec.limit_threshold
        return Knobs(
            topk=_whole(kwargs.get("topk", known.get("topk"))),
            n_drop=_whole(kwargs.get("n_drop", known.get("n_drop"))),
            open_cost=spec.open_cost,
            close_cost=spec.close_cost,
            limit_threshold=float(limit) if isinstance(limit, int | float) else None,
            deal_price=price.lstrip("$") if price.lstrip("$").isidentifier() else "",
        )


def _outcome(knobs: Knobs, report: pd.DataFrame) -> Outcome:
    gain, cost, bench = (report[c].to_numpy(dtype=np.float64) for c in ("return", "cost", "bench"))
    before = gain - np.where(np.isfinite(bench), bench, 0.0)
    after = before - cost
    deviation = float(after.std(ddof=1)) if len(after) > 1 else float("nan")
    head = "1day.excess_return_with_cost."
    metrics = {
        f"{head}annualized_return": float(after.mean() * PERIODS),
        f"{head}information_ratio": float(after.mean() / deviation * PERIODS**0.5) if deviation > 0 else float("nan"),
        f"{head}max_drawdown": max_drawdown(after),
        "1day.excess_return_without_cost.annualized_return": float(before.mean() * PERIODS),
        "turnover": float(report["turnover"].mean()),
        "cost": float(cost.mean() * PERIODS),
        "account": float(report["account"].iloc[-1]),
    }
    return Outcome(replace(knobs), report.index.to_numpy(), after, before, metrics)


def _strategy_kwargs(config: Mapping[str, Any]) -> dict[str, Any]:
    strategy = config["strategy"]
    if not isinstance(strategy, dict):
        return {}
    if strategy.get("kwargs") is None:
        strategy["kwargs"] = {}
    return strategy["kwargs"]


def _strategy_arguments(strategy: Any) -> dict[str, str]:
    """Return argument -> default as written, of a strategy of ours; nothing is known of others."""
    name = str(strategy.get("class", "")) if isinstance(strategy, Mapping) else str(strategy)
    last = name.rpartition(".")[2]
    entry = next((e for e in entries("strategy") if last in (e.name, e.short)), None)
    return {} if entry is None else {a.name: a.default for a in entry.arguments}


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
