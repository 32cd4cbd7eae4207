"""Rank each date's cross-section."""

from __future__ import annotations

import numpy as np

from ..cross_section import percentile_rank
from ..processor import TableProcessor, Workspace
from ..table import FieldsGroup, Table

__all__ = ["CSRankNorm"]


class CSRankNorm(TableProcessor):
    """Map every column to 3.46 (percentile rank - 0.5) over the instruments of each date.

    The percentile rank is the average rank (ties share the mean of their ranks) over the number of values. 3.46 is
    sqrt(12), which makes the standard deviation 1 for many instruments. NaN stays NaN.

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
        """Return the table ranked by date."""
        return work.map_days(table, self.fields_group, _rank, padded=True)


def _rank(x: np.ndarray) -> None:
    x[...] = (percentile_rank(x) - 0.5) * 3.46
