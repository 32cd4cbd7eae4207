"""Strategies that say which share of the account each instrument should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...errors import BacktestError
from ..position import Position
from ..rebalance import rebalancer
from ..strategy import Day, Decision

__all__ = ["WeightStrategyBase"]


class WeightStrategyBase:
    """Base of strategies of your own: return target weights, the orders follow.

    Override `generate_target_weight_position` (names and pandas, as in qlib) or `weights` (arrays, faster). What turns
    weights into orders reads yesterday's closes and today's tradability, `by_fill_price` also today's prices of fills.

    Parameters
    ----------
    signal : Series, DataFrame, or (model, dataset), optional
        Scores; see `qnb.backtest.run_backtest`.
    risk_degree : float
        Share of the account that is invested when the weights add up to 1.
    order_generator_cls_or_obj : str or callable, optional
        How weights become orders: ``"by_last_close"`` (default, qlib's OrderGenWOInteract) or ``"by_fill_price"``
        (OrderGenWInteract); see `qnb.backtest.rebalance`.
    model, dataset : optional
        Another way to say ``signal=(model, dataset)``.
    """

    extra_instruments: tuple[str, ...] = ()
    """Instruments the strategy may hold although they have no score."""

    def __init__(
        self,
        *,
        signal: Any = None,
        risk_degree: float = 0.95,
        order_generator_cls_or_obj: Any = "by_last_close",
        model: Any = None,
        dataset: Any = None,
    ) -> None:
        self.signal = (model, dataset) if signal is None and model is not None and dataset is not None else signal
        self.risk_degree = risk_degree
        self.order_generator = rebalancer(order_generator_cls_or_obj)

    def get_risk_degree(self, trade_step: int | None = None) -> float:
        """Return the share of the account to invest on day number `trade_step`; override it to time the market."""
        return self.risk_degree

    def generate_target_weight_position(
        self, score: Any, current: Position, trade_start_time: pd.Timestamp, trade_end_time: pd.Timestamp
    ) -> Mapping[str, float] | None:
        """Return instrument -> share of the account, or None for no orders today.

        Parameters
        ----------
        score : Series or DataFrame
            Scores of the trading day before, index instrument; a frame if the signal is one.
        current : Position
            What is held.
        trade_start_time, trade_end_time : Timestamp
            Today, from its beginning to its last second.
        """
        raise NotImplementedError

    def weights(self, day: Day) -> np.ndarray | Mapping[str, float] | None:
        """Return the target weights over ``day.instruments`` (or a mapping), or None for no orders today."""
        score: Any = pd.Series(
            day.scores, index=pd.Index([day.instruments[c] for c in day.codes], name="instrument"), name="score"
        )
        begin = pd.Timestamp(day.date)
        return self.generate_target_weight_position(
            score=score.to_frame() if day.framed else score,
            current=Position(day),
            trade_start_time=begin,
            trade_end_time=begin + pd.Timedelta(days=1, seconds=-1),
        )

    def decide(self, day: Day) -> Decision:
        """Return the orders towards the target weights."""
        if type(self).weights is WeightStrategyBase.weights and (
            type(self).generate_target_weight_position is WeightStrategyBase.generate_target_weight_position
        ):
            raise BacktestError(
                f"{type(self).__name__} says no weights: override weights(day) or generate_target_weight_position(...)"
            )
        wanted = self.weights(day)
        if wanted is None:
            return Decision()
        return self.order_generator(day, wanted, risk_degree=self.get_risk_degree(day.index))
