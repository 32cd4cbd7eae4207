"""A trial on its validation days: scores against labels day by day, as matrices that are laid out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics.risk import risk_analysis
from ..metrics.rows import long_short_means, ranks, row_correlation

__all__ = ["DayTable", "figures", "mean_and_ratio"]


@dataclass(frozen=True, slots=True)
class DayTable:
    """The rows that trials are compared on.

    Attributes
    ----------
    days : datetime64 array (days,)
        Trading days, ascending.
    row, place : int arrays (rows,)
        Where each row goes in the matrices: its day, and its number within the day.
    labels : float64 matrix (days, width)
        The raw label; NaN where there is none.
    present : bool matrix (days, width)
        Cells that are rows.
    index : MultiIndex or None
        (datetime, instrument) of the rows.
    """

    days: np.ndarray
    row: np.ndarray
    place: np.ndarray
    labels: np.ndarray
    present: np.ndarray
    index: Any = None

    @classmethod
    def of(cls, index: Any, label: Any) -> DayTable:
        """Lay out the rows of a `RowIndex` with the raw labels, a vector in the same order."""
        starts = index.day_starts()
        sizes = np.diff(starts)
        row = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(row)) - np.repeat(starts[:-1], sizes)
        shape = (len(sizes), int(sizes.max()) if len(sizes) else 0)
        labels, present = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        labels[row, place] = np.where(np.isfinite(label), label, np.nan)
        present[row, place] = True
        return cls(index.dates[starts[:-1]], row, place, labels, present, index.to_pandas())

    def matrix(self, scores: np.ndarray) -> np.ndarray:
        """Return scores, one a row, as a matrix (days, width)."""
        table = np.full(self.labels.shape, np.nan)
        table[self.row, self.place] = scores
        return table

    def daily_ic(self, scores: np.ndarray) -> np.ndarray:
        """Return the correlation of score and label by day."""
        return row_correlation(self.matrix(scores), self.labels)

    def daily_rank_ic(self, scores: np.ndarray) -> np.ndarray:
        """Return the rank correlation of score and label by day."""
        table = self.matrix(scores)
        both = np.isfinite(table) & np.isfinite(self.labels)
        return row_correlation(ranks(np.where(both, table, np.nan)), ranks(np.where(both, self.labels, np.nan)))

    def groups(self, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Return by day the return of the highest fifth less all, of all less the lowest, and of both together / 2."""
        top, bottom, everyone = long_short_means(self.matrix(scores), self.labels, present=self.present)
        return {
            "pred_long": top - everyone,
            "pred_short": everyone - bottom,
            "pred_long_short": (top - bottom) / 2,
        }


def mean_and_ratio(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of the finite values and their mean over standard deviation (ddof 1); NaN where unknown."""
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if len(known) else float("nan")
    spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return mean, mean / spread if spread else float("nan")


def figures(values: np.ndarray) -> dict[str, float]:
    """Return mean, std, annualized_return, information_ratio and max_drawdown of returns by day (summed, 238 days)."""
    return {str(k): float(v) for k, v in risk_analysis(values[np.isfinite(values)])["risk"].items()}
