"""Numbers of the report that no other part computes yet."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .types import Mode


def accumulate(returns: np.ndarray, mode: Mode) -> np.ndarray:
    r = np.nan_to_num(returns, nan=0.0)
    return np.cumsum(r) if mode == "sum" else np.cumprod(1.0 + r) - 1.0


def drawdown(returns: np.ndarray, mode: Mode) -> np.ndarray:
    c = accumulate(returns, mode)
    if mode == "sum":
        return c - np.maximum.accumulate(c)
    return (1 + c) / np.maximum.accumulate(1 + c) - 1


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


def spells(depth: np.ndarray, count: int) -> list[tuple[int, int, int | None]]:
    """(peak, trough, recovered or None) of the worst `count` spells below the high, deepest first."""
    below = depth < -1e-12
    edges = np.flatnonzero(np.diff(np.concatenate([[False], below, [False]]).astype(np.int8)))
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        trough = start + int(np.argmin(depth[start:stop]))
        found.append((max(int(start) - 1, 0), trough, int(stop) if stop < len(depth) else None))
    found.sort(key=lambda s: depth[s[1]])
    return found[:count]


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
    out = []
    for k in lags:
        out.append(np.nanmean(row_correlation(x[k:], x[:-k])) if len(x) > k else np.nan)
    return np.array(out)
