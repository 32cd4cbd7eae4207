"""Filters of a universe: by name, and by a condition that an expression states day by day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import ConfigError, Problem, nearest
from .calendar import calendar_slice
from .universe import Span, Universe

__all__ = ["ExpressionDFilter", "NameDFilter", "UniverseFilter", "apply_filters", "filter_from_config"]


class UniverseFilter(Protocol):
    """Decides on which days members stay."""

    def keeps(self, universe: Universe, store: Any, first: int, stop: int) -> Mapping[str, np.ndarray]:
        """Return for each instrument whether it stays on each day of calendar positions [first, stop)."""
        ...

    def to_config(self) -> dict[str, Any]:
        """Return the filter as plain values."""
        ...


@dataclass(frozen=True, slots=True)
class NameDFilter:
    """Keeps instruments whose name begins with what a regular expression matches.

    Attributes
    ----------
    name_rule_re : str
        Regular expression, matched at the beginning of the name.
    fstart_time, fend_time : date or None
        Days on which the filter applies; on others members stay.
    """

    name_rule_re: str
    fstart_time: Any = None
    fend_time: Any = None

    def keeps(self, universe: Universe, store: Any, first: int, stop: int) -> dict[str, np.ndarray]:
        """Return whether the name matches, on each day."""
        try:
            rule = re.compile(self.name_rule_re)
        except re.error as error:
            raise _problem(f"name_rule_re {self.name_rule_re!r} is no regular expression: {error}") from error
        return {s: np.full(stop - first, rule.match(s) is not None) for s in universe.spans}

    def to_config(self) -> dict[str, Any]:
        """Return the filter as plain values."""
        return {"filter_type": "NameDFilter", "name_rule_re": self.name_rule_re, **_times(self)}


@dataclass(frozen=True, slots=True)
class ExpressionDFilter:
    """Keeps instruments on the days on which a condition holds.

    Attributes
    ----------
    rule_expression : str
        Condition such as ``"$close > 5"``; it reads what its expression reads.
    fstart_time, fend_time : date or None
        Days on which the filter applies; on others members stay.
    keep : bool
        Whether instruments without data, and days without a value, stay.
    """

    rule_expression: str
    fstart_time: Any = None
    fend_time: Any = None
    keep: bool = False

    def keeps(self, universe: Universe, store: Any, first: int, stop: int) -> dict[str, np.ndarray]:
        """Return whether the condition holds, on each day."""
        from ..expr.evaluate import evaluate
        from ..expr.rows import Rows

        days = store.calendar[first:stop]
        found = {s: np.full(stop - first, self.keep) for s in universe.spans}
        if not len(days):
            return found
        everywhere = Universe(universe.name, dict.fromkeys(universe.spans, ((days[0], days[-1]),)))
        rows = Rows.from_universe(everywhere, store.calendar, days[0], days[-1], source=store)
        if len(rows):
            holds = evaluate([self.rule_expression], store, rows)[:, 0]
            stays = np.where(np.isnan(holds), self.keep, holds != 0)
            for code, symbol in enumerate(rows.instruments):
                own = rows.codes == code
                found[symbol][rows.days[own] - first] = stays[own]
        return found

    def to_config(self) -> dict[str, Any]:
        """Return the filter as plain values."""
        own = {"filter_type": "ExpressionDFilter", "rule_expression": self.rule_expression, "keep": self.keep}
        return {**own, **_times(self)}


def filter_from_config(config: Any) -> UniverseFilter:
    """Return the filter that a mapping ``{filter_type: ..., ...}`` describes; a filter is returned as it is.

    Raises
    ------
    ConfigError
        An unknown type or key, or one that is missing.
    """
    if not isinstance(config, Mapping):
        if hasattr(config, "keeps"):
            return config
        raise _problem(f"{config!r} is no filter; write {{filter_type: NameDFilter, name_rule_re: ...}}")
    kinds: dict[str, tuple[Any, str]] = {
        "NameDFilter": (NameDFilter, "name_rule_re"),
        "ExpressionDFilter": (ExpressionDFilter, "rule_expression"),
    }
    kind = str(config.get("filter_type", ""))
    if kind not in kinds:
        near = nearest(kind, kinds)
        raise _problem(f"no filter {kind!r}", f"did you mean {near[0]!r}?" if near else f"there are {', '.join(kinds)}")
    cls, needed = kinds[kind]
    names = {needed: needed, "filter_start_time": "fstart_time", "filter_end_time": "fend_time", "keep": "keep"}
    values = {k: v for k, v in config.items() if k != "filter_type"}
    unknown = [k for k in values if k not in names or (k == "keep" and cls is NameDFilter)]
    if unknown:
        raise _problem(f"{kind} has no key {unknown[0]!r}", f"it has {', '.join(names)}")
    if needed not in values:
        raise _problem(f"{kind} lacks {needed!r}")
    return cls(**{names[k]: v for k, v in values.items()})


def apply_filters(
    universe: Universe, filters: Iterable[Any], store: Any, *, start: Any = None, end: Any = None
) -> Universe:
    """Return `universe` with the days left that every filter keeps, as spans of trading days."""
    calendar = store.calendar
    for config in filters:
        chosen = filter_from_config(config)
        first, stop = calendar_slice(calendar, start, end)
        low, high = calendar_slice(calendar, getattr(chosen, "fstart_time", None), getattr(chosen, "fend_time", None))
        low, high = max(first, low), min(stop, high)
        if low >= high:
            continue
        keeps = chosen.keeps(universe, store, low, high)
        member = universe.day_spans(calendar)
        spans: dict[str, tuple[Span, ...]] = {}
        for symbol, ranges in member.items():
            there = np.zeros(len(calendar), dtype=bool)
            for a, b in ranges:
                there[a:b] = True
            there[low:high] &= keeps[symbol]
            kept = _ranges(there)
            if kept:
                spans[symbol] = tuple((calendar[a], calendar[b - 1]) for a, b in kept)
        universe = Universe(universe.name, spans)
    return universe


def _ranges(there: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], there, [False]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _times(chosen: NameDFilter | ExpressionDFilter) -> dict[str, Any]:
    times = {"filter_start_time": chosen.fstart_time, "filter_end_time": chosen.fend_time}
    return {k: None if v is None else str(v) for k, v in times.items()}


def _problem(message: str, remedy: str = "") -> ConfigError:
    return ConfigError([Problem(message, remedy, "filter_pipe")])
