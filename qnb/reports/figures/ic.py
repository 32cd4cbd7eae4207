"""Information coefficient of every day, and the rolling means of IC and rank IC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from .. import numbers
from ..axes import IC, day_axis, value_axis
from ..drawing import LEFT, TOP, Line, assemble, day_texts, label_of, line_trace, meta_of, rounded
from ..figure_spec import FigureSpec
from ..labels import end_labels, label_room
from ..material import Material
from ..theme import Theme, theme_of
from ..thin import thin
from ..windows import rolling_mean

__all__ = ["IcData", "draw_ic", "ic_data"]

WINDOW = 60
HEIGHT, BOTTOM = 190, 24


@dataclass(frozen=True, slots=True)
class IcData:
    """Daily and smoothed information coefficients.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    ic, rank_ic : ndarray of shape (days,)
        Pearson and Spearman correlation of score and label over the day's instruments; NaN without enough.
    ic_mean, rank_ic_mean : ndarray of shape (days,)
        Means of the last `window` days, missing days left out.
    window : int
    """

    dates: np.ndarray
    ic: np.ndarray
    rank_ic: np.ndarray
    ic_mean: np.ndarray
    rank_ic_mean: np.ndarray
    window: int


def ic_data(dates: np.ndarray, ic: np.ndarray, *, rank_ic: np.ndarray, window: int = WINDOW) -> IcData:
    """Smooth the daily coefficients over `window` days, fewer where the test is shorter than twice that."""
    window = max(1, min(window, len(dates) // 2))
    return IcData(dates, ic, rank_ic, rolling_mean(ic, window), rolling_mean(rank_ic, window), window)


def draw_ic(data: IcData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw the days as thin strokes, cut at the scale, and both means as lines."""
    look = theme_of(theme)
    low, high = _span(data)
    kept = thin([data.ic, data.ic_mean, data.rank_ic_mean], points=900)
    days = day_texts(data.dates[kept])
    spikes = {
        "type": "scatter",
        "mode": "lines",
        "name": "IC of the day",
        "x": [day for day in days for _ in range(3)],
        "y": [end for value in rounded(data.ic[kept], 4) for end in (0, value, None)],
        "line": {"color": look.tint(look.zero, look.bar), "width": 0.75},
        "hoverinfo": "skip",
        "meta": meta_of(IC, "IC of the day"),
    }
    lines = [
        Line("rank IC", data.rank_ic_mean, look.before, dash="4px,2px", kind=IC),
        Line("IC", data.ic_mean, look.run, width=2, kind=IC),
    ]
    rank_line, line = (line_trace(days, line, kept) for line in lines)
    # The spikes would answer the pointer twice a day, at their foot and at their end; the line speaks for them.
    line["customdata"] = [numbers.ic(value) for value in data.ic[kept].tolist()]
    line["hovertemplate"] = "IC <b>%{y}</b>, of the day <b>%{customdata}</b><extra></extra>"
    labels = [label for line in lines if (label := label_of(line)) is not None]
    axis = value_axis(low, high, IC, look)
    layout = {
        "margin": {"l": LEFT, "r": label_room(labels), "t": TOP, "b": BOTTOM},
        "xaxis": day_axis(data.dates, look),
        "yaxis": axis,
        "annotations": end_labels(labels, span=axis["range"], pixels=HEIGHT - TOP - BOTTOM, theme=look),
    }
    mean = f"lines: mean of {data.window} days" if data.window > 1 else "lines: the same"
    return assemble(
        [spikes, rank_line, line],
        layout,
        theme=look,
        title="IC",
        note=f"grey: each day, cut at the scale · {mean}",
        aria=_aria(data),
        height=HEIGHT,
        labels=labels,
    )


def _span(data: IcData) -> tuple[float, float]:
    known = data.ic[np.isfinite(data.ic)]
    means = np.concatenate([data.ic_mean, data.rank_ic_mean])
    means = means[np.isfinite(means)]
    if known.size == 0:
        return -0.1, 0.1
    low = min(float(np.quantile(known, 0.05)), float(means.min(initial=0.0)), -0.02)
    high = max(float(np.quantile(known, 0.95)), float(means.max(initial=0.0)), 0.02)
    return np.floor(low * 10) / 10, np.ceil(high * 10) / 10


def _aria(data: IcData) -> str:
    known, ranked = data.ic[np.isfinite(data.ic)], data.rank_ic[np.isfinite(data.rank_ic)]
    if known.size == 0:
        return "Information coefficient by day: no day with enough labels."
    return (
        f"Information coefficient by day: mean {numbers.ic(known.mean())}, rank IC {numbers.ic(ranked.mean())} over "
        f"{numbers.count(known.size)} days; single days from {numbers.ic(known.min())} to {numbers.ic(known.max())}."
    )


def _compute(material: Material) -> IcData | None:
    if material.scores is None or material.ic is None or material.rank_ic is None:
        return None
    if not np.isfinite(material.ic).any():
        return None
    return ic_data(material.scores.dates, material.ic, rank_ic=material.rank_ic)


FIGURE = FigureSpec("ic", "signal", 10, _compute, draw_ic)
