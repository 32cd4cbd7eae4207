"""Checks the configuration of a portfolio record: strategy, executor, backtest and exchange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import Problem
from .arguments import check_component, unknown_key
from .document import Document, Path
from .types import misfit

__all__ = ["BACKTEST", "EXCHANGE", "EXECUTOR", "check_portfolio"]

BACKTEST: Mapping[str, str] = {
    "start_time": "str | int",
    "end_time": "str | int",
    "account": "float | dict",
    "benchmark": "str | list | dict",
    "exchange_kwargs": "dict",
    "pos_type": "str",
    "mode": "Literal['compat', 'strict']",
}
"""Keys of ``backtest`` -> annotation."""

EXCHANGE: Mapping[str, str] = {
    "freq": "str",
    "start_time": "str | int",
    "end_time": "str | int",
    "codes": "str | list | dict",
    "deal_price": "str | list",
    "subscribe_fields": "list",
    "limit_threshold": "float | list",
    "volume_threshold": "list | dict",
    "open_cost": "float",
    "close_cost": "float",
    "min_cost": "float",
    "impact_cost": "float",
    "trade_unit": "int",
    "trade_type": "Literal['serial', 'parallel']",
    "settle_type": "Literal['none', 'cash']",
    "pos_type": "str",
    "quote_cls": "str",
}
"""Keys of ``exchange_kwargs`` -> annotation."""

EXECUTOR: Mapping[str, str] = {
    "time_per_step": "str",
    "generate_portfolio_metrics": "bool",
    "trade_type": "Literal['serial', 'parallel']",
    "settle_type": "Literal['none', 'cash']",
    "indicator_config": "dict",
    "verbose": "bool",
    "track_data": "bool",
    "start_time": "str | int",
    "end_time": "str | int",
}
"""Arguments of the one executor there is -> annotation."""

_SECTIONS = ("strategy", "executor", "backtest", "mode")
_NOT_NEGATIVE = ("open_cost", "close_cost", "min_cost", "impact_cost")


def check_portfolio(document: Document, path: Path, config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the ``config`` of a portfolio record."""
    problems = [unknown_key(document, (*path, k), _SECTIONS, inside="config") for k in config if k not in _SECTIONS]
    if "strategy" in config:
        problems += check_component(document, (*path, "strategy"), config["strategy"], "strategy")
    else:
        problems.append(document.problem("a portfolio without a strategy", path, remedy="write strategy:", key=True))
    if (wrong := misfit(BACKTEST["mode"], config.get("mode"))) is not None:
        message = f"mode must be {wrong.wanted}, received {config['mode']!r}"
        problems.append(document.problem(message, (*path, "mode")))
    if config.get("executor") is not None:
        problems += _check_executor(document, (*path, "executor"), config["executor"])
    backtest = config.get("backtest")
    if backtest is None:
        return problems
    problems += _check_keys(document, (*path, "backtest"), backtest, BACKTEST)
    exchange = backtest.get("exchange_kwargs") if isinstance(backtest, Mapping) else None
    if exchange is not None:
        problems += _check_keys(document, (*path, "backtest", "exchange_kwargs"), exchange, EXCHANGE)
    return problems


def _check_executor(document: Document, path: Path, executor: Any) -> list[Problem]:
    """Orders are filled on daily bars: only the simulator is there, described by its name and options."""
    name = executor.get("class", "SimulatorExecutor") if isinstance(executor, Mapping) else executor
    if str(name).rpartition(".")[2] != "SimulatorExecutor":
        remedy = "use SimulatorExecutor, or leave executor out"
        return [document.problem(f"executor {name!r} is not supported", path, remedy=remedy, key=True)]
    if not isinstance(executor, Mapping):
        return []
    known = ("class", "module_path", "kwargs")
    problems = [unknown_key(document, (*path, k), known, inside="an executor") for k in executor if k not in known]
    if executor.get("kwargs") is not None:
        problems += _check_keys(document, (*path, "kwargs"), executor["kwargs"], EXECUTOR)
    return problems


def _check_keys(document: Document, path: Path, section: Any, known: Mapping[str, str]) -> list[Problem]:
    if not isinstance(section, Mapping):
        message = f"{path[-1]} must be a mapping, received {section!r}"
        return [document.problem(message, path, remedy="write name: value")]
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
        else:
            problems += _check_value(document, here, value)
    return problems


def _check_value(document: Document, path: Path, value: Any) -> list[Problem]:
    """Check what the type alone does not say."""
    name = path[-1]
    wanted = ""
    if isinstance(value, int | float):
        if name in _NOT_NEGATIVE and value < 0:
            wanted = "must not be negative"
        elif name == "account" and value <= 0:
            wanted = "must be above 0"
        elif name in ("limit_threshold", "trade_unit") and value <= 0:
            wanted = "must be above 0, or null"
    elif name == "account" and isinstance(value, Mapping) and "cash" not in value:
        wanted = "must be a number, or a mapping with cash and holdings"
    elif name in ("deal_price", "limit_threshold") and isinstance(value, list):
        if len(value) != 2 or not all(isinstance(v, str) for v in value):
            wanted = "must be a pair of expressions, for buys and for sells"
    elif name == "volume_threshold" and value is not None:
        pairs = value.values() if isinstance(value, Mapping) else [value]
        sides = set(value) if isinstance(value, Mapping) else set()
        fits = all(isinstance(p, list) and len(p) == 2 and p[0] in ("current", "cum") for p in pairs)
        if not fits or not sides <= {"all", "buy", "sell"}:
            wanted = "must be [current | cum, expression], or such pairs by all, buy, sell"
    elif (
        name in ("freq", "time_per_step")
        and value is not None
        and not re.fullmatch(r"(1\s*)?(d|day|days)", str(value), re.IGNORECASE)
    ):
        wanted = "must be day: backtests run on daily bars"
    if not wanted:
        return []
    return [document.problem(f"{name} {wanted}, received {value!r}", path)]
