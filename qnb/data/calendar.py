"""Trading calendars: reading one, reading dates as users write them, and finding spans in it."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, Problem

__all__ = ["calendar_slice", "read_calendar", "standard_freq", "to_time"]

_FREQ = re.compile(r"(\d*)\s*([a-z]+)", re.IGNORECASE)
_UNITS = {
    "d": "day", "day": "day", "days": "day", "m": "min", "min": "min", "minute": "min", "minutes": "min",
    "h": "hour", "hour": "hour", "w": "week", "week": "week", "mon": "month", "month": "month", "q": "quarter",
    "quarter": "quarter", "y": "year", "year": "year",
}  # fmt: skip


def standard_freq(freq: str) -> str:
    """Return the name of a frequency as files carry it: ``"1d"`` is ``"day"``, ``"1m"`` is ``"1min"``.

    Raises
    ------
    ConfigError
        It is not a frequency.

    Examples
    --------
    >>> standard_freq("1d"), standard_freq("min"), standard_freq("5Min")
    ('day', '1min', '5min')
    """
    match = _FREQ.fullmatch(str(freq).strip())
    unit = _UNITS.get(match.group(2).lower()) if match else None
    if match is None or unit is None:
        raise ConfigError([Problem(f"{freq!r} is not a frequency", "write day, 1min, 5min, week …", "freq")])
    count = int(match.group(1) or 1)
    if unit == "min":
        return f"{count}min"
    return unit if count == 1 else f"{count}{unit}"


def read_calendar(path: Path) -> np.ndarray:
    """Return the days or times of a calendar file, one a line, ascending.

    Returns
    -------
    ndarray of datetime64[ns], shape (days,)
        Read-only.

    Raises
    ------
    DataError
        There is no such file, it is empty, a line is no date, or the lines are not strictly ascending.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        known = sorted(p.stem for p in path.parent.glob("*.txt"))
        hint = f"the store has {', '.join(known)}" if known else f"{path.parent} has no calendar at all"
        raise DataError(f"no calendar for frequency {path.stem!r} ({path}); {hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"calendar {path} cannot be read: {error}") from error
    days = [text for text in (line.strip() for line in lines) if text]
    if not days:
        raise DataError(f"calendar {path} is empty; make the store again, or run: qnb data check {path.parent.parent}")
    try:
        calendar = np.array(days, dtype="datetime64[ns]")
    except ValueError:
        number, text = next((i, x) for i, x in enumerate(lines, 1) if x.strip() and not _is_time(x.strip()))
        raise DataError(f"calendar {path}, line {number}: {text.strip()!r} is not a date") from None
    wrong = np.flatnonzero(calendar[1:] <= calendar[:-1])
    if len(wrong):
        at = int(wrong[0])
        what = "appears twice" if calendar[at + 1] == calendar[at] else f"comes after {days[at]}"
        raise DataError(
            f"calendar {path} is out of order: {days[at + 1]} {what}; "
            f"sort it and make the features again, their values are stored by position"
        )
    calendar.flags.writeable = False
    return calendar


def to_time(value: Any, where: str = "") -> np.datetime64 | None:
    """Return a date as users write it (text, date, timestamp, 20200131) as datetime64[ns]; None stays None.

    Raises
    ------
    ConfigError
        It is not a date; `where` names its place.
    """
    if value is None:
        return None
    try:
        if isinstance(value, np.datetime64):
            stamp = value.astype("datetime64[ns]")
        elif value != value:  # the missing time of pandas
            return None
        elif isinstance(value, dt.datetime | dt.date):
            stamp = np.datetime64(value, "ns")
        else:
            text = str(value).strip().replace("/", "-")
            if re.fullmatch(r"\d{8}", text):
                text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
            text = re.sub(r"(?<=\d)-(\d)(?!\d)", r"-0\1", text)
            stamp = np.datetime64(text, "ns")
    except ValueError:
        raise ConfigError([Problem(f"{value!r} is not a date", "write it as 2020-01-31", where)]) from None
    return None if np.isnat(stamp) else stamp


def calendar_slice(calendar: np.ndarray, start: Any = None, end: Any = None) -> tuple[int, int]:
    """Return the half-open range of positions within [start, end], both ends inclusive, None for unbounded.

    Examples
    --------
    >>> days = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[ns]")
    >>> calendar_slice(days, "2020-01-03", "2020-01-05")
    (1, 2)
    """
    low, high = to_time(start, "start_time"), to_time(end, "end_time")
    first = 0 if low is None else int(np.searchsorted(calendar, low, side="left"))
    stop = len(calendar) if high is None else int(np.searchsorted(calendar, high, side="right"))
    return first, max(first, stop)


def _is_time(text: str) -> bool:
    try:
        np.datetime64(text)
    except ValueError:
        return False
    return True
