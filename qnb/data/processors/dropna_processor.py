"""Drop rows with a missing value."""

from __future__ import annotations

from ..processor import TableProcessor, Workspace
from ..table import FieldsGroup, Table

__all__ = ["DropnaProcessor"]


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
        return table.take(work.complete(table, self.fields_group))
