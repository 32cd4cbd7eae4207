"""Runs a strategy over trading days.

For each day t, in order:

1. The strategy sees the scores of the trading day before t (none: no orders) and decides.
2. Its orders are dealt one after another against cash and holdings; every one goes to the ledger.
3. The close becomes the price of every holding that traded, holdings grow a day older, the account is written down.

Days are a Python loop, since each depends on the one before; within a day instruments are arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import BacktestError, RunStopped
from .benchmark import benchmark_returns
from .exchange import BUY, NOTHING, SELL, Exchange
from .indicators import daily_indicators
from .ledger import Ledger, ledger_frame
from .market import Market, market_of
from .portfolio import Portfolio, initial_holdings
from .quotes import Quotes, QuoteSource, trading_days
from .result import BacktestResult, DayBook, result_of
from .scores import Scores, signal_dates
from .signal import signal_of
from .spec import ExchangeSpec, daily
from .strategy import Day, Decision, Order, Strategy

__all__ = ["MODES", "load_quotes", "run_backtest"]

MODES = ("compat", "strict")
_EVERY = 20


def run_backtest(
    signal: Any = None,
    *,
    store: QuoteSource,
    strategy: Strategy,
    exchange: ExchangeSpec | None = None,
    account: Any = 1e8,
    benchmark: Any = "SH000300",
    start: Any = None,
    end: Any = None,
    mode: str = "compat",
    freq: str = "day",
    quotes: Quotes | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> BacktestResult:
    """Simulate a strategy on daily bars.

    Parameters
    ----------
    signal : Series, DataFrame or (model, dataset), optional
        Scores with index (datetime, instrument); a score of day t is traded on the next trading day. None takes the
        strategy's own ``signal``.
    store : QuoteSource
        Where quotes are read.
    strategy : Strategy
        Turns scores into orders.
    exchange : ExchangeSpec, optional
        Costs, prices, limits, lots.
    account : float or mapping
        Cash, or cash and holdings: ``{"cash": 1e6, "SH600000": {"amount": 1000, "price": 9.8}}``.
    benchmark : str, sequence of str, Series or None
        See `qnb.backtest.benchmark_returns`.
    start, end : date-like, optional
        First and last day, both inclusive; default: the first date of the signal, and one trading day after its last.
    mode : str
        ``"compat"`` reproduces qlib; ``"strict"`` mends what is odd there (see docs/concepts/backtest.md).
    freq : str
        Only ``"day"``.
    quotes : Quotes, optional
        Quotes read by an earlier run (`load_quotes`), used when they cover this one.
    progress : callable, optional
        Called with (days done, days in all) now and then and at the end.
    should_stop : callable, optional
        Asked now and then; True ends the run with `RunStopped`.

    Returns
    -------
    BacktestResult

    Raises
    ------
    BacktestError
        For a run that cannot be done as asked.
    RunStopped
        When `should_stop` said so.
    """
    daily(freq)
    if mode not in MODES:
        raise BacktestError(f"mode {mode!r} is not known; valid: compat, strict")
    strict = mode == "strict"
    spec = (exchange or ExchangeSpec()).checked()
    framed, signal = signal_of(signal, strategy)
    first, last = _range(signal, store, start, end)
    scores = Scores.from_signal(signal, calendar=store.calendar, first=first, last=last)
    cash, holdings = initial_holdings(account, store=store, first=first)
    instruments = {*scores.instruments, *holdings, *getattr(strategy, "extra_instruments", ())}
    if quotes is None or not quotes.covers(instruments, first, last):
        quotes = Quotes(store, instruments=instruments, first=first, last=last)
    market = market_of(quotes, spec, strict=strict)
    scores = scores.on(market.instruments)
    portfolio = _portfolio(cash, holdings, market)
    initial = portfolio.value()
    book = DayBook(initial if strict or cash == 0 else cash)
    run = _Run(market, spec, strategy, scores, portfolio, book, strict=strict, framed=framed)
    run.before = store.calendar[first - 1] if first else None
    run.all_days(progress, should_stop)
    columns = run.ledger.columns()
    return result_of(
        market,
        book,
        bench=benchmark_returns(benchmark, store=store, first=first, last=last, strict=strict),
        indicators=daily_indicators(columns, market.days, weight=spec.ffr_weight, strict=strict),
        orders=ledger_frame(columns, market, scores),
        initial_account=initial,
        notes=market.notes,
    )


def load_quotes(
    signal: Any, *, store: QuoteSource, start: Any = None, end: Any = None, extra_instruments: Iterable[str] = ()
) -> Quotes:
    """Return quotes for runs on `signal`, to be passed to `run_backtest` again and again.

    Fields are read when a run first needs them and are kept, so that a run with other strategy options, costs or
    account reads nothing. The days and instruments are those of the first run; others are read anew.

    Parameters
    ----------
    signal, store, start, end
        As in `run_backtest`.
    extra_instruments : iterable of str
        Instruments without a score: initial holdings, and what the strategy names.
    """
    _, signal = signal_of(signal, None)
    first, last = _range(signal, store, start, end)
    scores = Scores.from_signal(signal, calendar=store.calendar, first=first, last=last)
    return Quotes(store, instruments={*scores.instruments, *extra_instruments}, first=first, last=last)


class _Run:
    """The state of one run."""

    def __init__(
        self,
        market: Market,
        spec: ExchangeSpec,
        strategy: Strategy,
        scores: Scores,
        portfolio: Portfolio,
        book: DayBook,
        *,
        strict: bool,
        framed: bool,
    ) -> None:
        self.market, self.spec, self.strategy, self.scores = market, spec, strategy, scores
        self.portfolio, self.book = portfolio, book
        self.strict, self.framed = strict, framed
        self.exchange = Exchange(market, spec, strict=strict)
        self.ledger = Ledger()
        self.before: Any = None

    def all_days(self, progress: Callable[[int, int], None] | None, should_stop: Callable[[], bool] | None) -> None:
        total = len(self.market.days)
        start = getattr(self.strategy, "start", None)
        if callable(start):
            start()
        for index in range(total):
            if index % _EVERY == 0:
                if should_stop is not None and should_stop():
                    raise RunStopped(f"backtest stopped on request after {index} of {total} days")
                if progress is not None:
                    progress(index, total)
            self.day(index)
        if progress is not None:
            progress(total, total)

    def day(self, index: int) -> None:
        traded = paid = 0.0
        starts = self.scores.starts
        if starts[index + 1] > starts[index]:
            day = Day(
                index=index,
                signal_date=self.market.days[index - 1] if index else self.before,
                exchange=self.exchange,
                portfolio=self.portfolio,
                scores=self.scores,
                strict=self.strict,
                framed=self.framed,
            )
            decision = self.strategy.decide(day)
            if not isinstance(decision, Decision):
                name = type(self.strategy).__name__
                raise BacktestError(f"{name}.decide must return a Decision, received {type(decision).__name__}")
            traded, paid = self.carry_out(index, decision)
        self.close(index, traded, paid)

    def carry_out(self, index: int, decision: Decision) -> tuple[float, float]:
        """Deal the orders of a day; return what was traded and paid."""
        portfolio, ledger, deal = self.portfolio, self.ledger, self.exchange.deal
        traded = paid = 0.0
        taken: dict[int, float] = {}
        for order in self.sequence(decision.orders):
            code, side, amount, _ = order
            held_days = int(portfolio.count[code])
            fill = deal(
                side, amount, index, code,
                cash=portfolio.cash, holding=float(portfolio.amount[code]), taken=taken.get(code, 0.0),
            )  # fmt: skip
            if fill.value > NOTHING:
                self.book_fill(code, side, fill)
                traded += fill.value
                paid += fill.cost
            taken[code] = taken.get(code, 0.0) + fill.amount
            ledger.order(index, order, fill, held_days)
        for order in decision.skipped:
            price = self.exchange.price(order.side, index, order.code)
            ledger.skip(index, order, price, int(portfolio.count[order.code]))
        return traded, paid

    def sequence(self, orders: list[Order]) -> list[Order]:
        if self.spec.trade_type == "serial":
            return orders
        return [o for o in orders if o.side == BUY] + [o for o in orders if o.side == SELL]

    def book_fill(self, code: int, side: int, fill: Any) -> None:
        portfolio = self.portfolio
        amount = fill.value / fill.price
        if side == BUY:
            portfolio.put(code, amount, fill.price)
            portfolio.cash -= fill.value + fill.cost
            return
        portfolio.take(code, amount)
        proceeds = fill.value - fill.cost
        if self.spec.settle_type == "cash" and not (self.strict and proceeds < 0):
            portfolio.delayed += proceeds
        else:
            portfolio.cash += proceeds

    def close(self, index: int, traded: float, paid: float) -> None:
        portfolio = self.portfolio
        held = portfolio.end_of_day(self.market.close[index])
        self.book.end_of_day(
            held, portfolio.amount[held], portfolio.price[held], portfolio.count[held],
            portfolio.cash, portfolio.delayed, traded=traded, cost=paid,
        )  # fmt: skip
        portfolio.settle()


def _range(signal: Any, store: QuoteSource, start: Any, end: Any) -> tuple[int, int]:
    """Return first and last day of the run as indexes into the calendar."""
    if start is None or end is None:
        low, high = signal_dates(signal)
        start = low if start is None else start
        if end is None:
            after = int(np.searchsorted(store.calendar, high, side="right"))
            end = store.calendar[min(after, len(store.calendar) - 1)]
    return trading_days(store.calendar, start, end)


def _portfolio(cash: float, holdings: dict[str, tuple[float, float]], market: Market) -> Portfolio:
    portfolio = Portfolio(cash, len(market.instruments))
    places = {name: code for code, name in enumerate(market.instruments)} if holdings else {}
    for name, (amount, price) in holdings.items():
        portfolio.put(places[name], amount, price)
    return portfolio
