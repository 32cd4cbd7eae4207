"""Drawdown of the excess return, the worst spells marked by a bar and a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from ...metrics.returns import cumulative, drawdown, worst_drawdowns
from .. import numbers
from ..drawing import Line, time_figure
from ..figure_spec import FigureSpec
from ..material import Material, Returns
from ..theme import Theme, theme_of
from ..types import Mode

__all__ = ["DrawdownData", "Spell", "draw_drawdown", "drawdown_data"]

MARKED = 3


@dataclass(frozen=True, slots=True)
class Spell:
    """One spell below the high.

    Attributes
    ----------
    peak, trough, recovered : int or None
        Positions of the last day at the high, the deepest day, the first day back at it; None if not back yet.
    depth : float
        Share lost at the trough, below zero.
    days_down, days_back, days : int or None
        Trading days from peak to trough, from there to recovery, and from peak to recovery or, without one, to the
        last day (`days_back` is then None).
    bench : float
        Return of the benchmark over the same days, NaN without one.
    """

    peak: int
    trough: int
    recovered: int | None
    depth: float
    days_down: int
    days_back: int | None
    days: int
    bench: float


@dataclass(frozen=True, slots=True)
class DrawdownData:
    """Distance of the cumulative return from its high.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    depth : ndarray of shape (days,)
        Zero at a high, else negative.
    worst : tuple of Spell
        Deepest first.
    what : str
        ``"excess return"``, or ``"return"`` without a benchmark.
    benchmark : str
        Its name, '' without one.
    mode : {'sum', 'product'}
    """

    dates: np.ndarray
    depth: np.ndarray
    worst: tuple[Spell, ...]
    what: str
    benchmark: str
    mode: Mode


def drawdown_data(returns: Returns, *, mode: Mode = "sum", count: int = 5) -> DrawdownData:
    """Find the drawdown of the excess (without a benchmark: the return) after cost, and its `count` worst spells.

    Notes
    -----
    ``sum``: d = c - max(c), c the running sum. ``product``: d = (1 + c) / max(1 + c) - 1, c compounded.
    """
    depth = drawdown(returns.main, mode=mode)
    last = len(depth) - 1
    worst = []
    found = worst_drawdowns(pd.Series(returns.main), count=count, mode=mode)
    for peak, trough, recovery, deep in found[["peak", "trough", "recovery", "depth"]].itertuples(index=False):
        recovered = None if pd.isna(recovery) else int(recovery)
        end = last if recovered is None else recovered
        bench = float("nan")
        if returns.bench is not None:
            bench = float(cumulative(returns.bench[peak + 1 : end + 1], mode=mode)[-1])
        back = None if recovered is None else recovered - trough
        worst.append(Spell(peak, trough, recovered, float(deep), trough - peak, back, end - peak, bench))
    return DrawdownData(
        dates=returns.dates,
        depth=depth,
        worst=tuple(worst),
        what="return" if returns.bench is None else "excess return",
        benchmark="" if returns.bench is None else returns.benchmark,
        mode=mode,
    )


def draw_drawdown(data: DrawdownData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw the drawdown as an area, the worst three spells with bar and number."""
    look = theme_of(theme)
    deepest = min(float(data.depth.min()), -0.001)
    marked = data.worst[:MARKED]
    days = data.dates.astype("datetime64[D]").astype(str)
    shapes, numerals = [], []
    for rank, spell in enumerate(marked, start=1):
        end = len(days) - 1 if spell.recovered is None else spell.recovered
        shapes.append(
            {"type": "line", "xref": "x", "yref": "paper", "x0": days[spell.peak], "x1": days[end], "y0": 1, "y1": 1,
             "line": {"color": look.drawdown, "width": 3}}
        )  # fmt: skip
        numerals.append(
            {"x": days[spell.trough], "y": round(spell.depth * 100, 3), "yshift": -9, "text": f"<b>{rank}</b>",
             "showarrow": False, "font": {"size": 11, "color": look.drawdown}}
        )  # fmt: skip
    return time_figure(
        data.dates,
        [Line("now", data.depth, look.drawdown)],
        theme=look,
        title=f"Drawdown of the {data.what}",
        note=_note(len(marked), len(data.worst)),
        aria=_aria(data),
        height=136,
        full=True,
        span=(deepest * 1.18, -deepest * 0.06),
        tick_count=3,
        fill=look.tint(look.drawdown, look.area),
        shapes=shapes,
        annotations=numerals,
    )


def _note(marked: int, listed: int) -> str:
    if marked == 0:
        return "after cost"
    words = "the worst marked" if marked == 1 else f"the worst {numbers.words_of(marked)} marked"
    return f"after cost; {words}" + (f", all {numbers.words_of(listed)} in the table below" if listed > marked else "")


def _aria(data: DrawdownData) -> str:
    text = f"Drawdown of the {data.what} after cost, now {numbers.percent(data.depth[-1])}."
    if data.worst:
        first = data.worst[0]
        text += (
            f" Worst: {numbers.percent(first.depth)} on {numbers.day(data.dates[first.trough])}, "
            f"from {numbers.day(data.dates[first.peak])}"
        )
        text += (
            f" to {numbers.day(data.dates[first.recovered])}." if first.recovered is not None else ", not recovered."
        )
    return text


def _compute(material: Material) -> DrawdownData | None:
    return None if material.returns is None else drawdown_data(material.returns, mode=material.mode)


FIGURE = FigureSpec("drawdown", "performance", 20, _compute, draw_drawdown, full=True)
