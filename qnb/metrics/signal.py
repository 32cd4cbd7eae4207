"""How well scores order instruments: information coefficients, group returns, long-short, persistence.

The functions take Series with the index (datetime, instrument), in either order of levels, and answer by day;
`qnb.metrics.rows` has the same on matrices. inf counts as no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, Problem
from .rows import group_means, lagged_rank_correlation, long_short_means, ranks, row_correlation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["group_returns", "ic_by_day", "ic_summary", "long_short", "rank_ic_by_day", "score_autocorrelation"]


def ic_by_day(score: pd.Series, label: pd.Series) -> pd.Series:
    """Return the information coefficient of each day: the Pearson correlation of scores and labels across instruments.

    Parameters
    ----------
    score, label : Series, index (datetime, instrument)
        Rows in which either is missing are left out. A frame of one column will do.

    Returns
    -------
    Series
        Index datetime, every day of either; NaN with fewer than two pairs, or without variation on either side.

    Notes
    -----
    Grinold and Kahn, Active Portfolio Management, 2nd ed. 1999, chapter 6.
    """
    table = _table(score, label)
    return table.series(row_correlation(table.score, table.label), "ic")


def rank_ic_by_day(score: pd.Series, label: pd.Series) -> pd.Series:
    """Return the rank information coefficient of each day: the Spearman correlation of scores and labels.

    Ties are at the average of their ranks; ranks are taken over the rows with both values. Otherwise as `ic_by_day`.
    """
    table = _table(score, label)
    both = np.isfinite(table.score) & np.isfinite(table.label)
    x, y = (ranks(np.where(both, m, np.nan)) for m in (table.score, table.label))
    return table.series(row_correlation(x, y), "ric")


def ic_summary(ic: pd.Series, rank_ic: pd.Series) -> dict[str, float]:
    """Return ``IC``, ``ICIR``, ``Rank IC`` and ``Rank ICIR``: mean, and mean / std (ddof 1, not annualised), by day."""
    found: dict[str, float] = {}
    for mean, ratio, values in (("IC", "ICIR", ic), ("Rank IC", "Rank ICIR", rank_ic)):
        known = values.to_numpy(dtype=np.float64)
        known = known[~np.isnan(known)]
        deviation = known.std(ddof=1) if len(known) > 1 else np.nan
        found[mean] = float(known.mean()) if len(known) else float("nan")
        found[ratio] = float(found[mean] / deviation) if deviation else float("nan")
    return found


def long_short(score: pd.Series, label: pd.Series, *, quantile: float = 0.2) -> tuple[pd.Series, pd.Series]:
    """Return two series by day: half the return of the highest less the lowest scores, and the return of all.

    Parameters
    ----------
    score, label : Series, index (datetime, instrument)
        Labels are returns of the instruments.
    quantile : float
        A side has ``int(n * quantile)`` of the day's n rows, those without a label included; ties as they come.

    Returns
    -------
    (Series, Series)
        ``(mean(top) - mean(bottom)) / 2``, the return of a capital of which half is long and half is short; and the
        mean of ALL labels (the peer's 'Long-Avg', which is no long side). Means leave missing labels out.
    """
    if not 0 < quantile <= 1:
        raise ConfigError([Problem(f"quantile must lie in (0, 1], received {quantile!r}", "write 0.2", "quantile")])
    table = _table(score, label)
    top, bottom, everyone = long_short_means(table.score, table.label, present=table.present, quantile=quantile)
    return table.series((top - bottom) / 2, "long_short"), table.series(everyone, "long_avg")


def group_returns(score: pd.Series, label: pd.Series, *, groups: int = 5) -> pd.DataFrame:
    """Return the mean label by day of `groups` equally large groups of scores.

    Returns
    -------
    DataFrame
        Index datetime; columns 1 (highest scores) to `groups`; NaN for a group without members. Rows in which either
        value is missing are left out; see `qnb.metrics.rows.group_means`.
    """
    import pandas as pd

    if groups < 1:
        raise ConfigError([Problem(f"groups must be at least 1, received {groups}", "write 5 or 10", "groups")])
    table = _table(score, label)
    means, _ = group_means(table.score, table.label, groups)
    return pd.DataFrame(means, index=table.index(), columns=pd.RangeIndex(1, groups + 1, name="group"))


def score_autocorrelation(score: pd.Series, *, lag: int = 1) -> pd.Series:
    """Return by day the rank correlation of the scores with those `lag` days earlier.

    High persistence means low turnover. Days are those that have scores; NaN on the first `lag`, and with fewer than
    two instruments scored on both days.
    """
    values, days, columns, dates = _parts(score)
    names, column = np.unique(columns, return_inverse=True)
    used, row = np.unique(days, return_inverse=True)
    matrix = np.full((len(used), len(names)), np.nan)
    matrix[row, column] = values
    table = _Table(dates[used], matrix, matrix, matrix)
    return table.series(lagged_rank_correlation(matrix, lag), "autocorrelation")


@dataclass(frozen=True, slots=True)
class _Table:
    """Scores and labels by day, padded: the cells of a row are the rows of that day, in their sequence."""

    dates: np.ndarray
    score: np.ndarray
    label: np.ndarray
    present: np.ndarray

    def index(self) -> pd.DatetimeIndex:
        import pandas as pd

        return pd.DatetimeIndex(self.dates, name="datetime")

    def series(self, values: np.ndarray, name: str) -> pd.Series:
        import pandas as pd

        return pd.Series(values, index=self.index(), name=name, dtype=np.float64)


def _table(score: pd.Series, label: pd.Series) -> _Table:
    score, label = _one_column(score), _one_column(label)
    if not (score.index is label.index or score.index.equals(label.index)):
        score, label = score.align(label, join="outer")
    x, days, _, dates = _parts(score)
    y = label.to_numpy(dtype=np.float64, na_value=np.nan)
    if len(days) and (np.diff(days) < 0).any():
        order = np.argsort(days, kind="stable")
        x, y, days = x[order], y[order], days[order]
    new = np.append(True, np.diff(days) != 0) if len(days) else np.zeros(0, dtype=bool)
    starts = np.flatnonzero(new)
    row = np.cumsum(new) - 1
    place = np.arange(len(days)) - starts[row]
    shape = (len(starts), int(place.max()) + 1 if len(days) else 0)
    scores, labels, present = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    scores[row, place], labels[row, place], present[row, place] = x, y, True
    return _Table(dates[days[starts]], scores, labels, present)


def _parts(series: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return values, the day and instrument of each row, and the dates that days stand for, ascending."""
    import pandas as pd

    series = _one_column(series)
    index: Any = series.index
    level = [isinstance(v, pd.DatetimeIndex) for v in index.levels] if isinstance(index, pd.MultiIndex) else []
    if len(level) != 2 or not any(level):
        raise ConfigError([Problem(f"the index must be (datetime, instrument), received {list(index.names)}")])
    at = level.index(True)
    dates = index.levels[at]
    place = np.argsort(np.argsort(dates.to_numpy(), kind="stable"), kind="stable")
    days = place[index.codes[at]]
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values, days, np.asarray(index.codes[1 - at]), np.sort(dates.to_numpy())


def _one_column(values: Any) -> Any:
    return values.iloc[:, 0] if values.ndim == 2 else values
