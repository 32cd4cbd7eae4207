"""How the metrics of a run are called, written and judged, in lists and comparisons alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..reports import numbers

__all__ = ["HEADLINE", "Measure", "is_known", "measure_of"]

EXCESS = "1day.excess_return_with_cost."
GROSS = "1day.excess_return_without_cost."
HEADLINE = (
    "IC",
    "Rank IC",
    f"{EXCESS}annualized_return",
    f"{EXCESS}information_ratio",
    f"{EXCESS}max_drawdown",
)
"""The metrics that a list shows unless told otherwise."""

_LOSSES = ("l1", "l2", "loss", "mse", "rmse", "mae", "logloss", "error")


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric as it is shown.

    Attributes
    ----------
    key : str
        As it was logged.
    title : str
        Short name for the head of a column.
    write : callable
        Text of a value; what is missing becomes a dash.
    differ : callable
        Text of the difference of two values, with its sign.
    better : int
        1 where more is better, -1 where less is, 0 where neither.
    """

    key: str
    title: str
    write: Callable[[Any], str]
    differ: Callable[[Any], str]
    better: int = 0


def measure_of(key: str) -> Measure:
    """Return how the metric `key` is shown.

    Examples
    --------
    >>> measure_of("Rank IC").write(0.04861), measure_of("l2.valid").better
    ('0.0486', -1)
    """
    return _KNOWN.get(key) or _guessed(key)


def is_known(key: str) -> bool:
    """Return whether it is a metric of ours, which has a title, rather than one of a user's record."""
    return key in _KNOWN


def _signed(digits: int) -> Callable[[Any], str]:
    return lambda value: numbers.decimal(value, digits, sign=True)


def _plain(value: Any) -> str:
    """Write a number of an unknown kind with four decimals, large ones as counts."""
    if isinstance(value, int | float) and math.isfinite(value) and (abs(value) >= 10_000 or value == round(value)):
        return numbers.count(value)
    return numbers.decimal(value, 4)


def _signed_plain(value: Any) -> str:
    text = _plain(value)
    return f"+{text}" if isinstance(value, int | float) and value > 0 and text.strip("0.,") else text


def _guessed(key: str) -> Measure:
    last = key.rpartition(".")[2]
    words = set(key.lower().replace("/", ".").replace("_", ".").split("."))
    if last in ("annualized_return", "max_drawdown"):
        return Measure(key, key, numbers.percent, numbers.points, 1)
    if last == "information_ratio":
        return Measure(key, key, numbers.ratio, _signed(2), 1)
    if words & set(_LOSSES):
        return Measure(key, key, numbers.loss, _signed(5), -1)
    return Measure(key, key, _plain, _signed_plain)


def _measures() -> list[Measure]:
    found = [
        Measure("IC", "IC", numbers.ic, _signed(4), 1),
        Measure("ICIR", "ICIR", numbers.icir, _signed(3), 1),
        Measure("Rank IC", "Rank IC", numbers.ic, _signed(4), 1),
        Measure("Rank ICIR", "Rank ICIR", numbers.icir, _signed(3), 1),
    ]
    for name in ("Long-Short", "Long-Avg"):
        found += [
            Measure(f"{name} Ann Return", f"{name} a year", numbers.percent, numbers.points, 1),
            Measure(f"{name} Ann Sharpe", f"{name} Sharpe", numbers.ratio, _signed(2), 1),
        ]
    for head, tail in ((EXCESS, ""), (GROSS, ", before cost")):
        found += [
            Measure(f"{head}annualized_return", f"Excess{tail}", numbers.percent, numbers.points, 1),
            Measure(f"{head}information_ratio", f"IR{tail}", numbers.ratio, _signed(2), 1),
            Measure(f"{head}max_drawdown", f"Max DD{tail}", numbers.percent, numbers.points, 1),
            Measure(f"{head}mean", f"Excess a day{tail}", _thousandths, _thousandths_apart, 1),
            Measure(f"{head}std", f"Std a day{tail}", _thousandths_of, _thousandths_apart),
        ]
    found += [
        Measure("1day.ffr", "Fill rate", numbers.share, numbers.points, 1),
        Measure("1day.pa", "Price advantage", _thousandths, _thousandths_apart, 1),
        Measure("1day.pos", "Share of advantages", numbers.share, numbers.points, 1),
        Measure("turnover", "Turnover a day", numbers.share, numbers.points),
        Measure("cost", "Cost a year", numbers.share, numbers.points),
        Measure("seconds", "Time", numbers.duration, _longer, -1),
    ]
    return found


def _thousandths(value: Any) -> str:
    return numbers.percent(value, 3)


def _thousandths_of(value: Any) -> str:
    return numbers.share(value, 3)


def _thousandths_apart(value: Any) -> str:
    return numbers.points(value, 3)


def _longer(value: Any) -> str:
    if value is None or not math.isfinite(value):
        return numbers.MISSING
    sign = "+" if value > 0 else numbers.MINUS if value < 0 else ""
    return f"{sign}{numbers.duration(abs(value))}"


_KNOWN = {m.key: m for m in _measures()}
