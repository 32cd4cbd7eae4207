"""Checks dates: segments in order, inside of the data and of the handler, fit window, reach of the label."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..errors import ExpressionError, Problem
from ..expr.explain import explain
from ..task.records import records_of
from .expressions import labels_of
from .subject import HANDLER, SEGMENTS, Market, Subject, day, first_moment, last_moment

__all__ = ["Span", "check_segments", "read_span"]

_BEYOND = np.timedelta64(14, "D")
"""A span may end so long after the data before it is worth a warning: holidays, a last month that is not complete."""

_HARMLESS_REACH = 5
"""Days that a label may reach into the next segment before it is worth a warning; the usual label reads two."""


@dataclass(frozen=True, slots=True)
class Span:
    """First and last moment, and the half-open range of trading days within."""

    path: str
    first: np.datetime64
    last: np.datetime64
    start: int
    stop: int

    @property
    def text(self) -> str:
        """For a message."""
        return f"{day(self.first)} to {day(self.last)}"


_Found: TypeAlias = Generator[Problem, None, "Span | None"]


def check_segments(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with the dates of dataset and handler."""
    market = subject.market
    if market is None:
        return
    handler = yield from _handler_span(subject, market)
    spans: dict[str, Span] = {}
    if not subject.segments and "segments" in subject.dataset:
        yield subject.problem("there are no segments", SEGMENTS, remedy="write train, valid and test", key=True)
    for name, value in subject.segments.items():
        span = yield from _segment(subject, market, name, value, handler)
        if span is not None:
            spans[name] = span
    yield from _missing(subject)
    yield from _order(subject, spans)
    yield from _members(subject, spans)
    yield from _fit_window(subject, market, spans.get("train"))
    yield from _label_reach(subject, market, spans)


def read_span(
    subject: Subject, market: Market, dates: tuple[Any, Any], paths: tuple[str, str, str]
) -> tuple[Span | None, list[Problem]]:
    """Return the span of two dates, and what is wrong with them.

    Parameters
    ----------
    paths : tuple of str
        Dotted paths of the span, of its first and of its last date.
    """
    problems: list[Problem] = []
    moments = []
    for value, path, read in ((dates[0], paths[1], first_moment), (dates[1], paths[2], last_moment)):
        try:
            moments.append(read(value))
        except ValueError:
            problems.append(subject.problem(f"{value!r} is not a date", path, remedy="write it as 2020-01-31"))
    if problems:
        return None, problems
    calendar = market.calendar
    low = calendar[0] if moments[0] is None else moments[0]
    high = calendar[-1] if moments[1] is None else moments[1]
    if low > high:
        message = f"ends before it starts: {day(low)} to {day(high)}"
        return None, [subject.problem(message, paths[0], remedy="swap the dates", key=True)]
    start, stop = np.searchsorted(calendar, low, "left"), np.searchsorted(calendar, high, "right")
    return Span(paths[0], low, high, int(start), int(stop)), []


def _handler_span(subject: Subject, market: Market) -> _Found:
    kwargs = subject.handler
    path = f"{HANDLER}.kwargs"
    if "start_time" not in kwargs and "end_time" not in kwargs:
        return None
    paths = (f"{path}.start_time", f"{path}.start_time", f"{path}.end_time")
    span, problems = read_span(subject, market, (kwargs.get("start_time"), kwargs.get("end_time")), paths)
    yield from problems
    if span is not None and span.start >= span.stop:
        message = f"the handler's span {span.text} has no trading day"
        yield subject.problem(message, paths[0], remedy=f"the data has {market.span}")
        return None
    return span


def _segment(subject: Subject, market: Market, name: str, value: Any, handler: Span | None) -> _Found:
    path = f"{SEGMENTS}.{name}"
    if not isinstance(value, list) or len(value) != 2:
        message = f"segment {name} must be two dates, received {value!r}"
        yield subject.problem(message, path, remedy="write [first day, last day]")
        return None
    span, problems = read_span(subject, market, (value[0], value[1]), (path, f"{path}.0", f"{path}.1"))
    for problem in problems:
        yield subject.problem(f"segment {name}: {problem.message}", problem.path, remedy=problem.remedy)
    if span is None:
        return None
    if span.start >= span.stop:
        where = "lies outside of the data" if _outside(span, market) else "has no trading day"
        yield subject.problem(
            f"segment {name} ({span.text}) {where}", path, remedy=f"the data has {market.span}", key=True
        )
        return None
    if handler is not None and (span.stop <= handler.start or span.start >= handler.stop):
        message = f"segment {name} ({span.text}) lies outside of the handler's {handler.text}"
        yield subject.problem(message, path, remedy="change start_time or end_time of the handler", key=True)
        return None
    if handler is not None and (span.stop > handler.stop or span.start < handler.start):
        message = f"segment {name} ({span.text}) is cut to the handler's {handler.text}"
        yield subject.problem(message, path, severity="warning", key=True)
    elif span.last > market.calendar[-1] + _BEYOND:
        message = f"segment {name} ends on {day(span.last)}, the data on {day(market.calendar[-1])}"
        yield subject.problem(message, path, severity="warning", key=True)
    return span


def _outside(span: Span, market: Market) -> bool:
    return bool(span.first > market.calendar[-1] or span.last < market.calendar[0])


def _missing(subject: Subject) -> Iterator[Problem]:
    if not subject.segments:
        return
    wanted = ["train"]
    if any(facts.stage == "predict" for facts in records_of(subject.task)):
        wanted.append("test")
    for name in wanted:
        if name not in subject.segments:
            message = f"there is no segment {name!r}"
            remedy = f"there is {', '.join(subject.segments)}"
            yield subject.problem(message, SEGMENTS, remedy=remedy, key=True)


def _order(subject: Subject, spans: dict[str, Span]) -> Iterator[Problem]:
    named = [(n, spans[n]) for n in ("train", "valid", "test") if n in spans]
    for at, (before, one) in enumerate(named):
        for after, other in named[at + 1 :]:
            if one.start < other.stop and other.start < one.stop:
                message = f"segments {before} ({one.text}) and {after} ({other.text}) overlap"
                remedy = f"let {before} end before {after} starts"
                yield subject.problem(message, other.path, remedy=remedy, key=True)
            elif other.start < one.start:
                message = f"segment {before} ({one.text}) lies after {after} ({other.text})"
                remedy = "what is learned would come from the future"
                yield subject.problem(message, one.path, remedy=remedy, severity="warning", key=True)


def _members(subject: Subject, spans: dict[str, Span]) -> Iterator[Problem]:
    universe = subject.universe()
    if universe is None:
        return
    for name, span in spans.items():
        if not universe.between(span.first, span.last).spans:
            message = f"no instrument of {universe.name!r} is a member in segment {name} ({span.text})"
            yield subject.problem(message, span.path, remedy="choose other dates or another universe", key=True)


def _fit_window(subject: Subject, market: Market, train: Span | None) -> Iterator[Problem]:
    kwargs = subject.handler
    first, last = kwargs.get("fit_start_time"), kwargs.get("fit_end_time")
    if first is None and last is None:
        return
    path = f"{HANDLER}.kwargs"
    paths = (f"{path}.fit_start_time", f"{path}.fit_start_time", f"{path}.fit_end_time")
    window, problems = read_span(subject, market, (first, last), paths)
    for problem in problems:
        yield subject.problem(f"fit window: {problem.message}", problem.path, remedy=problem.remedy)
    if window is None:
        return
    if window.start >= window.stop:
        message = f"the fit window {window.text} has no trading day"
        yield subject.problem(message, paths[0], remedy=f"the data has {market.span}")
    elif train is not None and window.stop > train.stop:
        message = f"processors are fitted on days after train: {window.text}, train is {train.text}"
        yield subject.problem(message, paths[2], remedy="set fit_end_time to the end of train", severity="warning")


def _label_reach(subject: Subject, market: Market, spans: dict[str, Span]) -> Iterator[Problem]:
    for label in labels_of(subject):
        try:
            reach = explain(label.text).right
        except ExpressionError:
            continue  # told by the check of expressions
        if not reach:  # None is all later days, whatever they are
            continue
        for name, span in spans.items():
            yield from _reach_of(subject, market, spans, name, span, label.path, reach)


def _reach_of(
    subject: Subject, market: Market, spans: dict[str, Span], name: str, span: Span, path: str, reach: int
) -> Iterator[Problem]:
    without = max(0, span.stop + reach - len(market.calendar))
    if without >= span.stop - span.start:
        end = day(market.calendar[-1])
        message = f"no row of segment {name} has a label: it looks {reach} days ahead, the data ends on {end}"
        yield subject.problem(message, span.path, remedy="end the segment earlier, or look less far ahead", key=True)
        return
    if without and (name in ("train", "valid") or reach > _HARMLESS_REACH):
        message = f"the label looks {reach} days ahead, so the last {without} days of {name} have none"
        yield subject.problem(message, path, remedy="their rows are dropped or not judged", severity="warning")
    later = [(n, s) for n, s in spans.items() if s.start >= span.stop and n != name]
    if name not in ("train", "valid") or not later or reach <= _HARMLESS_REACH:
        return
    following, other = min(later, key=lambda pair: pair[1].start)
    inside = span.stop - 1 + reach - other.start + 1
    if inside > 0:
        message = f"the label of the last days of {name} reaches {inside} days into {following}"
        remedy = f"leave a gap of {reach} trading days between {name} and {following}"
        yield subject.problem(message, span.path, remedy=remedy, severity="warning", key=True)
