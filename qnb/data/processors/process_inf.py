"""Replace infinities by the day's mean."""

from __future__ import annotations

import numpy as np

from ..processor import TableProcessor, Workspace, chunks_of
from ..table import Block, Table

__all__ = ["ProcessInf"]


class ProcessInf(TableProcessor):
    """Replace every infinity by the mean of its column's finite values on that date.

    All columns of all groups. NaN stays NaN; a column without a finite value on a date becomes NaN there.

    Notes
    -----
    Reads the date. A matrix without an infinity is kept as it is, uncopied.
    """

    reads = "day"

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table without infinities."""
        blocks = list(table.blocks)
        for i, block in enumerate(table.blocks):
            if _has_inf(block, len(table), work):
                blocks[i] = work.map_days(table.with_blocks([block]), None, _replace).blocks[0]
        return table.with_blocks(blocks)


def _has_inf(block: Block, rows: int, work: Workspace) -> bool:
    found: list[bool] = []

    def look(chunk: slice) -> None:
        if not found and np.isinf(block.matrix(chunk)).any():
            found.append(True)

    work.each(chunks_of(slice(0, rows), len(block.names)), look)
    return bool(found)


def _replace(x: np.ndarray) -> None:
    infinite = np.isinf(x)
    columns = np.flatnonzero(infinite.any(axis=0))
    if not len(columns):
        return
    part = x[:, columns]
    usable = np.isfinite(part)
    total = np.where(usable, part, 0).sum(axis=0, dtype=np.float64)
    mean = total / usable.sum(axis=0)
    part = np.where(infinite[:, columns], mean.astype(np.float32), part)
    x[:, columns] = part
