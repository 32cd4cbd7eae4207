"""Labels at the ends of lines, pushed apart where they would cover each other, and text made harmless for Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .theme import Theme

__all__ = ["GAP", "Label", "end_labels", "label_room", "plain", "spread"]

GAP = 14
"""Pixels between two labels."""
_CHARACTER = 6.1  # width of a label's character at 11 px
_LONGEST = 18


@dataclass(frozen=True, slots=True)
class Label:
    """A label at the end of a line: where it belongs (in axis units) and what it says."""

    at: float
    name: str
    value: str
    colour: str
    axis: str = "y"


def end_labels(labels: Sequence[Label], *, span: Sequence[float], pixels: float, theme: Theme) -> list[dict[str, Any]]:
    """Return annotations at the right end of the lines, pushed apart to 14 px.

    Parameters
    ----------
    labels : sequence of Label
        Positions in axis units.
    span : (low, high)
        Range of the axis they belong to.
    pixels : float
        Height of that axis.
    """
    low, high = span
    scale = pixels / (high - low)
    wanted = [(min(max(label.at, low), high) - low) * scale for label in labels]
    placed = spread(wanted, gap=GAP, low=4, high=pixels - 2)
    return [
        {
            "name": "end",
            "xref": "paper",
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


def _label_text(label: Label, theme: Theme) -> str:
    name = f"<b>{plain(_short(label.name))}</b>"
    return f'{name} <span style="color:{theme.text}">{plain(label.value)}</span>' if label.value else name


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


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
