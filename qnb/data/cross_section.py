"""Statistics over the instruments of one date, NaN skipped: float32 in, a value for each column out.

Every function takes a matrix (instruments, columns) and silences nothing: callers decide about floating point warnings.
"""

from __future__ import annotations

import numpy as np

__all__ = ["mean", "median", "percentile_rank", "std"]


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
    ordered_bits = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    ordered_bits[missing.T] = np.uint32(0xFFFFFFFF)
    packed = ordered_bits.astype(np.uint64) << np.uint64(32)
    packed |= np.arange(n, dtype=np.uint64)
    packed.sort(axis=1)
    rows = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
    values = packed >> np.uint64(32)
    position = np.broadcast_to(np.arange(n), (k, n))
    starts = np.zeros((k, n), dtype=np.int64)
    changed = values[:, 1:] != values[:, :-1]
    starts[:, 1:] = np.where(changed, position[:, 1:], 0)
    np.maximum.accumulate(starts, axis=1, out=starts)
    ends = np.full((k, n), n - 1, dtype=np.int64)
    ends[:, :-1] = np.where(changed, position[:, :-1], n - 1)
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty((k, n))
    ranks[np.arange(k)[:, None], rows] = (starts + ends) * 0.5 + 1.0
    share = ranks.T / (n - missing.sum(axis=0))
    share[missing] = np.nan
    return share
