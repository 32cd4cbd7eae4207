"""Alpha360: the last 60 days of price and volume, each relative to today's."""

from __future__ import annotations

from .alpha158 import label, vwap_label

__all__ = ["DAYS", "fields", "label", "vwap_label"]

DAYS = 60
"""Days of history in each block of columns."""

_PRICES = ("close", "open", "high", "low", "vwap")


def fields() -> tuple[list[str], list[str]]:
    """Return the 360 expressions and names: six blocks of 60 days, the oldest day first.

    Examples
    --------
    >>> expressions, names = fields()
    >>> len(names), names[0], expressions[0], expressions[59]
    (360, 'CLOSE59', 'Ref($close, 59)/$close', '$close/$close')
    """
    found = {f"{p.upper()}{n}": f"{_back(p, n)}/$close" for p in _PRICES for n in range(DAYS - 1, -1, -1)}
    found |= {f"VOLUME{n}": f"{_back('volume', n)}/($volume+1e-12)" for n in range(DAYS - 1, -1, -1)}
    return list(found.values()), list(found)


def _back(field: str, n: int) -> str:
    return f"Ref(${field}, {n})" if n else f"${field}"
