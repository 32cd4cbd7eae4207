"""Drop columns by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...errors import nearest
from ..processor import TableProcessor, Workspace
from ..table import Table

__all__ = ["DropCol"]

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

    def left(self, columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]] | None:
        """Return the other columns; None where a name is unknown, of which `transform` warns."""
        if not {n for _, n in columns}.issuperset(self.col_list):
            return None
        return [(g, n) for g, n in columns if n not in self.col_list]

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table without these columns."""
        present = {n for _, n in table.columns}
        for name in self.col_list:
            if name not in present:
                near = nearest(name, present)
                _LOG.warning("DropCol: no column %r%s", name, f"; did you mean {near[0]!r}?" if near else "")
        return table.where_columns(lambda group, name: name not in self.col_list)
