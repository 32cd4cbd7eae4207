"""Hold the topk best scores and replace at most n_drop holdings a day."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import BacktestError, nearest
from ..reasons import Reason
from ..strategy import BUY, SELL, Day, Decision, Order, best, descending

__all__ = ["TopkDropoutStrategy"]


class TopkDropoutStrategy:
    """Hold about `topk` instruments with the highest scores; every day sell the worst holdings and buy better ones.

    Each day, with the scores of the trading day before:

    1. candidates are the best ``n_drop + topk - held`` instruments that are not held;
    2. holdings and candidates together are ranked, and holdings among the last `n_drop` are sold, so that nothing is
       sold for something worse;
    3. as many candidates are bought as bring the number of holdings back to `topk`, for equal parts of
       ``risk_degree`` times the cash after the sells.

    It reads scores up to yesterday and today's tradability and prices of fills.

    Parameters
    ----------
    topk : int
        Instruments to hold.
    n_drop : int
        Holdings to replace a day at most.
    method_sell : str
        ``"bottom"``: the holdings with the lowest scores; ``"random"``: any `n_drop` of them.
    method_buy : str
        ``"top"``: the highest scores; ``"random"``: any of the `topk` highest.
    hold_thresh : int
        A holding is sold after at least so many days.
    only_tradable : bool
        Choose among what can be traded today; otherwise a choice that cannot be traded is lost for the day.
    forbid_all_trade_at_limit : bool
        Neither buy nor sell at any price limit; otherwise sells at limit up and buys at limit down are allowed.
    risk_degree : float
        Share of the cash that is spent on a day with buys.
    seed : int, optional
        Of the random methods; None takes 0, so that a run can be repeated.
    signal : Series, DataFrame, or (model, dataset), optional
        Scores; see `qnb.backtest.run_backtest`.
    model, dataset : optional
        Another way to say ``signal=(model, dataset)``.

    Notes
    -----
    The compatible mode keeps some oddities: ``n_drop=0`` sells every holding; without enough candidates the worst
    holdings are sold for nothing; buys are counted against planned sells even when those cannot be carried out, so
    that more than `topk` can be held; a candidate that cannot be bought keeps its part of the budget; the cost of
    buying is not set aside, nor are proceeds that settle too late; what has no score is bought when nothing else is
    left; orders of nothing are sent. In strict mode ``n_drop=0`` sells nothing, what is sold has a replacement or is
    above `topk`, buys are counted against sells that can be carried out, and the cash that is there, less the cost,
    goes to what has a score and can be bought.

    Examples
    --------
    >>> TopkDropoutStrategy(topk=50, n_drop=5).topk
    50
    """

    def __init__(
        self,
        *,
        topk: int,
        n_drop: int,
        method_sell: str = "bottom",
        method_buy: str = "top",
        hold_thresh: int = 1,
        only_tradable: bool = False,
        forbid_all_trade_at_limit: bool = True,
        risk_degree: float = 0.95,
        seed: int | None = None,
        signal: Any = None,
        model: Any = None,
        dataset: Any = None,
    ) -> None:
        self.topk, self.n_drop = topk, n_drop
        self.method_sell, self.method_buy = method_sell, method_buy
        self.hold_thresh = hold_thresh
        self.only_tradable = only_tradable
        self.forbid_all_trade_at_limit = forbid_all_trade_at_limit
        self.risk_degree = risk_degree
        self.seed = seed
        self.signal = (model, dataset) if signal is None and model is not None and dataset is not None else signal
        _whole("topk", topk, 1)
        _whole("n_drop", n_drop, 0)
        _one_of("method_sell", method_sell, ("bottom", "random"))
        _one_of("method_buy", method_buy, ("top", "random"))
        if not 0 < risk_degree <= 1:
            raise BacktestError(f"risk_degree must lie in (0, 1], received {risk_degree!r}")
        self._random = np.random.RandomState(0)

    def start(self) -> None:
        """Begin a run: seed the random methods."""
        self._random = np.random.RandomState(0 if self.seed is None else self.seed)

    def decide(self, day: Day) -> Decision:
        """Return the orders of a day: sells by code, then buys from the best score down."""
        held = day.held
        tradable = day.tradable() if self.only_tradable else None
        today = self._candidates(day, held, tradable)
        chosen = self._sells(day, held, today, tradable)
        decision = Decision()
        sold, cash = self._sell(day, held[chosen[held]], decision)
        planned = sold if day.strict else int(chosen.sum())
        buys = today[: _count(day, planned + self.topk - len(held))]
        self._buy(day, buys, cash, decision)
        return decision

    def _candidates(self, day: Day, held: np.ndarray, tradable: np.ndarray | None) -> np.ndarray:
        wanted = _count(day, self.n_drop + self.topk - len(held))
        if self.method_buy == "top":
            free = ~day.is_held[day.codes]
            if day.strict:
                free &= ~np.isnan(day.scores)
            return _top(day, day.codes[free], day.scores[free], wanted, tradable)
        top = _top(day, day.codes, day.scores, self.topk, tradable)
        return self._draw(top[~day.is_held[top]], wanted)

    def _sells(self, day: Day, held: np.ndarray, today: np.ndarray, tradable: np.ndarray | None) -> np.ndarray:
        """Return a bool array (instruments,) of the holdings to sell."""
        chosen = np.zeros(len(day.instruments), dtype=bool)
        if day.strict and self.n_drop == 0:
            return chosen
        if self.method_sell == "random":
            ranked = held[descending(day.score[held])]
            candidates = ranked if tradable is None else ranked[tradable[ranked]]
            if len(held):
                chosen[self._draw(candidates, self.n_drop)] = True
            return chosen
        together = np.sort(np.concatenate([held, today]))
        ranked = together[descending(day.score[together])]
        drop = max(min(self.n_drop, len(ranked) - self.topk), 0) if day.strict else self.n_drop
        if drop or not day.strict:
            chosen[_last(ranked, drop, tradable)] = True
        return chosen & day.is_held

    def _sell(self, day: Day, codes: np.ndarray, decision: Decision) -> tuple[int, float]:
        cash, sold = day.cash, 0
        side = None if self.forbid_all_trade_at_limit else SELL
        amounts, counts = day.amount[codes].tolist(), day.count[codes].tolist()
        for code, amount, count in zip(codes.tolist(), amounts, counts, strict=True):
            refused = day.refusal(code, side) or ("" if count >= self.hold_thresh else Reason.HOLD_THRESH)
            if refused:
                decision.skipped.append(Order(code, SELL, amount, refused))
                continue
            decision.orders.append(Order(code, SELL, amount, Reason.DROPPED))
            fill = day.try_sell(code, cash=cash)
            cash += fill.value - fill.cost
            sold += 1
        return sold, day.cash if day.strict and not day.proceeds_usable else cash

    def _buy(self, day: Day, codes: np.ndarray, cash: float, decision: Decision) -> None:
        side = None if self.forbid_all_trade_at_limit else BUY
        refusals = [day.refusal(code, side) for code in codes.tolist()]
        parts = refusals.count("") if day.strict else len(codes)
        budget = cash * self.risk_degree / parts if parts else 0.0
        if day.strict:
            budget = max(budget, 0.0) / (1 + day.open_cost)
        for code, refused in zip(codes.tolist(), refusals, strict=True):
            price = day.fill_price(code, BUY)
            amount = day.round(budget / price, code) if price > 0 else math.nan
            if refused or amount != amount:
                decision.skipped.append(Order(code, BUY, amount, refused or Reason.SUSPENDED))
            elif day.strict and amount == 0:
                decision.skipped.append(Order(code, BUY, budget / price, Reason.LOT))
            else:
                decision.orders.append(Order(code, BUY, amount, Reason.ENTERED))

    def _draw(self, codes: np.ndarray, count: int) -> np.ndarray:
        """Return `count` of `codes` at random, or all of them if there are not so many."""
        try:
            return codes[self._random.choice(len(codes), count, replace=False)]
        except ValueError:
            return codes


def _count(day: Day, wanted: int) -> int:
    """Return how many to take; compatible rules let a negative number count from the end."""
    return max(wanted, 0) if day.strict else wanted


def _top(day: Day, codes: np.ndarray, scores: np.ndarray, count: int, tradable: np.ndarray | None) -> np.ndarray:
    """Return the `count` best codes, or best tradable ones; compatible rules take one of these at least."""
    if tradable is None:
        return codes[best(scores, count)]
    free = tradable[codes]
    return codes[free][best(scores[free], max(count, 0 if day.strict else 1))]


def _last(codes: np.ndarray, count: int, tradable: np.ndarray | None) -> np.ndarray:
    return codes[-count:] if tradable is None else codes[tradable[codes]][-max(count, 1) :]


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BacktestError(f"{name} must be a whole number of at least {least}, received {value!r}")


def _one_of(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        near = nearest(str(value), valid)
        raise BacktestError(f"{name} {value!r} is not known; " + (f"did you mean {near[0]!r}?" if near else f"{valid}"))
