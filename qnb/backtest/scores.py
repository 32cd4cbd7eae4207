"""Scores by trading day: what a strategy knows when a day begins.

1. Every row of the signal goes to the trading day on or before its date (a score of a Saturday belongs to Friday).
2. Of an instrument's rows in one trading day the last that is not NaN counts.
3. On day t a strategy sees the scores of the trading day before t; without a row there it sees none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import BacktestError

__all__ = ["Scores", "signal_dates", "signal_parts"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of all trading days, day after day.

    Attributes
    ----------
    instruments : tuple of str
        Instruments with a score, sorted.
    starts : int64 array (days + 1,)
        ``starts[t]:starts[t + 1]`` are the rows that are known on day t (those of the trading day before).
    codes : int32 array (rows,)
        Index into `instruments`, ascending within a day.
    values : float64 array (rows,)
        Scores; NaN where the instrument has a row without a value.
    """

    instruments: tuple[str, ...]
    starts: np.ndarray
    codes: np.ndarray
    values: np.ndarray

    @classmethod
    def from_signal(cls, signal: Any, *, calendar: np.ndarray, first: int, last: int) -> Scores:
        """Return the scores that trading days ``calendar[first]`` to ``calendar[last]`` may use.

        Parameters
        ----------
        signal : Series or DataFrame
            Index (datetime, instrument) in either order; of a frame the first column counts.
        calendar : datetime64[ns] array (days,)
            All trading days of the store, ascending.
        first, last : int
            First and last trading day of the run, as indexes into `calendar`.

        Raises
        ------
        BacktestError
            For an empty signal, a wrong index, or a signal that no day of the run can use.
        """
        dates, where, names, codes, values = signal_parts(signal)
        slot = (np.searchsorted(calendar, dates, side="right") - 1)[where]
        usable = (slot >= max(first - 1, 0)) & (slot < last)
        if not usable.any():
            raise BacktestError(
                f"no score can be used from {_day(calendar[first])} to {_day(calendar[last])}: the signal runs from "
                f"{_day(dates[where].min())} to {_day(dates[where].max())}; choose start_time and end_time inside it"
            )
        if not usable.all():
            slot, where, codes, values = slot[usable], where[usable], codes[usable], values[usable]
        key = slot * np.int64(len(names)) + codes
        step = np.diff(key)
        if (step <= 0).any():
            order = np.lexsort((dates[where], key))
            key, slot, codes, values = key[order], slot[order], codes[order], values[order]
            step = np.diff(key)
        if (step == 0).any():
            keep = _last_valid(key, values)
            slot, codes, values = slot[keep], codes[keep], values[keep]
        starts = np.searchsorted(slot, np.arange(first - 1, last + 1)).astype(np.int64)
        present = np.bincount(codes, minlength=len(names)) > 0
        compact = (np.cumsum(present) - 1).astype(np.int32)
        return cls(tuple(names[i] for i in np.flatnonzero(present)), starts, compact[codes], values)

    def on(self, instruments: Sequence[str]) -> Scores:
        """Return the same scores with codes into the sorted `instruments`, which must contain all of them."""
        place = np.searchsorted(np.asarray(instruments, dtype=object), np.asarray(self.instruments, dtype=object))
        return Scores(tuple(instruments), self.starts, place.astype(np.int32)[self.codes], self.values)


def signal_dates(signal: Any) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and last date of a signal."""
    dates, where, _, _, _ = signal_parts(signal)
    used = dates[where]
    return used.min(), used.max()


def signal_parts(signal: Any) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray, np.ndarray]:
    """Return (dates, row -> date, instruments sorted, row -> instrument, values) of a signal.

    Raises
    ------
    BacktestError
        When it is not a Series or DataFrame with an index (datetime, instrument), or has no row.
    """
    if isinstance(signal, pd.DataFrame):
        if signal.shape[1] == 0:
            raise BacktestError("the signal is a frame without a column; pass one column of scores")
        signal = signal.iloc[:, 0]
    if not isinstance(signal, pd.Series):
        raise BacktestError(
            f"a signal is a Series or DataFrame with index (datetime, instrument), received {type(signal).__name__}"
        )
    index = signal.index
    if not isinstance(index, pd.MultiIndex) or index.nlevels != 2:
        raise BacktestError(f"the signal's index must be (datetime, instrument), received {list(index.names)}")
    if len(signal) == 0:
        raise BacktestError("the signal has no row; predict on a segment that has data")
    days = _date_level(index)
    if (index.codes[0] < 0).any() or (index.codes[1] < 0).any():
        raise BacktestError("the signal's index has missing dates or instruments; drop those rows")
    dates = index.levels[days].to_numpy().astype("datetime64[ns]")
    raw = [str(name) for name in index.levels[1 - days]]
    order = sorted(range(len(raw)), key=raw.__getitem__)
    place = np.empty(len(raw), dtype=np.int64)
    place[order] = np.arange(len(raw))
    values = signal.to_numpy(dtype=np.float64, na_value=np.nan)
    return (
        dates,
        index.codes[days].astype(np.int64),
        [raw[i] for i in order],
        place[index.codes[1 - days]],
        values,
    )


def _date_level(index: pd.MultiIndex) -> int:
    for level in (0, 1):
        if isinstance(index.levels[level], pd.DatetimeIndex):
            return level
    names = list(index.names)
    raise BacktestError(f"neither level of the signal's index {names} holds dates; convert one with pandas.to_datetime")


def _last_valid(key: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return for each run of equal keys the place of its last value that is not NaN, or of its last row."""
    ends = np.flatnonzero(np.append(np.diff(key) != 0, True))
    valid = np.where(np.isnan(values), -1, np.arange(len(values)))
    latest = np.maximum.accumulate(valid)
    begins = np.append(0, ends[:-1] + 1)
    return np.where(latest[ends] >= begins, latest[ends], ends)


def _day(value: Any) -> str:
    return str(np.datetime64(value, "D"))
