"""Fill missing values with a number."""

from __future__ import annotations

import numpy as np

from ..processor import TableProcessor, Workspace
from ..table import FieldsGroup, Table

__all__ = ["Fillna"]


class Fillna(TableProcessor):
    """Replace NaN by `fill_value`. Infinities stay.

    Parameters
    ----------
    fields_group : str, list of str or None
        Column groups to fill; None means all columns.
    fill_value : float
        What NaN becomes.

    Notes
    -----
    Reads the row itself.
    """

    reads = "row"

    def __init__(self, fields_group: FieldsGroup = None, fill_value: float = 0) -> None:
        self.fields_group = fields_group
        self.fill_value = fill_value

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table without NaN."""
        value = np.float32(self.fill_value)

        def change(x: np.ndarray, columns: slice) -> None:
            np.copyto(x, value, where=np.isnan(x))

        return work.map_rows(table, self.fields_group, change)
