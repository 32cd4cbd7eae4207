"""The worst drawdowns: how deep, from when to when, and the path of each."""

from __future__ import annotations

import numpy as np

from .. import numbers
from ..figures.drawdown import DrawdownData
from ..table import Cell, Column, Table

__all__ = ["worst_drawdowns_table"]


def worst_drawdowns_table(data: DrawdownData) -> Table:
    """Lay out a row a spell, deepest first; all paths share one scale."""
    deepest = min(float(data.depth.min()), -1e-9)
    columns = [
        Column("#"),
        Column("Depth", strong=True),
        Column("Peak", right=False),
        Column("Trough", right=False),
        Column("Recovered", right=False),
        Column("Days down"),
        Column("Days back"),
        Column("Days in all"),
    ]
    if data.benchmark:
        columns.append(Column(f"{data.benchmark} in the same days"))
    columns.append(Column("Path", right=False))
    rows = []
    for rank, spell in enumerate(data.worst, start=1):
        end = len(data.depth) - 1 if spell.recovered is None else spell.recovered
        row = [
            Cell(str(rank), tone="muted"),
            Cell(numbers.percent(spell.depth)),
            Cell(numbers.day(data.dates[spell.peak])),
            Cell(numbers.day(data.dates[spell.trough])),
            Cell("not yet", tone="muted")
            if spell.recovered is None
            else Cell(numbers.day(data.dates[spell.recovered])),
            Cell(numbers.count(spell.days_down)),
            Cell(numbers.count(spell.days_back)),
            Cell(numbers.count(spell.days)),
        ]
        if data.benchmark:
            row.append(Cell(numbers.percent(spell.bench)))
        path = np.asarray(data.depth[spell.peak : end + 1])
        row.append(Cell(spark=tuple(path.tolist()), span=(deepest, 0.0)))
        rows.append(tuple(row))
    return Table(
        "worst_drawdowns",
        "Worst drawdowns",
        f"of the {data.what}, after cost; days are trading days",
        tuple(columns),
        tuple(rows),
    )
