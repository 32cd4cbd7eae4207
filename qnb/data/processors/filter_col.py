"""Keep chosen columns of a group."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ConfigError, Problem, nearest
from ..processor import TableProcessor, Workspace
from ..table import Table
from .drop_col import without_columns

__all__ = ["FilterCol"]


class FilterCol(TableProcessor):
    """Keep the listed columns of one group and every column of the other groups.

    Parameters
    ----------
    fields_group : str
        The group to thin out.
    col_list : sequence of str
        Column names to keep. A name that no column has is logged as a warning and otherwise ignored.

    Raises
    ------
    ConfigError
        No column of the group is left.

    Notes
    -----
    Reads the row itself.
    """

    reads = "row"

    def __init__(self, fields_group: str = "feature", col_list: Sequence[str] = ()) -> None:
        self.fields_group = fields_group
        self.col_list = list(col_list)

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table with the chosen columns."""
        chosen = table.select(self.fields_group)
        inside = {n for i in chosen for n in table.blocks[i].names}
        if not inside & set(self.col_list):
            near = nearest(self.col_list[0], inside) if self.col_list else ()
            remedy = f"did you mean {near[0]!r}?" if near else f"the group has {len(inside)} columns"
            raise ConfigError(
                [Problem(f"FilterCol keeps no column of group {self.fields_group!r}", remedy, "FilterCol.col_list")]
            )
        others = {n for g, n in table.columns if n not in inside}
        return without_columns(table, others | set(self.col_list), "FilterCol", drop=False)
