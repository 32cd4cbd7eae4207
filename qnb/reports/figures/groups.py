"""Return by score group: quantiles of the scores against the universe."""

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

__all__ = ["GroupsData", "draw_groups", "groups_data"]

GROUPS = 5
_NAMES = {3: "terciles", 4: "quartiles", 5: "quintiles", 10: "deciles"}


@dataclass(frozen=True, slots=True)
class GroupsData:
    """Cumulative return of equally large groups by score, less the universe's mean.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    values : ndarray of shape (days, groups)
        Group 0 has the highest scores. A day on which a group is empty adds nothing.
    mode : {'sum', 'product'}
    """

    dates: np.ndarray
    values: np.ndarray
    mode: Mode


def groups_data(scores: Scores, *, groups: int = GROUPS, mode: Mode = "sum") -> GroupsData | None:
    """Sort each day's instruments by score into `groups`, and accumulate their mean label less the day's mean.

    Before cost; the label is the return that the score was to foretell. None without labels.
    """
    if scores.labels is None or not (np.isfinite(scores.scores) & np.isfinite(scores.labels)).any():
        return None
    means, universe = group_means(scores.scores, scores.labels, groups)
    active = means - universe[:, None]
    return GroupsData(
        scores.dates, np.stack([cumulative(active[:, g], mode=mode) for g in range(groups)], axis=1), mode
    )


def draw_groups(data: GroupsData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw the groups, the highest and the lowest in colour."""
    look = theme_of(theme)
    groups = data.values.shape[1]
    lines = [Line("1 highest", data.values[:, 0], look.run, width=2, value_text="")]
    lines += [
        Line(str(g + 1), data.values[:, g], look.benchmark, width=1.25, dash="3px,2px", value_text="")
        for g in range(1, groups - 1)
    ]
    lines.append(Line(f"{groups} lowest", data.values[:, -1], look.excess, width=2, value_text=""))
    how = "summed" if data.mode == "sum" else "compounded"
    return time_figure(
        data.dates,
        lines,
        theme=look,
        title="Return by score group",
        note=f"{_NAMES.get(groups, f'{groups} groups')} against the universe, before cost, {how}",
        aria=(
            f"Return of {groups} score groups against the universe, before cost, {how}: highest scores "
            f"{numbers.percent(data.values[-1, 0])}, lowest {numbers.percent(data.values[-1, -1])} at the end."
        ),
        height=200,
    )


def _compute(material: Material) -> GroupsData | None:
    return None if material.scores is None else groups_data(material.scores, mode=material.mode)


FIGURE = FigureSpec("groups", "signal", 30, _compute, draw_groups)
