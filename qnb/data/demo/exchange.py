"""Trading days of the demo market's exchange: weekdays without a dozen holidays a year, by rule."""

from __future__ import annotations

import datetime as dt

import numpy as np

__all__ = ["LAST_YEAR", "trading_days"]

LAST_YEAR = 2020


def trading_days(years: int) -> np.ndarray:
    """Return the trading days of the `years` calendar years that end with 2020.

    Returns
    -------
    ndarray of datetime64[D], shape (days,)
        About 245 a year, ascending; twelve years are 2009-01-05 to 2020-12-31.
    """
    first = LAST_YEAR - years + 1
    days = np.arange(np.datetime64(f"{first}-01-01"), np.datetime64(f"{LAST_YEAR + 1}-01-01"))
    holidays = np.array([day for year in range(first, LAST_YEAR + 1) for day in _holidays(year)], dtype="datetime64[D]")
    return days[np.is_busday(days, holidays=holidays)]


def _holidays(year: int) -> list[dt.date]:
    """New year, a week in early February, 4-5 April, 1-3 May, the third Friday of June, 1-7 October."""
    spring = dt.date(year, 2, 5)
    spring -= dt.timedelta(days=spring.weekday())
    june = dt.date(year, 6, 15)
    june += dt.timedelta(days=(4 - june.weekday()) % 7)
    return [
        *(dt.date(year, 1, d) for d in (1, 2)),
        *(spring + dt.timedelta(days=n) for n in range(5)),
        *(dt.date(year, 4, d) for d in (4, 5)),
        *(dt.date(year, 5, d) for d in (1, 2, 3)),
        june,
        *(dt.date(year, 10, d) for d in range(1, 8)),
    ]
