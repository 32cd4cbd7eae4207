"""The risk numbers of one series of daily returns, as the report shows them side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._formulas import accumulate, drawdown
from .types import Mode

__all__ = ["Risk", "risk_of"]


@dataclass(frozen=True, slots=True)
class Risk:
    """Numbers of a return series; NaN where it is too short.

    Attributes
    ----------
    annual, volatility : float
        Return and standard deviation a year.
    ratio, sortino, calmar : float
        Sharpe (of an excess: information) ratio; return over downside deviation; return over depth.
    drawdown : float
        Deepest drawdown, at most zero.
    days_above, months_above : float
        Share of days, months with a return above zero.
    days_above_count : int
    best_month, worst_month, best_day, worst_day : float
        Returns of the best and the worst calendar month and day.
    days : int
    """

    annual: float
    volatility: float
    ratio: float
    sortino: float
    calmar: float
    drawdown: float
    days_above: float
    months_above: float
    days_above_count: int
    best_month: float
    worst_month: float
    best_day: float
    worst_day: float
    days: int


def risk_of(dates: np.ndarray, values: np.ndarray, *, periods: int, mode: Mode = "sum") -> Risk:
    n = len(values)
    months = np.unique(dates.astype("datetime64[M]"), return_inverse=True)[1]
    edges = np.flatnonzero(np.diff(months, prepend=-1))
    monthly = np.array([accumulate(part, mode)[-1] for part in np.split(values, edges[1:])])
    with np.errstate(divide="ignore", invalid="ignore"):
        if mode == "sum":
            annual = values.mean() * periods
            std = values.std(ddof=1) if n > 1 else np.nan
            ratio = values.mean() / std * np.sqrt(periods)
        else:
            total = accumulate(values, mode)[-1]
            annual = (1 + total) ** (periods / n) - 1
            std = np.log1p(values).std(ddof=1) if n > 1 else np.nan
            ratio = ((1 + total) ** (1 / n) - 1) / std * np.sqrt(periods)
        depth = drawdown(values, mode).min()
        down = np.sqrt((np.minimum(values, 0) ** 2).mean() * periods)
        return Risk(
            annual=float(annual),
            volatility=float(std * np.sqrt(periods)),
            ratio=float(ratio),
            sortino=float(annual / down),
            calmar=float(annual / -depth),
            drawdown=float(depth),
            days_above=float((values > 0).mean()),
            months_above=float((monthly > 0).mean()),
            days_above_count=int((values > 0).sum()),
            best_month=float(monthly.max()),
            worst_month=float(monthly.min()),
            best_day=float(values.max()),
            worst_day=float(values.min()),
            days=n,
        )
