"""Strategy, benchmark and excess in the same numbers each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import numbers
from ..material import Returns
from ..risk import Risk, risk_of
from ..table import Cell, Column, Table
from ..types import Mode

__all__ = ["SummaryData", "summary_data", "summary_table"]


@dataclass(frozen=True, slots=True)
class SummaryData:
    """Numbers of each series.

    Attributes
    ----------
    strategy : Risk
        Return after cost.
    bench, excess, excess_before : Risk or None
        Benchmark, and excess after and before cost; None without a benchmark.
    before : Risk
        Return before cost.
    benchmark : str
    """

    strategy: Risk
    before: Risk
    bench: Risk | None
    excess: Risk | None
    excess_before: Risk | None
    benchmark: str


def summary_data(returns: Returns, *, mode: Mode = "sum") -> SummaryData:
    """Measure every series of `returns`."""

    def measure(values: np.ndarray | None) -> Risk | None:
        return None if values is None else risk_of(returns.dates, values, periods=returns.periods, mode=mode)

    return SummaryData(
        strategy=risk_of(returns.dates, returns.after, periods=returns.periods, mode=mode),
        before=risk_of(returns.dates, returns.before, periods=returns.periods, mode=mode),
        bench=measure(returns.bench),
        excess=measure(returns.excess),
        excess_before=measure(returns.excess_before),
        benchmark=returns.benchmark,
    )


_ROWS: tuple[tuple[str, Callable[[Risk], str]], ...] = (
    ("Return, a year", lambda r: numbers.percent(r.annual)),
    ("Volatility, a year", lambda r: numbers.share(r.volatility)),
    ("Sharpe / information ratio", lambda r: numbers.ratio(r.ratio)),
    ("Sortino", lambda r: numbers.ratio(r.sortino)),
    ("Max drawdown", lambda r: numbers.percent(r.drawdown)),
    ("Calmar", lambda r: numbers.ratio(r.calmar)),
    ("Days above zero", lambda r: numbers.share(r.days_above, 0)),
    ("Months above zero", lambda r: numbers.share(r.months_above, 0)),
    ("Best month", lambda r: numbers.percent(r.best_month)),
    ("Worst month", lambda r: numbers.percent(r.worst_month)),
    ("Best day", lambda r: numbers.percent(r.best_day)),
    ("Worst day", lambda r: numbers.percent(r.worst_day)),
)


def summary_table(data: SummaryData) -> Table:
    """Lay out a row a number and a column a series."""
    first = Column("", right=False)
    if data.bench is None or data.excess is None or data.excess_before is None:
        columns: tuple[Column, ...] = (first, Column("Strategy", swatch="run", strong=True), Column("before cost"))
        series = [data.strategy, data.before]
        note = "after cost, but for the last column"
    else:
        columns = (
            first,
            Column("Strategy", swatch="run"),
            Column(data.benchmark, swatch="benchmark"),
            Column("Excess", swatch="excess", strong=True),
            Column("before cost"),
        )
        series = [data.strategy, data.bench, data.excess, data.excess_before]
        note = "after cost, but for the last column: the excess before cost"
    rows = tuple((Cell(name), *(Cell(write(risk)) for risk in series)) for name, write in _ROWS)
    return Table("summary", "Summary", note, columns, rows)
