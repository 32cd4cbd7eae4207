"""The risk numbers of one series of daily returns, as the report shows them side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..metrics.returns import cumulative
from ..metrics.risk import calmar_ratio, hit_rate, risk_analysis, sortino_ratio
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
    """Measure the daily returns `values`, shape (days,), of `dates`; the formulas are those of `qnb.metrics`.

    Parameters
    ----------
    periods : int
        Trading periods in a year.
    mode : {'sum', 'product'}
        Whether returns are summed or compounded over a month, a year, and for the drawdown.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # a day that loses everything has no logarithm
        measured = risk_analysis(values, periods, mode=mode)["risk"]
    months = dates.astype("datetime64[M]")
    starts = np.flatnonzero(months[1:] != months[:-1]) + 1
    monthly = np.array([cumulative(part, mode=mode)[-1] for part in np.split(values, starts)])
    return Risk(
        annual=float(measured["annualized_return"]),
        volatility=float(measured["std"]) * periods**0.5,
        ratio=float(measured["information_ratio"]),
        sortino=sortino_ratio(values, periods),
        calmar=calmar_ratio(values, periods, mode=mode),
        drawdown=float(measured["max_drawdown"]),
        days_above=hit_rate(values),
        months_above=hit_rate(monthly),
        days_above_count=int((values > 0).sum()),
        best_month=float(monthly.max()),
        worst_month=float(monthly.min()),
        best_day=float(values.max()),
        worst_day=float(values.min()),
        days=len(values),
    )
