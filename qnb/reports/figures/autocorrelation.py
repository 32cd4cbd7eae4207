"""Rank correlation of the scores of a day with those of a later day: how long a signal lasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ...metrics.rows import ranks, row_correlation
from .. import numbers
from ..axes import RATIO, value_axis
from ..drawing import LEFT, TOP, assemble, rounded
from ..figure_spec import FigureSpec
from ..material import Material, Scores
from ..theme import Theme, theme_of

__all__ = ["AutocorrelationData", "autocorrelation_data", "draw_autocorrelation"]

LAGS = 20
NAMED = (1, 5, 10, 15, 20)
MOST_CELLS = 3_000_000
"""Scores that each lag looks at, at most."""


@dataclass(frozen=True, slots=True)
class AutocorrelationData:
    """Mean rank correlation by lag.

    Attributes
    ----------
    lags : ndarray of int, shape (lags,)
        Days between the two scores.
    values : ndarray of shape (lags,)
        Mean over all pairs of days, NaN where there is none.
    """

    lags: np.ndarray
    values: np.ndarray


def autocorrelation_data(scores: Scores, *, lags: int = LAGS) -> AutocorrelationData | None:
    """Correlate the ranks of each day with those of `1 … lags` days later, over the instruments of both.

    None where there is only one day, or no two days share instruments.

    Notes
    -----
    An instrument's rank is that among the day's own instruments, taken once for all lags. Where the universe changes
    between two days, this differs from `qnb.metrics.rows.autocorrelation`, which ranks anew for every pair, by less
    than a bar can show, at a twentieth of its cost. Of a large market every k-th day is taken.
    """
    days = len(scores.dates)
    lags = min(lags, days - 1)
    if lags < 1:
        return None
    ranked = ranks(scores.scores)
    step = -(-ranked.size // MOST_CELLS)
    steps = np.arange(1, lags + 1)
    values = np.full(lags, np.nan)
    for i, lag in enumerate(steps.tolist()):
        pairs = row_correlation(ranked[lag::step], ranked[: days - lag : step])
        if np.isfinite(pairs).any():
            values[i] = np.nanmean(pairs)
    return AutocorrelationData(steps, values) if np.isfinite(values).any() else None


def draw_autocorrelation(data: AutocorrelationData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw a bar a lag, a few with their value."""
    look = theme_of(theme)
    values = rounded(data.values, 4)
    known = data.values[np.isfinite(data.values)]
    low = min(0.0, float(known.min()) - 0.05)
    bars = {
        "type": "bar",
        "name": "rank correlation",
        "x": data.lags.tolist(),
        "y": values,
        "width": 0.62,
        "marker": {
            "color": [look.tint(look.excess if (v or 0) < 0 else look.run, look.bar) for v in values],
            "line": {"width": 0},
        },
        "text": [numbers.ratio(v) if lag in NAMED else "" for lag, v in zip(data.lags.tolist(), values, strict=True)],
        "textposition": "outside",
        "textangle": 0,
        "constraintext": "none",
        "cliponaxis": False,
        "textfont": {"size": 11, "color": look.text},
        "hovertemplate": "lag %{x}: <b>%{y}</b><extra></extra>",
        "meta": {"head": "Rank correlation", "digits": 3, "unit": "", "sign": False},
    }
    marks = [lag for lag in NAMED if lag <= data.lags[-1]]
    layout = {
        "margin": {"l": LEFT, "r": 12, "t": TOP, "b": 40},
        "hovermode": "closest",
        "xaxis": {
            "type": "linear", "range": [0.4, max(float(data.lags[-1]), 5.0) + 0.6], "tickvals": marks,
            "ticktext": [str(lag) for lag in marks], "title": {"text": "lag, days", "standoff": 4}, "fixedrange": True,
        },
        "yaxis": value_axis(low, 1.0, RATIO, look, count=4),
    }  # fmt: skip
    return assemble(
        [bars],
        layout,
        theme=look,
        title="Autocorrelation of the scores",
        note="rank correlation of a day with a later day",
        aria=(
            "Rank correlation of the scores of a day with those of a later day: "
            + ", ".join(
                f"{numbers.ratio(v)} after {numbers.counted(lag, 'day')}"
                for lag, v in zip(data.lags.tolist(), data.values, strict=True)
                if lag in NAMED
            )
            + "."
        ),
        height=216,
        first_column="Lag, days",
    )


def _compute(material: Material) -> AutocorrelationData | None:
    return None if material.scores is None else autocorrelation_data(material.scores)


FIGURE = FigureSpec("autocorrelation", "signal", 50, _compute, draw_autocorrelation)
