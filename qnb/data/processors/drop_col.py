"""Drop columns by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from ...errors import nearest
from ..processor import TableProcessor, Workspace
from ..table import Table

__all__ = ["DropCol", "without_columns"]

_LOG = logging.getLogger(__name__)


class DropCol(TableProcessor):
    """Drop the columns of these names, whatever their group.

    Parameters
    ----------
    col_list : sequence of str
        Column names without their group. A name that no column has is logged as a warning and otherwise ignored.

    Notes
    -----
    Reads the row itself.
    """

    reads = "row"

    def __init__(self, col_list: Sequence[str] = ()) -> None:
        self.col_list = list(col_list)

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table without these columns."""
        return without_columns(table, set(self.col_list), "DropCol", drop=True)


def without_columns(table: Table, names: set[str], who: str, *, drop: bool) -> Table:
    """Return `table` without the columns of `names` (``drop=True``), or with these alone."""
    present = {n for _, n in table.columns}
    for name in sorted(names - present):
        near = nearest(name, present)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        _LOG.warning("%s: no column %r%s", who, name, hint)
    blocks = []
    for block in table.blocks:
        keep = np.array([(n in names) != drop for n in block.names], dtype=bool)
        if keep.any():
            blocks.append(block.columns(keep))
    return table.with_blocks(blocks)
