"""Rolling information ratio of the excess and Sharpe ratio of the strategy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from .. import numbers
from ..axes import RATIO
from ..drawing import Line, day_texts, time_figure
from ..figure_spec import FigureSpec
from ..material import Material, Returns
from ..theme import Theme, theme_of
from ..windows import rolling_ratio

__all__ = ["RollingData", "draw_rolling", "rolling_data"]


@dataclass(frozen=True, slots=True)
class RollingData:
    """Ratios of the last `window` days, annualised.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    sharpe : ndarray of shape (days,)
        Of the return after cost; NaN for the first days.
    information_ratio : ndarray of shape (days,), or None
        Of the excess after cost; None without a benchmark.
    window : int
        Days.
    """

    dates: np.ndarray
    sharpe: np.ndarray
    information_ratio: np.ndarray | None
    window: int


def rolling_data(returns: Returns, *, window: int | None = None) -> RollingData | None:
    """Return mean / standard deviation (ddof 1) * sqrt(periods) over the last `window` days, after cost.

    Parameters
    ----------
    window : int or None
        None takes a year, a quarter of a year where the test is shorter than one and a half, and gives no figure
        (None) below half a year.
    """
    days, year = len(returns.dates), returns.periods
    if window is None:
        if days < year // 2:
            return None
        window = year if days >= 1.5 * year else year // 4
    if not 2 <= window <= days:
        return None

    def ratio(values: np.ndarray) -> np.ndarray:
        return rolling_ratio(values, window, periods=year)

    information_ratio = None if returns.excess is None else ratio(returns.excess)
    return RollingData(returns.dates, ratio(returns.after), information_ratio, window)


def draw_rolling(data: RollingData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw both ratios; the days before the first full window are soft ground."""
    look = theme_of(theme)
    lines = [Line("Sharpe", data.sharpe, look.benchmark, kind=RATIO)]
    if data.information_ratio is not None:
        lines.append(Line("information ratio", data.information_ratio, look.excess, width=2, kind=RATIO))
    days = day_texts(data.dates)
    begin, middle = days[data.window - 1], days[(data.window - 1) // 2]
    rest = {
        "type": "rect", "xref": "x", "yref": "paper", "x0": days[0], "x1": begin, "y0": 0, "y1": 1,
        "fillcolor": look.soft, "line": {"width": 0}, "layer": "above",
    }  # fmt: skip
    word = {
        "x": middle, "xref": "x", "y": 0.5, "yref": "paper", "text": f"first {data.window} days", "showarrow": False,
        "font": {"size": 11, "color": look.muted},
    }  # fmt: skip
    return time_figure(
        data.dates,
        lines,
        theme=look,
        title="Rolling information ratio and Sharpe" if data.information_ratio is not None else "Rolling Sharpe",
        note=f"{data.window} days, after cost, annualised",
        aria=_aria(data),
        height=176,
        full=True,
        shapes=[rest],
        annotations=[word] if data.window >= 0.12 * len(days) else [],
    )


def _aria(data: RollingData) -> str:
    parts = [f"Sharpe {_range(data.sharpe)}"]
    if data.information_ratio is not None:
        parts.insert(0, f"information ratio {_range(data.information_ratio)}")
    return f"Rolling ratios over {data.window} days: {'; '.join(parts)}."


def _range(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return numbers.MISSING
    return f"last {numbers.ratio(known[-1])}, from {numbers.ratio(known.min())} to {numbers.ratio(known.max())}"


def _compute(material: Material) -> RollingData | None:
    return None if material.returns is None else rolling_data(material.returns)


FIGURE = FigureSpec("rolling", "performance", 50, _compute, draw_rolling, full=True)
