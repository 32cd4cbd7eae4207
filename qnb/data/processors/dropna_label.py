"""Drop rows without a label."""

from __future__ import annotations

from ...errors import EmptyDataError
from ..processor import TableProcessor, Workspace
from ..table import FieldsGroup, Table

__all__ = ["DropnaLabel"]


class DropnaLabel(TableProcessor):
    """Drop every row whose label is NaN. For learning only: rows to predict have no label yet.

    Parameters
    ----------
    fields_group : str, list of str or None
        The label's column group.

    Raises
    ------
    EmptyDataError
        Not one row has a label.

    Notes
    -----
    Reads the row itself (its label, which looks into the future).
    """

    reads = "row"

    def __init__(self, fields_group: FieldsGroup = "label") -> None:
        self.fields_group = fields_group

    def is_for_infer(self) -> bool:
        """Return False: a row is kept or dropped by its label."""
        return False

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the rows that have a label."""
        kept = table.take(work.complete(table, self.fields_group))
        if len(table) and not len(kept):
            names = ", ".join(n for i in table.select(self.fields_group) for n in table.blocks[i].names)
            raise EmptyDataError(
                f"label {names} is NaN in all {len(table)} rows; check that its fields exist in the data and that "
                "the span reaches past the days it looks ahead"
            )
        return kept
