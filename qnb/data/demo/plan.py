"""What is drawn before the demo market starts: who is listed when, suspensions, dividends, habits of instruments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parameters import SECTORS, DemoParameters

__all__ = ["Plan", "draw_plan"]

LONGEST_SUSPENSION = 18
SPLITS = (1.2, 1.3, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """Facts about the instruments, shape (instruments,) where not said otherwise.

    Attributes
    ----------
    listed, delisted : ndarray of int64
        First and last trading day (index); a listing before the first day is negative, no delisting is ``days``.
    trading : ndarray of bool, shape (days, instruments)
        Listed and not suspended.
    listings : dict of int to ndarray
        Instruments (indices) listed on a day.
    dividends : dict of int to (ndarray, ndarray)
        On an ex-dividend day: instruments (indices) and the ratio by which the factor grows.
    split_ratio, sector, beta, sigma, first_price, shares, turnover : ndarray
        New shares for an old one if there is a split, sector index, beta, idiosyncratic volatility (root mean square
        over instruments as in the parameters), price at which it starts, shares at factor 1, usual share of them traded
        in a day.
    """

    listed: np.ndarray
    delisted: np.ndarray
    trading: np.ndarray
    listings: dict[int, np.ndarray]
    dividends: dict[int, tuple[np.ndarray, np.ndarray]]
    split_ratio: np.ndarray
    sector: np.ndarray
    beta: np.ndarray
    sigma: np.ndarray
    first_price: np.ndarray
    shares: np.ndarray
    turnover: np.ndarray


def draw_plan(p: DemoParameters, days: np.ndarray, rng: np.random.Generator) -> Plan:
    """Draw the plan of the market of `p` on the trading `days`."""
    n, t = p.instruments, len(days)
    listed, delisted = _listings(n, t, rng)
    trading = _trading(listed, delisted, t, rng)
    sigma = np.exp(0.25 * rng.standard_normal(n))
    sigma *= p.idiosyncratic_volatility / np.sqrt(np.mean(sigma**2))
    return Plan(
        listed=listed,
        delisted=delisted,
        trading=trading,
        listings={int(day): np.flatnonzero(listed == day) for day in np.unique(listed[listed >= 0])},
        dividends=_dividends(n, days, rng),
        split_ratio=np.array(SPLITS)[rng.integers(len(SPLITS), size=n)],
        sector=rng.permutation(np.arange(n) % len(SECTORS)),
        beta=1 + p.beta_spread * rng.standard_normal(n),
        sigma=sigma,
        first_price=np.round(np.clip(12 * np.exp(0.6 * rng.standard_normal(n)), 3, 80), 2),
        shares=np.round(3e8 * np.exp(1.0 * rng.standard_normal(n)), -4),
        turnover=0.01 * np.exp(0.4 * rng.standard_normal(n)),
    )


def _listings(n: int, t: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A quarter is listed on the way, one in twelve is delisted, a year after its listing at the soonest."""
    order = rng.permutation(n)
    late, gone = order[: max(1, n // 4)], order[-max(1, n // 12) :]
    listed = np.full(n, -1_000)
    listed[late] = rng.integers(5, max(6, int(0.85 * t)), size=len(late))
    delisted = np.full(n, t)
    delisted[gone] = rng.integers(t // 4, t - 5, size=len(gone))
    return listed, delisted


def _trading(listed: np.ndarray, delisted: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
    """Suspensions: about one in four years for each instrument, six days long on average."""
    n = len(listed)
    day = np.arange(t)[:, None]
    trading = (day >= listed) & (day <= delisted)
    count = max(1, round(n * t / 1000))
    who, start = rng.integers(n, size=count), rng.integers(t, size=count)
    length = np.minimum(rng.geometric(1 / 6, size=count), LONGEST_SUSPENSION)
    free = np.zeros(n, dtype=np.int64)
    for k in np.argsort(start, kind="stable"):  # one event at a time, so that two never join to a longer one
        i, first = who[k], start[k]
        last = first + length[k]
        inside = max(listed[i], 0) < first - 5 and last < min(delisted[i], t) - 5
        if inside and first > free[i]:
            trading[first:last, i] = False
            free[i] = last + 20
    return trading


def _dividends(n: int, days: np.ndarray, rng: np.random.Generator) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Three in five pay once a year, in June or July, 0.5 to 2.5 % of the price."""
    payers = np.flatnonzero(rng.random(n) < 0.6)
    months = days.astype("datetime64[M]").astype(int) % 12
    years = days.astype("datetime64[Y]")
    events: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for year in np.unique(years):
        season = np.flatnonzero((years == year) & ((months == 5) | (months == 6)))
        when = season[rng.integers(len(season), size=len(payers))]
        growth = 1 / (1 - rng.uniform(0.005, 0.025, size=len(payers)))
        for day in np.unique(when):
            chosen = when == day
            events[int(day)] = (payers[chosen], growth[chosen])
    return events
