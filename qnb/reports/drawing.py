"""Draws lines over days, and assembles traces and layout into a Plotly figure.

A figure is built as plain dicts and turned into a `go.Figure` once, at the end (`assemble`). Its ``layout.meta`` holds
what a page around it needs: title, note, the sentence for readers of a screen, and how its numbers are written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .axes import PERCENT, Kind, day_axis, padded, value_axis
from .labels import Label, end_labels, label_room, plain
from .theme import Theme, template, theme_of
from .thin import thin

__all__ = [
    "FULL_RIGHT",
    "LEFT",
    "TOP",
    "Line",
    "assemble",
    "day_texts",
    "label_of",
    "line_trace",
    "meta_of",
    "rounded",
    "time_figure",
]

LEFT, TOP, BOTTOM, HEAD = 48, 10, 24, 34
FULL_RIGHT = 152
"""Right margin of every full-width figure, so that their time axes stand under each other."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a time series figure.

    Attributes
    ----------
    name : str
        As its label says it; any text, it is made harmless here.
    values : ndarray of shape (days,)
        In natural units, NaN where missing.
    colour : str
        A colour of the theme.
    width : float
        1.5, or 2 for the lines that matter.
    dash : str
        Plotly dash, '' for a solid line.
    kind : Kind
        How the values are written.
    value_text : str or None
        Text after the name in the label; None writes the last value, '' leaves it out.
    """

    name: str
    values: np.ndarray
    colour: str
    width: float = 1.5
    dash: str = ""
    kind: Kind = PERCENT
    value_text: str | None = None


def time_figure(
    dates: np.ndarray,
    lines: Sequence[Line],
    *,
    theme: str | Theme,
    title: str,
    note: str,
    aria: str,
    height: int,
    full: bool = False,
    span: tuple[float, float] | None = None,
    tick_count: int = 5,
    fill: str | None = None,
    shapes: Sequence[dict[str, Any]] = (),
    annotations: Sequence[dict[str, Any]] = (),
) -> go.Figure:
    """Draw lines over days with a label at the end of each.

    Parameters
    ----------
    dates : ndarray of datetime64, shape (days,)
        Common to all lines.
    lines : sequence of Line
        Drawn in this order, so the line that matters comes last. All share the value axis and the kind of the first.
    height : int
        Height of the figure in pixels, without its title.
    full : bool
        A figure over the whole width of the page, with vertical lines at the years.
    span : (low, high) or None
        Ends of the value axis in natural units; None fits it to the lines.
    fill : str or None
        Colour of an area between the first line and zero.
    shapes, annotations : sequence of dict
        Further marks in Plotly's form.
    """
    look = theme_of(theme)
    kind = lines[0].kind
    kept = thin([line.values for line in lines])
    days = day_texts(dates[kept])
    low, high = span or padded(np.concatenate([line.values for line in lines]))
    axis = value_axis(low, high, kind, look, count=tick_count)
    traces = [line_trace(days, line, kept) for line in lines]
    if fill:
        traces[0] |= {"fill": "tozeroy", "fillcolor": fill}
    labels = [label for line in lines if (label := label_of(line)) is not None]
    right = FULL_RIGHT if full else label_room(labels)
    layout = {
        "margin": {"l": LEFT, "r": right, "t": TOP, "b": BOTTOM},
        "xaxis": day_axis(dates, look, lines=full),
        "yaxis": axis,
        "shapes": list(shapes),
        "annotations": [
            *annotations,
            *end_labels(labels, span=axis["range"], pixels=height - TOP - BOTTOM, theme=look),
        ],
    }
    return assemble(
        traces, layout, theme=look, title=title, note=note, aria=aria, height=height, sync=full, labels=labels
    )


def assemble(
    traces: Sequence[dict[str, Any]],
    layout: dict[str, Any],
    *,
    theme: Theme,
    title: str,
    note: str,
    aria: str,
    height: int,
    sync: bool = False,
    labels: Sequence[Label] = (),
    first_column: str = "Day",
) -> go.Figure:
    """Return the Plotly figure of plain traces and layout, with title, template and what a page needs.

    Parameters
    ----------
    height : int
        Without the title, for which `HEAD` pixels are added at the top.
    sync : bool
        The figure follows the zoom of its neighbours.
    labels : sequence of Label
        The lines' labels, which a narrow page writes above the figure.
    first_column : str
        Head of the first column where the numbers are shown as a table.
    """
    margin = dict(layout["margin"])
    margin["t"] += HEAD
    head = f"<b>{plain(title)}</b>" + (
        f'  <span style="color:{theme.muted};font-size:12px">{plain(note)}</span>' if note else ""
    )
    spec = {
        **layout,
        "template": template(theme),
        "height": height + HEAD,
        "margin": margin,
        "title": {
            "text": head,
            "x": 0,
            "xref": "container",
            "pad": {"l": 2},
            "y": 1 - 16 / (height + HEAD),
            "yanchor": "middle",
            "font": {"size": 13, "color": theme.text},
        },
        "meta": {
            "title": title,
            "note": note,
            "aria": aria,
            "head": HEAD,
            "sync": sync,
            "first": first_column,
            "labels": [[n.name, n.value, n.colour] for n in sorted(labels, key=lambda n: -n.at)],
            "ends": [n.name for n in labels],
        },
    }
    return go.Figure({"data": list(traces), "layout": spec})


def line_trace(days: Sequence[str], line: Line, kept: np.ndarray, **extra: Any) -> dict[str, Any]:
    """Return the Plotly trace of `line` at the positions `kept`."""
    stroke: dict[str, Any] = {"color": line.colour, "width": line.width, "shape": "linear"}
    if line.dash:
        stroke["dash"] = line.dash
    return {
        "type": "scatter",
        "mode": "lines" if len(kept) > 1 else "markers",
        "marker": {"color": line.colour, "size": 6},
        "name": plain(line.name),
        "x": list(days),
        "y": rounded(line.values[kept] * line.kind.scale, line.kind.digits + 1),
        "line": stroke,
        "connectgaps": False,
        "hovertemplate": f"{plain(line.name)} <b>%{{y}}</b><extra></extra>",
        "meta": meta_of(line.kind, line.name),
        **extra,
    }


def meta_of(kind: Kind, head: str) -> dict[str, Any]:
    """Return what a page needs to write a trace's numbers as a column of a table."""
    return {"head": head, "digits": kind.digits, "unit": kind.unit, "sign": kind.sign}


def label_of(line: Line) -> Label | None:
    """Return the label at the end of `line`: its name and last value; None for a line without a value."""
    known = line.values[np.isfinite(line.values)]
    if known.size == 0:
        return None
    last = float(known[-1])
    text = line.kind.write(last) if line.value_text is None else line.value_text
    return Label(last * line.kind.scale, line.name, text, line.colour)


def day_texts(dates: np.ndarray) -> list[str]:
    """Return days as ``YYYY-MM-DD``."""
    return dates.astype("datetime64[D]").astype(str).tolist()


def rounded(values: np.ndarray, digits: int) -> list[float | None]:
    """Return floats of so many decimals, None for NaN and infinities."""
    return [round(v, digits) + 0.0 if math.isfinite(v) else None for v in values.tolist()]
