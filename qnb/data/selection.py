"""Which rows of a table a selector means, and which columns a column set."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ConfigError, EmptyDataError, Problem, UnknownNameError
from .protocols import RowIndex
from .spans import point, rows_between, text_of
from .table import Table

__all__ = ["column_set", "rows_of"]

_LEVELS = {"datetime": 0, "instrument": 1, 0: 0, 1: 1}


def rows_of(table: Table, selector: Any, level: str | int = "datetime") -> slice | np.ndarray:
    """Return the rows of `table` that `selector` means on `level`.

    Parameters
    ----------
    selector : slice, tuple, list, scalar or Index
        A slice, and likewise a tuple or list of up to three entries, is a span whose ends are inclusive. Longer lists
        and indices are sets of values. A scalar is one value.
    level : str or int
        ``datetime`` (0) or ``instrument`` (1).

    Raises
    ------
    ConfigError
        There is no such level.
    EmptyDataError
        A single date or instrument has no rows.
    """
    if level not in _LEVELS:
        raise ConfigError([Problem(f"no index level {level!r}", "valid: datetime, instrument", "level")])
    if isinstance(selector, list | tuple) and len(selector) <= 3:
        selector = slice(*selector)
    index = table.index
    if isinstance(selector, slice):
        if selector.start is None and selector.stop is None:
            return slice(0, len(index))
        if _LEVELS[level] == 0:
            return rows_between(index, selector.start, selector.stop)
        return np.flatnonzero(_between(index, selector.start, selector.stop))
    if _LEVELS[level] == 0:
        return _dates(index, selector)
    return _instruments(index, selector)


def column_set(table: Table, col_set: str | Sequence[str]) -> tuple[tuple[str, ...] | None, int]:
    """Return the groups that `col_set` means (None for all) and how many column levels a frame of it has.

    Parameters
    ----------
    col_set : str or sequence of str
        ``"__all"``, ``"__raw"``, a group, or several groups.

    Raises
    ------
    UnknownNameError
        There is no such group.
    """
    if table.flat or col_set == "__all":
        return None, 1
    if isinstance(col_set, str):
        if col_set == "__raw":
            return None, 2
        table.select(col_set)
        return (col_set,), 1
    table.select(list(col_set))
    return tuple(col_set), 2


def _dates(index: RowIndex, selector: Any) -> slice | np.ndarray:
    if isinstance(selector, str | int | dt.date | np.datetime64):
        where = point(selector)
        found = rows_between(index, where, where)
        if found.start == found.stop:
            have = text_of((index.dates[0], index.dates[-1])) if len(index) else "no rows"
            raise EmptyDataError(f"no rows on {selector}; the data has {have}")
        return found
    import pandas as pd

    wanted = pd.DatetimeIndex(pd.to_datetime(list(selector))).as_unit("ns").to_numpy()
    return np.flatnonzero(np.isin(index.dates, wanted))


def _instruments(index: RowIndex, selector: Any) -> np.ndarray:
    wanted = [selector] if isinstance(selector, str) else [str(s) for s in selector]
    known = {name: code for code, name in enumerate(index.instruments)}
    if isinstance(selector, str) and selector not in known:
        raise UnknownNameError("instrument", selector, index.instruments)
    codes = np.array([known[w] for w in wanted if w in known], dtype=np.int32)
    return np.flatnonzero(np.isin(index.codes, codes))


def _between(index: RowIndex, start: str | None, stop: str | None) -> np.ndarray:
    low = 0 if start is None else bisect_left(index.instruments, start)
    high = len(index.instruments) if stop is None else bisect_right(index.instruments, stop)
    return (index.codes >= low) & (index.codes < high)
