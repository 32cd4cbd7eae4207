"""Pieces of the page: a figure with its picture, a table, the months, a list of facts. All text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import plotly.graph_objects as go

from . import numbers
from .figures.months import FULL_AT, MONTHS, MonthsData
from .svg import figure_svg
from .table import Table, table_html
from .theme import css_names

__all__ = ["facts_block", "figure_block", "months_block", "table_block"]

FULL_WIDTH, HALF_WIDTH = 880, 440
"""Natural width of the static pictures: about 80 % of a screen's, so that they stay readable on A4."""


def figure_block(name: str, figure: go.Figure, *, full: bool = False, live: bool = True) -> str:
    """Return `figure` with caption and static picture.

    Parameters
    ----------
    full : bool
        Over the whole width of the page.
    live : bool
        With a place for the live figure and its table of numbers, which the page's script fills.
    """
    spec = figure.to_plotly_json()
    meta = spec["layout"]["meta"]
    key = escape(name)
    parts = [f'<figure class="{"full" if full else "half"}" id="figure-{key}">{_caption(meta["title"], meta["note"])}']
    if live:
        parts.append(
            f'<button type="button" class="as-table" data-of="{key}" aria-controls="numbers-{key}" '
            'aria-expanded="false" hidden>Show as table</button>'
        )
        if meta["labels"]:
            parts.append(f'<div class="keys" aria-hidden="true">{"".join(_key(*n) for n in meta["labels"])}</div>')
    parts.append(f'<div class="chart" role="img" aria-label="{escape(meta["aria"])}">')
    parts.append(figure_svg(spec, width=FULL_WIDTH if full else HALF_WIDTH))
    if live:
        parts.append(f'<div class="live" data-figure="{key}"></div></div>')
        parts.append(f'<div class="as-numbers" id="numbers-{key}" hidden></div>')
    else:
        parts.append("</div>")
    return "".join((*parts, "</figure>"))


def table_block(table: Table, *, full: bool = False) -> str:
    """Return `table` with its caption."""
    names = ("full" if full else "half wide") + (" long" if len(table.rows) > 20 else "")
    caption = _caption(table.title, table.note)
    return f'<figure class="{names}" id="table-{table.name}">{caption}{table_html(table)}</figure>'


def months_block(data: MonthsData) -> str:
    """Return the months as a table with coloured cells, which needs no script and is read aloud cell by cell."""
    head = "".join(f'<th scope="col">{m}</th>' for m in MONTHS)
    rows = []
    for year, values, total in zip(data.years, data.values.tolist(), data.totals.tolist(), strict=True):
        cells = "".join(_heat(v) for v in values)
        text = numbers.decimal(total * 100, 1, sign=True)
        rows.append(f'<tr><th scope="row">{year}</th>{cells}<td>{text}</td></tr>')
    how = "summed" if data.mode == "sum" else "compounded"
    title = f"{data.what} by month"
    return (
        f'<figure class="half wide" id="figure-months">{_caption(title, f"%, after cost, daily returns {how}")}'
        f'<div class="scroll"><table class="months"><caption class="unseen">{escape(title)} in percent</caption>'
        f'<thead><tr><th scope="col"><span class="unseen">Year</span></th>{head}<th scope="col">Year</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="months-note">{escape(data.sentence)} Blue is above zero, orange below; the strength of the colour '
        f"stops at {FULL_AT * 100:.0f}{numbers.SPACE}%.</p></figure>"
    )


def facts_block(facts: Iterable[tuple[str, str]]) -> str:
    """Return names and values as a list; an empty element without any."""
    rows = "".join(f"<div><dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd></div>" for k, v in facts)
    return f'<dl class="facts">{rows}</dl>' if rows else "<div></div>"


def _key(label: str, value: str, colour: str) -> str:
    variable = css_names().get(colour, "--qnb-text")
    return f'<span style="color:var({variable})"><b>{escape(label)}</b> <span class="key">{escape(value)}</span></span>'


def _caption(title: str, note: str) -> str:
    words = f'<span class="note">{escape(note)}</span>' if note else ""
    return f"<figcaption><h3>{escape(title)}</h3>{words}</figcaption>"


def _heat(value: float) -> str:
    if value != value:
        return "<td></td>"
    part = min(abs(value) / FULL_AT, 1.0) * 100
    token = "excess" if value < 0 else "run"
    ground = f"background:color-mix(in srgb,var(--qnb-{token}) calc({part:.0f}% * var(--qnb-heat)),transparent)"
    return f'<td style="{ground}">{numbers.decimal(value * 100, 1, sign=True)}</td>'
