"""Return by calendar month as a heat map, blue above zero and orange below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ...metrics.returns import cumulative
from .. import numbers
from ..drawing import assemble, rounded
from ..figure_spec import FigureSpec
from ..material import Material, Returns
from ..theme import Theme, theme_of
from ..types import Mode

__all__ = ["MONTHS", "MonthsData", "draw_months", "months_data"]

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FULL_AT = 0.10
"""Return of a month at which the colour is full, so that one month compares across reports."""


@dataclass(frozen=True, slots=True)
class MonthsData:
    """Returns of calendar months.

    Attributes
    ----------
    years : tuple of int
        Ascending.
    values : ndarray of shape (years, 12)
        Return of the month, NaN where no day was traded.
    totals : ndarray of shape (years,)
        Return of the year.
    what : str
        ``"Excess return"`` or ``"Return"``.
    mode : {'sum', 'product'}
    """

    years: tuple[int, ...]
    values: np.ndarray
    totals: np.ndarray
    what: str
    mode: Mode

    @property
    def sentence(self) -> str:
        """How many months ended above zero, the best and the worst."""
        flat = self.values.ravel()
        known = np.flatnonzero(np.isfinite(flat))
        if known.size == 0:
            return "No month yet."
        above = int((flat[known] > 0).sum())
        best, worst = known[np.argmax(flat[known])], known[np.argmin(flat[known])]
        best_words = f"{self._month(best)} with {numbers.percent(flat[best])}"
        worst_words = f"{self._month(worst)} with {numbers.percent(flat[worst])}"
        months = numbers.counted(known.size, "month")
        return f"{above} of {months} above zero. Best {best_words}, worst {worst_words}."

    def _month(self, place: int) -> str:
        return f"{self.years[place // 12]}-{place % 12 + 1:02d}"


def months_data(returns: Returns, *, mode: Mode = "sum") -> MonthsData:
    """Return the excess (without a benchmark: the return) after cost by calendar month and year."""
    month = returns.dates.astype("datetime64[M]").astype(np.int64)
    first, last = int(month[0]) // 12 + 1970, int(month[-1]) // 12 + 1970
    years = tuple(range(first, last + 1))
    values = np.full((len(years), 12), np.nan)
    totals = np.full(len(years), np.nan)
    starts = np.flatnonzero(np.diff(month, prepend=month[0] - 1))
    for begin, end in zip(starts, [*starts[1:], len(month)], strict=True):
        row = int(month[begin]) // 12 + 1970 - first
        values[row, int(month[begin]) % 12] = cumulative(returns.main[begin:end], mode=mode)[-1]
    for row in range(len(years)):
        known = values[row][np.isfinite(values[row])]
        if known.size:
            totals[row] = cumulative(known, mode=mode)[-1]
    return MonthsData(years, values, totals, "Return" if returns.bench is None else "Excess return", mode)


def draw_months(data: MonthsData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw the months as cells, the year's return in bold at their right."""
    look = theme_of(theme)
    rows = list(range(len(data.years)))  # places, not years: Plotly takes a year in a label for a place of its own
    cells = [[None if v is None else v for v in rounded(row * 100, 1)] for row in data.values]
    limit = FULL_AT * 100
    trace = {
        "type": "heatmap",
        "x": list(MONTHS),
        "y": rows,
        "z": [[None if v is None else max(-limit, min(limit, v)) for v in row] for row in cells],
        "text": [["" if v is None else numbers.decimal(v, 1, sign=True) for v in row] for row in cells],
        "texttemplate": "%{text}",
        "textfont": {"size": 11, "color": look.text},
        "zmin": -limit,
        "zmax": limit,
        "xgap": 2,
        "ygap": 2,
        "showscale": False,
        "hoverongaps": False,
        "colorscale": [
            [0.0, look.tint(look.excess, look.heat)],
            [0.5, look.tint(look.excess, 0.0)],
            [0.5, look.tint(look.run, 0.0)],
            [1.0, look.tint(look.run, look.heat)],
        ],
        "customdata": [[str(year)] * 12 for year in data.years],
        "hovertemplate": f"%{{x}} %{{customdata}} <b>%{{text}}{numbers.SPACE}%</b><extra></extra>",
    }
    totals = [
        {"xref": "paper", "x": 1, "xanchor": "right", "xshift": 52, "y": row, "yref": "y", "showarrow": False,
         "text": f"<b>{numbers.decimal(total * 100, 1, sign=True)}</b>", "font": {"size": 11, "color": look.text}}
        for row, total in zip(rows, data.totals, strict=True)
    ]  # fmt: skip
    head = {"xref": "paper", "x": 1, "xanchor": "right", "xshift": 52, "yref": "paper", "y": 1, "yanchor": "bottom",
            "yshift": 2, "showarrow": False, "text": "Year", "font": {"size": 11, "color": look.muted}}  # fmt: skip
    layout = {
        "margin": {"l": 40, "r": 56, "t": 24, "b": 4},
        "hovermode": "closest",
        "xaxis": {"side": "top", "type": "category", "fixedrange": True},
        "yaxis": {
            "range": [len(rows) - 0.5, -0.5], "tickvals": rows, "ticktext": [str(year) for year in data.years],
            "zeroline": False, "showgrid": False,
        },
        "annotations": [*totals, head],
    }  # fmt: skip
    how = "daily returns summed" if data.mode == "sum" else "daily returns compounded"
    return assemble(
        [trace],
        layout,
        theme=look,
        title=f"{data.what} by month",
        note=f"%, after cost, {how}",
        aria=f"{data.what} by month after cost. {data.sentence}",
        height=28 + 28 * len(rows),
    )


def _compute(material: Material) -> MonthsData | None:
    return None if material.returns is None else months_data(material.returns, mode=material.mode)


FIGURE = FigureSpec("months", "performance", 30, _compute, draw_months)
