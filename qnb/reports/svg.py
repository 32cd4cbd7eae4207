"""Draws the report's figures as static SVG: for a page without JavaScript, for print, and for a notebook's fallback.

It knows the part of Plotly's language that `drawing` speaks: date and number axes with given ranges and ticks, lines,
areas, bars, rectangles, rules and labels. Colours become CSS variables, so a drawing follows the theme of its page.

1. Lay out the axes: pixels from margins, domains and ranges.
2. Grid and tick labels.
3. Marks, clipped to their axis, then shapes, then labels, which may stand outside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import Any

import plotly.graph_objects as go

from .theme import LIGHT, css_names

__all__ = ["figure_svg", "sparkline"]

_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis in pixels: where a value stands, and its ticks."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    is_date: bool = False

    def at(self, value: Any) -> float:
        """Pixel of a value as the figure has it, a day or a number."""
        return self.pixel(_days(value) if self.is_date else float(value))

    def pixel(self, number: float) -> float:
        """Pixel of a number, days since 1970 on a date axis."""
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)


def figure_svg(figure: go.Figure | Mapping[str, Any], *, width: int) -> str:
    """Return `figure`, without its title, as an SVG of `width` pixels; its height is the figure's own.

    Parameters
    ----------
    figure : go.Figure or its dict
        Drawn light by one of `figures/`. A heat map is left to the page, which shows it as a table.
    """
    spec = figure.to_plotly_json() if isinstance(figure, go.Figure) else figure
    layout = spec["layout"]
    head = layout.get("meta", {}).get("head", 0)
    margin = layout["margin"]
    height = layout["height"] - head
    box = (margin["l"], margin["t"] - head, width - margin["r"], height - margin["b"])
    x = _axis(layout["xaxis"], box[0], box[2])
    ys = {_short(key): _vertical(layout[key], box) for key in layout if key.startswith("yaxis")}
    parts = [_grid(layout, x, ys, box)]
    clips: dict[str, list[str]] = {key: [] for key in ys}
    for shape in layout.get("shapes", ()):
        if shape["type"] == "rect":
            clips.setdefault("y", []).append(_shape(shape, x, ys, box))
    for trace in spec["data"]:
        key = trace.get("yaxis", "y")
        clips[key].append(_bars(trace, x, ys[key]) if trace["type"] == "bar" else _line(trace, x, ys[key]))
    for key, marks in clips.items():
        low, high = min(ys[key].start, ys[key].end), max(ys[key].start, ys[key].end)
        parts.append(
            f'<svg x="{box[0]}" y="{low - 1:.1f}" width="{box[2] - box[0]}" height="{high - low + 2:.1f}" '
            f'viewBox="{box[0]} {low - 1:.1f} {box[2] - box[0]} {high - low + 2:.1f}">{"".join(marks)}</svg>'
        )
    parts += [_shape(s, x, ys, box) for s in layout.get("shapes", ()) if s["type"] == "line"]
    parts += [_annotation(a, x, ys, box) for a in layout.get("annotations", ())]
    parts += [_bar_text(t, x, ys["y"]) for t in spec["data"] if t["type"] == "bar" and t.get("text")]
    return (
        f'<svg class="still" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true" '
        f'focusable="false" font-size="11">{"".join(parts)}</svg>'
    )


def sparkline(
    values: Sequence[float],
    *,
    low: float | None = None,
    high: float | None = None,
    width: int = 172,
    height: int = 18,
    colour: str = "--qnb-drawdown",
) -> str:
    """Return a small curve with its area and a dot at the end, hidden from screen readers.

    Parameters
    ----------
    values : sequence of float
        NaN is left out.
    low, high : float or None
        Scale; give the same to all rows of a column, so that they compare. None takes the values' own.
    colour : str
        CSS variable of the stroke.
    """
    known = [(i, v) for i, v in enumerate(values) if math.isfinite(v)]
    if not known:
        return ""
    low = min(v for _, v in known) if low is None else low
    high = max(v for _, v in known) if high is None else high
    room = (high - low) or 1.0
    step = (width - 6) / max(len(values) - 1, 1)
    points = [(2 + i * step, 2 + (high - v) / room * (height - 4)) for i, v in known]
    if len(points) > 2 * width:
        points = points[:: len(points) // width]
    path = "L".join(f"{px:.1f},{py:.1f}" for px, py in points)
    first, last = points[0], points[-1]
    area = f"M{first[0]:.1f},{height}L{path}L{last[0]:.1f},{height}Z"
    return (
        f'<svg class="sparkline" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true" '
        f'focusable="false"><path d="{area}" style="fill:var({colour})" fill-opacity=".14"/>'
        f'<path d="M{path}" fill="none" style="stroke:var({colour})" stroke-width="1.2"/>'
        f'<circle cx="{last[0]:.1f}" cy="{last[1]:.1f}" r="2" style="fill:var({colour})"/></svg>'
    )


def _axis(spec: Mapping[str, Any], start: float, end: float) -> _Axis:
    if spec.get("type") == "date":
        low, high = (_days(v) for v in spec["range"])
        return _Axis(low, high, start, end, tuple(_date_ticks(low, high, end - start)), True)
    low, high = spec["range"]
    ticks = tuple(zip(spec.get("tickvals", ()), spec.get("ticktext", ()), strict=True))
    return _Axis(float(low), float(high), start, end, ticks)


def _vertical(spec: Mapping[str, Any], box: Sequence[float]) -> _Axis:
    foot, top = spec.get("domain", (0.0, 1.0))
    height = box[3] - box[1]
    return _axis(spec, box[3] - foot * height, box[3] - top * height)


def _grid(layout: Mapping[str, Any], x: _Axis, ys: Mapping[str, _Axis], box: Sequence[float]) -> str:
    parts, tick = [], _fill(LIGHT.muted)
    if layout["xaxis"].get("showgrid"):
        parts += [f'<path d="M{x.pixel(v):.1f},{box[1]}V{box[3]}" {_stroke(LIGHT.grid)}/>' for v, _ in x.ticks]
    for key, y in ys.items():
        spec = layout["yaxis" + key[1:]]
        right = spec.get("side") == "right"
        for value, text in y.ticks:
            place = y.at(value)
            zero = value == 0 and spec.get("zeroline") is not False
            if spec.get("showgrid") is not False:
                parts.append(
                    f'<path d="M{box[0]},{place:.1f}H{box[2]}" {_stroke(LIGHT.zero if zero else LIGHT.grid)}/>'
                )
            where, anchor = (box[2] + 8, "start") if right else (box[0] - 8, "end")
            parts.append(f'<text x="{where}" y="{place + 4:.1f}" text-anchor="{anchor}" {tick}>{escape(text)}</text>')
    for value, text in x.ticks:
        place = x.pixel(value)
        anchor = "start" if place < box[0] + 12 else "middle"
        parts.append(f'<text x="{place:.1f}" y="{box[3] + 16:.1f}" text-anchor="{anchor}" {tick}>{escape(text)}</text>')
    title = layout["xaxis"].get("title")
    if title:
        middle = (box[0] + box[2]) / 2
        parts.append(
            f'<text x="{middle:.1f}" y="{box[3] + 32:.1f}" text-anchor="middle" {tick}>{escape(title["text"])}</text>'
        )
    return "".join(parts)


def _line(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> str:
    runs: list[list[str]] = [[]]
    for day, value in zip(trace["x"], trace["y"], strict=True):
        if value is None:
            if runs[-1]:
                runs.append([])
            continue
        runs[-1].append(f"{x.at(day):.1f},{y.at(value):.1f}")
    runs = [run for run in runs if run]
    stroke = trace["line"]
    parts = []
    if trace.get("fill") == "tozeroy":
        zero = f"{y.at(0):.1f}"
        for run in runs:
            first, last = run[0].split(",")[0], run[-1].split(",")[0]
            parts.append(f'<path d="M{first},{zero}L{"L".join(run)}L{last},{zero}Z" {_fill(trace["fillcolor"])}/>')
    dash = f' stroke-dasharray="{stroke["dash"].replace("px", "")}"' if stroke.get("dash") else ""
    if "markers" in trace["mode"]:
        parts += [
            f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="3" {_fill(stroke["color"])}/>'
            for r in runs
            for p in r
        ]
    path = "".join(f"M{'L'.join(run)}" for run in runs)
    parts.append(
        f'<path d="{path}" fill="none" {_stroke(stroke["color"])} stroke-width="{stroke["width"]}"'
        f' stroke-linejoin="round"{dash}/>'
    )
    return "".join(parts)


def _bars(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> str:
    scale = abs(x.end - x.start) / (x.high - x.low)
    width = max(trace["width"] / (_DAY_MS if x.is_date else 1) * scale, 0.5)
    colours = trace["marker"]["color"]
    one = isinstance(colours, str)
    zero = y.at(0)
    groups: dict[str, list[str]] = {}
    for i, (place, value) in enumerate(zip(trace["x"], trace["y"], strict=True)):
        if value:
            top = y.at(value)
            left = x.at(place) - width / 2
            mark = f"M{left:.1f},{zero:.1f}V{top:.1f}h{width:.1f}V{zero:.1f}Z"
            groups.setdefault(colours if one else colours[i], []).append(mark)
    return "".join(f'<path d="{"".join(marks)}" {_fill(colour)}/>' for colour, marks in groups.items())


def _bar_text(trace: Mapping[str, Any], x: _Axis, y: _Axis) -> str:
    return "".join(
        f'<text x="{x.at(place):.1f}" y="{y.at(max(value, 0)) - 4:.1f}" text-anchor="middle">{escape(text)}</text>'
        for place, value, text in zip(trace["x"], trace["y"], trace["text"], strict=True)
        if text and value is not None
    )


def _shape(shape: Mapping[str, Any], x: _Axis, ys: Mapping[str, _Axis], box: Sequence[float]) -> str:
    x0, x1 = x.at(shape["x0"]), x.at(shape["x1"])
    y0, y1 = (_place(shape.get("yref", "y"), shape[key], ys, box[3], box[1]) for key in ("y0", "y1"))
    if shape["type"] == "rect":
        return (
            f'<rect x="{x0:.1f}" y="{min(y0, y1):.1f}" width="{x1 - x0:.1f}" height="{abs(y1 - y0):.1f}" '
            f"{_fill(shape['fillcolor'])}/>"
        )
    stroke = shape["line"]
    return (
        f'<path d="M{x0:.1f},{y0:.1f}L{x1:.1f},{y1:.1f}" {_stroke(stroke["color"])} stroke-width="{stroke["width"]}"/>'
    )


def _annotation(mark: Mapping[str, Any], x: _Axis, ys: Mapping[str, _Axis], box: Sequence[float]) -> str:
    reference = mark.get("xref", "x")
    left = box[0] + (box[2] - box[0]) * mark["x"] if reference == "paper" else x.at(mark["x"])
    top = _place(mark.get("yref", "y"), mark["y"], ys, box[3], box[1])
    anchor = {"left": "start", "right": "end"}.get(mark.get("xanchor", "center"), "middle")
    return (
        f'<text x="{left + mark.get("xshift", 0):.1f}" y="{top - mark.get("yshift", 0) + 4:.1f}" '
        f'text-anchor="{anchor}" {_fill(mark["font"]["color"])}>{_rich(mark["text"])}</text>'
    )


def _place(reference: str, value: Any, ys: Mapping[str, _Axis], foot: float, top: float) -> float:
    return foot + (top - foot) * value if reference == "paper" else ys[reference].at(value)


def _rich(text: str) -> str:
    """Turn the labels' own tags into tspans; what stands between them is escaped already."""
    text = re.sub(r"<b>", '<tspan font-weight="600">', text).replace("</b>", "</tspan>")
    return re.sub(r'<span style="color:(#[0-9a-f]{6})">', lambda m: f"<tspan {_fill(m.group(1))}>", text).replace(
        "</span>", "</tspan>"
    )


def _fill(colour: str) -> str:
    return _paint("fill", colour)


def _stroke(colour: str) -> str:
    return _paint("stroke", colour)


def _paint(what: str, colour: str) -> str:
    opacity = ""
    match = re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", colour)
    if match:
        colour = "#" + "".join(f"{int(v):02x}" for v in match.groups()[:3])
        opacity = f' {what}-opacity="{match.group(4)}"'
    name = css_names().get(colour)
    return f'style="{what}:var({name},{colour})"{opacity}' if name else f'{what}="{escape(colour)}"{opacity}'


def _short(key: str) -> str:
    return "y" + key[5:]


def _days(value: Any) -> float:
    text = str(value)
    return float((date.fromisoformat(text[:10]) - _EPOCH).days)


def _date_ticks(low: float, high: float, pixels: float) -> list[tuple[float, str]]:
    """Years where they fit, else months, else days; at most seven."""
    first, last = _EPOCH + timedelta(math.ceil(low)), _EPOCH + timedelta(math.floor(high))
    most = max(2, min(7, int(pixels / 60)))
    span = (last - first).days
    if span <= 62:
        step = next((k for k in (1, 2, 3, 5, 7, 10) if span // k < most), 14)
        days = [first + timedelta(i * step) for i in range(span // step + 1)]
        return [(_days(d), d.strftime("%b %d")) for d in days]
    months = [date(y, m, 1) for y in range(first.year, last.year + 1) for m in range(1, 13)]
    months = [d for d in months if first <= d <= last]
    for step in (1, 2, 3, 6):
        marks = [d for d in months if (d.month - 1) % step == 0]
        if len(marks) <= most and span < 800:
            return [(_days(d), d.strftime("%b %Y")) for d in marks]
    for step in (1, 2, 5, 10, 20, 50):
        marks = [d for d in months if d.month == 1 and d.year % step == 0]
        if len(marks) <= most:
            break
    return [(_days(d), str(d.year)) for d in marks]
