"""What the portfolio is compared with: the daily return of an index, of a list of instruments, or a series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import BacktestError, nearest
from .quotes import QuoteSource

__all__ = ["benchmark_returns"]


def benchmark_returns(benchmark: Any, *, store: QuoteSource, first: int, last: int, strict: bool = False) -> np.ndarray:
    """Return the benchmark's return of each day, float64 (days,), NaN nowhere.

    Parameters
    ----------
    benchmark : str, sequence of str, Series or None
        Close / close of the trading day before - 1 of an instrument, or the mean of several (NaN left out); or returns
        by date, compounded over the days since the trading day before when they are denser than the calendar; or
        None for no benchmark, which is 0 throughout. Where there is nothing the return is 0.
    store : QuoteSource
        Where closes are read.
    first, last : int
        First and last day as indexes into ``store.calendar``.
    strict : bool
        Compute in float64; otherwise in float32, as the closes are stored, like the peer.

    Raises
    ------
    BacktestError
        For an instrument without data, with the nearest that has some.
    """
    days = last - first + 1
    if benchmark is None:
        return np.zeros(days)
    if isinstance(benchmark, pd.DataFrame):
        benchmark = benchmark.iloc[:, 0]
    if isinstance(benchmark, pd.Series):
        return _from_series(benchmark, store.calendar, first, last)
    several = isinstance(benchmark, Sequence) and not isinstance(benchmark, str)
    names = list(benchmark) if several else [benchmark]
    if not names or not all(isinstance(n, str) for n in names):
        raise BacktestError(f"benchmark is an instrument, a list of them, a Series or null, received {benchmark!r}")
    kind = np.float64 if strict else np.float32
    returns = np.vstack([_returns(store, name, first, last, kind) for name in names])
    known = ~np.isnan(returns)
    count = known.sum(axis=0)
    mean = np.where(known, returns, kind(0)).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    mean = mean.astype(kind)
    return mean.astype(np.float64) if strict else ((mean + kind(1)) - kind(1)).astype(np.float64)


def _returns(store: QuoteSource, name: str, first: int, last: int, kind: type) -> np.ndarray:
    found = store.series(name, "close")
    if found is None:
        near = nearest(name, store.instruments())
        raise BacktestError(
            f"the data has no benchmark {name!r}; "
            + (f"did you mean {near[0]!r}?" if near else "choose an instrument of the data, or null for none")
        )
    start, values = found
    close: np.ndarray = np.full(last - first + 2, np.nan, dtype=kind)
    low, high = max(first - 1, start), min(last + 1, start + len(values))
    if high > low:
        close[low - first + 1 : high - first + 1] = values[low - start : high - start]
    with np.errstate(divide="ignore", invalid="ignore"):
        return close[1:] / close[:-1] - kind(1)


def _from_series(series: pd.Series, calendar: np.ndarray, first: int, last: int) -> np.ndarray:
    if not isinstance(series.index, pd.DatetimeIndex):
        raise BacktestError("a benchmark Series needs dates as its index; convert it with pandas.to_datetime")
    series = series.sort_index()
    slot = np.searchsorted(calendar, series.index.to_numpy().astype("datetime64[ns]"), side="right") - 1 - first
    returns = np.zeros(last - first + 1)
    inside = (slot >= 0) & (slot < len(returns))
    growth = np.ones(len(returns))
    np.multiply.at(growth, slot[inside], 1.0 + np.nan_to_num(series.to_numpy(dtype=np.float64)[inside]))
    touched = np.unique(slot[inside])
    returns[touched] = growth[touched] - 1.0
    return returns
