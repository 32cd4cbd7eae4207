"""Return against risk of a series of returns.

Everywhere r is the series without its NaN, n its length, N the periods in a year (`qnb.metrics.frequency`), and std has
ddof 1. A ratio whose denominator is 0 is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .frequency import periods_per_year
from .returns import Returns, checked_mode, max_drawdown, values_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "annualized_return",
    "calmar_ratio",
    "hit_rate",
    "information_ratio",
    "risk_analysis",
    "sharpe_ratio",
    "sortino_ratio",
    "volatility",
]


def risk_analysis(r: Returns, N: float | None = None, *, freq: str = "day", mode: str = "sum") -> pd.DataFrame:
    """Return mean, std, annualized_return, information_ratio and max_drawdown of a series of (excess) returns.

    Mode ``sum``: mean and std of r; annualized = mean * N; drawdown of the summed curve.
    Mode ``product``: mean = prod(1 + r)^(1/n) - 1; std of log(1 + r); annualized = prod(1 + r)^(N/n) - 1; drawdown of
    the compounded curve. Both: information ratio = mean / std * sqrt(N).

    Parameters
    ----------
    r : Series or vector
        Returns per period; NaN are left out.
    N : float, optional
        Periods in a year; default those of `freq`.
    freq : str
        ``"day"``, ``"week"``, ``"month"``, ``"1min"`` ...
    mode : str
        ``"sum"`` or ``"product"``.

    Returns
    -------
    DataFrame
        One column ``risk``; all NaN without returns.

    Examples
    --------
    >>> risk_analysis([0.01, -0.01, 0.03], 238)["risk"].round(4).to_dict()["annualized_return"]
    2.38
    """
    import pandas as pd

    periods = periods_per_year(freq) if N is None else float(N)
    values = _known(r)
    found = dict.fromkeys(("mean", "std", "annualized_return", "information_ratio", "max_drawdown"), float("nan"))
    if checked_mode(mode) and len(values):
        found["mean"] = _mean(values, mode)
        found["std"] = _std(values if mode == "sum" else _log(values))
        found["annualized_return"] = annualized_return(values, periods, mode=mode)
        found["information_ratio"] = _ratio(found["mean"], found["std"]) * np.sqrt(periods)
        found["max_drawdown"] = max_drawdown(values, mode=mode)
    return pd.Series(found, dtype=np.float64).to_frame("risk")


def annualized_return(r: Returns, N: float = 238, *, mode: str = "sum") -> float:
    """Return ``mean * N`` (sum) or ``prod(1 + r)^(N/n) - 1`` (product); NaN without returns.

    Examples
    --------
    >>> round(annualized_return([0.01, 0.02], 2, mode="product"), 4)
    0.0302
    """
    values = _known(r)
    if not len(values):
        return float("nan")
    if checked_mode(mode) == "sum":
        return float(values.mean() * N)
    with np.errstate(invalid="ignore"):
        return float(np.prod(1.0 + values) ** (N / len(values)) - 1.0)


def volatility(r: Returns, N: float = 238) -> float:
    """Return the annualised standard deviation, ``std(r) * sqrt(N)``; NaN with fewer than two returns."""
    return _std(_known(r)) * float(np.sqrt(N))


def information_ratio(r: Returns, N: float = 238) -> float:
    """Return ``mean(r) / std(r) * sqrt(N)`` of excess returns (Grinold and Kahn, Active Portfolio Management, 1999)."""
    values = _known(r)
    return _ratio(values.mean() if len(values) else np.nan, _std(values)) * float(np.sqrt(N))


def sharpe_ratio(r: Returns, N: float = 238, *, risk_free: float = 0.0) -> float:
    """Return ``mean(r - f) / std(r - f) * sqrt(N)`` with f = risk_free / N (Sharpe, The Sharpe Ratio, 1994).

    Parameters
    ----------
    r : Series or vector
        Returns per period, not in excess of anything.
    N : float
        Periods in a year.
    risk_free : float
        Risk-free return in a year.

    Examples
    --------
    >>> round(sharpe_ratio([0.01, -0.01, 0.03], 238), 4)
    7.7136
    """
    return information_ratio(_known(r) - risk_free / N, N)


def sortino_ratio(r: Returns, N: float = 238, *, target: float = 0.0) -> float:
    """Return ``mean(r - t) / sqrt(mean(min(r - t, 0)^2)) * sqrt(N)`` with t = target / N (Sortino and Price, 1994).

    The denominator is the downside deviation over all periods, not only over the losing ones.

    Examples
    --------
    >>> round(sortino_ratio([0.02, -0.01], 1), 4)
    0.7071
    """
    values = _known(r) - target / N
    if not len(values):
        return float("nan")
    return _ratio(values.mean(), float(np.sqrt(np.mean(np.minimum(values, 0.0) ** 2)))) * float(np.sqrt(N))


def calmar_ratio(r: Returns, N: float = 238, *, mode: str = "sum") -> float:
    """Return ``annualized return / |max drawdown|`` (Young, Calmar Ratio, 1991), here over the whole series."""
    values = _known(r)
    return _ratio(annualized_return(values, N, mode=mode), abs(max_drawdown(values, mode=mode)))


def hit_rate(r: Returns) -> float:
    """Return the share of periods with a return above 0; NaN without returns. A return of 0 is no hit."""
    values = _known(r)
    return float((values > 0).mean()) if len(values) else float("nan")


def _known(r: Returns) -> np.ndarray:
    values = values_of(r)
    return values[~np.isnan(values)]


def _mean(values: np.ndarray, mode: str) -> float:
    if mode == "sum":
        return float(values.mean())
    with np.errstate(invalid="ignore"):
        return float(np.prod(1.0 + values) ** (1.0 / len(values)) - 1.0)


def _log(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(1.0 + values)


def _std(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else float("nan")
