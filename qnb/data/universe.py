"""Universes: which instruments count on which days."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DataError, EmptyDataError, Problem, UnknownNameError
from .calendar import calendar_slice, to_time

if TYPE_CHECKING:
    from ..expr.rows import Rows

__all__ = ["Span", "Universe", "read_universe", "rows_for", "universe_of"]

_LOG = logging.getLogger(__name__)

Span = tuple[np.datetime64, np.datetime64]
"""First and last day of a membership, both inclusive."""


@dataclass(frozen=True, slots=True)
class Universe:
    """Instruments and the spans of days on which each is a member.

    Attributes
    ----------
    name : str
        Name of the universe, for messages.
    spans : mapping of str to tuple of (datetime64[ns], datetime64[ns])
        Spans by instrument, instruments sorted, spans in the order of the file, both ends inclusive.
    """

    name: str
    spans: Mapping[str, tuple[Span, ...]]

    @property
    def instruments(self) -> tuple[str, ...]:
        """All that were ever members, sorted."""
        return tuple(self.spans)

    def between(self, start: Any = None, end: Any = None) -> Universe:
        """Return the universe cut to [start, end]; instruments without a day left are dropped."""
        low, high = to_time(start, "start_time"), to_time(end, "end_time")
        kept: dict[str, tuple[Span, ...]] = {}
        for symbol, spans in self.spans.items():
            cut = tuple(
                (first, last)
                for a, b in spans
                if (first := a if low is None else max(a, low)) <= (last := b if high is None else min(b, high))
            )
            if cut:
                kept[symbol] = cut
        return Universe(self.name, kept)

    def filter(self, filters: Iterable[Any], store: Any, *, start: Any = None, end: Any = None) -> Universe:
        """Return the universe after `filters`, applied in order.

        Parameters
        ----------
        filters : iterable of mapping or filter
            ``{filter_type: NameDFilter, name_rule_re: ...}`` or ``{filter_type: ExpressionDFilter, rule_expression:
            ..., keep: false}``, each with optional ``filter_start_time`` and ``filter_end_time``.
        store : QlibBinStore
            Where expressions and the calendar come from.
        start, end : date or None
            Span in which the filters are applied; outside it members stay.
        """
        from .filters import apply_filters

        return apply_filters(self, filters, store, start=start, end=end)

    def day_spans(self, calendar: np.ndarray) -> dict[str, list[tuple[int, int]]]:
        """Return the spans as half-open ranges of calendar positions; empty ones are dropped."""
        symbols = [s for s, spans in self.spans.items() for _ in spans]
        pairs = np.array([span for spans in self.spans.values() for span in spans], dtype="datetime64[ns]")
        if not len(pairs):
            return {}
        firsts = np.searchsorted(calendar, pairs[:, 0], side="left").tolist()
        stops = np.searchsorted(calendar, pairs[:, 1], side="right").tolist()
        found: dict[str, list[tuple[int, int]]] = {}
        for symbol, first, stop in zip(symbols, firsts, stops, strict=True):
            if first < stop:
                found.setdefault(symbol, []).append((first, stop))
        return found


def read_universe(path: Path) -> Universe:
    """Return the universe of an instruments file: ``SYMBOL<TAB>first day<TAB>last day``, several lines a symbol.

    Raises
    ------
    DataError
        A line has no dates, or ends before it starts.
    EmptyDataError
        The file has no line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"universe {path} cannot be read: {error}") from error
    lines = [(i, line.split("\t")) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise EmptyDataError(f"universe {path.stem!r} is empty: {path} has no line; write SYMBOL<TAB>first<TAB>last")
    for number, parts in lines:
        if len(parts) < 3:
            raise DataError(f"{path}, line {number}: expected SYMBOL<TAB>first<TAB>last, received {parts!r}")
    try:
        days = np.array([[p[1].strip(), p[2].strip()] for _, p in lines], dtype="datetime64[ns]")
    except ValueError as error:
        raise DataError(f"{path}: {error}; dates are written as 2020-01-31") from error
    wrong = np.flatnonzero(days[:, 0] > days[:, 1])
    if len(wrong):
        number, parts = lines[int(wrong[0])]
        raise DataError(f"{path}, line {number}: {parts[0]} ends ({parts[2].strip()}) before it starts ({parts[1]})")
    spans: dict[str, list[Span]] = {}
    for (_, parts), first, last in zip(lines, days[:, 0], days[:, 1], strict=True):
        spans.setdefault(parts[0].strip().upper(), []).append((first, last))
    return Universe(path.stem, {s: tuple(spans[s]) for s in sorted(spans)})


def universe_of(
    instruments: Any, store: Any, *, filters: Iterable[Any] = (), start: Any = None, end: Any = None
) -> Universe:
    """Return what a user means by `instruments`.

    Parameters
    ----------
    instruments : str, sequence of str, mapping, Universe or None
        Name of a universe; symbols, each a member on every day; ``{"market": name, "filter_pipe": [...]}``; or spans
        by symbol. None is the universe ``all``.
    store : QlibBinStore
        Where universes are.
    filters : iterable, optional
        Further filters.
    start, end : date or None
        Span to which the universe is cut.

    Raises
    ------
    UnknownNameError
        There is no such universe, or none of the symbols is known.
    ConfigError
        `instruments` is none of these.
    """
    return _resolved(instruments, store, filters, start, end, cut=True)


def rows_for(
    instruments: Any,
    store: Any,
    *,
    start: Any = None,
    end: Any = None,
    filter_pipe: Iterable[Any] | None = None,
    fields: Sequence[str] | None = None,
) -> Rows:
    """Return the rows of `instruments` in [start, end]: days of membership on which the store has data at all.

    Parameters
    ----------
    instruments, start, end
        As for `universe_of`.
    filter_pipe : iterable, optional
        Filters of the universe.
    fields : sequence of str, optional
        Fields (``"close"``) whose first and last day bound an instrument's rows; by default all that the store has.

    Raises
    ------
    EmptyDataError
        No row is left; says why.
    """
    from ..expr.rows import Rows

    universe = _resolved(instruments, store, filter_pipe, start, end, cut=False)
    low, high = to_time(start, "start_time"), to_time(end, "end_time")
    rows = Rows.from_universe(universe, store.calendar, low, high, source=store, fields=fields)
    if not len(rows):
        raise _no_rows(universe, store, start, end)
    return rows


def _resolved(
    instruments: Any, store: Any, filters: Iterable[Any] | None, start: Any, end: Any, *, cut: bool
) -> Universe:
    """Return the universe after filters; not `cut` to the span, it has the members of earlier days as well."""
    filters = list(filters or ())
    if instruments is None:
        instruments = "all"
    if isinstance(instruments, Universe):
        universe = instruments
    elif isinstance(instruments, str):
        universe = store.universe(instruments)
    elif isinstance(instruments, Mapping) and "market" in instruments:
        own = [*(instruments.get("filter_pipe") or ()), *filters]
        return _resolved(instruments["market"], store, own, start, end, cut=cut)
    elif isinstance(instruments, Mapping):
        universe = Universe("given spans", {str(s): _spans(instruments[s], str(s)) for s in sorted(instruments)})
    elif isinstance(instruments, Iterable):
        universe = _listed([str(s) for s in instruments], store)
    else:
        raise ConfigError(
            [Problem(f"instruments {instruments!r} is no universe", "name one or list symbols", "instruments")]
        )
    if cut:
        universe = universe.between(start, end)
    return universe.filter(filters, store, start=start, end=end) if filters else universe


def _spans(value: Any, symbol: str) -> tuple[Span, ...]:
    pairs = [value] if len(value) == 2 and not isinstance(value[0], list | tuple) else value
    found = []
    for first, last in pairs:
        low, high = to_time(first, symbol), to_time(last, symbol)
        if low is None or high is None:
            raise ConfigError([Problem(f"the span of {symbol} has no end: {value!r}", "", "instruments")])
        found.append((low, high))
    return tuple(found)


def _listed(symbols: list[str], store: Any) -> Universe:
    """Return `symbols` as members on every day; those without data are left out with a warning."""
    known = [s for s in symbols if store.has_instrument(s)]
    missing = [s for s in symbols if s not in known]
    if missing and not known:
        raise UnknownNameError("instrument", missing[0], store.instruments(), hint=f"searched in {store.path}")
    if missing:
        _LOG.warning("no data for %d of %d instruments: %s", len(missing), len(symbols), ", ".join(missing[:10]))
    span = (store.calendar[0], store.calendar[-1])
    return Universe("given symbols", dict.fromkeys(sorted(set(known)), (span,)))


def _no_rows(universe: Universe, store: Any, start: Any, end: Any) -> EmptyDataError:
    first, last = (str(d)[:10] for d in (store.calendar[0], store.calendar[-1]))
    low, high = calendar_slice(store.calendar, start, end)
    if low == high:
        why = f"no trading day between {start} and {end}; the calendar has {first} to {last}"
    elif not (members := universe.between(start, end).spans):
        why = f"no instrument is a member between {start or first} and {end or last}"
    else:
        why = f"none of its {len(members)} instruments has data between {start or first} and {end or last}"
    return EmptyDataError(f"universe {universe.name!r} has no rows: {why}")
