"""Standardise by median and median absolute deviation of the fit window."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..processor import TableProcessor, Workspace, fit_rows
from ..table import Block, FieldsGroup, Table

__all__ = ["RobustZScoreNorm"]

_TILE = 16  # columns of float32 in a cache line
_ROWS = 256  # rows transposed at a time: they stay in the nearest cache
_SAMPLE = 8192
_MARGIN = 200  # four standard deviations of a rank in the sample


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

    def run(first: int) -> None:
        for i, column in enumerate(_columns(block, rows, first), start=first):
            middle[i] = _median(column)
            np.subtract(column, middle[i], out=column)
            spread[i] = _median(np.abs(column, out=column))

    work.each(range(0, len(block.names), _TILE), run)
    return middle, spread


def _columns(block: Block, rows: slice, first: int) -> np.ndarray:
    """Return the columns from `first` on, as many as share a cache line, each one contiguous."""
    chosen = slice(first, min(first + _TILE, len(block.names)))
    tile = np.empty((chosen.stop - first, rows.stop - rows.start), dtype=np.float32)
    for start in range(0, tile.shape[1], _ROWS):
        part = slice(rows.start + start, min(rows.start + start + _ROWS, rows.stop))
        source = part if block.rows is None else block.rows[part]
        tile[:, start : start + _ROWS] = block.values[source, chosen].T
    return tile


def _median(x: np.ndarray) -> np.float32:
    """Return the median of `x` in its own precision, NaN skipped; NaN without a value."""
    count = int(np.count_nonzero(x == x))
    if not count:
        return np.float32("nan")
    low, high = _order_statistics(x, count, ((count - 1) // 2, count // 2))
    return low if count % 2 else (low + high) / np.float32(2)


def _order_statistics(x: np.ndarray, count: int, ranks: tuple[int, int]) -> tuple[np.float32, np.float32]:
    """Return the values of two neighbouring ranks among the `count` numbers of `x`.

    A sample brackets them; what lies inside is selected exactly. Should the bracket miss, everything is looked at.
    """
    sample = np.sort(x[:: max(1, len(x) // _SAMPLE)])  # NaN last
    sample = sample[: np.count_nonzero(sample == sample)]
    if len(sample) > 4 * _MARGIN:
        low = sample[max(0, ranks[0] * len(sample) // count - _MARGIN)]
        high = sample[min(len(sample) - 1, ranks[1] * len(sample) // count + _MARGIN)]
        below = int(np.count_nonzero(x < low))
        inside = x[(x >= low) & (x <= high)]
        if below <= ranks[0] and ranks[1] < below + len(inside):
            inside.partition((ranks[0] - below, ranks[1] - below))
            return inside[ranks[0] - below], inside[ranks[1] - below]
    valid = x[x == x]
    valid.partition(ranks)
    return valid[ranks[0]], valid[ranks[1]]
