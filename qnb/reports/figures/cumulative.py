"""Cumulative return with and without cost, of the benchmark, and of the excess."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ...metrics.returns import cumulative
from .. import numbers
from ..drawing import Line, time_figure
from ..figure_spec import FigureSpec
from ..material import Material, Returns
from ..theme import Theme, theme_of
from ..types import CostTerms, Mode

__all__ = ["CumulativeData", "cumulative_data", "draw_cumulative"]


@dataclass(frozen=True, slots=True)
class CumulativeData:
    """Cumulative returns as shares of the first day's account.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    before, after : ndarray of shape (days,)
        Before and after cost.
    bench, excess : ndarray of shape (days,), or None
        Benchmark, and return after cost less benchmark; None without a benchmark.
    benchmark : str
        Its name.
    mode : {'sum', 'product'}
    cost : str
        What trading costs, in words.
    """

    dates: np.ndarray
    before: np.ndarray
    after: np.ndarray
    bench: np.ndarray | None
    excess: np.ndarray | None
    benchmark: str
    mode: Mode
    cost: str = ""


def cumulative_data(returns: Returns, *, mode: Mode = "sum", costs: CostTerms | None = None,
                    currency: str = "") -> CumulativeData:  # fmt: skip
    """Accumulate the daily `returns`, each series on its own.

    Parameters
    ----------
    returns : Returns
        Daily returns.
    mode : {'sum', 'product'}
        ``sum``: c(t) = r(1) + … + r(t). ``product``: c(t) = (1 + r(1)) … (1 + r(t)) - 1.
    costs : CostTerms or None
        Said in the figure's note.
    """
    return CumulativeData(
        dates=returns.dates,
        before=cumulative(returns.before, mode=mode),
        after=cumulative(returns.after, mode=mode),
        bench=None if returns.bench is None else cumulative(returns.bench, mode=mode),
        excess=None if returns.excess is None else cumulative(returns.excess, mode=mode),
        benchmark=returns.benchmark,
        mode=mode,
        cost=_cost_words(costs, currency),
    )


def draw_cumulative(data: CumulativeData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw the cumulative returns, a label with the last value at the end of each line."""
    look = theme_of(theme)
    lines = [Line("before cost", data.before, look.before, dash="4px,2px")]
    if data.bench is not None:
        lines.append(Line(data.benchmark, data.bench, look.benchmark))
    lines.append(Line("after cost", data.after, look.run, width=2))
    if data.excess is not None:
        lines.append(Line("excess, after cost", data.excess, look.excess, width=2))
    how = "daily returns summed" if data.mode == "sum" else "daily returns compounded"
    return time_figure(
        data.dates,
        lines,
        theme=look,
        title="Cumulative return",
        note=f"{how}; {data.cost}" if data.cost else how,
        aria=_aria(data, how),
        height=300,
        full=True,
        tick_count=5,
    )


def _aria(data: CumulativeData, how: str) -> str:
    parts = [f"after cost {numbers.percent(data.after[-1])}", f"before cost {numbers.percent(data.before[-1])}"]
    if data.bench is not None and data.excess is not None:
        parts += [f"{data.benchmark} {numbers.percent(data.bench[-1])}", f"excess {numbers.percent(data.excess[-1])}"]
    return (
        f"Cumulative return from {numbers.day(data.dates[0])} to {numbers.day(data.dates[-1])}, {how}: "
        f"{', '.join(parts)} at the end. After cost it ranged from {numbers.percent(data.after.min())} "
        f"to {numbers.percent(data.after.max())}."
    )


def _cost_words(costs: CostTerms | None, currency: str) -> str:
    if costs is None:
        return ""
    least = f", at least {numbers.money(costs.min_cost, currency)}" if costs.min_cost else ""
    return (
        f"cost {numbers.basis_points(costs.open_cost)} to buy, {numbers.basis_points(costs.close_cost)} to sell{least}"
    )


def _compute(material: Material) -> CumulativeData | None:
    returns, given = material.returns, material.given
    if returns is None:
        return None
    return cumulative_data(returns, mode=material.mode, costs=given.costs, currency=given.currency)


FIGURE = FigureSpec("cumulative", "performance", 10, _compute, draw_cumulative, full=True)
