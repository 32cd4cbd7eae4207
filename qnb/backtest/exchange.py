"""Deals orders on one day's bar: what of an order is filled, at which price and cost, and why not more.

1. An order in a direction that is not tradable gets nothing.
2. Volume limits clip the amount.
3. The cost rate is open_cost or close_cost plus market impact, ``impact_cost * (value / day's value) ** 2``.
4. A sell that is not the whole holding is rounded to lots, and so is every buy; a buy takes no more than cash allows.
5. The cost is ``max(value * rate, min_cost)``; a fill of (almost) nothing costs nothing.

Amounts are in adjusted shares: shares as traded / factor. Nothing here changes a position.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .market import Market
from .reasons import Reason
from .spec import ExchangeSpec

__all__ = ["BUY", "NOTHING", "SELL", "Exchange", "Fill"]

BUY, SELL = 1, -1
NOTHING = 1e-5
"""Least value of a fill, in money, that changes a position."""


class Fill(NamedTuple):
    """What became of an order: amount, price, value and cost; reason '' when it was filled as asked."""

    amount: float
    price: float
    value: float
    cost: float
    reason: str


class Exchange:
    """The dealing rules of a `Market`.

    Parameters
    ----------
    market : Market
        Prices, limits, lots.
    spec : ExchangeSpec
        Costs.
    strict : bool
        Lots are never rounded up.
    """

    def __init__(self, market: Market, spec: ExchangeSpec, *, strict: bool = False) -> None:
        self.market, self.spec = market, spec
        self._slack = 1e-6 if strict else 0.1

    def refusal(self, day: int, code: int, side: int | None) -> str:
        """Return why instrument `code` cannot be traded on `day` in direction `side` (None: in both), '' if it can."""
        market = self.market
        tradable = market.can_both if side is None else market.can_buy if side == BUY else market.can_sell
        if tradable.item(day, code):
            return ""
        if market.suspended.item(day, code):
            return Reason.SUSPENDED
        if side != SELL and market.limit_buy.item(day, code):
            return Reason.LIMIT_UP
        return Reason.LIMIT_DOWN

    def round(self, amount: float, day: int, code: int) -> float:
        """Return `amount` rounded down to whole lots: ``floor((amount * factor + slack) / unit) * unit / factor``.

        The slack, a tenth of a share (strict: a millionth), saves whole lots from the noise of the division. Without
        lots, or where the factor is not known, the amount stays.
        """
        unit = self.market.unit
        if unit is None:
            return amount
        factor = self.market.factor.item(day, code)
        if factor != factor:
            return amount
        return (amount * factor + self._slack) // unit * unit / factor

    def price(self, side: int, day: int, code: int) -> float:
        """Return the price of a fill; NaN for a suspended instrument."""
        prices = self.market.buy_price if side == BUY else self.market.sell_price
        return prices.item(day, code)

    def deal(
        self, side: int, amount: float, day: int, code: int, *, cash: float, holding: float, taken: float = 0.0
    ) -> Fill:
        """Return what is filled of an order.

        Parameters
        ----------
        side : int
            BUY or SELL.
        amount : float
            Adjusted shares asked for.
        day, code : int
            Row and column of the market.
        cash : float
            Cash that can be spent.
        holding : float
            Adjusted shares held.
        taken : float
            What earlier orders of the day took of this instrument's volume.
        """
        refused = self.refusal(day, code, side)
        if refused:
            return Fill(0.0, math.nan, 0.0, 0.0, refused)
        price = self.price(side, day, code)
        if not price > 0:
            return Fill(0.0, price, 0.0, 0.0, Reason.SUSPENDED)
        filled, reason = amount, ""
        limits = self.market.buy_limits if side == BUY else self.market.sell_limits
        if limits:
            filled = self._within_volume(limits, filled, day, code, taken)
            if filled < amount:
                reason = Reason.VOLUME
        spec = self.spec
        rate = spec.open_cost if side == BUY else spec.close_cost
        if spec.impact_cost:
            rate += self._impact(filled * price, price, day, code)
        if side == SELL:
            if not abs(filled - holding) <= 1e-8 + 1e-5 * holding:
                wanted, filled = filled, self.round(min(holding, filled), day, code)
                reason = reason or (Reason.LOT if filled < wanted * (1 - 1e-9) else "")
            value = filled * price
            if cash + value < max(value * rate, spec.min_cost):
                filled, reason = 0.0, Reason.NO_CASH
        else:
            value = filled * price
            fee = max(value * rate, spec.min_cost)
            if cash < fee:
                filled, reason = 0.0, Reason.NO_CASH
            elif cash < value + fee:
                wanted, filled = filled, self.round(min(self._affordable(cash, price, rate), filled), day, code)
                reason = Reason.NO_CASH if filled < wanted * (1 - 1e-9) else reason
            else:
                wanted, filled = filled, self.round(filled, day, code)
                reason = reason or (Reason.LOT if filled < wanted * (1 - 1e-9) else "")
        value = filled * price
        if value <= NOTHING:
            return Fill(filled, price, value, 0.0, reason or Reason.LOT)
        return Fill(filled, price, value, max(value * rate, spec.min_cost), reason)

    def _within_volume(
        self, limits: tuple[tuple[bool, np.ndarray], ...], amount: float, day: int, code: int, taken: float
    ) -> float:
        for cumulative, values in limits:
            allowed = values.item(day, code)
            if allowed != allowed:
                return 0.0
            amount = min(amount, allowed - taken if cumulative else allowed)
        return max(amount, 0.0)

    def _impact(self, value: float, price: float, day: int, code: int) -> float:
        volume = self.market.volume
        total = volume.item(day, code) * price if volume is not None else 0.0
        if not total or total != total:
            return self.spec.impact_cost
        return self.spec.impact_cost * (value / total) ** 2

    def _affordable(self, cash: float, price: float, rate: float) -> float:
        """Return the shares that `cash` pays with their cost; it is no less than the least cost."""
        least = self.spec.min_cost
        if rate > 0 and cash >= least / rate + least:
            return cash / (1 + rate) / price
        return (cash - least) / price
