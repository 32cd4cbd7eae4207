"""Spaces of strategies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ._base import NamedSpace

__all__ = ["TopkAmountStrategySpace", "TopkDropoutStrategySpace"]


class TopkAmountStrategySpace(NamedSpace):
    """The peer's space of that name: names held x buffer margin.

    A margin of 200 % sold a name that fell below place ``topk * 2``; here the turn-over rule has `n_drop` for it, see
    `qnb.tuning.old_schema`.
    """

    target: ClassVar[str] = "strategy"
    values: ClassVar[Mapping[str, Any]] = {
        "topk": {"choices": [30, 35, 40]},
        "buffer_margin": {"choices": [200, 250, 300]},
    }


class TopkDropoutStrategySpace(NamedSpace):
    """Names held, and names exchanged a day."""

    target: ClassVar[str] = "strategy"
    classes: ClassVar[tuple[str, ...]] = ("TopkDropoutStrategy",)
    values: ClassVar[Mapping[str, Any]] = {
        "topk": {"low": 20, "high": 60, "step": 5},
        "n_drop": {"low": 1, "high": 10},
    }
