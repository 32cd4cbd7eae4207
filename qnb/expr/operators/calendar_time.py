"""Operators that know the clock: parts of a day, days, weeks and months."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...errors import ExpressionError
from ..operator import BOOL, DOUBLE, SINGLE, Parameter, Reach, Series
from ..plan import Builder, Column
from ..segments import Segment

__all__ = ["Date", "DayCumsum", "DayLast", "TResample"]

_PERIODS = {"D": 1, "W": 7, "M": 31, "ME": 31, "Q": 92, "QE": 92, "Y": 366, "YE": 366, "A": 366}
_FUNCTIONS = ("sum", "mean", "first", "last", "max", "min", "count")


class Date(Series):
    """The row's date as days since 1970-01-01, the same for all bars of a day."""

    signature = (Parameter("feature", "series"),)

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """Today's row alone."""
        return Reach()

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Read the calendar."""
        return builder.series(_dates, [builder.lower(args[0])], reach=Reach(), kind=DOUBLE)


class DayLast(Series):
    """The last value of the row's day, in all bars of the day: with intraday data, earlier bars read the future."""

    signature = (Parameter("feature", "series"),)

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """All bars of the day."""
        return Reach(days_back=1, days_ahead=1)

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Look for the last value of each day."""
        column = builder.lower(args[0])
        kind = SINGLE if column.kind == BOOL else column.kind
        return builder.series(_day_last, [builder.cast(column, kind)], reach=cls.reach(values), kind=kind)


class DayCumsum(Series):
    """The sum since `start` of the day, for bars from `start` to `end`; 0 outside. Bars are `data_granularity` minutes.

    A bar without a value has none, and the sum goes on after it.
    """

    signature = (
        Parameter("feature", "series"),
        Parameter("start", "text", "9:30"),
        Parameter("end", "text", "14:59"),
        Parameter("data_granularity", "number", 1),
    )

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Ask for times."""
        wrong = [v for v in values[:2] if _minutes(v) is None]
        return f"a time is written as 9:30, not {wrong[0]!r}" if wrong else ""

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """The day's earlier bars."""
        return Reach(days_back=1)

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Add up each day's bars."""
        if builder.bars == 1:
            raise ExpressionError("DayCumsum adds up the bars of a day and needs intraday data", column=0)
        column = builder.lower(args[0])
        kind = DOUBLE if column.kind == DOUBLE else SINGLE
        times = (_minutes(values[0]), _minutes(values[1]), float(values[2]))
        return builder.series(_day_sum, [builder.cast(column, DOUBLE)], times, reach=cls.reach(values), kind=kind)


class TResample(Series):
    """What has happened so far in the row's day, week, month, quarter or year: ``TResample($volume, "M", "sum")``.

    `freq` is D, W (weeks begin on Monday), M, Q or Y; `func` sum, mean, first, last, max, min or count of the values
    that are not NaN. It never looks beyond the row, unlike a period that carries the time of its beginning.
    """

    signature = (Parameter("feature", "series"), Parameter("freq", "text"), Parameter("func", "text"))

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Ask for a known period and function."""
        freq, func = values
        if str(freq).upper() not in _PERIODS:
            return f"no period {freq!r}; there are D, W, M, Q and Y"
        return "" if func in _FUNCTIONS else f"no function {func!r}; there are {', '.join(_FUNCTIONS)}"

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """The days since the beginning of the period."""
        return Reach(days_back=_PERIODS[str(values[0]).upper()])

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Accumulate within each period."""
        column = builder.cast(builder.lower(args[0]), DOUBLE)
        setup = (str(values[0]).upper()[0], str(values[1]))
        return builder.series(_period_to_date, [column], setup, reach=cls.reach(values))


def _minutes(text: Any) -> int | None:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", str(text))
    return None if match is None else int(match.group(1)) * 60 + int(match.group(2))


def _dates(segment: Segment, x: np.ndarray) -> np.ndarray:
    return segment.times.astype("datetime64[D]").astype(np.float64)


def _groups(keys: np.ndarray) -> list[tuple[int, int]]:
    """Return the ranges of equal neighbours."""
    edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
    return list(pairwise(edges)) if len(keys) else []


def _day_last(segment: Segment, x: np.ndarray) -> np.ndarray:
    out = np.full_like(x, np.nan)
    for lo, hi in _groups(segment.times.astype("datetime64[D]")):
        valid = np.flatnonzero(~np.isnan(x[lo:hi]))
        if len(valid):
            out[lo:hi] = x[lo + valid[-1]]
    return out


def _day_sum(segment: Segment, x: np.ndarray, start: int, end: int, step: float) -> np.ndarray:
    days = segment.times.astype("datetime64[D]")
    minute = (segment.times - days).astype("timedelta64[m]").astype(np.int64)
    inside = (minute - start > -step) & (minute <= end)
    out = np.zeros_like(x)
    for lo, hi in _groups(days):
        own = np.where(inside[lo:hi], x[lo:hi], 0.0)
        out[lo:hi] = np.where(np.isnan(own), np.nan, np.cumsum(np.nan_to_num(own, nan=0.0)))
    out[~inside] = 0.0
    return out


def _period_to_date(segment: Segment, x: np.ndarray, freq: str, func: str) -> np.ndarray:
    days = segment.times.astype("datetime64[D]")
    if freq == "D":
        keys = days.astype(np.int64)
    elif freq == "W":
        keys = (days.astype(np.int64) + 3) // 7
    else:
        months = days.astype("datetime64[M]").astype(np.int64)
        keys = months // {"M": 1, "Q": 3, "Y": 12, "A": 12}[freq]
    out = np.empty_like(x)
    for lo, hi in _groups(keys):
        out[lo:hi] = _so_far(x[lo:hi], func)
    return out


def _so_far(x: np.ndarray, func: str) -> np.ndarray:
    valid = ~np.isnan(x)
    seen = np.cumsum(valid)
    if func == "count":
        return seen.astype(np.float64)
    if func in ("max", "min"):
        return (np.fmax if func == "max" else np.fmin).accumulate(x)
    if func in ("first", "last"):
        at = np.maximum.accumulate(np.where(valid, np.arange(len(x)), -1))
        if func == "first" and valid.any():
            at = np.where(at >= 0, np.flatnonzero(valid)[0], -1)
        return np.where(at >= 0, x[np.maximum(at, 0)], np.nan)
    total = np.where(seen > 0, np.cumsum(np.where(valid, x, 0.0)), np.nan)
    return total if func == "sum" else total / np.maximum(seen, 1)
