"""Turnover a day and cumulative cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from ...metrics.returns import cumulative
from .. import numbers
from ..axes import SHARE, padded
from ..drawing import Line, time_figure
from ..figure_spec import FigureSpec
from ..material import Material, Returns
from ..theme import Theme, theme_of
from ..windows import rolling_mean

__all__ = ["TurnoverData", "draw_turnover", "turnover_data"]

WINDOW = 20


@dataclass(frozen=True, slots=True)
class TurnoverData:
    """What is traded and what it costs, as shares of the account.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    turnover : ndarray of shape (days,)
        Traded value a day, mean of the last `window` days.
    cost : ndarray of shape (days,)
        Sum of the cost since the first day.
    mean : float
        Mean turnover a day over all days.
    window : int
    """

    dates: np.ndarray
    turnover: np.ndarray
    cost: np.ndarray
    mean: float
    window: int


def turnover_data(returns: Returns, *, window: int = WINDOW) -> TurnoverData | None:
    """Return the mean turnover of the last `window` days and the summed cost.

    The mean begins when the first purchase, which fills the whole account, has left its window. None where
    the turnover is not known.
    """
    if returns.turnover is None:
        return None
    window = max(1, min(window, len(returns.dates) // 3))
    traded = np.flatnonzero(returns.turnover > 0)
    filled = int(traded[0]) + window if traded.size and window > 1 else 0
    mean = rolling_mean(returns.turnover, window)
    return TurnoverData(
        dates=returns.dates,
        turnover=np.where(np.arange(len(mean)) < filled, np.nan, mean),
        cost=cumulative(returns.cost),
        mean=float(returns.turnover.mean()),
        window=window,
    )


def draw_turnover(data: TurnoverData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw both on one axis of shares."""
    look = theme_of(theme)
    low, high = padded(np.concatenate([data.turnover, data.cost]))
    mean = f"mean of {data.window} days" if data.window > 1 else "each day"
    return time_figure(
        data.dates,
        [
            Line("turnover", data.turnover, look.run, kind=SHARE),
            Line("cost", data.cost, look.excess, dash="6px,3px", kind=SHARE),
        ],
        theme=look,
        title="Turnover and cost",
        note=f"turnover a day: {mean} · cost: cumulative",
        aria=(
            f"Turnover {numbers.share(data.mean)} a day on average, {numbers.share(data.turnover[-1])} at the end; "
            f"cumulative cost {numbers.share(data.cost[-1])} of the account."
        ),
        height=200,
        span=(0.0 if low >= -0.02 else low, high),
    )


def _compute(material: Material) -> TurnoverData | None:
    return None if material.returns is None else turnover_data(material.returns)


FIGURE = FigureSpec("turnover", "portfolio", 10, _compute, draw_turnover)
