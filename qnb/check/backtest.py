"""Checks the backtest: its span, benchmark, and the strategy against the universe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import Problem, UnknownNameError
from .segments import Span, read_span
from .subject import SEGMENTS, Market, Subject, day

__all__ = ["check_backtest"]

_DEFAULT_BENCHMARK = "SH000300"


def check_backtest(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with the portfolio records."""
    for path, kwargs in subject.backtests():
        config = kwargs.get("config")
        if not isinstance(config, Mapping):
            continue
        backtest = config.get("backtest")
        backtest = backtest if isinstance(backtest, Mapping) else {}
        yield from _strategy(subject, config.get("strategy"), f"{path}.kwargs.config.strategy")
        if subject.market is not None:
            yield from _span(subject, subject.market, backtest, f"{path}.kwargs.config.backtest")
            yield from _benchmark(subject, subject.market, backtest, f"{path}.kwargs.config.backtest")


def _strategy(subject: Subject, strategy: Any, path: str) -> Iterator[Problem]:
    kwargs = strategy.get("kwargs") if isinstance(strategy, Mapping) else None
    if not isinstance(kwargs, Mapping):
        return
    for name, low in (("topk", 1), ("n_drop", 0)):
        value = kwargs.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value < low:
            yield subject.problem(f"{name} must be at least {low}, received {value}", f"{path}.kwargs.{name}")
    topk, n_drop = kwargs.get("topk"), kwargs.get("n_drop")
    if isinstance(topk, int) and isinstance(n_drop, int) and n_drop > topk >= 1:
        message = f"n_drop ({n_drop}) is larger than topk ({topk})"
        yield subject.problem(
            message, f"{path}.kwargs.n_drop", remedy="at most all holdings can be replaced", severity="warning"
        )
    members = _members(subject)
    if isinstance(topk, int) and members is not None and topk > members:
        message = f"topk is {topk}, but the universe has at most {members} instruments on a day of the test"
        yield subject.problem(message, f"{path}.kwargs.topk", remedy="choose fewer", severity="warning")


def _members(subject: Subject) -> int | None:
    """Return the largest number of members on a day of the test segment."""
    test = subject.segments.get("test")
    universe = subject.universe()
    if universe is None or subject.market is None or not isinstance(test, list) or len(test) != 2:
        return None
    span, _ = read_span(subject, subject.market, (test[0], test[1]), (SEGMENTS, SEGMENTS, SEGMENTS))
    if span is None or span.start >= span.stop:
        return None
    changes = np.zeros(len(subject.market.calendar) + 1, dtype=np.int64)
    for symbol, ranges in universe.day_spans(subject.market.calendar).items():
        if subject.market.has_instrument(symbol):
            for first, stop in ranges:
                changes[first] += 1
                changes[stop] -= 1
    return int(np.cumsum(changes)[span.start : span.stop].max())


def _span(subject: Subject, market: Market, backtest: Mapping[str, Any], path: str) -> Iterator[Problem]:
    paths = (f"{path}.start_time", f"{path}.start_time", f"{path}.end_time")
    span, problems = read_span(subject, market, (backtest.get("start_time"), backtest.get("end_time")), paths)
    for problem in problems:
        yield subject.problem(f"backtest: {problem.message}", problem.path, remedy=problem.remedy)
    if span is None or ("start_time" not in backtest and "end_time" not in backtest):
        return
    if span.start >= span.stop:
        message = f"the backtest's span {span.text} has no trading day"
        yield subject.problem(message, paths[0], remedy=f"the data has {market.span}")
        return
    test = subject.segments.get("test")
    if not isinstance(test, list) or len(test) != 2:
        return
    predicted, _ = read_span(subject, market, (test[0], test[1]), (SEGMENTS, SEGMENTS, SEGMENTS))
    if predicted is not None:
        yield from _predictions(subject, market, span, predicted, paths)


def _predictions(
    subject: Subject, market: Market, span: Span, predicted: Span, paths: tuple[str, str, str]
) -> Iterator[Problem]:
    """Orders of a day follow the prediction of the day before."""
    if span.start >= predicted.stop + 1 or span.stop <= predicted.start:
        message = f"the backtest ({span.text}) has no prediction: test is {predicted.text}"
        yield subject.problem(message, paths[0], remedy="let it lie inside of test")
        return
    if span.start < predicted.start:
        message = f"the backtest starts {predicted.start - span.start} trading days before the first prediction"
        remedy = f"nothing is held until then; start on {day(market.calendar[predicted.start])}"
        yield subject.problem(message, paths[1], remedy=remedy, severity="warning")
    if span.stop > predicted.stop + 1:
        message = f"the backtest goes on {span.stop - predicted.stop} trading days after the last prediction"
        yield subject.problem(message, paths[2], remedy="nothing is traded then", severity="warning")


def _benchmark(subject: Subject, market: Market, backtest: Mapping[str, Any], path: str) -> Iterator[Problem]:
    wanted = backtest.get("benchmark", _DEFAULT_BENCHMARK)
    place = f"{path}.benchmark"
    if isinstance(wanted, str):
        named = [(place, wanted)]
    elif isinstance(wanted, list):
        named = [(f"{place}.{n}", str(s)) for n, s in enumerate(wanted)]
    else:
        return
    for where, symbol in named:
        if not _known(market, symbol):
            known = market.store.instruments() if market.store is not None else [market.benchmark]
            default = " (the default)" if "benchmark" not in backtest else ""
            (problem,) = subject.translated(UnknownNameError("benchmark", symbol, known), where)
            remedy = problem.remedy if "mean" in problem.remedy else "name an instrument of the market"
            yield subject.problem(problem.message + default, where, remedy=remedy, key=bool(default))


def _known(market: Market, symbol: str) -> bool:
    if market.store is None:
        return symbol == market.benchmark or not symbol.startswith(("SH", "SZ"))
    return market.has_instrument(symbol)
