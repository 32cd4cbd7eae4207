"""Thins time series to what a screen can show, keeping every bucket's extremes and all series on common dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["POINTS", "thin"]

POINTS = 1200
"""Points a line keeps at most: more than a line of a report has pixels."""


def thin(series: Sequence[np.ndarray], *, points: int = POINTS) -> np.ndarray:
    """Return the positions to keep so that no series loses an extreme that could be seen.

    1. Cut the axis into equal buckets, so many that the kept positions stay below `points`.
    2. Keep, in every bucket, the position of each series' minimum and maximum.
    3. Keep the first and the last position.

    All series keep the same positions, so that a reader who points at a day sees all of them.

    Parameters
    ----------
    series : sequence of ndarray of shape (n,)
        Values on common dates; NaN is never an extreme.
    points : int
        Upper bound of the positions kept.

    Returns
    -------
    ndarray of int, ascending
        All of ``range(n)`` where that is few enough already.

    Examples
    --------
    >>> spike = np.zeros(10_000); spike[1234] = 9.0
    >>> kept = thin([spike], points=100)
    >>> len(kept) <= 100, 1234 in kept
    (True, True)
    """
    n = len(series[0]) if series else 0
    if n <= points:
        return np.arange(n)
    buckets = max(1, (points - 2) // (2 * len(series)))
    size = -(-n // buckets)
    rows = -(-n // size)
    start = np.arange(rows) * size
    kept = [np.array([0, n - 1])]
    for values in series:
        padded = np.full(rows * size, np.nan)
        padded[:n] = values
        grid = padded.reshape(rows, size)
        kept.append(start + np.argmin(np.where(np.isnan(grid), np.inf, grid), axis=1))
        kept.append(start + np.argmax(np.where(np.isnan(grid), -np.inf, grid), axis=1))
    return np.unique(np.concatenate(kept))
