"""Excess return over the benchmark, before and after cost."""

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
from ..types import Mode

__all__ = ["ExcessData", "draw_excess", "excess_data"]


@dataclass(frozen=True, slots=True)
class ExcessData:
    """Cumulative excess return.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    before, after : ndarray of shape (days,)
        Return less the benchmark's, before and after cost.
    benchmark : str
    mode : {'sum', 'product'}
    """

    dates: np.ndarray
    before: np.ndarray
    after: np.ndarray
    benchmark: str
    mode: Mode


def excess_data(returns: Returns, *, mode: Mode = "sum") -> ExcessData | None:
    """Accumulate the excess before and after cost; None without a benchmark."""
    if returns.excess is None or returns.excess_before is None:
        return None
    before, after = cumulative(returns.excess_before, mode=mode), cumulative(returns.excess, mode=mode)
    return ExcessData(returns.dates, before, after, returns.benchmark, mode)


def draw_excess(data: ExcessData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw both lines; their distance is what trading cost."""
    look = theme_of(theme)
    how = "summed" if data.mode == "sum" else "compounded"
    return time_figure(
        data.dates,
        [
            Line("before cost", data.before, look.before, dash="4px,2px"),
            Line("after cost", data.after, look.excess, width=2),
        ],
        theme=look,
        title="Excess return",
        note=f"over {data.benchmark}, {how}; the gap is cost",
        aria=(
            f"Cumulative excess return over {data.benchmark}, daily returns {how}: before cost "
            f"{numbers.percent(data.before[-1])}, after cost {numbers.percent(data.after[-1])} at the end."
        ),
        height=160,
        tick_count=3,
    )


def _compute(material: Material) -> ExcessData | None:
    return None if material.returns is None else excess_data(material.returns, mode=material.mode)


FIGURE = FigureSpec("excess", "performance", 40, _compute, draw_excess)
