"""Axes of the figures: how values are written, round ticks, time and value axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import numbers
from .theme import Theme

__all__ = ["COUNT", "IC", "PERCENT", "RATIO", "SHARE", "Kind", "day_axis", "padded", "ticks_between", "value_axis"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of a series are written.

    Attributes
    ----------
    write : callable
        Value in natural units (0.106) -> text (``+10.6 %``).
    tick : callable
        ``tick(value, digits)``: the same for an axis, whose ticks share their digits.
    scale : float
        Factor from natural units to those of the axis: 100 for percentages.
    digits, unit, sign : int, str, bool
        The same rule for a page's own script and for hover texts.
    """

    write: Callable[[Any], str]
    tick: Callable[[float, int], str]
    scale: float = 1.0
    digits: int = 2
    unit: str = ""
    sign: bool = False

    @property
    def hover(self) -> dict[str, str]:
        """How an axis writes a value under the pointer; it knows a real minus, which a hover template does not."""
        unit = f"{numbers.SPACE}{self.unit}" if self.unit else ""
        return {"hoverformat": f"{'+' if self.sign else ''},.{self.digits}f", "ticksuffix": unit}


PERCENT = Kind(numbers.percent, numbers.percent, 100.0, 1, "%", True)
SHARE = Kind(numbers.share, numbers.share, 100.0, 1, "%")
RATIO = Kind(numbers.ratio, numbers.decimal)
IC = Kind(lambda v: numbers.decimal(v, 3), numbers.decimal, digits=4)
COUNT = Kind(numbers.count, lambda v, digits: numbers.count(v), digits=0)


def day_axis(dates: np.ndarray, theme: Theme, *, lines: bool = False, **extra: Any) -> dict[str, Any]:
    """Return a time axis over `dates`: years where they fit, else months or days, also after zooming."""
    first, last = dates[0].astype("datetime64[D]"), dates[-1].astype("datetime64[D]")
    days = max(int((last - first) / np.timedelta64(1, "D")), 1)
    before = np.timedelta64(max(1, min(3, days // 20)), "D")
    after = np.timedelta64(0 if days > 3 else 1, "D")
    return {
        "type": "date",
        "range": [str(first - before), str(last + after)],
        "nticks": 6,
        "tickformatstops": [
            {"dtickrange": ["M12", None], "value": "%Y"},  # the first that matches counts
            {"dtickrange": ["M1", "M12"], "value": "%b %Y"},
            {"dtickrange": [None, "M1"], "value": "%b %d"},
        ],
        "hoverformat": "%Y-%m-%d",
        "showgrid": lines,
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikecolor": theme.zero,
        **extra,
    }


def value_axis(low: float, high: float, kind: Kind, theme: Theme, *, count: int = 5, **extra: Any) -> dict[str, Any]:
    """Return a value axis from `low` to `high` (natural units) with round ticks as `kind` writes them."""
    marks = ticks_between(low, high, count)
    digits = next((d for d in range(4) if all(_is_round(m * kind.scale, d) for m in marks)), 4)
    return {
        "range": [round(low * kind.scale, 6), round(high * kind.scale, 6)],
        "tickvals": [round(m * kind.scale, 6) for m in marks],
        "ticktext": [kind.tick(m, digits) for m in marks],
        "tickmode": "array",
        "zerolinecolor": theme.zero,
        **kind.hover,
        **extra,
    }


def ticks_between(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers in [low, high], ascending.

    Examples
    --------
    >>> ticks_between(-0.13, 1.06, 5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= rough * 0.95) * power
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def padded(values: np.ndarray, *, share: float = 0.05, zero: bool = True) -> tuple[float, float]:
    """Return the ends of an axis around the finite `values`, with zero inside where `zero` says so."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return -0.01, 0.01
    low, high = float(finite.min()), float(finite.max())
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-12:
        low, high = low - max(abs(low) * 0.1, 0.01), high + max(abs(high) * 0.1, 0.01)
    room = (high - low) * share
    return low - room, high + room


def _is_round(value: float, digits: int) -> bool:
    return abs(value * 10**digits - round(value * 10**digits)) < 1e-6
