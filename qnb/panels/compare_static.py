"""A comparison as static HTML, with tables and drawn figures but no script, and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from .compare_view import comparison_view

if TYPE_CHECKING:
    from .compare import Comparison

__all__ = ["comparison_html", "comparison_text"]

WIDTH = 860
_SERIES = ("run", "excess", "before", "benchmark", "fifth", "sixth", "seventh", "eighth")
_DASHES = ("", "", "", "", "5px,3px", "2px,2px", "8px,3px,2px,3px", "1px,3px")
_CELL = "padding:3px 14px 3px 0;border:0;border-bottom:1px solid var(--qnb-rule);text-align:"


def comparison_html(found: Comparison) -> str:
    """Return the comparison as HTML that needs no script and follows JupyterLab's theme; every text is escaped."""
    from ..reports.theme import DARK, FONT, LIGHT, css_variables

    view = comparison_view(found)
    font = f"font:13px/20px var(--jp-ui-font-family,{FONT});color:var(--qnb-text);max-width:{WIDTH + 40}px"
    style = (
        f"<style>.qnb-compared{{{css_variables(LIGHT, jupyter=True)}{font}}}"
        f'[data-jp-theme-light="false"] .qnb-compared{{{css_variables(DARK, jupyter=True)}}}'
        ".qnb-compared svg{display:block;max-width:100%;height:auto}</style>"
    )
    parts = [f"<p><b>{escape(' '.join(found.verdict))}</b></p>", _config(view), _metrics(view)]
    parts += [_figure(f) for f in view["figures"]]
    return f'{style}<div class="qnb-compared">{"".join(parts)}</div>'


def comparison_text(found: Comparison) -> str:
    """Return the comparison as text: what differs, the metrics, the verdict."""
    view = comparison_view(found)
    labels = [r["label"] for r in view["runs"]]
    rows = [["", *labels]]
    rows += [[f"{c['group']}.{c['key']}".lstrip("."), *c["values"]] for c in view["config"]]
    rows += [[m["title"], *_starred(m)] for m in view["metrics"]]
    widths = [max(len(r[k]) for r in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) if not k else c.rjust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True)))
             for r in rows]  # fmt: skip
    return "\n".join([*(line.rstrip() for line in lines), "", *found.verdict])


def _starred(metric: Mapping[str, Any]) -> list[str]:
    return [f"*{t}" if metric["best"] == n else t for n, t in enumerate(metric["values"])]


def _config(view: Mapping[str, Any]) -> str:
    rows = [[f"{c['group']}.{c['key']}".lstrip("."), *c["values"]] for c in view["config"]]
    title = f"Configuration: {len(rows)} of {view['config_keys']} keys differ"
    return f"<p>{escape(title)}</p>" + (_table(["Key", *_labels(view)], rows) if rows else "")


def _metrics(view: Mapping[str, Any]) -> str:
    two = len(view["runs"]) == 2
    head = ["Metric", *_labels(view), *(["Difference"] if two else [])]
    rows = [[m["title"], *m["values"], *([m["difference"]] if two else [])] for m in view["metrics"]]
    best = [m["best"] for m in view["metrics"]]
    return "<p>Metrics: the best in bold; where equal, none</p>" + _table(head, rows, best)


def _labels(view: Mapping[str, Any]) -> list[str]:
    return [r["label"] for r in view["runs"]]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], best: Sequence[int | None] = ()) -> str:
    def cells(tag: str, texts: Sequence[str], strong: int | None = None) -> str:
        found = []
        for n, text in enumerate(texts):
            shown = f"<b>{escape(text)}</b>" if strong is not None and n == strong + 1 else escape(text)
            found.append(f'<{tag} style="{_CELL}{"right" if n else "left"}">{shown}</{tag}>')
        return f"<tr>{''.join(found)}</tr>"

    body = "".join(cells("td", row, best[n] if best else None) for n, row in enumerate(rows))
    return f"<table><thead>{cells('th', head)}</thead><tbody>{body}</tbody></table>"


def _figure(figure: Mapping[str, Any]) -> str:
    from ..reports.axes import IC, PERCENT
    from ..reports.drawing import Line, time_figure
    from ..reports.svg import figure_svg
    from ..reports.theme import LIGHT

    lines = [
        Line(
            line["name"],
            np.array([np.nan if v is None else v for v in line["values"]]),
            getattr(LIGHT, _SERIES[line["series"] % 8]),
            dash=_DASHES[line["series"] % 8],
            kind=PERCENT if figure["unit"] == "percent" else IC,
        )
        for line in figure["lines"]
    ]
    drawn = time_figure(
        np.array(figure["days"], dtype="datetime64[ns]"), lines, theme=LIGHT, title=figure["title"],
        note=figure["note"], aria=figure["aria"], height=figure["height"],
    )  # fmt: skip
    words = f"<b>{escape(figure['title'])}</b> {escape(figure['note'])}"
    svg = figure_svg(drawn, width=WIDTH)
    return f'<p>{words}</p><div role="img" aria-label="{escape(figure["aria"])}">{svg}</div>'
