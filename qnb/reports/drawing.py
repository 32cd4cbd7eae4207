"""The shared grammar of the figures: axes, lines, end labels, bars, and the assembly into a Plotly figure.

A figure is built as plain dicts and turned into a `go.Figure` once, at the end (`assemble`). Its ``layout.meta`` holds
what a page around it needs: title, note, the sentence for readers of a screen, and how its numbers are written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from . import numbers
from .theme import Theme, template, theme_of
from .thin import thin

__all__ = [
    "COUNT",
    "FULL_RIGHT",
    "IC",
    "LEFT",
    "PERCENT",
    "RATIO",
    "SHARE",
    "TOP",
    "Kind",
    "Label",
    "Line",
    "assemble",
    "day_axis",
    "day_texts",
    "end_labels",
    "label_of",
    "label_room",
    "line_trace",
    "meta_of",
    "note_text",
    "padded",
    "plain",
    "rounded",
    "spread",
    "ticks_between",
    "time_figure",
    "value_axis",
]

LEFT, TOP, BOTTOM, HEAD = 48, 10, 24, 34
FULL_RIGHT = 152
"""Right margin of every full-width figure, so that their time axes stand under each other."""
LABEL_GAP = 14
_CHARACTER = 6.1  # width of a label's character at 11 px


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of a series are written.

    Attributes
    ----------
    write : callable
        Value in natural units (0.106) -> text (``+10.6 %``).
    tick : callable
        ``tick(value, digits)``: the same for an axis, whose ticks share their digits.
    scale : float
        Factor from natural units to those of the axis: 100 for percentages.
    digits, unit, sign : int, str, bool
        The same rule for a page's own script and for hover texts.
    """

    write: Callable[[Any], str]
    tick: Callable[[float, int], str]
    scale: float = 1.0
    digits: int = 2
    unit: str = ""
    sign: bool = False

    @property
    def hover(self) -> dict[str, str]:
        """How an axis writes a value under the pointer; it knows a real minus, which a hover template does not."""
        unit = f"{numbers.SPACE}{self.unit}" if self.unit else ""
        return {"hoverformat": f"{'+' if self.sign else ''},.{self.digits}f", "ticksuffix": unit}


PERCENT = Kind(numbers.percent, numbers.percent, 100.0, 1, "%", True)
SHARE = Kind(numbers.share, numbers.share, 100.0, 1, "%")
RATIO = Kind(numbers.ratio, numbers.decimal)
IC = Kind(lambda v: numbers.decimal(v, 3), numbers.decimal, digits=4)
COUNT = Kind(numbers.count, lambda v, digits: numbers.count(v), digits=0)


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


@dataclass(frozen=True, slots=True)
class Label:
    """A label at the end of a line: where it belongs (in axis units) and what it says."""

    at: float
    name: str
    value: str
    colour: str
    axis: str = "y"
    extra: dict[str, Any] = field(default_factory=dict)


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


def day_axis(dates: np.ndarray, theme: Theme, *, lines: bool = False, **extra: Any) -> dict[str, Any]:
    """Return a time axis over `dates`: years where they fit, else months or days, also after zooming."""
    first, last = dates[0].astype("datetime64[D]"), dates[-1].astype("datetime64[D]")
    days = max(int((last - first) / np.timedelta64(1, "D")), 1)
    before = np.timedelta64(max(1, min(3, days // 20)), "D")
    after = np.timedelta64(0 if days > 3 else 1, "D")
    return {
        "type": "date",
        "range": [str(first - before), str(last + after)],
        "nticks": 6,
        "tickformatstops": [
            {"dtickrange": ["M12", None], "value": "%Y"},  # the first that matches counts
            {"dtickrange": ["M1", "M12"], "value": "%b %Y"},
            {"dtickrange": [None, "M1"], "value": "%b %d"},
        ],
        "hoverformat": "%Y-%m-%d",
        "showgrid": lines,
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikecolor": theme.zero,
        **extra,
    }


def value_axis(low: float, high: float, kind: Kind, theme: Theme, *, count: int = 5, **extra: Any) -> dict[str, Any]:
    """Return a value axis from `low` to `high` (natural units) with round ticks as `kind` writes them."""
    marks = ticks_between(low, high, count)
    digits = next((d for d in range(4) if all(_is_round(m * kind.scale, d) for m in marks)), 4)
    return {
        "range": [round(low * kind.scale, 6), round(high * kind.scale, 6)],
        "tickvals": [round(m * kind.scale, 6) for m in marks],
        "ticktext": [kind.tick(m, digits) for m in marks],
        "tickmode": "array",
        "zerolinecolor": theme.zero,
        **kind.hover,
        **extra,
    }


def ticks_between(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers in [low, high], ascending.

    Examples
    --------
    >>> ticks_between(-0.13, 1.06, 5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low] if math.isfinite(low) else []
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * power >= rough * 0.95) * power
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def padded(values: np.ndarray, *, share: float = 0.05, zero: bool = True) -> tuple[float, float]:
    """Return the ends of an axis around the finite `values`, with zero inside where `zero` says so."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return -0.01, 0.01
    low, high = float(finite.min()), float(finite.max())
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-12:
        low, high = low - max(abs(low) * 0.1, 0.01), high + max(abs(high) * 0.1, 0.01)
    room = (high - low) * share
    return low - room, high + room


def end_labels(
    labels: Sequence[Label], *, span: Sequence[float], pixels: float, theme: Theme, reference: str = "paper"
) -> list[dict[str, Any]]:
    """Return annotations at the right end of the lines, pushed apart to 14 px.

    Parameters
    ----------
    labels : sequence of Label
        Positions in axis units.
    span : (low, high)
        Range of the axis they belong to.
    pixels : float
        Height of that axis.
    reference : str
        Plotly reference of x, ``"paper"`` or ``"x domain"``.
    """
    low, high = span
    scale = pixels / (high - low)
    wanted = [(min(max(label.at, low), high) - low) * scale for label in labels]
    placed = spread(wanted, gap=LABEL_GAP, low=4, high=pixels - 2)
    return [
        {
            "name": "end",
            "xref": reference,
            "x": 1,
            "xanchor": "left",
            "xshift": 6,
            "yref": label.axis,
            "y": round(min(max(label.at, low), high), 4),
            "yanchor": "middle",
            "yshift": round(place - want, 1),
            "showarrow": False,
            "align": "left",
            "text": _label_text(label, theme),
            "font": {"size": 11, "color": label.colour},
            **label.extra,
        }
        for label, want, place in zip(labels, wanted, placed, strict=True)
    ]


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Return positions near `wanted`, in the same order, at least `gap` apart and inside [low, high] where they fit.

    Examples
    --------
    >>> spread([50.0, 52.0, 90.0], gap=14, low=0, high=100)
    [44.0, 58.0, 90.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[float]] = []  # [sum of (wanted - rank * gap), members]: each block is a stack around its mean
    for i in order:
        blocks.append([wanted[i], 1.0])
        while len(blocks) > 1 and _top(blocks[-2], gap) + gap > _foot(blocks[-1]):
            total, size = blocks.pop()
            blocks[-1][0] += total - blocks[-1][1] * gap * size
            blocks[-1][1] += size
    heights = [_foot(block) + k * gap for block in blocks for k in range(int(block[1]))]
    if heights:
        heights = _inside(heights, gap, low, high)
    placed = [0.0] * len(wanted)
    for i, height in zip(order, heights, strict=True):
        placed[i] = height
    return placed


def label_room(labels: Sequence[Label]) -> int:
    """Return the right margin in pixels that the labels need."""
    return max((16 + round(_CHARACTER * len(f"{_short(n.name)} {n.value}")) for n in labels), default=24)


def plain(text: Any) -> str:
    """Return `text` so that Plotly shows it letter by letter: no tag, no entity, no template of it is obeyed."""
    return escape(str(text), quote=False).replace("%{", "%\N{ZERO WIDTH NON-JOINER}{")


def note_text(*parts: str) -> str:
    """Join the parts that are not empty with middle dots."""
    return " · ".join(p for p in parts if p)


def day_texts(dates: np.ndarray) -> list[str]:
    """Return days as ``YYYY-MM-DD``."""
    return dates.astype("datetime64[D]").astype(str).tolist()


def rounded(values: np.ndarray, digits: int) -> list[float | None]:
    """Return floats of so many decimals, None for NaN and infinities."""
    return [round(v, digits) + 0.0 if math.isfinite(v) else None for v in values.tolist()]


def _label_text(label: Label, theme: Theme) -> str:
    name = f"<b>{plain(_short(label.name))}</b>"
    return f'{name} <span style="color:{theme.text}">{plain(label.value)}</span>' if label.value else name


def _short(name: str) -> str:
    return name if len(name) <= 18 else name[:17] + "…"


def _is_round(value: float, digits: int) -> bool:
    return abs(value * 10**digits - round(value * 10**digits)) < 1e-6


def _foot(block: Sequence[float]) -> float:
    return block[0] / block[1]


def _top(block: Sequence[float], gap: float) -> float:
    return _foot(block) + (block[1] - 1) * gap


def _inside(heights: list[float], gap: float, low: float, high: float) -> list[float]:
    if heights[-1] > high:
        heights[-1] = high
        for k in range(len(heights) - 2, -1, -1):
            heights[k] = min(heights[k], heights[k + 1] - gap)
    if heights[0] < low:
        heights[0] = low
        for k in range(1, len(heights)):
            heights[k] = max(heights[k], heights[k - 1] + gap)
    return heights
