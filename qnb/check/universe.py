"""Checks that the universe is there and has instruments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConfigError, DataError, Problem, UnknownNameError
from .subject import HANDLER, Market, Subject

__all__ = ["check_universe"]


def check_universe(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with the handler's instruments."""
    wanted = subject.handler.get("instruments")
    if subject.market is None or wanted is None:
        return
    path = f"{HANDLER}.kwargs.instruments"
    if isinstance(wanted, Mapping) and "market" in wanted:
        wanted, path = wanted["market"], f"{path}.market"
    if isinstance(wanted, str):
        yield from _named(subject, subject.market, wanted, path)
    elif isinstance(wanted, list):
        yield from _listed(subject, subject.market, wanted, path)


def _named(subject: Subject, market: Market, name: str, path: str) -> Iterator[Problem]:
    if market.store is None:
        if name not in market.universes:
            yield from subject.translated(UnknownNameError("universe", name, market.universes), path)
        return
    try:
        universe = market.store.universe(name)
    except (UnknownNameError, DataError, ConfigError) as error:
        yield from subject.translated(error, path)
        return
    known = [s for s in universe.instruments if market.has_instrument(s)]
    if not known:
        message = f"none of the {len(universe.instruments)} instruments of {name!r} has data"
        yield subject.problem(message, path, remedy="import their data, or name another universe")


def _listed(subject: Subject, market: Market, symbols: list[Any], path: str) -> Iterator[Problem]:
    if not symbols:
        yield subject.problem("the list of instruments is empty", path, remedy="name a universe or list symbols")
    missing = [(n, str(s)) for n, s in enumerate(symbols) if not market.has_instrument(str(s))]
    severity = "error" if len(missing) == len(symbols) else "warning"
    for number, symbol in missing[:5]:
        known = market.store.instruments()
        (problem,) = subject.translated(UnknownNameError("instrument", symbol, known), f"{path}.{number}")
        remedy = problem.remedy if "mean" in problem.remedy else "it is left out"
        yield subject.problem(problem.message, f"{path}.{number}", remedy=remedy, severity=severity)
    if len(missing) > 5:
        yield subject.problem(f"{len(missing) - 5} more instruments have no data", path, severity=severity)
