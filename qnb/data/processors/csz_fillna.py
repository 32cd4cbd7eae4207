"""Fill missing values with the day's mean."""

from __future__ import annotations

import numpy as np

from ..cross_section import mean
from ..processor import TableProcessor, Workspace
from ..table import FieldsGroup, Table

__all__ = ["CSZFillna"]


class CSZFillna(TableProcessor):
    """Replace NaN by the mean of its column over the instruments of the date; NaN stays where all are NaN.

    Parameters
    ----------
    fields_group : str, list of str or None
        Column groups; None means all columns.

    Notes
    -----
    Reads the date.
    """

    reads = "day"

    def __init__(self, fields_group: FieldsGroup = None) -> None:
        self.fields_group = fields_group

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table filled by date."""
        return work.map_days(table, self.fields_group, _fill)


def _fill(x: np.ndarray) -> None:
    missing = np.isnan(x)
    if missing.any():
        np.copyto(x, mean(x).astype(np.float32), where=missing)
