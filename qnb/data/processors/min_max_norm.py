"""Scale by the range seen in the fit window."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..processor import TableProcessor, Workspace, chunks_of, fit_rows
from ..table import FieldsGroup, Table

__all__ = ["MinMaxNorm"]


class MinMaxNorm(TableProcessor):
    """Map every column to (x - min) / (max - min) with the extremes of the fit window.

    Values outside the fit window may lie outside [0, 1]. A column that is constant there is left as it is. NaN stays
    NaN.

    Parameters
    ----------
    fit_start_time, fit_end_time : date
        The fit window, both ends inclusive; injected by the handler. It must end before the data to test on begins.
    fields_group : str, list of str or None
        Column groups; None means all columns, labels included.

    Attributes
    ----------
    min_, max_ : ndarray of float32, shape (columns,)
        Extremes; 0 and 1 for a constant column.

    Notes
    -----
    Reads the fit window and the row itself.
    """

    reads = "fit window"

    def __init__(self, fit_start_time: Any = None, fit_end_time: Any = None, fields_group: FieldsGroup = None) -> None:
        self.fit_start_time = fit_start_time
        self.fit_end_time = fit_end_time
        self.fields_group = fields_group

    def learn(self, table: Table, work: Workspace) -> None:
        """Learn the extremes."""
        rows = fit_rows(table.index, self.fit_start_time, self.fit_end_time, type(self).__name__)
        lows, highs = [], []
        for i, _ in table.windows(self.fields_group):
            block = table.blocks[i]
            low = np.full(len(block.names), np.nan, dtype=np.float32)
            high = low.copy()
            for chunk in chunks_of(rows, len(block.names)):
                x = block.matrix(chunk)
                np.fmin(low, np.fmin.reduce(x, axis=0), out=low)
                np.fmax(high, np.fmax.reduce(x, axis=0), out=high)
            lows.append(low)
            highs.append(high)
        self.min_, self.max_ = np.concatenate(lows), np.concatenate(highs)
        constant = self.min_ == self.max_
        self.min_[constant], self.max_[constant] = 0, 1

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table scaled."""
        low, span = self.min_, self.max_ - self.min_

        def change(x: np.ndarray, columns: slice) -> None:
            np.subtract(x, low[columns], out=x)
            np.divide(x, span[columns], out=x)

        return work.map_rows(table, self.fields_group, change)
