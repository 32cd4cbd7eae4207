"""Quotes of the instruments and days of a run, read field by field when first asked for, and kept.

Quotes do not depend on strategy, costs or limits: a second run with other options reads nothing again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from ..errors import BacktestError, DataError

if TYPE_CHECKING:
    from ..expr.protocols import FieldSource

__all__ = ["QuoteSource", "Quotes", "trading_days"]

_FIELD = re.compile(r"^\$(\w+)$")


class QuoteSource(Protocol):
    """A data store, as far as a backtest needs one. Called by `Quotes` and by the benchmark."""

    calendar: np.ndarray

    def series(self, instrument: str, field: str) -> tuple[int, np.ndarray] | None:
        """Return (index of the first value in the calendar, float32 values), or None without such data."""
        ...

    def instruments(self) -> list[str]:
        """Return all instruments that have data."""
        ...


class Quotes:
    """Fields and expressions as matrices (days, instruments) of float32, NaN where there is no value.

    Parameters
    ----------
    store : QuoteSource
        Where fields are read. If it has ``universe(name)``, names of universes can be used as `codes`.
    instruments : iterable of str
        Columns; kept sorted and once.
    first, last : int
        First and last day as indexes into ``store.calendar``, both inclusive.

    Attributes
    ----------
    days : datetime64[ns] array (days,)
        The trading days.
    instruments : tuple of str
        Columns, sorted.
    """

    def __init__(self, store: QuoteSource, *, instruments: Iterable[str], first: int, last: int) -> None:
        self.store, self.first, self.last = store, first, last
        self.instruments: tuple[str, ...] = tuple(sorted(set(instruments)))
        self.days: np.ndarray = store.calendar[first : last + 1]
        self._fields: dict[str, np.ndarray] = {}
        self._members: dict[Any, np.ndarray | None] = {}
        self._lots: dict[Any, str] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """(days, instruments)."""
        return len(self.days), len(self.instruments)

    def covers(self, instruments: Iterable[str], first: int, last: int) -> bool:
        """Return whether these quotes serve a run over those instruments and days."""
        return self.first == first and self.last == last and set(instruments) <= set(self.instruments)

    def field(self, expression: str) -> np.ndarray:
        """Return a field (``"$close"``) or an expression as a read-only float32 matrix (days, instruments)."""
        found = self._fields.get(expression)
        if found is None:
            match = _FIELD.match(expression.strip())
            found = self._read(match[1]) if match else self._evaluate(expression)
            found.flags.writeable = False
            self._fields[expression] = found
        return found

    def has_values(self, field: str) -> bool:
        """Return whether any instrument has any value of a field in these days."""
        return not bool(np.isnan(self.field(field)).all())

    def members(self, codes: str | Sequence[str]) -> np.ndarray | None:
        """Return a bool matrix of who is traded under `codes` (a universe or instruments), or None for everybody."""
        if codes not in self._members:
            self._members[codes] = self._member_matrix(codes)
        return self._members[codes]

    def without_factor(self, codes: str | Sequence[str]) -> str:
        """Return the first instrument of `codes` that has a close but no factor on some day of the run; '' if none.

        Lots can only be counted where the factor, which gives shares as they were traded, is known everywhere.
        """
        if codes not in self._lots:
            self._lots[codes] = self._find_without_factor(codes)
        return self._lots[codes]

    def _read(self, field: str) -> np.ndarray:
        days, count = self.shape
        out = np.full((count, days), np.nan, dtype=np.float32)
        for k, name in enumerate(self.instruments):
            _copy(self.store.series(name, field), self.first, out[k])
        return np.ascontiguousarray(out.T)

    def _evaluate(self, expression: str) -> np.ndarray:
        from ..expr.evaluate import evaluate
        from ..expr.rows import Rows

        days, count = self.shape
        rows = Rows(
            instruments=self.instruments,
            days=np.repeat(np.arange(self.first, self.last + 1, dtype=np.int32), count),
            codes=np.tile(np.arange(count, dtype=np.int32), days),
            calendar=self.store.calendar,
        )
        values = evaluate([expression], cast("FieldSource", self.store), rows, threads=1)
        return np.array(values, dtype=np.float32).reshape(days, count)

    def _member_matrix(self, codes: str | Sequence[str]) -> np.ndarray | None:
        if not isinstance(codes, str):
            chosen = set(codes)
            row = np.array([name in chosen for name in self.instruments], dtype=bool)
            return None if row.all() else np.broadcast_to(row, self.shape)
        spans = self._spans(codes)
        if spans is None:
            return None
        member = np.zeros(self.shape, dtype=bool)
        for k, name in enumerate(self.instruments):
            for begin, end in spans.get(name, ()):
                member[begin:end, k] = True
        return None if member.all() else member

    def _find_without_factor(self, codes: str | Sequence[str]) -> str:
        days = len(self.days)
        close, factor = np.empty(days, np.float32), np.empty(days, np.float32)
        spans = self._spans(codes) if isinstance(codes, str) else None
        names = spans if spans is not None else (self.store.instruments() if isinstance(codes, str) else codes)
        for name in sorted(names):
            factor.fill(np.nan)
            _copy(self.store.series(name, "factor"), self.first, factor)
            missing = np.isnan(factor)
            if spans is not None:
                inside = np.zeros(days, dtype=bool)
                for begin, end in spans[name]:
                    inside[begin:end] = True
                missing &= inside
            if missing.any():
                close.fill(np.nan)
                _copy(self.store.series(name, "close"), self.first, close)
                if (missing & ~np.isnan(close)).any():
                    return name
        return ""

    def _spans(self, universe: str) -> Mapping[str, list[tuple[int, int]]] | None:
        """Return instrument -> half-open ranges of rows in which it belongs to `universe`; None: no universes here."""
        find = getattr(self.store, "universe", None)
        if find is None:
            return None
        return find(universe).day_spans(self.days)


def trading_days(calendar: np.ndarray, start: Any, end: Any) -> tuple[int, int]:
    """Return the first and last index into `calendar` within [start, end], both inclusive.

    Raises
    ------
    BacktestError
        When there is no trading day between them.
    """
    if len(calendar) == 0:
        raise DataError("the data has an empty calendar; import data first")
    first = int(np.searchsorted(calendar, np.datetime64(start, "ns"), side="left"))
    last = int(np.searchsorted(calendar, np.datetime64(end, "ns"), side="right")) - 1
    if last < first:
        span = f"{np.datetime64(calendar[0], 'D')} to {np.datetime64(calendar[-1], 'D')}"
        raise BacktestError(
            f"no trading day from {np.datetime64(start, 'D')} to {np.datetime64(end, 'D')}; the data has {span}"
        )
    return first, last


def _copy(series: tuple[int, np.ndarray] | None, first: int, out: np.ndarray) -> None:
    """Copy the part of a stored series that falls on the days of `out`, whose first day is `first`."""
    if series is None:
        return
    start, values = series
    low, high = max(first, start), min(first + len(out), start + len(values))
    if high > low:
        out[low - first : high - first] = values[low - start : high - start]
