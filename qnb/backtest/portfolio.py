"""Cash and holdings of a run while it is running, and how they start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import BacktestError, nearest
from .quotes import QuoteSource

__all__ = ["Portfolio", "initial_holdings"]

_PRICE_DAYS = 30


class Portfolio:
    """Cash and holdings, as arrays over the market's instruments. The engine alone changes them.

    Parameters
    ----------
    cash : float
        Cash at the start.
    size : int
        Number of instruments.

    Attributes
    ----------
    cash : float
        Cash that can be spent.
    delayed : float
        Proceeds of today's sells that can be spent from tomorrow on (settle_type cash).
    amount : float64 array (instruments,)
        Adjusted shares held.
    price : float64 array (instruments,)
        Last price seen: that of the purchase, then every close.
    count : int64 array (instruments,)
        Days held, 0 on the day of the purchase until its end.
    held : bool array (instruments,)
        Which instruments are held.
    """

    def __init__(self, cash: float, size: int) -> None:
        self.cash, self.delayed = cash, 0.0
        self.amount = np.zeros(size)
        self.price = np.zeros(size)
        self.count = np.zeros(size, dtype=np.int64)
        self.held = np.zeros(size, dtype=bool)

    def holdings(self) -> np.ndarray:
        """Return the codes of what is held, ascending."""
        return np.flatnonzero(self.held)

    def stock_value(self) -> float:
        """Return the value of all holdings at their last price."""
        held = self.holdings()
        return float((self.amount[held] * self.price[held]).sum())

    def value(self) -> float:
        """Return cash (with what is not settled) and holdings."""
        return self.stock_value() + self.cash + self.delayed

    def put(self, code: int, amount: float, price: float) -> None:
        """Add `amount` to a holding; a new one starts with `price` and a count of 0."""
        if self.held[code]:
            self.amount[code] += amount
            return
        self.held[code] = True
        self.amount[code], self.price[code], self.count[code] = amount, price, 0

    def take(self, code: int, amount: float) -> None:
        """Take `amount` out of a holding; (almost) all of it ends the holding."""
        if abs(self.amount[code] - amount) <= 1e-8 + 1e-5 * abs(amount):
            self.held[code] = False
            self.amount[code] = self.price[code] = 0.0
            self.count[code] = 0
        else:
            self.amount[code] -= amount

    def end_of_day(self, close: np.ndarray) -> np.ndarray:
        """Take the closes that there are as last prices, count the day, and return the codes held."""
        held = self.holdings()
        today = close[held]
        traded = ~np.isnan(today)
        self.price[held[traded]] = today[traded]
        self.count[held] += 1
        return held

    def settle(self) -> None:
        """Make the day's proceeds spendable."""
        self.cash, self.delayed = self.cash + self.delayed, 0.0


def initial_holdings(account: Any, *, store: QuoteSource, first: int) -> tuple[float, dict[str, tuple[float, float]]]:
    """Return cash and ``{instrument: (amount, price)}`` of an account as a workflow gives it.

    Parameters
    ----------
    account : float or mapping
        Cash, or ``{"cash": 1e6, "SH600000": 1000, "SH600004": {"amount": 200, "price": 9.8}}``; amounts in adjusted
        shares. A missing price is the last close of the 30 days before the first day.
    store : QuoteSource
        Where closes are read.
    first : int
        First trading day as an index into the calendar.

    Raises
    ------
    BacktestError
        For an account without cash, a wrong amount, or an instrument without a recent close.
    """
    if isinstance(account, int | float) and not isinstance(account, bool):
        if not account > 0:
            raise BacktestError(f"an account needs cash above 0, received {account!r}")
        return float(account), {}
    if not isinstance(account, Mapping) or "cash" not in account:
        raise BacktestError(f"account is a number or a mapping with the key 'cash', received {account!r}")
    holdings = {}
    for name, what in account.items():
        if name != "cash":
            amount, price = _amount_and_price(str(name), what)
            holdings[str(name)] = (amount, _recent_close(store, str(name), first) if price is None else price)
    return float(account["cash"]), holdings


def _amount_and_price(name: str, what: Any) -> tuple[float, float | None]:
    price = None
    if isinstance(what, Mapping):
        unknown = [str(k) for k in what if k not in ("amount", "price", "weight", "count_day")]
        if unknown or "amount" not in what:
            raise BacktestError(f"holding {name!r} is an amount or {{amount, price}}, received {dict(what)!r}")
        what, price = what["amount"], what.get("price")
    if not isinstance(what, int | float) or isinstance(what, bool) or not what > 0:
        raise BacktestError(f"the amount of holding {name!r} must be above 0, received {what!r}")
    return float(what), None if price is None else float(price)


def _recent_close(store: QuoteSource, name: str, first: int) -> float:
    found = store.series(name, "close")
    if found is None:
        near = nearest(name, store.instruments())
        raise BacktestError(f"no data of holding {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    start, values = found
    day = store.calendar[first]
    oldest = int(np.searchsorted(store.calendar, day - np.timedelta64(_PRICE_DAYS, "D")))
    recent = np.asarray(values[max(oldest - start, 0) : max(first - start, 0)], dtype=np.float64)
    recent = recent[~np.isnan(recent)]
    if not len(recent):
        raise BacktestError(
            f"holding {name!r} has no close in the {_PRICE_DAYS} days before {np.datetime64(day, 'D')}; give its price"
        )
    return float(recent[-1])
