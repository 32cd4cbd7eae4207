"""Share of the account that is invested, and the number of names held, by day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from .. import numbers
from ..axes import COUNT, Kind, day_axis, padded, value_axis
from ..drawing import LEFT, TOP, Line, assemble, day_texts, label_of, line_trace
from ..figure_spec import FigureSpec
from ..labels import end_labels, label_room
from ..material import Material
from ..theme import Theme, theme_of
from ..thin import thin

__all__ = ["HoldingsData", "draw_holdings", "holdings_data"]

HEIGHT, BOTTOM = 200, 24
UPPER, LOWER = (0.54, 1.0), (0.0, 0.34)
_WHOLE = Kind(lambda v: numbers.share(v, 0), numbers.share, 100.0, 1, "%")


@dataclass(frozen=True, slots=True)
class HoldingsData:
    """What is held.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    invested : ndarray of shape (days,), or None
        Value of the holdings as a share of the account; NaN without an account.
    names : ndarray of shape (days,), or None
        Number of instruments held.
    """

    dates: np.ndarray
    invested: np.ndarray | None
    names: np.ndarray | None


def holdings_data(report: pd.DataFrame, names: pd.Series | None = None) -> HoldingsData | None:
    """Return exposure and names by day; None where neither is known.

    Parameters
    ----------
    report : DataFrame
        Columns value and account, index day.
    names : Series or None
        Instruments held, index day; a day that is missing there counts as none held.
    """
    report = report.sort_index()
    invested = None
    if "value" in report and "account" in report:
        account = report["account"].to_numpy(dtype=np.float64, na_value=np.nan)
        value = report["value"].to_numpy(dtype=np.float64, na_value=np.nan)
        invested = np.divide(value, account, out=np.full(len(report), np.nan), where=account != 0)
    held = None if names is None else names.reindex(report.index).fillna(0).to_numpy(dtype=np.float64)
    if invested is None and held is None:
        return None
    return HoldingsData(pd.DatetimeIndex(report.index).to_numpy().astype("datetime64[ns]"), invested, held)


def draw_holdings(data: HoldingsData, *, theme: str | Theme = "light") -> go.Figure:
    """Draw both as panes of one figure with their own scales."""
    look = theme_of(theme)
    lines = []
    if data.invested is not None:
        lines.append(Line("invested", data.invested, look.run, width=1.25, kind=_WHOLE))
    if data.names is not None:
        lines.append(Line("names", data.names, look.before, width=1.25, kind=COUNT))
    kept = thin([line.values for line in lines], points=1000)
    days = day_texts(data.dates[kept])
    panes = (UPPER, LOWER) if len(lines) == 2 else ((0.0, 1.0),)
    layout: dict[str, object] = {
        "xaxis": day_axis(data.dates, look, anchor=f"y{len(lines)}" if len(lines) > 1 else "y")
    }
    traces, annotations, labels = [], [], []
    for place, (line, pane) in enumerate(zip(lines, panes, strict=True)):
        key = "" if place == 0 else str(place + 1)
        low, high = _span(line)
        count = 3 if len(lines) > 1 else 4
        axis = value_axis(low, high, line.kind, look, count=count, domain=list(pane), zeroline=False)
        label = label_of(line)
        if label is not None:
            label = replace(label, axis=f"y{key}")
            pixels = (HEIGHT - TOP - BOTTOM) * (pane[1] - pane[0])
            annotations += end_labels([label], span=axis["range"], pixels=pixels, theme=look)
            labels.append(label)
        layout[f"yaxis{key}"] = axis
        traces.append(line_trace(days, line, kept, yaxis=f"y{key}"))
    layout |= {"margin": {"l": LEFT, "r": label_room(labels), "t": TOP, "b": BOTTOM}, "annotations": annotations}
    return assemble(
        traces,
        layout,
        theme=look,
        title="Holdings and exposure",
        note="share of the account invested · number of names held",
        aria=_aria(data),
        height=HEIGHT,
        labels=labels,
    )


def _span(line: Line) -> tuple[float, float]:
    started = line.values[np.cumsum(line.values > 0) > 0]  # the days before the first purchase would flatten the rest
    low, high = padded(started if started.size else line.values, zero=False)
    return max(low, 0.0), high


def _aria(data: HoldingsData) -> str:
    parts = []
    if data.invested is not None and np.isfinite(data.invested).any():
        known = data.invested[np.isfinite(data.invested)]
        last, mean = numbers.share(known[-1], 0), numbers.share(known.mean(), 0)
        parts.append(f"invested {last} of the account at the end, {mean} on average")
    if data.names is not None:
        last, most = numbers.count(data.names[-1]), numbers.count(data.names.max())
        parts.append(f"{last} names held at the end, at most {most}")
    return f"Holdings by day: {'; '.join(parts)}."


def _compute(material: Material) -> HoldingsData | None:
    report = material.given.report
    return None if report is None or len(report) == 0 else holdings_data(report, material.holdings)


FIGURE = FigureSpec("holdings", "portfolio", 20, _compute, draw_holdings)
