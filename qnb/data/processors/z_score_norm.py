"""Standardise by mean and standard deviation of the fit window."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..processor import TableProcessor, Workspace, chunks_of, fit_rows
from ..table import Block, FieldsGroup, Table

__all__ = ["ZScoreNorm"]


class ZScoreNorm(TableProcessor):
    """Map every column to (x - mean) / std with the moments of the fit window.

    The standard deviation divides by n. A column that is constant in the fit window is left as it is. NaN stays NaN.

    Parameters
    ----------
    fit_start_time, fit_end_time : date
        The fit window, both ends inclusive; injected by the handler. It must end before the data to test on begins.
    fields_group : str, list of str or None
        Column groups; None means all columns, labels included.

    Attributes
    ----------
    mean_, std_ : ndarray of float32, shape (columns,)
        Moments; 0 and 1 for a constant column.

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
        """Learn the moments."""
        rows = fit_rows(table.index, self.fit_start_time, self.fit_end_time, type(self).__name__)
        moments = [_moments(table.blocks[i], rows, work) for i, _ in table.windows(self.fields_group)]
        mean = np.concatenate([m for m, _ in moments])
        std = np.concatenate([s for _, s in moments])
        constant = std == 0
        mean[constant], std[constant] = 0, 1
        self.mean_, self.std_ = mean.astype(np.float32), std.astype(np.float32)

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table standardised."""
        mean, std = self.mean_, self.std_

        def change(x: np.ndarray, columns: slice) -> None:
            np.subtract(x, mean[columns], out=x)
            np.divide(x, std[columns], out=x)

        return work.map_rows(table, self.fields_group, change)


def _moments(block: Block, rows: slice, work: Workspace) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and std (ddof 0) of each column in float64, NaN skipped: two passes, so that constants are exact."""
    chunks = chunks_of(rows, 2 * len(block.names))

    def reduce(centre: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        total = np.zeros((len(chunks), len(block.names)))
        count = np.zeros((len(chunks), len(block.names)), dtype=np.int64)

        def run(number: int) -> None:
            x = block.matrix(chunks[number]).astype(np.float64)
            missing = np.isnan(x)
            if centre is not None:
                x -= centre
                x *= x
            x[missing] = 0
            total[number] = x.sum(axis=0)
            count[number] = len(x) - missing.sum(axis=0)

        work.each(range(len(chunks)), run)
        return total.sum(axis=0), count.sum(axis=0)

    with np.errstate(invalid="ignore", divide="ignore"):
        total, count = reduce(None)
        mean = total / count
        squares, count = reduce(mean)
        return mean, np.sqrt(squares / count)
