"""The signal in numbers: mean, deviation, ICIR and t of IC and rank IC, and their means by year."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from .. import numbers
from ..table import Cell, Column, Table

__all__ = ["CoefficientStats", "SignalNumbers", "signal_numbers_data", "signal_numbers_table"]


@dataclass(frozen=True, slots=True)
class CoefficientStats:
    """Statistics of a daily coefficient; NaN where there are too few days.

    Attributes
    ----------
    mean, deviation : float
        Over the days that have one; deviation with ddof 1.
    icir : float
        mean / deviation, not annualised.
    t : float
        icir * sqrt(days).
    above : float
        Share of days above zero.
    days : int
    """

    mean: float
    deviation: float
    icir: float
    t: float
    above: float
    days: int


@dataclass(frozen=True, slots=True)
class SignalNumbers:
    """Statistics over all days, and the means by year.

    Attributes
    ----------
    ic, rank_ic : CoefficientStats
    years : tuple of (year, mean IC, mean rank IC)
    total_days : int
        Days with scores, with or without labels.
    """

    ic: CoefficientStats
    rank_ic: CoefficientStats
    years: tuple[tuple[int, float, float], ...]
    total_days: int


def signal_numbers_data(dates: np.ndarray, ic: np.ndarray, *, rank_ic: np.ndarray) -> SignalNumbers:
    """Describe the daily coefficients."""
    year = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    years = tuple((int(y), _mean(ic[year == y]), _mean(rank_ic[year == y])) for y in np.unique(year))
    return SignalNumbers(_stats(ic), _stats(rank_ic), years, len(dates))


def signal_numbers_table(data: SignalNumbers) -> Table:
    """Lay out the statistics at the left and the years at the right."""
    pairs = [
        ("Mean", numbers.ic(data.ic.mean), numbers.ic(data.rank_ic.mean)),
        ("Standard deviation", numbers.ic(data.ic.deviation), numbers.ic(data.rank_ic.deviation)),
        ("ICIR", numbers.icir(data.ic.icir), numbers.icir(data.rank_ic.icir)),
        ("t", numbers.decimal(data.ic.t, 1), numbers.decimal(data.rank_ic.t, 1)),
        ("Days above zero", numbers.share(data.ic.above, 0), numbers.share(data.rank_ic.above, 0)),
    ]
    years = [(str(y), numbers.ic(a), numbers.ic(b)) for y, a, b in data.years]
    rows = tuple(
        tuple(Cell(text) for text in (*left, *right))
        for left, right in zip_longest(pairs, years, fillvalue=("", "", ""))
    )
    days = numbers.counted(data.total_days, "day")
    if data.ic.days != data.total_days:
        days = f"{numbers.count(data.ic.days)} of {days}"
    columns = (
        Column("", right=False),
        Column("IC"),
        Column("Rank IC"),
        Column("Mean by year", right=False, gap=True),
        Column("IC"),
        Column("Rank IC"),
    )
    return Table("signal_numbers", "Signal in numbers", days, columns, rows)


def _stats(values: np.ndarray) -> CoefficientStats:
    known = values[np.isfinite(values)]
    nan = float("nan")
    if known.size == 0:
        return CoefficientStats(nan, nan, nan, nan, nan, 0)
    mean = float(known.mean())
    deviation = float(known.std(ddof=1)) if known.size > 1 else nan
    icir = mean / deviation if deviation else nan
    return CoefficientStats(mean, deviation, icir, icir * known.size**0.5, float((known > 0).mean()), known.size)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
