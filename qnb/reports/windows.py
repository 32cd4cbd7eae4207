"""Means and ratios over the last days of a series."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["rolling_mean", "rolling_ratio"]


def rolling_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Return the mean of the last `window` values, missing ones left out, shape (days,).

    NaN on the first ``window - 1`` days, and where more than a fifth of the window is missing.

    Examples
    --------
    >>> rolling_mean(np.array([1.0, 3.0, 5.0]), 2).tolist()
    [nan, 2.0, 4.0]
    """
    least = max(1, round(window * 0.8))
    means = pd.Series(values).rolling(window, min_periods=least).mean().to_numpy()
    return np.where(np.arange(len(means)) < window - 1, np.nan, means)


def rolling_ratio(returns: np.ndarray, window: int, *, periods: int) -> np.ndarray:
    """Return ``mean / std * sqrt(periods)`` of the last `window` returns (std with ddof 1), shape (days,).

    NaN on the first ``window - 1`` days; without variation NaN, or infinite where the mean is not 0.
    """
    rolled = pd.Series(returns).rolling(window)
    return (rolled.mean() / rolled.std() * periods**0.5).to_numpy()
