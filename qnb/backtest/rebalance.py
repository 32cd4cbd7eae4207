"""From target weights to orders, in two ways that differ in what they look at.

`by_last_close` sizes positions with yesterday's closes, as somebody must who sends orders before the market opens;
`by_fill_price` sizes them with today's prices of fills and spreads the cash over what can be traded today.
Both send sells before buys; within these the sequence is a fixed shuffle of the instruments, so that no instrument is
favoured by its name when cash runs short.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from ..errors import BacktestError
from .reasons import Reason
from .strategy import BUY, SELL, Day, Decision, Order

__all__ = ["Rebalancer", "by_fill_price", "by_last_close", "rebalancer"]

Weights: TypeAlias = np.ndarray | Mapping[str, float]
Rebalancer: TypeAlias = Callable[..., Decision]


def by_last_close(day: Day, weights: Weights, *, risk_degree: float = 0.95) -> Decision:
    """Return the orders towards `weights`, sized with yesterday's closes.

    The target amount of an instrument is ``risk_degree * account value * weight / yesterday's close``. What could not
    be traded yesterday or cannot be traded today is sized with its last price seen if it is held and left out if not.

    Parameters
    ----------
    day : Day
        What is known.
    weights : float64 array (instruments,) or mapping of instrument to float
        Shares of the account, each in [0, 1]. NaN and absent mean 0: a holding without a weight is sold.
    risk_degree : float
        Share of the account that is invested when the weights add up to 1.
    """
    wanted, named = _dense(day, weights)
    priced, prices = day.tradable() & day.tradable_before(), day.closes_before()
    if day.strict and day.index == 0:  # nothing is known of the day before the first: size with today's prices
        priced, prices = day.tradable(), day.fill_prices(BUY)
    prices = np.where(priced, prices, np.where(day.is_held, day.price, np.nan))
    sized = named & ~np.isnan(prices)
    target = np.zeros(len(wanted))
    target[sized] = risk_degree * day.account_value * wanted[sized] / prices[sized]
    decision = _towards(day, target, day.is_held | sized)
    for code in np.flatnonzero((wanted > 0) & ~sized).tolist():
        decision.skipped.append(Order(code, BUY, math.nan, day.refusal(code) or Reason.SUSPENDED))
    return decision


def by_fill_price(day: Day, weights: Weights, *, risk_degree: float = 0.95) -> Decision:
    """Return the orders towards `weights`, sized with today's prices of fills.

    The value that can be moved, tradable holdings plus cash less the part that `risk_degree` keeps back, less the
    larger of the two cost rates, is spread over the weights that can be traded today, in whole shares. If that value
    is negative every tradable holding is sold.

    Parameters
    ----------
    day, weights, risk_degree
        As in `by_last_close`.

    Raises
    ------
    BacktestError
        For tradable weights that add up to more than 1.
    """
    wanted, _ = _dense(day, weights)
    tradable = day.tradable()
    prices = day.fill_prices(SELL)
    worth = np.where(day.is_held, day.amount * np.where(np.isnan(prices), day.price, prices), 0.0)
    movable = float(worth[tradable].sum()) + day.cash - (1.0 - risk_degree) * (float(worth.sum()) + day.cash)
    target = np.where(tradable, 0.0, day.amount)
    if movable < 0:
        return _towards(day, target, day.is_held)
    movable /= 1 + day.cost_rate
    chosen = tradable & (wanted > 0)
    total = float(wanted[chosen].sum())
    if total - 1 >= 1e-5:
        raise BacktestError(f"weights must not add up to more than 1, received {total:g} on {day.date!s:.10}")
    target[:] = 0.0
    target[chosen] = movable * wanted[chosen] / total // day.fill_prices(BUY)[chosen]
    return _towards(day, target, day.is_held | chosen)


def rebalancer(name: object) -> Rebalancer:
    """Return the function that a workflow names.

    ``by_last_close`` is also known as OrderGenWOInteract, ``by_fill_price`` as OrderGenWInteract; a callable
    with the arguments of `by_last_close` is returned as it is.
    """
    text = str(getattr(name, "__name__", name)).rpartition(".")[2]
    known = {
        "by_last_close": by_last_close,
        "OrderGenWOInteract": by_last_close,
        "by_fill_price": by_fill_price,
        "OrderGenWInteract": by_fill_price,
    }
    if text in known:
        return known[text]
    if callable(name) and not isinstance(name, type):
        return name
    raise BacktestError(f"no way {name!r} to turn weights into orders; valid: {', '.join(known)}")


def _dense(day: Day, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights over all instruments, and which instruments were given one (of a mapping, even 0)."""
    size = len(day.instruments)
    if isinstance(weights, Mapping):
        dense, named = np.zeros(size), np.zeros(size, dtype=bool)
        codes = [day.code_of(name) for name in weights]
        dense[codes] = list(weights.values())
        named[codes] = True
    else:
        dense = np.array(weights, dtype=np.float64)
        if dense.shape != (size,):
            raise BacktestError(f"weights must be an array of {size} values, received shape {dense.shape}")
        named = np.nan_to_num(dense) != 0
    dense[np.isnan(dense)] = 0.0
    if (dense < 0).any():
        name = day.instruments[int(np.argmin(dense))]
        raise BacktestError(f"weight {dense.min():g} of {name} on {day.date!s:.10}: short positions are not supported")
    return dense, named


def _towards(day: Day, target: np.ndarray, named: np.ndarray) -> Decision:
    """Return sells, then buys, from the holdings to the amounts of `target`, of the instruments `named`."""
    decision = Decision()
    buys: list[Order] = []
    codes = np.flatnonzero(named)
    for code in codes[_shuffle(len(codes))].tolist():
        now, then = float(day.amount[code]), float(target[code])
        if now == then:
            continue
        side = BUY if then > now else SELL
        refused = day.refusal(code)
        whole = side == SELL and then == 0
        amount = abs(now - then) if whole else day.round(abs(now - then), code)
        if refused:
            decision.skipped.append(Order(code, side, amount, refused))
        elif amount == 0:
            decision.skipped.append(Order(code, side, abs(now - then), Reason.LOT))
        elif side == SELL:
            decision.orders.append(Order(code, SELL, amount, Reason.DROPPED if whole else Reason.REDUCED))
        else:
            buys.append(Order(code, BUY, amount, Reason.INCREASED if now > 0 else Reason.ENTERED))
    decision.orders.extend(buys)
    return decision


@lru_cache(maxsize=4096)
def _shuffle(count: int) -> np.ndarray:
    order = list(range(count))
    random.Random(0).shuffle(order)  # noqa: S311 - a fixed sequence, not a secret
    return np.array(order, dtype=np.int64)
