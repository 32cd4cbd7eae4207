"""A study's panel as static HTML and as text: complete without JavaScript, for nbviewer, exports and reloaded pages."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["study_html", "study_text"]

_CELL = "padding:2px 14px 2px 0;text-align:left;border:0"
_SHOWN = 12
_GROUND = {"ok": "#e2f4e6", "doubt": "#fff4cf", "noise": "#fdeaea"}
_INK = {"ok": "#1a6b32", "doubt": "#744800", "noise": "#a3201a"}


def study_html(view: dict[str, Any], *, name: str = "") -> str:
    """Return HTML of `view` (from `qnb.panels.study_view.study_view`); every text of the study is escaped.

    `name` is a further class by which a live panel finds its static form.
    """
    head = f"<p><b>{escape(view['name'])}</b> · {escape(view['status_text'])} · {escape(view['elapsed'])} · "
    parts = [f"{head}{escape(view['done_text'])} · <code>{escape(view['study_id'])}</code></p>"]
    if view["red"]:
        parts.append(f'<p style="color:#a3201a"><b>{escape(view["red"])}</b></p>')
    parts.append(f"<p>{escape(view['goal'])}</p>")
    if view["message"]:
        parts.append(f"<p>{escape(view['message'])}</p>")
    cells = "".join(
        f'<td style="{_CELL}"><small>{escape(label)}</small><br><b>{escape(value)}</b><br>'
        f"<small>{escape(note)}</small></td>"
        for label, value, note in view["kpis"]
    )
    parts.append(f"<table><tr>{cells}</tr></table>")
    verdict = view["verdict"]
    if verdict:
        tone = verdict["tone"]
        numbers = ""
        if verdict["deflated"] is not None:
            numbers = (
                f"Deflated Sharpe {verdict['deflated_text']} (good from 0.95) · overfitting {verdict['overfit_text']} "
                f"(good below 20 %) · Sharpe ratio found {verdict['found_text']}, by luck {verdict['luck_text']}. "
            )
        parts.append(
            f'<div style="background:{_GROUND[tone]};color:#1b1f24;padding:8px 12px;border-radius:5px">'
            f'<b style="color:{_INK[tone]}">{escape(verdict["headline"])}</b><br>{escape(verdict["sentence"])} '
            f"{escape(verdict['advice'])}<br><small>{escape(numbers + verdict['basis'])}</small></div>"
        )
    parts.append(_svg(view["history"]))
    parts.append(_table(view))
    if not view["over"]:
        again = f"<code>%qtune {escape(view['name'])}</code> draws it anew"
        parts.append(f"<p>This is how the study stood when it was drawn; {again}.</p>")
    return f'<div class="qnb-static {escape(name)}">{"".join(parts)}</div>'


def study_text(view: dict[str, Any]) -> str:
    """Return the study in a few lines of text."""
    lines = [f"{view['name']}  {view['status_text']}  {view['elapsed']}  {view['done_text']}".rstrip(), view["goal"]]
    if view["red"]:
        lines.append(view["red"])
    lines += [f"  {label}: {value}  {note}".rstrip() for label, value, note in view["kpis"][:4]]
    if view["verdict"]:
        lines.append(f"  {view['verdict']['headline']}. {view['verdict']['sentence']} {view['verdict']['advice']}")
    return "\n".join(lines)


def _svg(history: dict[str, Any]) -> str:
    """Return the optimisation history as a small picture."""
    complete = [p for p in history["points"] if p[2] == "complete"]
    if len(complete) < 2:
        return ""
    low, high = min(p[1] for p in complete), max(p[1] for p in complete)
    width, height, end = 640, 120, max(1, history["end"] - 1)

    def xy(number: float, value: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return 8 + number / end * (width - 16), 8 + (1 - min(1.0, max(0.0, share))) * (height - 16)

    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" stroke="#0b62c4" '
        f'fill="{"none" if p[2] == "complete" else "#9aa4ae"}"/>'
        for p in history["points"]
        if low <= p[1] <= high  # where pruned trials stood on the way may lie far off
        for x, y in [xy(p[0], p[1])]
    )
    steps = ""
    for i, (number, value) in enumerate(history["best"]):
        x, y = xy(number, value)
        until = history["best"][i + 1][0] if i + 1 < len(history["best"]) else end
        steps += f"{'M' if not i else 'L'}{x:.1f},{y:.1f}H{xy(until, value)[0]:.1f}"
    best = history["best"][-1]
    said = f"Optimisation history: {len(complete)} complete trials, best {best[1]:.4g} in trial {best[0]:.0f}"
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}">'
        f'<path d="{steps}" fill="none" stroke="#0b62c4" stroke-width="1.5"/>{dots}</svg>'
        "<p><small>Optimisation history · line: best so far · rings: complete · grey: pruned</small></p>"
    )


def _table(view: dict[str, Any]) -> str:
    known = [t for t in view["trials"] if t["state"] == "complete" and t["value"] is not None]
    if not known:
        return ""
    rows = sorted(known, key=lambda t: t["value"], reverse=view["history"]["maximize"])[:_SHOWN]
    names = "".join(f'<th style="{_CELL}">{escape(n)}</th>' for n in ["trial", view["metric"], *view["names"], "time"])
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL}">{escape(str(c))}</td>' for c in [t["trial"], t["values"][0], *t["params"], t["time"]]
        )
        + "</tr>"
        for t in rows
    )
    return f"<table><tr>{names}</tr>{body}</table>"
