"""Universe files: reading a user's list of symbols and spans, and the universe `all`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..writer import check_symbol, format_times
from .times import text_to_times

__all__ = ["extent_of", "read_spans", "read_universe_file", "spans_of"]

Spans = list[tuple[str, str, str]]


def read_universe_file(path: Path, extent: Mapping[str, tuple[str, str]]) -> Spans:
    """Return the spans of a universe file: symbol, first and last day, separated by tabs, commas or spaces.

    Parameters
    ----------
    path : Path
        The file; a first line without a date is taken as names of columns. A line with a symbol alone is a member
        on every day that it has data.
    extent : mapping of str to (str, str)
        First and last day of the data of each symbol in the store.

    Raises
    ------
    DataError
        There is no such file, it is empty, or a line cannot be read; says which.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"universe file {path} cannot be read: {error}") from error
    spans: Spans = []
    for number, line in enumerate(lines, 1):
        parts = _split(line)
        if not parts or parts[0].startswith("#"):
            continue
        symbol, days = check_symbol(parts[0]), parts[1:3]
        if not days:
            if symbol in extent:
                spans.append((symbol, *extent[symbol]))
            elif symbol.lower() not in ("symbol", "instrument", "ticker", "code"):
                raise DataError(f"{path}, line {number}: {symbol} has no dates and no data to take them from")
            continue
        times = text_to_times(days)
        if np.isnat(times).any() or len(days) != 2:
            if number == 1:
                continue
            raise DataError(f"{path}, line {number}: expected symbol, first and last day, received {line.strip()!r}")
        if times[0] > times[1]:
            raise DataError(f"{path}, line {number}: {symbol} ends ({days[1]}) before it starts ({days[0]})")
        first, last = format_times(times)
        spans.append((symbol, first, last))
    if not spans:
        raise DataError(f"universe file {path} has no line with a symbol")
    return spans


def read_spans(path: Path) -> Spans:
    """Return the spans of a universe of the store, [] if there is no such file."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = [line.split("\t") for line in lines if line.strip()]
    return [(p[0].strip().upper(), p[1].strip(), p[2].strip()) for p in found if len(p) >= 3]


def extent_of(spans: Spans) -> dict[str, tuple[str, str]]:
    """Return symbol -> first day of its first span and last day of its last."""
    extent: dict[str, tuple[str, str]] = {}
    for symbol, first, last in spans:
        known = extent.get(symbol, (first, last))
        extent[symbol] = (min(known[0], first), max(known[1], last))
    return extent


def spans_of(extent: Mapping[str, tuple[str, str]], symbols: Iterable[str]) -> Spans:
    """Return one span for each of `symbols`: its whole extent, ordered by symbol."""
    return [(symbol, *extent[symbol]) for symbol in sorted(symbols)]


def _split(line: str) -> list[str]:
    for mark in ("\t", ",", ";"):
        if mark in line:
            return [p.strip() for p in next(csv.reader([line], delimiter=mark))]
    return line.split()
