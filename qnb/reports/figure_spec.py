"""What a figure's file declares so that the report finds it, and the finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..registry import load_all
from .material import Material

__all__ = ["SECTIONS", "FigureSpec", "all_figures"]

SECTIONS = ("performance", "signal", "portfolio")


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """One figure of the report.

    Attributes
    ----------
    name : str
        Stable key, in ``report.figures`` and in the artifacts.
    section : str
        One of `SECTIONS`.
    order : int
        Place in its section; the built-in ones stand 10 apart.
    compute : callable
        ``compute(material)`` returns the figure's data, None where the parts for it are missing.
    draw : callable
        ``draw(data, theme=...)`` returns the Plotly figure.
    full : bool
        Over the whole width of the page; else two stand beside each other.
    """

    name: str
    section: str
    order: int
    compute: Callable[[Material], Any]
    draw: Callable[..., Any]
    full: bool = False

    def __post_init__(self) -> None:
        if self.section not in SECTIONS:
            raise ValueError(f"section {self.section!r} of figure {self.name!r}; valid: {', '.join(SECTIONS)}")


def all_figures() -> tuple[FigureSpec, ...]:
    """Return every figure there is, by section and order.

    They are the ``FIGURE`` of each file in `figures/`, and what other packages name as entry points ``qnb.figure``.
    """
    found = load_all("figure", "FIGURE")
    return tuple(sorted(found.values(), key=lambda spec: (SECTIONS.index(spec.section), spec.order)))
