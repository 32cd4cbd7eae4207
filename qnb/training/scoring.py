"""Correlation of predictions with labels by date, for watching a fit; numpy only.

The measures of a finished run come from `qnb.metrics`; these two work on arrays whose rows are ordered by date.
"""

from __future__ import annotations

import numpy as np

__all__ = ["daily_ic", "daily_rank_ic", "mean_ic"]


def daily_ic(pred: np.ndarray, label: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of each date, shape (dates,); NaN for a date without variance.

    Parameters
    ----------
    pred, label : ndarray, shape (rows,)
        Without NaN.
    day : ndarray of int, shape (rows,)
        Number of each row's date, ascending.
    """
    starts = np.flatnonzero(np.r_[True, day[1:] != day[:-1]])
    count = np.diff(np.r_[starts, len(day)])
    p, y = (_centred(v.astype(np.float64), starts, count) for v in (pred, label))
    covariance = np.add.reduceat(p * y, starts)
    spread = np.sqrt(np.add.reduceat(p * p, starts) * np.add.reduceat(y * y, starts))
    return np.divide(covariance, spread, out=np.full(len(starts), np.nan), where=spread > 1e-12)


def daily_rank_ic(pred: np.ndarray, label: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the Spearman correlation of each date (ties get their mean rank), shape (dates,)."""
    return daily_ic(_ranks(pred, day), _ranks(label, day), day)


def mean_ic(values: np.ndarray) -> float:
    """Return the mean over the dates that have one; 0 if none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0


def _centred(values: np.ndarray, starts: np.ndarray, count: np.ndarray) -> np.ndarray:
    return values - np.repeat(np.add.reduceat(values, starts) / count, count)


def _ranks(values: np.ndarray, day: np.ndarray) -> np.ndarray:
    order = np.lexsort((values, day))
    v, d = values[order], day[order]
    starts = np.flatnonzero(np.r_[True, (v[1:] != v[:-1]) | (d[1:] != d[:-1])])
    ends = np.r_[starts[1:], len(v)]
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends - 1) / 2, ends - starts)
    return ranks
