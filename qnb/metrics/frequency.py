"""Periods in a year, by frequency."""

from __future__ import annotations

import re

from ..errors import ConfigError, Problem

__all__ = ["PERIODS", "periods_per_year"]

PERIODS = {"min": 240 * 238, "day": 238, "week": 50, "month": 12}
"""Unit of time -> periods in a year, counted as qlib does: about 238 trading days of 240 minutes."""

_UNITS = {
    "min": "min", "minute": "min", "minutes": "min",
    "d": "day", "day": "day", "days": "day",
    "w": "week", "week": "week", "weeks": "week",
    "mon": "month", "month": "month", "months": "month",
}  # fmt: skip
_FREQUENCY = re.compile(r"^\s*(\d*)\s*([a-z]+)\s*$", re.IGNORECASE)


def periods_per_year(freq: str) -> float:
    """Return how many periods of `freq` a year has.

    Parameters
    ----------
    freq : str
        A unit (min, day, week, month) after an optional count: ``"day"``, ``"1min"``, ``"2week"``.

    Raises
    ------
    ConfigError
        For anything else.

    Examples
    --------
    >>> periods_per_year("day"), periods_per_year("30min")
    (238.0, 1904.0)
    """
    match = _FREQUENCY.match(str(freq))
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None or match[1] == "0":
        raise ConfigError([Problem(f"{freq!r} is not a frequency", "write day, week, month or 1min", "freq")])
    return PERIODS[unit] / int(match[1] or 1)
