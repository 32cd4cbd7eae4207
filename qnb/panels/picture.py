"""Curves as inline SVG, for where no script runs: a reloaded page, an export, a viewer of notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..reports.numbers import loss

__all__ = ["pane_svg"]

WIDTH, HEIGHT = 640, 140
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 8, 20
COLOURS = {"train": "#0b62c4", "valid": "#ba500a", "test": "#5a2c76"}
SERIES = ("#0b62c4", "#ba500a", "#5a2c76", "#68717b", "#12493b", "#966431", "#7505e4", "#b0306a")
POINTS = 300


def pane_svg(pane: dict[str, Any], *, number_lines: bool = False) -> str:
    """Return one pane of `qnb.panels.view.run_view` as SVG; '' when it has no finite value.

    Parameters
    ----------
    pane : dict
        ``metric`` and ``lines`` with ``name``, ``steps``, ``values``, ``last``.
    number_lines : bool
        Colour the lines by their place instead of by their part (train, valid).
    """
    finite = [v for line in pane["lines"] for v in line["values"] if v is not None]
    steps = [s for line in pane["lines"] for s in line["steps"]]
    if not finite:
        return ""
    low, high, first, last = min(finite), max(finite), min(steps), max(steps)
    height, width = (high - low) or 1.0, (last - first) or 1

    def place(step: int, value: float) -> tuple[float, float]:
        x = LEFT + (step - first) / width * (WIDTH - LEFT - RIGHT)
        return x, TOP + (high - value) / height * (HEIGHT - TOP - BOTTOM)

    parts, floor = [], -20.0
    for number, line in enumerate(sorted(pane["lines"], key=lambda one: -(one["values"][-1] or low))):
        at = pane["lines"].index(line)
        colour = SERIES[at % 8] if number_lines else COLOURS.get(line["name"], SERIES[number % 8])
        parts.append(f'<path d="{_path(line, place)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if line["values"][-1] is not None:
            x, y = place(line["steps"][-1], line["values"][-1])
            floor = max(y + 4, floor + 14)
            words = f"{line['name'][:24]} {line['last']}"
            parts.append(f'<text x="{x + 6:.0f}" y="{floor:.0f}" fill="{colour}">{escape(words)}</text>')
    for value, y in ((high, TOP + 8), (low, HEIGHT - BOTTOM)):
        parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end" fill="currentColor">{escape(loss(value))}</text>')
    for step, anchor, x in ((first, "start", LEFT), (last, "end", WIDTH - RIGHT)):
        parts.append(f'<text x="{x}" y="{HEIGHT - 4}" text-anchor="{anchor}" fill="currentColor">{step:,}</text>')
    said = "; ".join(f"{line['name']} {pane['metric']}, last {line['last']}" for line in pane["lines"])
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(said)}"'
        f' style="max-width:100%;font:11px sans-serif">{"".join(parts)}</svg>'
    )


def _path(line: dict[str, Any], place: Any) -> str:
    pairs: Sequence[tuple[int, float | None]] = list(zip(line["steps"], line["values"], strict=True))
    stride = max(1, len(pairs) // POINTS)
    words, pen = [], "M"
    for step, value in [*pairs[::stride], pairs[-1]]:
        if value is None:
            pen = "M"
            continue
        x, y = place(step, value)
        words.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return "".join(words)
