"""Which column of a file is which field: what the user says first, then the usual names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import ConfigError, DataError, Problem, nearest

__all__ = ["ADJUSTED", "PRICES", "ColumnRequest", "Columns", "resolve_columns"]

PRICES = ("open", "high", "low", "close", "vwap")
ADJUSTED = "adjclose"
"""Pseudo-field in a mapping: the adjusted close, from which the factor is made."""

_TIME, _CLOCK, _SYMBOL = "date", "clock", "symbol"
_USUAL: Mapping[str, tuple[str, ...]] = {
    _TIME: (
        "date", "datetime", "timestamp", "day", "tradedate", "tradingdate", "pricedate", "dt", "日期", "交易日期",
        "", "unnamed:0", "indexlevel0",
    ),
    _CLOCK: ("time", "minute", "时间"),
    _SYMBOL: (
        "symbol", "ticker", "instrument", "code", "tscode", "stockcode", "secid", "secucode", "asset", "sid",
        "order_book_id", "orderbookid", "permno", "isin", "股票代码", "证券代码", "代码",
    ),
    "open": ("open", "openprice", "o", "opening", "开盘", "开盘价"),
    "high": ("high", "highprice", "h", "最高", "最高价"),
    "low": ("low", "lowprice", "l", "最低", "最低价"),
    "close": ("close", "closeprice", "c", "last", "lastprice", "price", "closing", "收盘", "收盘价"),
    "volume": ("volume", "vol", "v", "totalvolume", "sharevolume", "成交量"),
    "vwap": ("vwap", "average", "avgprice", "均价"),
    "amount": ("amount", "money", "totalturnover", "dollarvolume", "成交额"),
    "factor": ("factor", "adjfactor", "adjustfactor", "复权因子"),
    "change": ("change",),
    ADJUSTED: ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice", "adjustedcloseprice"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnRequest:
    """What the user says about columns.

    Attributes
    ----------
    mapping : mapping of str to str
        Field -> column; the fields ``date``, ``symbol`` and ``adjclose`` may be named here too.
    symbol_column, date_column, adjusted_close : str or None
        The same for these three.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    symbol_column: str | None = None
    date_column: str | None = None
    adjusted_close: str | None = None

    def named(self) -> dict[str, str]:
        """Return field -> column of all that is named; raises `ConfigError` for a field name that cannot be."""
        named = {name.strip().lower().lstrip("$"): column for name, column in self.mapping.items()}
        named = {_ALIASES.get(name, name): column for name, column in named.items()}
        for name, column in ((_SYMBOL, self.symbol_column), (_TIME, self.date_column), (ADJUSTED, self.adjusted_close)):
            if column is not None:
                named[name] = column
        wrong = [name for name in named if not re.fullmatch(r"[a-z_][a-z0-9_]*", name)]
        if wrong:
            raise ConfigError([Problem(f"{n!r} cannot be a field", "use letters, digits and _", "map") for n in wrong])
        return named


_ALIASES = {"datetime": _TIME, "timestamp": _TIME, "instrument": _SYMBOL, "adj_close": ADJUSTED}


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a file has for what.

    Attributes
    ----------
    time : str
        Column of the date or time.
    clock : str or None
        Column of the time of the day where it stands apart from the date.
    symbol : str or None
        Column of the symbol, if there is one.
    fields : dict of str to str
        Field -> column, ``close`` among them, ``adjclose`` if there is an adjusted close.
    ignored : tuple of str
        Columns that are not imported.
    """

    time: str
    clock: str | None
    symbol: str | None
    fields: dict[str, str]
    ignored: tuple[str, ...]


def resolve_columns(header: Sequence[str], request: ColumnRequest) -> Columns:
    """Return which of the columns `header` is what.

    Raises
    ------
    DataError
        A column that was named is not there, or there is no date or no close.
    """
    found: dict[str, str] = {}
    for name, column in request.named().items():
        found[name] = _pick(name, column, header)
    taken = set(found.values())
    plain: dict[str, str] = {}
    for column in header:
        if column not in taken:
            plain.setdefault(_plain(column), column)
    for name, usual in _USUAL.items():
        if name not in found:
            match = next((plain[u] for u in usual if u in plain), None)
            if match is not None and match not in found.values():
                found[name] = match
    if _TIME not in found and _CLOCK in found:
        found[_TIME] = found.pop(_CLOCK)
    for name, option in ((_TIME, "--date-column"), ("close", "--map close=COLUMN")):
        if name not in found:
            if name == "close" and ADJUSTED in found:
                found[name] = found.pop(ADJUSTED)
                continue
            raise DataError(f"no column for the {name} (has {_listed(header)}); name it with {option}")
    special = {_TIME, _CLOCK, _SYMBOL}
    used = set(found.values())
    return Columns(
        time=found[_TIME],
        clock=found.get(_CLOCK),
        symbol=found.get(_SYMBOL),
        fields={name: column for name, column in found.items() if name not in special},
        ignored=tuple(c for c in header if c not in used),
    )


def _pick(name: str, column: str, header: Sequence[str]) -> str:
    if column in header:
        return column
    alike = [c for c in header if c.strip().lower() == column.strip().lower()]
    if len(alike) == 1:
        return alike[0]
    near = nearest(column, header)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise DataError(f"no column {column!r} for {name} (has {_listed(header)}){hint}")


def _plain(column: str) -> str:
    return re.sub(r"[\s_\-.()*$]", "", column).lower()


def _listed(header: Sequence[str]) -> str:
    names = ", ".join(repr(c) for c in header[:12])
    return names + (f" and {len(header) - 12} more" if len(header) > 12 else "") if header else "no column at all"
