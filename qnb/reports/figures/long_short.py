"""Return of the group with the highest scores less that of the lowest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ...metrics.returns import cumulative
from ...metrics.rows import group_means
from .. import numbers
from ..drawing import Line, time_figure
from ..figure_spec import FigureSpec
from ..material import Material, Scores
from ..theme import Theme, theme_of
from ..types import Mode
from .groups import GROUPS

__all__ = ["LongShortData", "draw_long_short", "long_short_data"]


@dataclass(frozen=True, slots=True)
class LongShortData:
    """Cumulative return of highest less lowest group.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    values : ndarray of shape (days,)
    groups : int
    mode : {'sum', 'product'}
    """

    dates: np.ndarray
    values: np.ndarray
    groups: int
    mode: Mode


def long_short_data(scores: Scores, *, groups: int = GROUPS, mode: Mode = "sum") -> LongShortData | None:
    """Accumulate mean label of group 1 less that of the last group, before cost; None without labels."""
    if scores.labels is None or not (np.isfinite(scores.scores) & np.isfinite(scores.labels)).any():
        return None
    means, _ = group_means(scores.scores, scores.labels, groups)
    return LongShortData(scores.dates, cumulative(means[:, 0] - means[:, -1], mode=mode), groups, mode)


def draw_long_short(data: LongShortData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw the line."""
    look = theme_of(theme)
    how = "summed" if data.mode == "sum" else "compounded"
    whole = numbers.percent(data.values[-1], 0)
    return time_figure(
        data.dates,
        [Line("long-short", data.values, look.run, width=2, value_text=whole)],
        theme=look,
        title="Long-short",
        note=f"group 1 less group {data.groups}, before cost, {how}",
        aria=(
            f"Return of the highest score group less the lowest, before cost, {how}: {whole} at the end, "
            f"from {numbers.percent(data.values.min(), 0)} to {numbers.percent(data.values.max(), 0)}."
        ),
        height=200,
    )


def _compute(material: Material) -> LongShortData | None:
    return None if material.scores is None else long_short_data(material.scores, mode=material.mode)


FIGURE = FigureSpec("long_short", "signal", 40, _compute, draw_long_short)
