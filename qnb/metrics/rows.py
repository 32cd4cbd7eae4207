"""Cross-sections as the rows of a matrix: ranks, correlations, groups of every day at once.

Every function takes float matrices (days, instruments) with NaN where there is no value; which instrument a column is
does not matter, except for `autocorrelation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

__all__ = ["autocorrelation", "group_means", "long_short_means", "ranks", "row_correlation"]

_CELLS = 1 << 14


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value in its row, 1 the lowest, ties at the average of their ranks; NaN stays NaN.

    Examples
    --------
    >>> ranks(np.array([[0.3, 0.1, 0.3, np.nan]])).tolist()
    [[2.5, 1.0, 2.5, nan]]
    """
    found = np.empty(values.shape)
    for rows in _blocks(values):
        found[rows] = _block_ranks(values[rows])
    return found


def row_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation of each pair of rows, float64 (days,).

    Only columns with a value on both sides count; NaN with fewer than two of them, or without variation on a side.
    """
    found = np.empty(len(a))
    for rows in _blocks(a):
        found[rows] = _block_correlation(a[rows], b[rows])
    return found


def group_means(scores: np.ndarray, labels: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean label by day and score group, and by day over all.

    Returns
    -------
    float64 (days, groups)
        Column 0 has the highest scores. Of the n instruments with both values, the one in place p (0 the best, ties as
        they come) belongs to group ``p * groups // n``. NaN where a group is empty.
    float64 (days,)
        Mean over all n.
    """
    both = np.isfinite(scores) & np.isfinite(labels)
    count = both.sum(axis=1)
    place = _places(np.where(both, -scores, np.nan))
    group = np.where(both, place * groups // np.maximum(count, 1)[:, None], groups)
    rows = np.arange(len(scores))[:, None] * (groups + 1)
    at = (rows + group).ravel()
    size = len(scores) * (groups + 1)
    sums = np.bincount(at, weights=np.where(both, labels, 0.0).ravel(), minlength=size).reshape(-1, groups + 1)
    members = np.bincount(at, minlength=size).reshape(-1, groups + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (sums / members)[:, :groups], sums[:, :groups].sum(axis=1) / count


def long_short_means(
    scores: np.ndarray, labels: np.ndarray, *, present: np.ndarray, quantile: float = 0.2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return by day the mean label of the highest scores, of the lowest, and of all.

    Parameters
    ----------
    scores, labels : float matrices (days, instruments)
        A label that is NaN counts as a member of its side and adds nothing to the mean.
    present : bool matrix (days, instruments)
        Which cells are rows of the day.
    quantile : float
        A side has ``int(rows * quantile)`` members with a score, ties as they come.
    """
    wanted = (present.sum(axis=1) * quantile).astype(np.int64)[:, None]
    known = ~np.isnan(scores)
    top = known & (_places(-scores) < wanted)
    bottom = known & (_places(scores) < wanted)
    return _mean_where(labels, top), _mean_where(labels, bottom), _mean_where(labels, present)


def autocorrelation(scores: np.ndarray, lags: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the mean over days of the rank correlation of scores with those `lag` days earlier, for each lag.

    Columns are instruments here. Ranks are taken over the instruments that have a score on both days. NaN for a lag
    that reaches beyond the days.
    """
    found = np.full(len(lags), np.nan)
    for i, lag in enumerate(lags):
        values = lagged_rank_correlation(scores, int(lag))
        if np.isfinite(values).any():
            found[i] = np.nanmean(values)
    return found


def lagged_rank_correlation(scores: np.ndarray, lag: int) -> np.ndarray:
    """Return by day the rank correlation of scores with those `lag` days earlier; NaN on the first `lag` days."""
    found = np.full(len(scores), np.nan)
    if 0 < lag < len(scores):
        now, then = scores[lag:], scores[:-lag]
        both = np.isfinite(now) & np.isfinite(then)
        found[lag:] = row_correlation(ranks(np.where(both, now, np.nan)), ranks(np.where(both, then, np.nan)))
    return found


def _blocks(values: np.ndarray) -> Iterator[slice]:
    """Yield slices of so few rows that what is made of them stays in the cache."""
    step = max(1, _CELLS // max(values.shape[1], 1))
    for first in range(0, len(values), step):
        yield slice(first, first + step)


def _block_ranks(values: np.ndarray) -> np.ndarray:
    days, width = values.shape
    if not width:
        return values.astype(np.float64)
    offset = np.arange(days)[:, None] * width
    order = np.argsort(values, axis=1) + offset
    ordered = values.ravel()[order]
    place = np.broadcast_to(np.arange(width), values.shape)
    rank = place + 1.0
    tied = ordered[:, 1:] == ordered[:, :-1]
    rows = np.flatnonzero(tied.any(axis=1))
    if len(rows):  # average over each run of equal values
        same, at = tied[rows], place[rows]
        edge = np.ones((len(rows), 1), dtype=bool)
        first = np.maximum.accumulate(np.where(np.hstack([edge, ~same]), at, 0), axis=1)
        last = np.minimum.accumulate(np.where(np.hstack([~same, edge]), at, width)[:, ::-1], axis=1)[:, ::-1]
        rank[rows] = (first + last) / 2 + 1
    found = np.empty(days * width)
    found[order] = np.where(np.isnan(ordered), np.nan, rank)
    return found.reshape(days, width)


def _block_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    both = np.isfinite(a) & np.isfinite(b)
    count = both.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = _centred(a, both, count), _centred(b, both, count)
        xx, yy, xy = (np.einsum("ij,ij->i", p, q) for p, q in ((x, x), (y, y), (x, y)))
        found = np.clip(xy / np.sqrt(xx * yy), -1.0, 1.0)
    found[(count < 2) | _constant(a, both) | _constant(b, both)] = np.nan
    return found


def _centred(values: np.ndarray, both: np.ndarray, count: np.ndarray) -> np.ndarray:
    known = np.where(both, values, 0.0)
    return np.where(both, known - (known.sum(axis=1) / count)[:, None], 0.0)


def _constant(values: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Return which rows do not vary; asked of the values themselves, since rounding leaves a variance behind."""
    if not values.shape[1]:
        return np.ones(len(values), dtype=bool)
    return np.where(both, values, -np.inf).max(axis=1) == np.where(both, values, np.inf).min(axis=1)


def _places(values: np.ndarray) -> np.ndarray:
    """Return the place of each value in its row, 0 the lowest, ties as they come, NaN last."""
    order = np.argsort(values, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(values.shape[1]), values.shape), axis=1)
    return place


def _mean_where(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    chosen = chosen & ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(chosen, values, 0.0).sum(axis=1) / chosen.sum(axis=1)
