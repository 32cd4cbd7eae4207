"""Numbers of the report that no other part computes yet."""

from __future__ import annotations

import numpy as np
import pandas as pd


def ranks(m: np.ndarray) -> np.ndarray:
    return pd.DataFrame(m).rank(axis=1).to_numpy()


def row_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    ok = np.isfinite(a) & np.isfinite(b)
    n = ok.sum(1)
    x = np.where(ok, a, 0.0)
    y = np.where(ok, b, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        x = np.where(ok, x - (x.sum(1) / n)[:, None], 0.0)
        y = np.where(ok, y - (y.sum(1) / n)[:, None], 0.0)
        return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))


def rolling_mean(v: np.ndarray, w: int) -> np.ndarray:
    out = pd.Series(v).rolling(w, min_periods=max(1, round(w * 0.8))).mean().to_numpy()
    return np.where(np.arange(len(out)) < w - 1, np.nan, out)


def rolling_ratio(v: np.ndarray, w: int, periods: int) -> np.ndarray:
    s = pd.Series(v).rolling(w)
    return (s.mean() / s.std() * np.sqrt(periods)).to_numpy()


def group_means(scores: np.ndarray, labels: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean label by day and score group (0 = highest scores), and of all; NaN where a group is empty."""
    both = np.isfinite(scores) & np.isfinite(labels)
    n = both.sum(1)
    order = np.argsort(np.where(both, -scores, np.inf), axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(scores.shape[1])[None, :], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        group = np.where(both, (place * groups) // np.maximum(n, 1)[:, None], groups)
        y = np.where(both, labels, 0.0)
        means = np.stack([np.where(group == g, y, 0).sum(1) / (group == g).sum(1) for g in range(groups)], axis=1)
        return means, y.sum(1) / n


def autocorrelation(scores: np.ndarray, lags: np.ndarray) -> np.ndarray:
    x = ranks(scores)
    found = np.full(len(lags), np.nan)
    for i, lag in enumerate(lags):
        pairs = row_correlation(x[lag:], x[:-lag])
        if np.isfinite(pairs).any():
            found[i] = np.nanmean(pairs)
    return found
