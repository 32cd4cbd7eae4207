"""The list of runs without a live front end: an HTML table without script, and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .browser_rows import Column

__all__ = ["runs_html", "runs_text"]

_STYLE = (
    "<style>.jp-OutputArea-child:has(.qnb-static)+.jp-OutputArea-child:has(.jupyter-widgets:not(:has(*)))"
    "{display:none}</style>"
)
_CELL = "padding:3px 12px 3px 0;white-space:nowrap;border:0;border-bottom:1px solid var(--jp-border-color2,#d8dee4)"


def runs_html(page: Mapping[str, Any], columns: Sequence[Column], *, name: str = "") -> str:
    """Return a page of runs (a reply of the browser) as a table; every text is escaped.

    Parameters
    ----------
    name : str
        A further class, by which a live browser finds and hides its static form.
    """
    shown = [c for c in columns if c.key != "curve"]
    head = "".join(_cell("th", c.title, c.numeric) for c in (Column("name", "Name"), *shown))
    rows = "".join(
        f"<tr>{_cell('td', row['name'], False)}{''.join(_cell('td', _text(row, c), c.numeric) for c in shown)}</tr>"
        for row in page["rows"]
    )
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    return f'{_STYLE}<div class="qnb-static {escape(name)}"><p>{escape(_count(page))}</p>{body}</div>'


def runs_text(page: Mapping[str, Any], columns: Sequence[Column]) -> str:
    """Return a page of runs as aligned text, one line a run."""
    shown = [c for c in columns if c.key not in ("curve", "tags")]
    table = [["Name", *(c.title for c in shown)]]
    table += [[row["name"], *(_text(row, c) for c in shown)] for row in page["rows"]]
    widths = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    numeric = [False, *(c.numeric for c in shown)]
    lines = [_count(page)]
    if page["rows"]:
        for line in table:
            cells = [t.rjust(w) if n else t.ljust(w) for t, w, n in zip(line, widths, numeric, strict=True)]
            lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _count(page: Mapping[str, Any]) -> str:
    if page.get("error"):
        return str(page["error"])
    if not page["total"] and not page["rows"]:
        return "No runs yet. Run a %%qtask cell, or `qnb demo` in a shell."
    if not page["rows"]:
        where = f" in the newest {page['searched']:,}" if page.get("searched") else ""
        return f"No run matches{where}. {page['total']:,} without the filter."
    shown, matching = len(page["rows"]), page["matching"]
    if page.get("searched"):
        what = (
            f"{matching:,} of the newest {page['searched']:,} runs"
            if matching < page["searched"]
            else (f"more than {matching:,} runs")
        )
        return f"{what}, the first {shown} shown"
    what = f"{matching:,} of {page['total']:,} runs" if matching != page["total"] else f"{page['total']:,} runs"
    return what if shown >= matching else f"{what}, the first {shown} shown"


def _text(row: Mapping[str, Any], column: Column) -> str:
    if column.key == "status":
        return str(row["status_text"])
    if column.key == "tags":
        return ", ".join(t["text"] for t in row["tags"])
    return str(row["cells"].get(column.key, ""))


def _cell(tag: str, text: str, numeric: bool) -> str:
    align = "right" if numeric else "left"
    return f'<{tag} style="{_CELL};text-align:{align}">{escape(text)}</{tag}>'
