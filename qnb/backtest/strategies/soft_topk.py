"""Move gradually towards an equal weight in the topk best scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import BacktestError
from ..strategy import Day, best
from .weight import WeightStrategyBase

__all__ = ["SoftTopkStrategy"]

_METHODS = ("first_fill", "average_fill")


class SoftTopkStrategy(WeightStrategyBase):
    """Hold the `topk` best scores, each up to ``1 / topk``, and sell at most `max_sold_weight` of others a day.

    With nothing held every one of the best gets ``1 / topk``. Otherwise weights begin as they are (shares of all
    holdings); each holding that is no longer among the best gives up to `max_sold_weight`, and what was given is
    spread over the best. It reads scores and closes up to yesterday, and today's tradability and prices of fills.

    Parameters
    ----------
    topk : int
        Instruments to hold.
    max_sold_weight : float
        Weight that a holding gives up a day at most.
    buy_method : str
        ``"first_fill"``: the best score first, each up to ``1 / topk``; ``"average_fill"``: equal parts to all.
    signal, risk_degree, order_generator_cls_or_obj, model, dataset
        As in `WeightStrategyBase`; the default sizes orders with prices of fills.
    """

    def __init__(
        self,
        *,
        topk: int,
        max_sold_weight: float = 1.0,
        buy_method: str = "first_fill",
        signal: Any = None,
        risk_degree: float = 0.95,
        order_generator_cls_or_obj: Any = "by_fill_price",
        model: Any = None,
        dataset: Any = None,
    ) -> None:
        super().__init__(
            signal=signal,
            risk_degree=risk_degree,
            order_generator_cls_or_obj=order_generator_cls_or_obj,
            model=model,
            dataset=dataset,
        )
        if buy_method not in _METHODS:
            raise BacktestError(f"buy_method {buy_method!r} is not known; valid: {', '.join(_METHODS)}")
        if topk < 1 or not 0 < max_sold_weight <= 1:
            raise BacktestError(
                f"topk must be at least 1 and max_sold_weight lie in (0, 1], received {topk!r} and {max_sold_weight!r}"
            )
        self.topk, self.max_sold_weight, self.buy_method = topk, max_sold_weight, buy_method

    def weights(self, day: Day) -> np.ndarray:
        """Return the target weights over ``day.instruments``."""
        wanted = day.codes[best(day.scores, self.topk)]
        weight = np.where(day.is_held, day.amount * day.price, 0.0)
        if not day.is_held.any():
            weight[wanted] = 1 / self.topk
            return weight
        weight /= weight.sum()
        given = np.minimum(weight, self.max_sold_weight)
        given[wanted] = 0.0
        weight -= given
        left = float(given.sum())
        if self.buy_method == "average_fill":
            weight[wanted] += left / len(wanted)
            return weight
        room = np.maximum(1 / self.topk - weight[wanted], 0.0)
        before = np.cumsum(room) - room
        weight[wanted] += np.clip(left - before, 0.0, room)
        return weight
