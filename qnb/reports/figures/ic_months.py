"""Mean information coefficient of every month, with the sum of the daily ones on a right scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .. import numbers
from ..axes import COUNT, IC, day_axis, padded, ticks_between, value_axis
from ..drawing import LEFT, TOP, assemble, day_texts, meta_of, rounded
from ..figure_spec import FigureSpec
from ..material import Material
from ..theme import Theme, theme_of
from ..thin import thin

__all__ = ["IcMonthsData", "draw_ic_months", "ic_months_data"]

HEIGHT, BOTTOM, RIGHT = 190, 24, 44


@dataclass(frozen=True, slots=True)
class IcMonthsData:
    """IC by calendar month.

    Attributes
    ----------
    months : ndarray of datetime64[M], shape (months,)
    means : ndarray of shape (months,)
        Mean IC of the month's days, NaN where none is known.
    dates : ndarray of datetime64[ns], shape (days,)
    total : ndarray of shape (days,)
        Sum of the daily IC since the first day; a missing day adds nothing.
    """

    months: np.ndarray
    means: np.ndarray
    dates: np.ndarray
    total: np.ndarray


def ic_months_data(dates: np.ndarray, ic: np.ndarray) -> IcMonthsData:
    """Group the daily `ic` by calendar month and sum it up."""
    months, place = np.unique(dates.astype("datetime64[M]"), return_inverse=True)
    known = np.isfinite(ic)
    count = np.bincount(place, weights=known, minlength=len(months))
    total = np.bincount(place, weights=np.where(known, ic, 0.0), minlength=len(months))
    means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return IcMonthsData(months, means, dates, np.cumsum(np.where(known, ic, 0.0)))


def draw_ic_months(data: IcMonthsData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw the months as bars, blue above zero and orange below, and the running sum as a line."""
    look = theme_of(theme)
    low, high = padded(data.means)
    steps = ticks_between(low, high, 3)
    step = steps[1] - steps[0] if len(steps) > 1 else 0.1
    low, high = np.floor(low / step) * step, np.ceil(high / step) * step
    right_low, right_high = _right_span(data.total, low, high)
    kept = thin([data.total], points=600)
    # The bar stands in the middle of its month; Plotly measures its width in milliseconds.
    middle = data.months.astype("datetime64[D]") + np.timedelta64(14, "D")
    values = rounded(data.means, 4)
    bars = {
        "type": "bar",
        "name": "mean IC of the month",
        "x": day_texts(middle),
        "y": values,
        "width": 22 * 86_400_000,
        "marker": {
            "color": [look.tint(look.excess if (v or 0) < 0 else look.run, look.bar) for v in values],
            "line": {"width": 0},
        },
        "hovertemplate": "%{x|%b %Y}: mean <b>%{y}</b><extra></extra>",
        "meta": meta_of(IC, "Mean IC of the month"),
    }
    line = {
        "type": "scatter",
        "mode": "lines" if len(kept) > 1 else "markers",
        "name": "sum of daily IC",
        "x": day_texts(data.dates[kept]),
        "y": rounded(data.total[kept], 3),
        "yaxis": "y2",
        "line": {"color": look.text, "width": 1.5},
        "hovertemplate": "sum of daily IC <b>%{y:.1f}</b><extra></extra>",
        "meta": {"head": "Sum of daily IC", "digits": 1, "unit": "", "sign": False},
    }
    place = kept[min(int(len(kept) * 0.62), len(kept) - 1)]
    word = {
        "text": "<b>sum of daily IC</b>", "font": {"size": 11, "color": look.text}, "showarrow": False,
        "x": day_texts(data.dates[place : place + 1])[0], "xref": "x", "xshift": -8, "xanchor": "right",
        "y": round(float(data.total[place]), 3), "yref": "y2", "yshift": 12,
    }  # fmt: skip
    right = value_axis(
        right_low, right_high, COUNT, look, count=3, overlaying="y", side="right", showgrid=False, zeroline=False,
        hoverformat=".1f",
    )  # fmt: skip
    layout = {
        "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        "xaxis": day_axis(_reach(data), look),
        "yaxis": value_axis(low, high, IC, look, count=4),
        "yaxis2": right | _from_zero(right),
        "annotations": [word] if len(data.months) > 2 else [],
    }
    return assemble(
        [bars, line],
        layout,
        theme=look,
        title="IC by month",
        note="bars: mean · line: cumulative sum, right scale",
        aria=_aria(data),
        height=HEIGHT,
    )


def _right_span(total: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Ends of the right axis, so that both zeros stand at the same height."""
    top, foot = max(float(total.max()), 0.0), min(float(total.min()), 0.0)
    unit = max(top / high if high > 0 else 0.0, foot / low if low < 0 else 0.0, 1e-6) * 1.02
    return low * unit, high * unit


def _from_zero(axis: dict[str, Any]) -> dict[str, Any]:
    """Leave out the ticks below zero, where the right scale only mirrors the left one."""
    pairs = [(v, t) for v, t in zip(axis["tickvals"], axis["ticktext"], strict=True) if v >= 0]
    return {"tickvals": [v for v, _ in pairs], "ticktext": [t for _, t in pairs]} if len(pairs) > 1 else {}


def _reach(data: IcMonthsData) -> np.ndarray:
    first, last = data.months[0].astype("datetime64[D]"), (data.months[-1] + 1).astype("datetime64[D]")
    return np.array([first, max(last, data.dates[-1].astype("datetime64[D]"))])


def _aria(data: IcMonthsData) -> str:
    known = data.means[np.isfinite(data.means)]
    if known.size == 0:
        return "Information coefficient by month: no month yet."
    return (
        f"Mean information coefficient by month: {int((known > 0).sum())} of {known.size} months above zero, "
        f"from {numbers.ic(known.min())} to {numbers.ic(known.max())}; the daily ones sum to "
        f"{numbers.decimal(data.total[-1], 1)}."
    )


def _compute(material: Material) -> IcMonthsData | None:
    if material.scores is None or material.ic is None or not np.isfinite(material.ic).any():
        return None
    return ic_months_data(material.scores.dates, material.ic)


FIGURE = FigureSpec("ic_months", "signal", 20, _compute, draw_ic_months)
