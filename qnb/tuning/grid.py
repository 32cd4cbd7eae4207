"""The points of a grid search, and what of a space has none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError, Problem
from .space import Dimension, Space

__all__ = ["grid_points", "grid_problem"]

MOST_POINTS = 1000
"""Whole numbers that a dimension without a step may span."""


def grid_problem(dimension: Dimension) -> tuple[str, str] | None:
    """Return why a grid cannot search `dimension`, and what to do; None where it can."""
    if dimension.parent is not None:
        return f"a grid cannot search {dimension.name!r}, which depends on a choice", "use random"
    if dimension.kind == "choice" or dimension.step is not None:
        return None
    if dimension.kind == "float" or dimension.high - dimension.low > MOST_POINTS:
        return f"a grid needs a step or choices for {dimension.name!r}", f"write {_example(dimension)}"
    return None


def _example(dimension: Dimension) -> str:
    """Return how the range might be written with five points."""
    low, high, whole = dimension.low, dimension.high, dimension.kind == "int"
    if dimension.log:
        points = [low * (high / low) ** (i / 4) for i in range(5)]
        return f"!choice [{', '.join(str(round(p)) if whole else f'{p:.2g}' for p in points)}]"
    step = (high - low) / 4
    return f"!int [{low}, {high}, {round(step)}]" if whole else f"!uniform [{low:g}, {high:g}, {step:.3g}]"


def grid_points(space: Space) -> Mapping[str, list[Any]]:
    """Return the points of each dimension.

    Raises
    ------
    ConfigError
        With every dimension that has no points.
    """
    found = [grid_problem(d) for d in space.dimensions]
    if any(found):
        raise ConfigError([Problem(*problem) for problem in found if problem])
    return {d.name: _points(d) for d in space.dimensions}


def _points(dimension: Dimension) -> list[Any]:
    if dimension.kind == "choice":
        return list(dimension.labels)
    step = dimension.step or 1
    count = math.floor((dimension.high - dimension.low) / step + 1e-9) + 1
    return [dimension.low + i * step for i in range(count)]
