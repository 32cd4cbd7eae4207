"""Curves of a series of returns: growth and drawdown.

Two ways to accumulate run through all of `qnb.metrics`: ``"sum"`` adds simple returns, so that the curve is not bent by
compounding (the peer's habit, for strategies with a constant stake), ``"product"`` compounds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import ConfigError, Problem, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MODES", "checked_mode", "cumulative", "drawdown", "max_drawdown", "values_of", "worst_drawdowns"]

MODES = ("sum", "product")
Returns: TypeAlias = Any  # a Series or anything numpy makes a vector of


def cumulative(returns: Returns, *, mode: str = "sum") -> np.ndarray:
    """Return the growth up to and including each period, float64 (periods,).

    ``sum``: ``sum(r)``; ``product``: ``prod(1 + r) - 1``. NaN counts as 0.

    Examples
    --------
    >>> cumulative([0.1, -0.1], mode="product").round(4).tolist()
    [0.1, -0.01]
    """
    r = np.nan_to_num(values_of(returns), nan=0.0)
    return np.cumsum(r) if checked_mode(mode) == "sum" else np.cumprod(1.0 + r) - 1.0


def drawdown(returns: Returns, *, mode: str = "sum") -> np.ndarray:
    """Return how far the curve is below its highest point so far, float64 (periods,), never above 0.

    ``sum``: ``c - max(c)`` with c the summed returns; ``product``: ``w / max(w) - 1`` with w the compounded wealth. The
    first point is the first high, as in the peer: a loss in the very first period is no drawdown. NaN counts as 0.

    Examples
    --------
    >>> drawdown([0.1, -0.2, 0.05]).round(4).tolist()
    [0.0, -0.2, -0.15]
    """
    curve = cumulative(returns, mode=mode)
    if not len(curve):
        return curve
    if mode == "sum":
        return curve - np.maximum.accumulate(curve)
    wealth = 1.0 + curve
    with np.errstate(divide="ignore", invalid="ignore"):
        return wealth / np.maximum.accumulate(wealth) - 1.0


def max_drawdown(returns: Returns, *, mode: str = "sum") -> float:
    """Return the deepest drawdown, at most 0; NaN without returns. See `drawdown`."""
    r = values_of(returns)
    return float(drawdown(r, mode=mode).min()) if (~np.isnan(r)).any() else float("nan")


def worst_drawdowns(returns: pd.Series, *, count: int = 5, mode: str = "sum") -> pd.DataFrame:
    """Return the deepest spells below the high, deepest first.

    Parameters
    ----------
    returns : Series
        Returns by date.
    count : int
        Spells at most.

    Returns
    -------
    DataFrame
        peak (label of the high before the fall), trough (of the lowest point), recovery (of the first point at or
        above the high again; NaT if not yet), depth (at most 0), periods (from peak to recovery, or to the end),
        to_trough (periods from peak to trough).
    """
    import pandas as pd

    depth = drawdown(returns, mode=mode)
    below = depth < -1e-12
    edges = np.flatnonzero(np.diff(np.concatenate(([False], below, [False])).astype(np.int8)))
    spells = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        trough = begin + int(np.argmin(depth[begin:end]))
        spells.append((float(depth[trough]), begin - 1, trough, end))
    spells.sort()
    index, none = returns.index, pd.NaT if isinstance(returns.index, pd.DatetimeIndex) else None
    rows = [
        (
            index[peak],
            index[trough],
            index[end] if end < len(depth) else none,
            deep,
            min(end, len(depth) - 1) - peak,
            trough - peak,
        )
        for deep, peak, trough, end in spells[:count]
    ]
    return pd.DataFrame(rows, columns=["peak", "trough", "recovery", "depth", "periods", "to_trough"])


def values_of(returns: Returns) -> np.ndarray:
    """Return returns as a float64 vector."""
    values = np.asarray(returns, dtype=np.float64)
    return values.reshape(-1)


def checked_mode(mode: str) -> str:
    """Return `mode`; raises `ConfigError` unless it is ``"sum"`` or ``"product"``."""
    if mode not in MODES:
        near = nearest(str(mode), MODES)
        remedy = f"did you mean {near[0]!r}?" if near else "write sum or product"
        raise ConfigError([Problem(f"accumulation mode {mode!r} is not known", remedy, "mode")])
    return mode
