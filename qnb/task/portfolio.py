"""Checks the configuration of a portfolio record: strategy, executor, backtest and exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Problem
from .arguments import check_component, unknown_key
from .document import Document, Path
from .types import misfit

__all__ = ["BACKTEST", "EXCHANGE", "check_portfolio"]

BACKTEST: Mapping[str, str] = {
    "start_time": "str",
    "end_time": "str",
    "account": "float | dict",
    "benchmark": "str | list",
    "exchange_kwargs": "dict",
    "pos_type": "str",
    "mode": "Literal['compat', 'strict']",
    "compat": "str",
}
"""Keys of ``backtest`` -> annotation."""

EXCHANGE: Mapping[str, str] = {
    "freq": "str",
    "start_time": "str",
    "end_time": "str",
    "codes": "str | list",
    "deal_price": "str | list",
    "subscribe_fields": "list",
    "limit_threshold": "float | str | list",
    "volume_threshold": "list | dict",
    "open_cost": "float",
    "close_cost": "float",
    "min_cost": "float",
    "impact_cost": "float",
    "trade_unit": "int",
    "extra_quote": "Any",
    "quote_cls": "Any",
}
"""Keys of ``exchange_kwargs`` -> annotation."""

_SECTIONS = ("strategy", "executor", "backtest")
_NOT_NEGATIVE = ("open_cost", "close_cost", "min_cost", "impact_cost", "account")


def check_portfolio(document: Document, path: Path, config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the ``config`` of a portfolio record."""
    problems = [unknown_key(document, (*path, k), _SECTIONS, inside="config") for k in config if k not in _SECTIONS]
    if "strategy" in config:
        problems += check_component(document, (*path, "strategy"), config["strategy"], "strategy")
    else:
        problems.append(document.problem("a portfolio without a strategy", path, remedy="write strategy:", key=True))
    if config.get("executor") is not None:
        problems += check_component(document, (*path, "executor"), config["executor"], "executor")
    backtest = config.get("backtest")
    if backtest is None:
        return problems
    if not isinstance(backtest, Mapping):
        return [*problems, document.problem(f"backtest must be a mapping, received {backtest!r}", (*path, "backtest"))]
    problems += _check_keys(document, (*path, "backtest"), backtest, BACKTEST)
    exchange = backtest.get("exchange_kwargs")
    if isinstance(exchange, Mapping):
        problems += _check_keys(document, (*path, "backtest", "exchange_kwargs"), exchange, EXCHANGE)
    return problems


def _check_keys(document: Document, path: Path, section: Mapping[str, Any], known: Mapping[str, str]) -> list[Problem]:
    problems: list[Problem] = []
    for key, value in section.items():
        here: Path = (*path, key)
        if key not in known:
            problem = unknown_key(document, here, known, inside=str(path[-1]))
            if known is BACKTEST and key in EXCHANGE:
                problem = document.problem(problem.message, here, remedy="it belongs into exchange_kwargs", key=True)
            problems.append(problem)
            continue
        wrong = misfit(known[key], value)
        if wrong is not None:
            message = f"{key} must be {wrong.wanted}, received {value!r}"
            problems.append(document.problem(message, here, remedy=wrong.remedy))
        elif key in _NOT_NEGATIVE and isinstance(value, int | float) and value < 0:
            problems.append(document.problem(f"{key} must not be negative, received {value!r}", here))
    return problems
