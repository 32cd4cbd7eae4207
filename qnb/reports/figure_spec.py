"""What a figure's file declares so that the report finds it, and the finding."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from ..registry import members
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


def all_figures() -> tuple[FigureSpec, ...]:
    """Return every figure there is, by section and order.

    They are the ``FIGURE`` of each file in `figures/`, and what other packages name as entry points ``qnb.figure``.
    """
    modules = dict.fromkeys(member.module for member in members("figure").values())
    found = [importlib.import_module(module).FIGURE for module in modules]
    found += [point.load() for point in entry_points(group="qnb.figure")]
    return tuple(sorted(found, key=lambda spec: (SECTIONS.index(spec.section), spec.order)))
