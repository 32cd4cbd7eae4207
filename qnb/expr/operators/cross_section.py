"""Cross-sections: a value compared with those of all other members of the universe on the same day.

The universe is the one that the rows come from; an instrument counts on the days on which it is a member, also before
the first day asked for. A second argument names a grouping of the store, such as ``"sector"``: then each group is
compared within itself. Instruments without a group form one of their own. NaN and infinite values are left out.
"""

from __future__ import annotations

import numpy as np

from ..operator import CrossSection, Parameter

__all__ = ["CSDemean", "CSNeutralize", "CSRank", "CSZScore"]

_SIGNATURE = (Parameter("feature", "series"), Parameter("group", "text", None))


class CSRank(CrossSection):
    """Percentile rank among the members, above 0 to 1; ties share their mean rank. NaN stays NaN."""

    signature = _SIGNATURE

    def compute(self, values: np.ndarray, cells: np.ndarray, count: int, *numbers: float) -> np.ndarray:
        """Sort all days at once."""
        out = np.full(len(values), np.nan)
        valid = np.flatnonzero(~np.isnan(values))
        if not len(valid):
            return out
        order = valid[np.lexsort((values[valid], cells[valid]))]
        v, c = values[order], cells[order]
        fresh_cell = np.append(True, c[1:] != c[:-1])
        fresh = fresh_cell | np.append(True, v[1:] != v[:-1])
        place = np.arange(len(v))
        first_of_cell = place[fresh_cell][np.cumsum(fresh_cell) - 1]
        size = np.bincount(c, minlength=count)[c]
        runs = np.flatnonzero(fresh)
        run = np.cumsum(fresh) - 1
        middle = (runs + np.append(runs[1:], len(v)) - 1) / 2  # mean place of a run of equal values
        out[order] = (middle[run] - first_of_cell + 1) / size
        return out


class CSDemean(CrossSection):
    """The value less the members' mean."""

    signature = _SIGNATURE

    def compute(self, values: np.ndarray, cells: np.ndarray, count: int, *numbers: float) -> np.ndarray:
        """Subtract the mean of the cell."""
        return values - _means(values, cells, count)[cells]


class CSNeutralize(CSDemean):
    """The value less the mean of its group on the day: ``CSNeutralize($close / Ref($close, 20), "sector")``."""

    signature = (Parameter("feature", "series"), Parameter("group", "text"))


class CSZScore(CrossSection):
    """The value less the members' mean, over their standard deviation (ddof 1); NaN where all are equal."""

    signature = _SIGNATURE

    def compute(self, values: np.ndarray, cells: np.ndarray, count: int, *numbers: float) -> np.ndarray:
        """Subtract the mean and divide."""
        centred = values - _means(values, cells, count)[cells]
        valid = ~np.isnan(centred)
        n = np.bincount(cells[valid], minlength=count)
        squares = np.bincount(cells[valid], weights=centred[valid] ** 2, minlength=count)
        with np.errstate(all="ignore"):
            deviation = np.sqrt(squares / (n - 1))
            deviation[(n < 2) | ~(deviation > 0)] = np.nan
            return centred / deviation[cells]


def _means(values: np.ndarray, cells: np.ndarray, count: int) -> np.ndarray:
    valid = ~np.isnan(values)
    n = np.bincount(cells[valid], minlength=count)
    total = np.bincount(cells[valid], weights=values[valid], minlength=count)
    with np.errstate(all="ignore"):
        return total / n
