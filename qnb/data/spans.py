"""Points and spans of time as users write them, and the rows they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError, Problem
from .protocols import RowIndex

__all__ = ["bounds_of", "days_of", "point", "rows_between", "span_of", "text_of"]


def point(value: Any, where: str = "") -> Any:
    """Return a date, text or timestamp as what pandas slices with; None (unbounded) stays None.

    Text stays text, so that ``"2014"`` as an end means the end of 2014.

    Raises
    ------
    ConfigError
        `value` is not a date; `where` names its place.
    """
    import pandas as pd

    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # 20200131 and 2020 are numbers in YAML
    if isinstance(value, str):
        value = value.strip()
    try:
        stamp = pd.Timestamp(value)
    except (TypeError, ValueError):
        raise ConfigError([Problem(f"{value!r} is not a date", "write it as 2020-01-31", where)]) from None
    if stamp is pd.NaT:
        return None
    return value if isinstance(value, str) and not (value.isdigit() and len(value) == 8) else stamp


def span_of(value: Any, where: str = "") -> tuple[Any, Any]:
    """Return ``(start, end)``, ``[start, end]`` or a slice as a pair of points.

    Raises
    ------
    ConfigError
        It is not a pair, or the end lies before the start.
    """
    import pandas as pd

    if isinstance(value, slice):
        pair: tuple[Any, ...] = (value.start, value.stop)
    elif isinstance(value, list | tuple):
        pair = tuple(value)
    else:
        pair = ()
    if len(pair) != 2:
        raise ConfigError([Problem(f"expected a pair of dates, received {value!r}", "write [start, end]", where)])
    start, end = point(pair[0], where), point(pair[1], where)
    if start is not None and end is not None and pd.Timestamp(end) < pd.Timestamp(start):
        raise ConfigError([Problem(f"ends before it starts: {text_of((start, end))}", "swap the dates", where)])
    return start, end


def bounds_of(span: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the first and the last moment of a span as timestamps, those of all time where it has no bound."""
    import pandas as pd

    start, end = span
    low = pd.Timestamp.min if start is None else pd.Timestamp(start)
    if end is None:
        return low, pd.Timestamp.max
    return low, pd.Period(end).end_time if isinstance(end, str) else pd.Timestamp(end)


def rows_between(index: RowIndex, start: Any, end: Any) -> slice:
    """Return the rows whose date lies in [start, end], both inclusive; None is unbounded."""
    starts = index.day_starts()
    days = days_of(index.dates[starts[:-1]], start, end)
    return slice(int(starts[days.start]), int(starts[days.stop]))


def days_of(dates: np.ndarray, start: Any, end: Any) -> slice:
    """Return the positions of the ascending `dates` that lie in [start, end], both inclusive."""
    import pandas as pd

    found = pd.DatetimeIndex(dates).slice_indexer(point(start), point(end))
    return slice(int(found.start), max(int(found.start), int(found.stop)))


def text_of(span: tuple[Any, Any]) -> str:
    """Return a span for a message."""
    start, end = ("…" if p is None else _text(p) for p in span)
    return f"{start} to {end}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    import pandas as pd

    stamp = pd.Timestamp(value)
    return str(stamp.date()) if stamp == stamp.normalize() else str(stamp)
