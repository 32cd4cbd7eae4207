"""Standardise by median and median absolute deviation of the fit window."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..processor import TableProcessor, Workspace, fit_rows
from ..table import Block, FieldsGroup, Table

__all__ = ["RobustZScoreNorm"]

_TILE = 16  # columns of float32 in a cache line


class RobustZScoreNorm(TableProcessor):
    """Map every column to (x - median) / (1.4826 (MAD + 1e-12)) with the statistics of the fit window.

    MAD is the median of |x - median|; 1.4826 makes it a standard deviation for normal data. NaN stays NaN.

    Parameters
    ----------
    fit_start_time, fit_end_time : date
        The fit window, both ends inclusive; injected by the handler. It must end before the data to test on begins.
    fields_group : str, list of str or None
        Column groups; None means all columns, labels included.
    clip_outlier : bool
        Clip the result to [-3, 3].

    Attributes
    ----------
    center_, scale_ : ndarray of float32, shape (columns,)
        Median and 1.4826 (MAD + 1e-12); NaN for a column without a value in the fit window.

    Notes
    -----
    Reads the fit window and the row itself.

    References
    ----------
    Rousseeuw, P. J. and Croux, C. (1993). Alternatives to the median absolute deviation.
    """

    reads = "fit window"

    def __init__(
        self,
        fit_start_time: Any = None,
        fit_end_time: Any = None,
        fields_group: FieldsGroup = None,
        clip_outlier: bool = True,
    ) -> None:
        self.fit_start_time = fit_start_time
        self.fit_end_time = fit_end_time
        self.fields_group = fields_group
        self.clip_outlier = clip_outlier

    def learn(self, table: Table, work: Workspace) -> None:
        """Learn median and MAD."""
        rows = fit_rows(table.index, self.fit_start_time, self.fit_end_time, type(self).__name__)
        found = [_median_and_mad(table.blocks[i], rows, work) for i, _ in table.windows(self.fields_group)]
        self.center_ = np.concatenate([m for m, _ in found])
        self.scale_ = np.concatenate([d for _, d in found])
        self.scale_ += np.float32(1e-12)
        self.scale_ *= np.float32(1.4826)

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table standardised."""
        center, scale, clip = self.center_, self.scale_, self.clip_outlier

        def change(x: np.ndarray, columns: slice) -> None:
            np.subtract(x, center[columns], out=x)
            np.divide(x, scale[columns], out=x)
            if clip:
                np.clip(x, np.float32(-3), np.float32(3), out=x)

        return work.map_rows(table, self.fields_group, change)


def _median_and_mad(block: Block, rows: slice, work: Workspace) -> tuple[np.ndarray, np.ndarray]:
    middle = np.full(len(block.names), np.nan, dtype=np.float32)
    spread = middle.copy()
    chosen = rows if block.rows is None else block.rows[rows]

    def run(first: int) -> None:
        tile = np.ascontiguousarray(block.values[chosen, first : first + _TILE].T)
        for i, column in enumerate(tile, start=first):
            valid = column[~np.isnan(column)]
            if len(valid):
                middle[i] = _median(valid)
                np.abs(valid - middle[i], out=valid)
                spread[i] = _median(valid)

    work.each(range(0, len(block.names), _TILE), run)
    return middle, spread


def _median(x: np.ndarray) -> np.float32:
    """Return the median of `x`, which has no NaN, in its own precision; `x` is reordered."""
    half = len(x) // 2
    x.partition(half)
    if len(x) % 2:
        return x[half]
    return (x[:half].max() + x[half]) / np.float32(2)
