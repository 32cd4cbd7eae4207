"""What a study can look for: metrics of a trial on the validation days, their direction and what they need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import UnknownNameError

__all__ = ["DIRECTIONS", "METRICS", "Direction", "Metric", "Objective", "metric_of", "short_name"]

Direction = Literal["maximize", "minimize", "correlation"]
DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize", "correlation")
"""``correlation`` looks for the value nearest to 1: it minimises |x - 1|, as the old tuner's optim_type does."""

Need = Literal["signal", "loss", "backtest", "groups"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a trial.

    Attributes
    ----------
    key : str
        Its name in results and recorder.
    direction : str
        Which way is better, where the study does not say.
    need : str
        What is computed for it: ``signal`` (scores against labels by day), ``loss`` (scores against what the model was
        fitted on), ``backtest`` (the task's portfolio record), ``groups`` (returns of the highest and lowest scores).
    words : str
        What it is, for people.
    """

    key: str
    direction: Direction
    need: Need
    words: str


def _metrics() -> dict[str, Metric]:
    found = [
        Metric("IC", "maximize", "signal", "mean by day of the correlation of score and label"),
        Metric("Rank IC", "maximize", "signal", "mean by day of the rank correlation"),
        Metric("ICIR", "maximize", "signal", "mean over standard deviation of the daily IC"),
        Metric("Rank ICIR", "maximize", "signal", "mean over standard deviation of the daily rank IC"),
        Metric("loss", "minimize", "loss", "mean squared error against the label the model was fitted on"),
        Metric("turnover", "minimize", "backtest", "mean by day of the value traded over the account"),
        Metric("model.model_score", "minimize", "loss", "the old tuner's model_score: the loss"),
        Metric("model.model_pearsonr", "maximize", "loss", "the old tuner's model_pearsonr: correlation over all rows"),
    ]
    figures = {
        "annualized_return": "mean a day times 238",
        "information_ratio": "mean over standard deviation times the root of 238",
        "max_drawdown": "deepest fall of the summed returns, at most 0",
        "mean": "mean a day",
        "std": "standard deviation by day",
    }
    series: dict[str, tuple[Need, str]] = {
        "excess_return_with_cost": ("backtest", "excess return after cost"),
        "excess_return_without_cost": ("backtest", "excess return before cost"),
        "pred_long": ("groups", "the highest scores less all"),
        "pred_short": ("groups", "all less the lowest scores"),
        "pred_long_short": ("groups", "the highest less the lowest scores"),
    }
    for name, (need, words) in series.items():
        for factor, how in figures.items():
            direction: Direction = "minimize" if factor == "std" else "maximize"
            found.append(Metric(f"{name}.{factor}", direction, need, f"{words}: {how}"))
    return {m.key: m for m in found}


METRICS: Mapping[str, Metric] = _metrics()
"""All metrics by key."""

_SHORT = {
    "valid_loss": "loss", "mse": "loss", "l2": "loss",
    "ir": "excess_return_with_cost.information_ratio",
    **{n: f"excess_return_with_cost.{n}" for n in ("information_ratio", "annualized_return", "max_drawdown")},
    **{
        f"{n}_without_cost": f"excess_return_without_cost.{n}"
        for n in ("information_ratio", "annualized_return", "max_drawdown")
    },
}  # fmt: skip


def metric_of(name: str) -> Metric:
    """Return the metric that `name` stands for: ``IC``, ``rank_ic``, ``information_ratio``, ``pred_long.mean`` ...

    Raises
    ------
    UnknownNameError
        With the nearest right names.
    """
    plain = _plain(name)
    for known, key in ({_plain(k): k for k in METRICS} | {_plain(k): v for k, v in _SHORT.items()}).items():
        if known == plain:
            return METRICS[key]
    raise UnknownNameError("metric", name, [*METRICS, *_SHORT, "rank_ic", "rank_icir"])


def short_name(key: str) -> str:
    """Return the name of a metric as people write it; `metric_of` knows it, too.

    Examples
    --------
    >>> short_name("excess_return_with_cost.information_ratio"), short_name("IC")
    ('information_ratio', 'IC')
    >>> short_name("excess_return_without_cost.max_drawdown"), short_name("excess_return_with_cost.mean")
    ('max_drawdown_without_cost', 'excess_return_with_cost.mean')
    """
    series, _, factor = key.partition(".")
    name = factor + ("_without_cost" if series == "excess_return_without_cost" else "")
    return name if _SHORT.get(name) == key else key


def _plain(name: str) -> str:
    return name.lower().replace(" ", "").replace("_", "").replace("-", "").removeprefix("1day.")


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric with the direction in which it is searched."""

    metric: str
    direction: Direction

    @property
    def optuna_direction(self) -> str:
        """What the optimiser is told."""
        return "maximize" if self.direction == "maximize" else "minimize"

    @property
    def need(self) -> Need:
        """What the metric needs."""
        return METRICS[self.metric].need

    def value(self, metrics: Mapping[str, float]) -> float:
        """Return what the optimiser is told of a trial; NaN where the metric is missing."""
        found = float(metrics.get(self.metric, math.nan))
        return abs(found - 1.0) if self.direction == "correlation" else found

    def better(self, a: float, b: float) -> bool:
        """Return whether value `a` is better than `b`."""
        return a > b if self.direction == "maximize" else a < b

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"metric": self.metric, "direction": self.direction}
