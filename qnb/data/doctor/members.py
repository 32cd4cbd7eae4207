"""Checks of universes and groupings against the data there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from .report import Finding

__all__ = ["check_groups", "check_universe"]

NEAR_DAYS = 31
"""A span may reach this many calendar days beyond the data before it is worth a note."""


def check_universe(
    path: Path, extent: Mapping[str, tuple[np.datetime64, np.datetime64]], *, everything: bool
) -> Iterator[Finding]:
    """Yield what is wrong with one universe file.

    Parameters
    ----------
    path : Path
        The file.
    extent : mapping of str to (datetime64, datetime64)
        First and last day with a price of each instrument that has data.
    everything : bool
        Whether it ought to name every instrument (the universe ``all``).
    """
    name = path.stem
    spans: dict[str, list[tuple[np.datetime64, np.datetime64]]] = {}
    unreadable: list[str] = []
    lines = path.read_text("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        parts = [p.strip() for p in line.split("\t")]
        if parts == [""]:
            continue
        try:
            first, last = (np.datetime64(p, "s") for p in parts[1:3])
        except ValueError:
            unreadable.append(f"line {number}: {line.strip()[:40]!r}")
            continue
        if np.isnat(first) or np.isnat(last):
            unreadable.append(f"line {number}: {line.strip()[:40]!r}")
        elif first > last:
            yield Finding("span_reversed", f"{name} {parts[0]}", value=f"line {number}: {parts[1]} .. {parts[2]}")
        else:
            spans.setdefault(parts[0].upper(), []).append((first, last))
    if unreadable:
        yield Finding("universe_unreadable", name, len(unreadable), value=unreadable[0])
    if not spans and not unreadable:
        yield Finding("universe_empty", name)
    yield from _overlaps(name, spans)
    yield from _without_data(name, spans, extent)
    if everything and spans:
        for symbol in sorted(set(extent) - set(spans)):
            yield Finding("no_universe_all", symbol)


def check_groups(path: Path, symbols: frozenset[str]) -> Iterator[Finding]:
    """Yield what a grouping names that has no data, and what has data but no group."""
    lines = [line.split("\t") for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    wrong = [i for i, parts in enumerate(lines, 1) if len(parts) != 2]
    if wrong:
        yield Finding("universe_unreadable", f"groups/{path.name}", len(wrong), value=f"line {wrong[0]}")
    named = {parts[0].strip().upper() for parts in lines}
    for check, found in (("group_unknown", named - symbols), ("ungrouped", symbols - named)):
        few = sorted(found)
        if few and not (check == "ungrouped" and len(few) <= max(3, 0.02 * len(symbols))):  # indices are in no sector
            more = ", ..." if len(few) > 5 else ""
            yield Finding(check, path.stem, len(few), value=f"{len(few):,}: {', '.join(few[:5])}{more}")


def _overlaps(name: str, spans: Mapping[str, list[tuple[np.datetime64, np.datetime64]]]) -> Iterator[Finding]:
    for symbol, mine in spans.items():
        ordered = sorted(mine)
        for (_, last), (first, _) in pairwise(ordered):
            if first <= last:
                yield Finding("span_overlap", f"{name} {symbol}", value=f"{_day(first)} is before {_day(last)}")
                break


def _without_data(
    name: str,
    spans: Mapping[str, list[tuple[np.datetime64, np.datetime64]]],
    extent: Mapping[str, tuple[np.datetime64, np.datetime64]],
) -> Iterator[Finding]:
    near = np.timedelta64(NEAR_DAYS, "D")
    missing = sorted(set(spans) - set(extent))
    if missing:
        more = ", ..." if len(missing) > 8 else ""
        yield Finding("universe_no_data", name, len(missing), value=f"{len(missing):,}: {', '.join(missing[:8])}{more}")
    outside: list[str] = []
    for symbol in sorted(set(spans) & set(extent)):
        start, end = extent[symbol]
        empty = [(a, b) for a, b in spans[symbol] if b < start or a > end]
        if empty:
            a, b = empty[0]
            value = f"{_day(a)} .. {_day(b)}, prices {_day(start)} .. {_day(end)}"
            yield Finding("span_no_data", f"{name} {symbol}", len(empty), value=value)
        elif any(a < start - near or b > end + near for a, b in spans[symbol]):
            outside.append(symbol)
    if outside:
        more = ", ..." if len(outside) > 8 else ""
        yield Finding("span_outside", name, len(outside), value=f"{len(outside):,}: {', '.join(outside[:8])}{more}")


def _day(day: np.datetime64) -> str:
    return str(day.astype("datetime64[D]"))
