"""Hold the best scores and sell only what falls far below them: the strategy that the peer's old tuner searches."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import BacktestError
from ..strategy import Day, best
from .weight import WeightStrategyBase

__all__ = ["TopkAmountStrategy"]


class TopkAmountStrategy(WeightStrategyBase):
    """Hold `topk` instruments with equal weights; a holding stays until its score falls below place `buffer_margin`.

    The places that become free go to the best scores. It reads scores and closes up to yesterday, and today's
    tradability. The peer no longer has the class; place and margin are read as in its last version: places among all
    scores of the day, counted from 1.

    Parameters
    ----------
    topk : int
        Instruments to hold.
    buffer_margin : int
        Place, at least `topk`, below which a holding is sold.
    signal, risk_degree, order_generator_cls_or_obj, model, dataset
        As in `WeightStrategyBase`.
    """

    def __init__(
        self,
        *,
        topk: int = 30,
        buffer_margin: int = 200,
        signal: Any = None,
        risk_degree: float = 0.95,
        order_generator_cls_or_obj: Any = "by_last_close",
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
        if topk < 1 or buffer_margin < topk:
            raise BacktestError(
                f"topk must be at least 1 and buffer_margin at least topk, received {topk!r} and {buffer_margin!r}"
            )
        self.topk, self.buffer_margin = topk, buffer_margin

    def weights(self, day: Day) -> np.ndarray:
        """Return the target weights over ``day.instruments``."""
        ranked = day.codes[best(day.scores, self.buffer_margin)]
        held = day.is_held[ranked]
        kept = ranked[held][: self.topk]
        wanted = np.concatenate([kept, ranked[~held][: self.topk - len(kept)]])
        weight = np.zeros(len(day.instruments))
        weight[wanted] = 1 / self.topk
        return weight
