"""Simulates the demo market: one pass over the days, all instruments at once.

1. Day-wide processes first: market shocks, the market's volatility (GARCH that is known two days ahead), sector
   factors, the signal's own risk.
2. Then each day: ex-right events, the day's return from the factors and the signal of two days before, ticks of 0.01
   and price limits, open, high and low around it, volume, the signal of the day, the index.
3. 120 days before the first trading day warm up the processes and are not kept.

All raw prices are multiples of 0.01; stored prices are raw price times factor, stored volume is raw volume by factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .membership import Membership
from .parameters import SECTORS, DemoParameters
from .plan import Plan, draw_plan
from .signal import SignalHistory, standardised

__all__ = ["FIELDS", "Market", "simulate"]

FIELDS = ("open", "high", "low", "close", "vwap", "volume", "amount", "factor", "change", "oracle")
WARM_UP = 120
BLOCK = 32
NEWS, NEWS_SIZE = 0.03, 2.8
_GARCH = (0.07, 0.90)
_MARKET_GARCH = (0.08, 0.90)


@dataclass(frozen=True, slots=True)
class Market:
    """A simulated market.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (days,)
        Trading days.
    fields : dict of str to ndarray of float32, shape (days, instruments)
        ``FIELDS``; NaN before the listing, after the delisting and on suspended days.
    index : dict of str to ndarray of float32, shape (days,)
        The same for the index.
    plan : Plan
        Listing, delisting, sectors.
    spans : list of (instrument, first day, last day)
        Membership of the universe, indices, days inclusive.
    """

    days: np.ndarray
    fields: dict[str, np.ndarray]
    index: dict[str, np.ndarray]
    plan: Plan
    spans: list[tuple[int, int, int]]


@dataclass(slots=True)
class _Bars:
    """One day's bars: raw prices, raw volume, and the adjusted close before the day."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


def simulate(
    parameters: DemoParameters, days: np.ndarray, *, progress: Callable[[int, int], None] | None = None
) -> Market:
    """Return the market of `parameters` on the trading `days`."""
    simulation = _Simulation(parameters, days)
    for day in range(-WARM_UP, len(days)):
        simulation.step(day)
        if progress is not None and day % 64 == 0 and day >= 0:
            progress(day, len(days))
    if progress is not None:
        progress(len(days), len(days))
    return simulation.market()


class _Simulation:
    """The state of the market at the close of a day, and the step to the next."""

    def __init__(self, parameters: DemoParameters, days: np.ndarray) -> None:
        self.parameters, self.days = parameters, days
        seeds = np.random.SeedSequence(parameters.seed).spawn(3)
        n = parameters.instruments
        self.plan = draw_plan(parameters, days, np.random.default_rng(seeds[0]))
        self._wide = _day_wide(parameters, len(days) + WARM_UP, np.random.default_rng(seeds[1]))
        self._rng = np.random.default_rng(seeds[2])
        self._noise = np.empty((0, 7, n))
        self.close = self.plan.first_price.copy()  # adjusted, of the last day that it traded
        self.factor = np.ones(n)
        self.garch = np.ones(n)
        self.width = np.zeros(n)  # log of how wide ranges are, AR(1)
        self.activity = np.zeros(n)  # log of how much is traded, AR(1)
        self.volume = self.plan.shares * self.plan.turnover  # adjusted, of the last day that it traded
        self.history = SignalHistory(self.close, self.volume)
        self.z = [np.zeros(n), np.zeros(n)]  # of the last two days
        self.membership = Membership(self.plan, days, parameters.member_share)
        self.index_close = 1000.0
        self.fields = {name: np.full((len(days), n), np.nan, dtype=np.float32) for name in FIELDS}
        self.index = {name: np.full(len(days), np.nan, dtype=np.float32) for name in FIELDS}

    def step(self, day: int) -> None:
        """Go from the close of the day before to the close of `day` (negative while warming up)."""
        plan, p = self.plan, self.parameters
        position = day + WARM_UP
        if position % BLOCK == 0:
            self._noise = self._rng.standard_normal((BLOCK, 7, p.instruments))
        noise = self._noise[position % BLOCK]
        trading = plan.trading[day] if day >= 0 else plan.listed < 0
        new = plan.listings.get(day)
        if new is not None:
            self.history.restart(new, self.close)
        reference = self._reference(day, noise[6], trading)
        shock, scale = self._shock(position, noise)
        bars = self._bars(reference, shock * scale, scale, noise, trading)
        before = self.close
        adjusted = bars.close * self.factor
        self.close = np.where(trading, adjusted, before)
        self.volume = np.where(trading, bars.volume / self.factor, self.volume)
        score = self.history.score(
            bars.open / bars.close, bars.high / bars.close, bars.low / bars.close, self.close, self.volume
        )
        z = standardised(score, trading)
        if day >= 0:
            self._keep(day, position, bars, before, z, trading)
        self.z = [self.z[1], z]

    def _reference(self, day: int, noise: np.ndarray, trading: np.ndarray) -> np.ndarray:
        """Apply the day's dividends and splits to the factors; return the raw reference prices."""
        plan = self.plan
        event = plan.dividends.get(day)
        if event is not None:
            which, ratio = event
            self.factor[which] = np.where(trading[which], self.factor[which] * ratio, self.factor[which])
        raw = self.close / self.factor
        split = trading & (noise > np.where(raw > 60, 2.05, 3.4)) & (raw > 6)  # 2 % and 1 in 3,000 a day
        merge = trading & (noise > 1.65) & (raw < 2)  # 5 % a day
        if split.any() or merge.any():
            ratio = np.where(split, plan.split_ratio, np.where(merge, 0.2, 1.0))
            self.factor = self.factor * ratio
            raw = raw / ratio
        return raw

    def _shock(self, position: int, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the day's return over its idiosyncratic volatility, and that volatility; GARCH goes on."""
        plan, p, wide = self.plan, self.parameters, self._wide
        volatility = wide.volatility[position]
        alpha, beta = _GARCH
        news = noise[5] > _NEWS_CUT
        e = noise[0] * np.where(news, NEWS_SIZE, 1.0) / _NEWS_SCALE
        own = plan.sigma * np.sqrt(self.garch)
        common = plan.beta * wide.market[position] + wide.sectors[position][plan.sector]
        planted = (p.kappa + p.signal_risk * wide.signal[position]) * self.z[0]
        scale = volatility * own
        self.garch = np.minimum((1 - alpha - beta) + (alpha * e * e + beta) * self.garch, 10.0)
        return (common + planted) / own + e, scale

    def _bars(
        self, reference: np.ndarray, move: np.ndarray, scale: np.ndarray, noise: np.ndarray, trading: np.ndarray
    ) -> _Bars:
        """Return raw bars around the reference: ticks, limits, range and volume."""
        limit = self.parameters.limit
        up, down = np.round(reference * (1 + limit), 2), np.maximum(np.round(reference * (1 - limit), 2), 0.01)
        close = np.clip(np.round(reference * (1 + move), 2), down, up)
        open_ = np.clip(np.round(reference * (1 + 0.25 * move + 0.3 * scale * noise[1]), 2), down, up)
        self.width = 0.9 * self.width + 0.11 * noise[2]
        reach = 0.45 * scale * np.exp(self.width)
        high = np.minimum(np.round(np.maximum(open_, close) * (1 + reach * np.abs(noise[3])), 2), up)
        low = np.maximum(np.round(np.minimum(open_, close) * (1 - reach * np.abs(noise[4])), 2), down)
        self.activity = 0.85 * self.activity + 0.15 * noise[2]
        busy = self.activity + 0.25 * noise[5] + 0.18 * np.abs(move) / scale
        lots = np.maximum(np.round(self.plan.shares * self.plan.turnover * self.factor * np.exp(busy) / 100), 1)
        return _Bars(open_, high, low, close, lots * 100)

    def _keep(
        self, day: int, position: int, bars: _Bars, before: np.ndarray, z: np.ndarray, trading: np.ndarray
    ) -> None:
        """Store the day, of instruments and index."""
        factor = self.factor
        vwap = (bars.open + bars.high + bars.low + bars.close) / 4
        first = (self.plan.listed == day) if day else np.ones(len(trading), dtype=bool)
        expected = self._wide.volatility[position + 2] * self.parameters.kappa
        row = {
            "open": bars.open * factor,
            "high": bars.high * factor,
            "low": bars.low * factor,
            "close": self.close,
            "vwap": vwap * factor,
            "volume": self.volume,
            "amount": vwap * bars.volume,
            "factor": factor,
            "change": np.where(first, np.nan, self.close / before - 1),
            "oracle": expected * z,
        }
        for name, values in row.items():
            np.copyto(self.fields[name][day], values, where=trading, casting="same_kind")
        self._keep_index(day, row, before, trading)

    def _keep_index(self, day: int, row: dict[str, np.ndarray], before: np.ndarray, trading: np.ndarray) -> None:
        """Store the index: the members' bars over their last closes, weighted by capitalisation; suspended count 0."""
        capital = self.plan.shares * before
        members = self.membership.on(day, capital)
        weight = np.where(members, capital, 0.0)
        weight /= weight.sum()
        live = np.where(trading, weight, 0.0)
        idle = 1.0 - live.sum()
        last = self.index_close
        ratio = {name: float(live @ (row[name] / before)) + idle for name in ("open", "high", "low", "close")}
        top, bottom = max(ratio["open"], ratio["close"]), min(ratio["open"], ratio["close"])
        bar = {
            "open": ratio["open"],
            "high": top + 0.4 * max(ratio["high"] - top, 0.0),  # members do not peak at the same time
            "low": bottom - 0.4 * max(bottom - ratio["low"], 0.0),
            "close": ratio["close"],
        }
        out = self.index
        for name, value in bar.items():
            out[name][day] = last * value
        self.index_close = last * bar["close"]
        out["vwap"][day] = last * sum(bar.values()) / 4
        out["factor"][day] = 1.0
        out["change"][day] = bar["close"] - 1 if day else np.nan
        out["oracle"][day] = live @ row["oracle"]
        chosen = members & trading
        out["volume"][day] = row["volume"][chosen].sum()
        out["amount"][day] = row["amount"][chosen].sum()

    def market(self) -> Market:
        """Return what was simulated."""
        return Market(self.days, self.fields, self.index, self.plan, self.membership.spans())


@dataclass(frozen=True, slots=True)
class _DayWide:
    """Processes that all instruments share, from the first day of the warm-up to two days after the last.

    ``volatility`` is V, ``market`` x, ``sectors`` f of shape (days, sectors), ``signal`` y.
    """

    volatility: np.ndarray
    market: np.ndarray
    sectors: np.ndarray
    signal: np.ndarray


def _day_wide(p: DemoParameters, days: int, rng: np.random.Generator) -> _DayWide:
    n = days + 2
    x = rng.standard_normal(n)
    sectors = p.sector_volatility * rng.standard_normal((n, len(SECTORS)))
    signal = rng.standard_normal(n)
    alpha, beta = _MARKET_GARCH
    variance = np.ones(n)
    for day in range(2, n):  # a recursion over days; V of a day is known two days before
        grown = (1 - alpha - beta) + alpha * variance[day - 2] * x[day - 2] ** 2 + beta * variance[day - 1]
        variance[day] = min(max(grown, 0.25), 5.0)
    market = p.market_mean + p.market_volatility * x
    return _DayWide(np.sqrt(variance), market, sectors, signal)


_NEWS_CUT = 1.881  # a standard normal draw passes it with probability NEWS
_NEWS_SCALE = float(np.sqrt(1 + NEWS * (NEWS_SIZE**2 - 1)))
