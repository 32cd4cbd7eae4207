"""How much of the best of many trials is luck: deflated Sharpe ratio, expected best without skill, overfitting.

Pure numbers. Sharpe ratios here are per period (a day), not annualised, unless said otherwise; series are returns by
day, NaN left out.

Sources
-------
Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15 (2012): probabilistic Sharpe ratio.
Bailey and López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio Management 40 (2014).
Bailey, Borwein, López de Prado and Zhu, The Probability of Backtest Overfitting, Journal of Computational Finance 20
(2016; working paper 2015): combinatorially symmetric cross-validation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Literal

import numpy as np

__all__ = [
    "DeflatedSharpe",
    "Overfitting",
    "deflated_sharpe",
    "expected_best",
    "moments",
    "overfitting",
    "probabilistic_sharpe",
]

EULER = 0.5772156649015329
BLOCKS = 16
_NORMAL = NormalDist()
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """The deflated Sharpe ratio of a trial.

    Attributes
    ----------
    probability : float
        That the true Sharpe ratio is above what the best of `trials` would reach without skill.
    sharpe, by_luck : float
        Sharpe ratio found, and expected best without skill, per period.
    trials, periods : int
        Numbers of trials and of returns.
    skew, kurtosis : float
        Of the returns; kurtosis is 3 for a normal distribution.
    """

    probability: float
    sharpe: float
    by_luck: float
    trials: int
    periods: int
    skew: float
    kurtosis: float


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Probability of backtest overfitting.

    Attributes
    ----------
    probability : float
        Share of the splits in which the best of one half ranks at or below the median on the other half.
    splits, trials, periods : int
        How many there were.
    degradation : float
        Median over the splits of the relative rank, between 0 and 1, of the winner on the other half.
    """

    probability: float
    splits: int
    trials: int
    periods: int
    degradation: float


def moments(returns: np.ndarray) -> tuple[float, float, float, int]:
    """Return Sharpe ratio per period (standard deviation with ddof 1), skewness, kurtosis and number of returns.

    Skewness and kurtosis are the plain moments (divisor n); all NaN with fewer than two returns or without variation.
    """
    known = returns[np.isfinite(returns)]
    count = len(known)
    spread = float(known.std(ddof=1)) if count > 1 else 0.0
    if not spread:
        return math.nan, math.nan, math.nan, count
    centred = (known - known.mean()) / known.std()
    return float(known.mean()) / spread, float((centred**3).mean()), float((centred**4).mean()), count


def probabilistic_sharpe(
    sharpe: float, benchmark: float, periods: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Return the probability that the true Sharpe ratio is above `benchmark`.

    ``Phi((SR - SR*) sqrt(T - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2))``, all per period.

    Examples
    --------
    >>> round(probabilistic_sharpe(0.1, 0.0, 101), 4)  # Phi(0.1 * 10 / sqrt(1 + 0.5 * 0.01))
    0.8407
    """
    if periods < 2 or not all(map(math.isfinite, (sharpe, benchmark, skew, kurtosis))):
        return math.nan
    width = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if width <= 0.0:
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(periods - 1) / math.sqrt(width))


def expected_best(trials: int, variance: float) -> float:
    """Return the expected maximum of `trials` independent Sharpe ratios of mean 0 and the given variance.

    ``sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)))`` with Euler's constant g; 0 for one trial.

    Examples
    --------
    >>> round(expected_best(100, 0.5 / 250), 4)  # the paper's example: 100 trials, variance 1/2 a year
    0.1132
    """
    if trials < 2 or not variance > 0.0:
        return 0.0
    one = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    other = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER) * one + EULER * other)


def deflated_sharpe(returns: np.ndarray, sharpes: Sequence[float], *, trials: int | None = None) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio of the trial with these returns.

    Parameters
    ----------
    returns : ndarray
        Returns by period of the trial that was chosen.
    sharpes : sequence of float
        Sharpe ratios per period of all trials that have one; their variance (ddof 1) says how far luck reaches.
    trials : int, optional
        Number of all trials, also of those without a Sharpe ratio; default the length of `sharpes`.
    """
    sharpe, skew, kurtosis, periods = moments(np.asarray(returns, dtype=np.float64))
    known = np.array([s for s in sharpes if math.isfinite(s)], dtype=np.float64)
    count = max(len(known), trials or 0)
    variance = float(known.var(ddof=1)) if len(known) > 1 else 0.0
    by_luck = expected_best(count, variance)
    probability = probabilistic_sharpe(sharpe, by_luck, periods, skew, kurtosis)
    return DeflatedSharpe(probability, sharpe, by_luck, count, periods, skew, kurtosis)


def overfitting(daily: np.ndarray, *, blocks: int = BLOCKS, measure: Literal["mean", "ratio"] = "ratio") -> Overfitting:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    1. The days are cut into `blocks` blocks of equal length (days that are left over at the start are dropped).
    2. For every choice of half the blocks: the best trial on them is found, and its rank on the other half.
    3. With rank r of N (N the best), w = r / (N + 1): the share of choices with ln(w / (1 - w)) <= 0.

    Parameters
    ----------
    daily : float array (days, trials)
        Performance by day; rows with a value that is not finite are left out.
    blocks : int
        Even; 16 gives 12,870 splits.
    measure : str
        What a trial is judged by on a set of days: the ``mean``, or mean over standard deviation (``ratio``).

    Returns
    -------
    Overfitting
        Its probability is NaN with fewer than two trials or days than twice the blocks.
    """
    table = np.asarray(daily, dtype=np.float64)
    table = table[np.isfinite(table).all(axis=1)] if table.ndim == 2 else np.empty((0, 0))
    days, trials = table.shape
    while blocks > 2 and days < 2 * blocks:
        blocks -= 2
    if trials < 2 or days < 2 * blocks:
        return Overfitting(math.nan, 0, trials, days, math.nan)
    size = days // blocks
    cut = table[days - size * blocks :].reshape(blocks, size, trials)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    below, ranks = 0, []
    for first in range(0, len(chosen), _CHUNK):
        mask = np.zeros((len(chosen[first : first + _CHUNK]), blocks))
        np.put_along_axis(mask, chosen[first : first + _CHUNK], 1.0, axis=1)
        count = size * blocks // 2
        inside = _performance(mask @ sums, mask @ squares, count, measure)
        outside = _performance((1 - mask) @ sums, (1 - mask) @ squares, count, measure)
        winner = inside.argmax(axis=1)
        theirs = outside[np.arange(len(mask)), winner][:, None]
        rank = 1.0 + (outside < theirs).sum(axis=1) + ((outside == theirs).sum(axis=1) - 1) / 2.0
        relative = rank / (trials + 1)
        below += int((relative <= 0.5).sum())
        ranks.append(relative)
    return Overfitting(below / len(chosen), len(chosen), trials, days, float(np.median(np.concatenate(ranks))))


def _performance(sums: np.ndarray, squares: np.ndarray, count: int, measure: str) -> np.ndarray:
    mean = sums / count
    if measure == "mean":
        return mean
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0) * count / (count - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, mean / spread, -np.inf)
