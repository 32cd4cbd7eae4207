"""Says in words whether runs differ by more than chance: the t of the daily difference, and what it allows to say.

t is the mean of the daily differences over its standard error, days taken as independent. For more than two runs the
bar is raised for the number of pairs that could have come out best (Bonferroni at 5 %).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from ..reports import numbers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Difference", "difference_of", "verdict_of"]

FEW_DAYS = 60
LEVEL = 0.05
PERIODS = 238


@dataclass(frozen=True, slots=True)
class Difference:
    """The daily difference of two series on common days.

    Attributes
    ----------
    days : int
        Common days.
    mean : float
        Mean of the difference, first less second.
    t : float
        Its t; NaN where the difference never changes.
    correlation : float
        Of the two series.
    """

    days: int
    mean: float
    t: float
    correlation: float


def difference_of(first: np.ndarray, second: np.ndarray) -> Difference:
    """Return the difference of two daily series, shape (days,), NaN where a day is missing.

    Examples
    --------
    >>> difference_of(np.array([0.02, 0.01, np.nan]), np.array([0.01, 0.02, 0.0])).days
    2
    """
    both = np.isfinite(first) & np.isfinite(second)
    a, b = first[both], second[both]
    n = len(a)
    if n < 2:
        return Difference(n, float("nan"), float("nan"), float("nan"))
    d = a - b
    deviation = float(d.std(ddof=1))
    mean = float(d.mean())
    t = mean / deviation * n**0.5 if deviation > 1e-15 else float("nan")
    flat = min(float(a.std()), float(b.std())) <= 1e-15
    return Difference(n, mean, t, float("nan") if flat else float(np.corrcoef(a, b)[0, 1]))


def verdict_of(
    labels: Sequence[str],
    returns: pd.DataFrame | None,
    ic: pd.DataFrame | None,
    correlation: np.ndarray | None,
    correlation_days: int,
) -> tuple[str, ...]:
    """Return the sentences under a comparison; the first is about predictions where there are any.

    Parameters
    ----------
    labels : sequence of str
        Names of the runs.
    returns, ic : DataFrame or None
        By day (rows) and run (columns).
    correlation : ndarray of shape (runs, runs) or None
        Of predictions.
    """
    found = []
    if correlation is not None:
        found.append(_predictions(correlation, correlation_days))
    for frame, what, yearly in ((returns, "excess returns", True), (ic, "daily ICs", False)):
        pair = _best_two(frame)
        if frame is not None and pair is not None:
            found.append(_difference(labels, frame, pair, what, yearly=yearly))
            return tuple(found)
    found.append("Fewer than two of them have a backtest or labels: nothing can be said about which is better.")
    return tuple(found)


def _predictions(correlation: np.ndarray, days: int) -> str:
    upper = correlation[np.triu_indices(len(correlation), 1)]
    known = upper[np.isfinite(upper)]
    of = f"(mean of {numbers.counted(days, 'day')})"
    if len(known) == 1 or np.ptp(known) < 5e-4:
        return f"Predictions correlate {numbers.decimal(known[0], 3)} {of}."
    low, high = numbers.decimal(known.min(), 3), numbers.decimal(known.max(), 3)
    return f"Predictions correlate between {low} and {high} {of}."


def _best_two(frame: pd.DataFrame | None) -> tuple[int, int] | None:
    if frame is None:
        return None
    means = frame.mean().to_numpy(dtype=np.float64)
    order = [int(n) for n in np.argsort(-np.where(np.isfinite(means), means, -np.inf)) if np.isfinite(means[n])]
    return (order[0], order[1]) if len(order) > 1 else None


def _difference(labels: Sequence[str], frame: pd.DataFrame, pair: tuple[int, int], what: str, *, yearly: bool) -> str:
    runs = int(np.isfinite(frame.mean().to_numpy(dtype=np.float64)).sum())
    first, second = pair if runs > 2 else (max(pair), min(pair))
    table = frame.to_numpy(dtype=np.float64)
    found = difference_of(table[:, first], table[:, second])
    amount = numbers.percent(found.mean * PERIODS) if yearly else numbers.decimal(found.mean, 4, sign=True)
    a_year = " a year" if yearly else ""
    if found.days < FEW_DAYS:
        return f"They share {numbers.counted(found.days, 'day')}: too few to tell their difference from chance."
    if not np.isfinite(found.t):
        return f"The {what} are the same on every day."
    bar = _bar(runs)
    head = f"The {what} correlate {numbers.decimal(found.correlation, 2)}; their difference is {amount}{a_year}"
    if runs > 2:
        head = (
            f"Best is {labels[first]}; against the next, {labels[second]}, the {what} differ by {amount}{a_year} and "
            f"correlate {numbers.decimal(found.correlation, 2)}"
        )
    better = labels[first] if found.mean > 0 else labels[second]
    t = f", t = {numbers.decimal(found.t, 1)}"
    if abs(found.t) < bar:
        few = "too little to call one better." if runs == 2 else f"too little to call the best of {runs} better."
        return f"{head}{t}: {few}"
    return f"{head}{t}: more than chance gives on these days; {better} is better on them."


def _bar(runs: int) -> float:
    pairs = runs * (runs - 1) / 2
    return NormalDist().inv_cdf(1 - LEVEL / 2 / pairs)
