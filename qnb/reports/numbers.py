"""How numbers are written in reports and panels: one function a kind of number, one way a kind.

Minus is U+2212, number and unit are kept together by a no-break space, and what is missing (None, NaN, infinite) is
`MISSING`. A value that rounds to zero carries no sign.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any

__all__ = [
    "MISSING",
    "basis_points",
    "bytes_of",
    "count",
    "counted",
    "day",
    "decimal",
    "duration",
    "ic",
    "icir",
    "loss",
    "moment",
    "money",
    "month",
    "percent",
    "points",
    "ratio",
    "share",
    "words_of",
]

MISSING = "–"
MINUS = "−"
SPACE = "\N{NO-BREAK SPACE}"

_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def decimal(value: Any, digits: int, *, sign: bool = False, grouped: bool = False) -> str:
    """Return `value` with that many decimals; with `sign` a plus is written too.

    Examples
    --------
    >>> decimal(-0.0661, 3)
    '−0.066'
    >>> decimal(float("nan"), 3)
    '–'
    """
    number = _finite(value)
    if number is None:
        return MISSING
    text = f"{abs(number):{',' if grouped else ''}.{digits}f}"
    if not any(c in "123456789" for c in text):
        return text
    return (MINUS if number < 0 else "+" if sign else "") + text


def percent(value: Any, digits: int = 1) -> str:
    """Return a return, an excess or a drawdown given as a share: ``+10.6 %``, ``−10.0 %``."""
    return _with_unit(_times(value, 100), digits, "%", sign=True)


def share(value: Any, digits: int = 1) -> str:
    """Return a share, which carries no plus: ``19.5 %``."""
    return _with_unit(_times(value, 100), digits, "%", sign=False)


def points(value: Any, digits: int = 1) -> str:
    """Return a difference of two shares: ``+2.3 pp``."""
    return _with_unit(_times(value, 100), digits, "pp", sign=True)


def ic(value: Any) -> str:
    """Return an information coefficient: ``0.0464``."""
    return decimal(value, 4)


def icir(value: Any) -> str:
    """Return an ICIR: ``0.378``."""
    return decimal(value, 3)


def ratio(value: Any) -> str:
    """Return an information ratio, Sharpe, Sortino or Calmar: ``1.19``."""
    return decimal(value, 2)


def loss(value: Any) -> str:
    """Return a loss with five digits: ``0.99375``, ``12.345``."""
    number = _finite(value)
    if number is None:
        return MISSING
    whole = len(str(int(abs(number))))
    return decimal(number, max(0, 5 - (0 if abs(number) < 1 else whole)))


def count(value: Any) -> str:
    """Return a count with thousands set apart: ``478,007``."""
    return decimal(value, 0, grouped=True)


def counted(value: Any, noun: str) -> str:
    """Return a count with its noun, one or many: ``1 day``, ``871 days``."""
    return f"{count(value)} {noun}" if value == 1 else f"{count(value)} {noun}s"


def money(value: Any, currency: str = "", *, digits: int = 1) -> str:
    """Return an amount of money, large ones in millions or billions: ``204.4 m CNY``."""
    number = _finite(value)
    if number is None:
        return MISSING
    size = abs(number)
    if size >= 999.95e6:
        text = decimal(number / 1e9, digits) + f"{SPACE}bn"
    elif size >= 999_950:
        text = decimal(number / 1e6, digits) + f"{SPACE}m"
    else:
        text = count(number)
    return f"{text}{SPACE}{currency}" if currency else text


def basis_points(*rates: Any) -> str:
    """Return rates in basis points, as ``5 / 15 bp``.

    Examples
    --------
    >>> basis_points(0.0005, 0.0015)
    '5 / 15\\xa0bp'
    """
    texts = []
    for rate in rates:
        number = _finite(rate)
        if number is None:
            texts.append(MISSING)
        else:
            texts.append(decimal(number * 1e4, 0 if abs(number * 1e4 - round(number * 1e4)) < 1e-6 else 1))
    return f"{' / '.join(texts)}{SPACE}bp"


def bytes_of(value: Any) -> str:
    """Return a size in memory or on disk: ``566 MB``, ``2.2 GB``."""
    number = _finite(value)
    if number is None:
        return MISSING
    for unit in ("B", "kB", "MB"):
        if abs(number) < 999.5:
            return f"{decimal(number, 0)}{SPACE}{unit}"
        number /= 1000
    return f"{decimal(number, 1)}{SPACE}GB"


def duration(seconds: Any) -> str:
    """Return a time span: ``4.2s``, ``38s``, ``2m 14s``, ``3h 12m``."""
    number = _finite(seconds)
    if number is None or number < 0:
        return MISSING
    if number < 9.95:
        return f"{number:.1f}s"
    whole = round(number)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    minutes = round(number / 60)
    return f"{minutes // 60}h {minutes % 60}m"


def day(value: Any) -> str:
    """Return a day as ``2026-11-21``; takes anything with a date in it, NaT included."""
    return _date_text(value, 10)


def month(value: Any) -> str:
    """Return a month as ``2026-11``."""
    return _date_text(value, 7)


def moment(value: Any) -> str:
    """Return day and time to the minute as ``2026-11-21 06:13``, with the zone where it is known."""
    if not isinstance(value, datetime) or value != value:  # NaT is unequal to itself
        return MISSING
    zone = value.tzname() or ""
    return value.strftime("%Y-%m-%d %H:%M") + (f" {zone}" if zone else "")


def words_of(value: int) -> str:
    """Return a small whole number as a word, larger ones as digits: ``five``, ``50``."""
    return _SMALL[value] if 0 <= value < len(_SMALL) else count(value)


def _with_unit(value: Any, digits: int, unit: str, *, sign: bool) -> str:
    text = decimal(value, digits, sign=sign, grouped=True)
    return text if text == MISSING else f"{text}{SPACE}{unit}"


def _times(value: Any, factor: float) -> float | None:
    number = _finite(value)
    return None if number is None else number * factor


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _date_text(value: Any, length: int) -> str:
    if value is None or value != value:
        return MISSING
    text = value.isoformat() if isinstance(value, date) else str(value)
    return MISSING if text in ("", "NaT") else text[:length]
