"""Statistics over the instruments of one date, NaN skipped: float32 in, a value for each column out.

Every function takes a matrix (instruments, columns) and silences nothing: callers decide about floating point warnings.
"""

from __future__ import annotations

import numpy as np

__all__ = ["mean", "median", "percentile_rank", "std"]

_LAST = np.uint32(0xFFFFFFFF)  # sorts behind every number


def mean(x: np.ndarray) -> np.ndarray:
    """Return the mean of each column in float64, shape (columns,); NaN without a value."""
    missing = np.isnan(x)
    return np.where(missing, 0, x).sum(axis=0, dtype=np.float64) / (len(x) - missing.sum(axis=0))


def std(x: np.ndarray, centre: np.ndarray | None = None) -> np.ndarray:
    """Return the standard deviation (n - 1) of each column in float64; NaN with fewer than two values.

    Parameters
    ----------
    centre : ndarray, optional
        The mean, if known.
    """
    centre = mean(x) if centre is None else centre
    missing = np.isnan(x)
    count = len(x) - missing.sum(axis=0)
    deviation = x - centre
    deviation *= deviation
    deviation[missing] = 0
    return np.where(count > 1, np.sqrt(deviation.sum(axis=0) / (count - 1)), np.nan)


def median(x: np.ndarray) -> np.ndarray:
    """Return the median of each column in float32, shape (columns,); NaN without a value."""
    ordered = np.sort(x.T, axis=1)  # NaN last
    count = x.shape[0] - np.isnan(x).sum(axis=0)
    last = np.maximum(count - 1, 0)
    columns = np.arange(x.shape[1])
    low, high = ordered[columns, last // 2], ordered[columns, count // 2 if len(x) > 1 else 0]
    middle = np.where(low == high, low, (low + high) / np.float32(2)).astype(np.float32)
    middle[count == 0] = np.nan
    return middle


def percentile_rank(x: np.ndarray) -> np.ndarray:
    """Return average rank / number of values in each column, float64, shape of `x`; NaN where `x` is NaN.

    The value's order-preserving bits and its row are packed into one integer, so that one vectorised sort along the
    instruments gives values and rows at once.
    """
    n, k = x.shape
    missing = np.isnan(x)
    bits = np.ascontiguousarray((x + np.float32(0)).T).view(np.uint32)  # + 0 makes -0.0 equal to 0.0
    bits ^= np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    bits[missing.T] = _LAST
    packed = bits.astype(np.uint64) << np.uint64(32)
    packed |= np.arange(n, dtype=np.uint64)
    packed.sort(axis=1)
    ranks = _ranks((packed >> np.uint64(32)).astype(np.uint32))
    place = packed.astype(np.uint32).astype(np.intp) + np.arange(k)[:, None] * n
    unsorted = np.empty(k * n)
    unsorted[place] = ranks
    share = unsorted.reshape(k, n).T / (n - missing.sum(axis=0))
    share[missing] = np.nan
    return share


def _ranks(ordered: np.ndarray) -> np.ndarray:
    """Return the average rank at each place of sorted rows, ties sharing the mean of theirs; missing values aside."""
    k, n = ordered.shape
    ranks = np.empty((k, n))
    ranks[:] = np.arange(1, n + 1)
    changed = (ordered[:, 1:] != ordered[:, :-1]) | (ordered[:, 1:] == _LAST)
    tied = np.flatnonzero(~changed.all(axis=1))
    if len(tied):
        change, places = changed[tied], np.arange(n, dtype=np.int32)
        first = np.zeros((len(tied), n), dtype=np.int32)
        first[:, 1:] = np.where(change, places[1:], 0)
        np.maximum.accumulate(first, axis=1, out=first)
        last = np.full((len(tied), n), n - 1, dtype=np.int32)
        last[:, :-1] = np.where(change, places[:-1], n - 1)
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        ranks[tied] = (first + last) * 0.5 + 1.0
    return ranks
