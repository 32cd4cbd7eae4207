"""The panel as static HTML: complete without JavaScript, for nbviewer, exports, VS Code and a reloaded page."""

from __future__ import annotations

from html import escape
from typing import Any

from .picture import pane_svg

__all__ = ["overlay_html", "static_html"]

PANES = 3

_CELL = "padding:2px 14px 2px 0;text-align:left;border:0"


# A page that was loaded anew has no model of the live panel any more: what is left of it is a line of text about that.
_STYLE = (
    "<style>.jp-OutputArea-child:has(.qnb-static)+.jp-OutputArea-child:has(.jupyter-widgets:not(:has(*)))"
    "{display:none}</style>"
)


def static_html(view: dict[str, Any], result: str, *, name: str = "") -> str:
    """Return HTML of `view` (from `qnb.panels.view.run_view`) followed by `result`, which is HTML already.

    Every text of the run is escaped. `name` is a further class by which a live panel finds its static form.
    """
    if "note" in view:
        return f"<p>{escape(view['note'])}</p>"
    parts = [
        f"<p><b>{escape(view['name'])}</b> · {escape(view['status_text'])}"
        + (f" · {escape(view['elapsed'])}" if view["elapsed"] else "")
        + f" · <code>{escape(view['experiment'])} / {escape(view['run_id'][:6])}</code></p>"
    ]
    cells = "".join(
        f'<td style="{_CELL}">{escape(s["title"])} {escape(s["status"])} {escape(s["time"])}</td>'
        for s in view["stages"]
    )
    parts.append(f"<table><tr>{cells}</tr></table>")
    if view["failure"]:
        parts.append(f"<p>{escape(view['failure']['message'])}</p>")
    if view["stop_reason"]:
        parts.append(f"<p>{escape(view['stop_reason'])}</p>")
    parts += [f"<p>{escape(pane['metric'])}</p>{pane_svg(pane)}" for pane in view["panes"][:PANES] if pane_svg(pane)]
    rows = "".join(
        f'<tr><td style="{_CELL}">{escape(k)}</td><td style="{_CELL}">{escape(f"{v} {more}".rstrip())}</td></tr>'
        for k, v, more in view["facts"]
    )
    if rows:
        parts.append(f"<table>{rows}</table>")
    if not view["over"]:
        run = escape(view["run_id"][:6])
        parts.append(
            f"<p>This is how the run stood when it was drawn; <code>%qshow {run}</code> draws it as it is now.</p>"
        )
    return f'{_STYLE}<div class="qnb-static {escape(name)}">{"".join(parts)}{result}</div>'


def overlay_html(view: dict[str, Any], *, name: str = "") -> str:
    """Return HTML of `view` (from `qnb.panels.view.overlay_view`): the runs, then their curves as pictures."""
    rows = "".join(
        f'<tr><td style="{_CELL}"><b>{escape(r["name"])}</b></td><td style="{_CELL}">{escape(r["status_text"])}</td>'
        f'<td style="{_CELL}">{escape(r["elapsed"])}</td></tr>'
        for r in view["runs"]
    )
    panes = "".join(f"<p>{escape(p['metric'])}</p>{pane_svg(p, number_lines=True)}" for p in view["panes"][:PANES])
    return f'{_STYLE}<div class="qnb-static {escape(name)}"><table>{rows}</table>{panes}</div>'
