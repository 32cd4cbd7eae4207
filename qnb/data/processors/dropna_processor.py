"""Drop rows with a missing value."""

from __future__ import annotations

import numpy as np

from ..processor import TableProcessor, Workspace
from ..table import Block, FieldsGroup, Table

__all__ = ["DropnaProcessor", "complete_rows"]


class DropnaProcessor(TableProcessor):
    """Drop every row in which a column of the group is NaN.

    Parameters
    ----------
    fields_group : str, list of str or None
        Column groups that must be complete; None means all columns.

    Notes
    -----
    Reads the row itself. No values are copied: the table remembers which rows are left.
    """

    reads = "row"

    def __init__(self, fields_group: FieldsGroup = None) -> None:
        self.fields_group = fields_group

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the rows that are complete."""
        return table.take(complete_rows(table, self.fields_group, work))


def complete_rows(table: Table, group: FieldsGroup, work: Workspace) -> np.ndarray:
    """Return a boolean mask of the rows in which no column of `group` is NaN, shape (rows,)."""
    keep = np.ones(len(table), dtype=bool)
    for i in table.select(group):
        _mark(table.blocks[i], keep, work)
    return keep


def _mark(block: Block, keep: np.ndarray, work: Workspace) -> None:
    step = max(1, (1 << 18) // max(1, len(block.names)))

    def run(chunk: slice) -> None:
        keep[chunk] &= ~np.isnan(block.matrix(chunk)).any(axis=1)

    work.each([slice(a, min(a + step, len(keep))) for a in range(0, len(keep), step)], run)
