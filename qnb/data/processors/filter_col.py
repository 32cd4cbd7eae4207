"""Keep chosen columns of a group."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...errors import ConfigError, Problem, nearest
from ..processor import TableProcessor, Workspace
from ..table import Table

__all__ = ["FilterCol"]

_LOG = logging.getLogger(__name__)


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

    def left(self, columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]] | None:
        """Return the columns that are kept; None where `transform` has something to say about the names."""
        inside = {n for g, n in columns if g == self.fields_group}
        if not isinstance(self.fields_group, str) or not self.col_list or not inside.issuperset(self.col_list):
            return None
        return [(g, n) for g, n in columns if n not in inside or n in self.col_list]

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table with the chosen columns."""
        inside = {n for i in table.select(self.fields_group) for n in table.blocks[i].names}
        for name in self.col_list:
            if name not in inside:
                near = nearest(name, inside)
                _LOG.warning("FilterCol: no column %r%s", name, f"; did you mean {near[0]!r}?" if near else "")
        if not inside & set(self.col_list):
            message = f"FilterCol keeps no column of group {self.fields_group!r}"
            raise ConfigError([Problem(message, f"the group has {', '.join(sorted(inside)[:5])} …", "col_list")])
        return table.where_columns(lambda group, name: name not in inside or name in self.col_list)
