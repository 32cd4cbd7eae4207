"""What a strategy is: one method that turns a day's knowledge into orders.

`Day` is that knowledge, arrays over the market's instruments; `Decision` is the answer. A strategy reads scores of the
trading day before and today's tradability and prices of fills, as orders are placed while the market is open; nothing
of a later day can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ..errors import BacktestError, nearest
from .exchange import BUY, SELL, Exchange, Fill
from .portfolio import Portfolio
from .scores import Scores

__all__ = ["BUY", "SELL", "Day", "Decision", "Order", "Strategy", "best", "descending"]


class Order(NamedTuple):
    """An order, or a candidate for one.

    ``side`` is BUY or SELL; ``amount`` in adjusted shares, NaN where it cannot be told; ``reason`` why it is sent, or,
    for a candidate that is not sent, why not.
    """

    code: int
    side: int
    amount: float
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Orders of a day in the sequence in which they are carried out, and the candidates that were left out."""

    orders: list[Order] = field(default_factory=list)
    skipped: list[Order] = field(default_factory=list)


@runtime_checkable
class Strategy(Protocol):
    """Turns what is known on a day into orders. The engine calls `decide` once a day that has scores, in time order.

    A strategy may keep what it learned on earlier days. Optional attributes: ``signal`` (used when `run_backtest` is
    given none), ``extra_instruments`` (instruments it may trade that have no score), ``start()`` (called before the
    first day, e.g. to seed).
    """

    def decide(self, day: Day) -> Decision:
        """Return the orders for `day`."""
        ...


class Day:
    """What is known on one trading day. Arrays are over ``instruments`` and read-only.

    Attributes
    ----------
    index : int
        Number of the day in the run, from 0.
    date, signal_date : datetime64[ns]
        Today, and the trading day whose scores are seen.
    instruments : tuple of str
        All instruments of the run, sorted; a *code* is an index into them.
    codes : int array (scored,)
        Instruments with a score today, ascending.
    scores : float64 array (scored,)
        Their scores; NaN is possible.
    amount, price, count : arrays (instruments,)
        Adjusted shares held, last price seen (yesterday's close), days held; 0 for what is not held.
    cash : float
        Cash that can be spent.
    strict : bool
        Whether the run mends what is odd in the compatible rules.
    """

    def __init__(
        self,
        *,
        index: int,
        signal_date: Any,
        exchange: Exchange,
        portfolio: Portfolio,
        scores: Scores,
        strict: bool,
        framed: bool = False,
    ) -> None:
        market = exchange.market
        self.index, self.strict, self.framed = index, strict, framed
        self.date: Any = market.days[index]
        self.signal_date = signal_date
        self.instruments = market.instruments
        rows = slice(scores.starts[index], scores.starts[index + 1])
        self.codes, self.scores = scores.codes[rows], scores.values[rows]
        self.cash = portfolio.cash
        self._exchange, self._portfolio = exchange, portfolio

    @property
    def amount(self) -> np.ndarray:
        """Adjusted shares held."""
        return _read_only(self._portfolio.amount)

    @property
    def price(self) -> np.ndarray:
        """Last price seen of what is held."""
        return _read_only(self._portfolio.price)

    @property
    def count(self) -> np.ndarray:
        """Days held."""
        return _read_only(self._portfolio.count)

    @cached_property
    def held(self) -> np.ndarray:
        """Codes of what is held, ascending."""
        return self._portfolio.holdings()

    @cached_property
    def is_held(self) -> np.ndarray:
        """Bool array (instruments,)."""
        return _read_only(self._portfolio.held)

    @cached_property
    def score(self) -> np.ndarray:
        """Scores over all instruments, NaN where there is none."""
        dense = np.full(len(self.instruments), np.nan)
        dense[self.codes] = self.scores
        return dense

    @property
    def account_value(self) -> float:
        """Cash and holdings at the last prices seen."""
        return self._portfolio.value()

    def tradable(self, side: int | None = None) -> np.ndarray:
        """Return a bool array (instruments,): can be traded today in that direction, or (None) in both."""
        market = self._exchange.market
        matrix = market.can_both if side is None else market.can_buy if side == BUY else market.can_sell
        return matrix[self.index]

    def refusal(self, code: int, side: int | None = None) -> str:
        """Return the reason code for which an instrument cannot be traded today, '' if it can."""
        return self._exchange.refusal(self.index, code, side)

    def fill_price(self, code: int, side: int) -> float:
        """Return the price at which an order of today is filled; NaN for a suspended instrument."""
        return self._exchange.price(side, self.index, code)

    def fill_prices(self, side: int) -> np.ndarray:
        """Return the prices of fills over all instruments, NaN where suspended."""
        market = self._exchange.market
        prices = market.buy_price if side == BUY else market.sell_price
        return prices[self.index].astype(np.float64)

    def closes_before(self) -> np.ndarray:
        """Return yesterday's closes over all instruments; NaN where suspended and on the run's first day."""
        if self.index == 0:
            return np.full(len(self.instruments), np.nan)
        return self._exchange.market.close[self.index - 1].astype(np.float64)

    def tradable_before(self) -> np.ndarray:
        """Return what could be traded yesterday in both directions; nothing on the run's first day."""
        if self.index == 0:
            return np.zeros(len(self.instruments), dtype=bool)
        return self._exchange.market.can_both[self.index - 1]

    @property
    def proceeds_usable(self) -> bool:
        """Whether what a sell brings can be spent on the same day."""
        return self._exchange.spec.settle_type == "none" and self._exchange.spec.trade_type == "serial"

    @property
    def open_cost(self) -> float:
        """The cost rate of buys."""
        return self._exchange.spec.open_cost

    @property
    def cost_rate(self) -> float:
        """The larger of the cost rates of buys and sells."""
        return max(self._exchange.spec.open_cost, self._exchange.spec.close_cost)

    def round(self, amount: float, code: int) -> float:
        """Return `amount` rounded down to whole lots."""
        return self._exchange.round(amount, self.index, code)

    def try_sell(self, code: int, *, cash: float) -> Fill:
        """Return what selling a whole holding would bring, without doing it."""
        amount = float(self._portfolio.amount[code])
        return self._exchange.deal(SELL, amount, self.index, code, cash=cash, holding=amount)

    def code_of(self, instrument: str) -> int:
        """Return the code of an instrument.

        Raises
        ------
        BacktestError
            When it is not part of the run.
        """
        place = int(np.searchsorted(np.asarray(self.instruments, dtype=object), instrument))
        if place < len(self.instruments) and self.instruments[place] == instrument:
            return place
        near = nearest(str(instrument), self.instruments)
        hint = f"did you mean {near[0]!r}?" if near else "list it in the strategy's extra_instruments"
        raise BacktestError(f"the strategy asks for {instrument!r}, which has neither score nor holding; {hint}")

    def rebalance(self, weights: np.ndarray | Mapping[str, float], *, risk_degree: float = 0.95) -> Decision:
        """Return the orders that bring the holdings to `weights`; see `qnb.backtest.rebalance.by_last_close`."""
        from .rebalance import by_last_close

        return by_last_close(self, weights, risk_degree=risk_degree)


def descending(values: np.ndarray) -> np.ndarray:
    """Return the order of `values` from high to low; NaN last, equal ones as they come."""
    return np.argsort(-values, kind="stable")


def best(values: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` highest `values`, from high to low; as ``descending(values)[:count]``, faster.

    A negative count leaves out that many at the end.
    """
    if not 0 < count < len(values):
        return descending(values)[:count]
    low = -values
    threshold = np.partition(low, count - 1)[count - 1]
    if threshold != threshold:
        return descending(values)[:count]
    near = np.flatnonzero(low <= threshold)
    return near[np.argsort(low[near], kind="stable")][:count]


def _read_only(values: np.ndarray) -> np.ndarray:
    view = values.view()
    view.flags.writeable = False
    return view
