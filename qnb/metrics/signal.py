"""How well scores order instruments: information coefficients, group returns, persistence.

All functions take Series with the index (datetime, instrument) and work day by day on the rows where both sides have
a value.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["group_returns", "ic_by_day", "long_short", "rank_ic_by_day", "score_autocorrelation"]


def ic_by_day(score: pd.Series, label: pd.Series) -> pd.Series:
    """Information coefficient: Pearson correlation of scores and labels across instruments, each day.

    Parameters
    ----------
    score, label : Series, index (datetime, instrument)
        Rows in which either is NaN are left out.

    Returns
    -------
    Series, index datetime
        Every day that `score` has; NaN with fewer than two pairs, or without variation on either side.

    Notes
    -----
    Grinold and Kahn, 'Active Portfolio Management', 2nd ed., chapter 6.
    """
    days, x, y = _pairs(score, label)
    return _all_days(score, _by_day(days, _correlation(days, x, y)))


def rank_ic_by_day(score: pd.Series, label: pd.Series) -> pd.Series:
    """Rank information coefficient: Spearman correlation each day, ties at their average rank; NaN as `ic_by_day`."""
    days, x, y = _pairs(score, label)
    return _all_days(score, _by_day(days, _correlation(days, _ranks(days, x), _ranks(days, y))))


def long_short(score: pd.Series, label: pd.Series, *, quantile: float = 0.2) -> tuple[pd.Series, pd.Series]:
    """Return by day of the top less the bottom `quantile` of scores, halved, and of all instruments alike.

    A side holds ``int(n * quantile)`` of the day's n rows, those without a label included, as qlib counts; the mean is
    over the labels there are. NaN on a day on which a side has none.

    Parameters
    ----------
    score, label : Series, index (datetime, instrument)
        Rows without a score are on no side.
    quantile : float
        Share of the rows on each side.

    Returns
    -------
    tuple of Series, index datetime
        (long - short) / 2, and the mean label of all rows; every day that `score` has.
    """
    if not score.index.equals(label.index):
        label = label.reindex(score.index)
    days, x, y = _by_date(score.index.get_level_values(0).to_numpy(), score, label)
    starts = _starts(days)
    size = np.diff(starts)
    day = np.repeat(np.arange(len(size)), size)
    place = np.arange(len(x)) - starts[day]
    inside = place < (size * quantile).astype(np.int64)[day]
    sides = []
    for key in (-x, x):
        chosen = _sorted_within(starts, key)[inside]
        chosen = chosen[~np.isnan(x[chosen])]
        sides.append(_means(day[chosen], y[chosen], len(size)))
    return _by_day(days, (sides[0] - sides[1]) / 2), _by_day(days, _means(day, y, len(size)))


def group_returns(score: pd.Series, label: pd.Series, *, groups: int = 5) -> pd.DataFrame:
    """Mean label by day of `groups` equal groups of scores, column 1 the highest; NaN for a group without members."""
    import pandas as pd

    days, x, y = _pairs(score, label)
    starts = _starts(days)
    table = np.full((len(starts) - 1, groups), np.nan)
    for k, (a, b) in enumerate(pairwise(starts)):  # one pass a day
        parts = np.array_split(y[a:b][np.argsort(-x[a:b], kind="stable")], groups)
        table[k] = [p.mean() if len(p) else np.nan for p in parts]
    return pd.DataFrame(table, index=_by_day(days, table[:, 0]).index, columns=pd.RangeIndex(1, groups + 1))


def score_autocorrelation(score: pd.Series, *, lag: int = 1) -> pd.Series:
    """Rank correlation of a day's scores with those `lag` days later, by day; NaN for the last `lag` days.

    High persistence means low turnover.
    """
    wide = score.unstack()
    ranks = wide.rank(axis=1)
    return ranks.corrwith(ranks.shift(-lag), axis=1)


def _pairs(score: pd.Series, label: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return day, score and label of the rows with both, ordered by day."""
    if not score.index.equals(label.index):
        label = label.reindex(score.index)
    days, x, y = _by_date(score.index.get_level_values(0).to_numpy(), score, label)
    keep = ~(np.isnan(x) | np.isnan(y))
    return days[keep], x[keep], y[keep]


def _by_date(days: np.ndarray, score: pd.Series, label: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dates, scores and labels as float64, ordered by date."""
    x, y = score.to_numpy(dtype=np.float64), label.to_numpy(dtype=np.float64)
    if len(days) and (days[1:] < days[:-1]).any():
        order = np.argsort(days, kind="stable")
        days, x, y = days[order], x[order], y[order]
    return days, x, y


def _starts(days: np.ndarray) -> np.ndarray:
    if not len(days):
        return np.zeros(1, dtype=np.int64)
    return np.concatenate(([0], np.flatnonzero(days[1:] != days[:-1]) + 1, [len(days)]))


def _means(group: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Return the mean of each of `size` groups without its NaN; NaN for a group without values."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.bincount(group[known], values[known], size) / np.bincount(group[known], minlength=size)


def _correlation(days: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    starts = _starts(days)
    if len(starts) == 1:
        return np.zeros(0)
    count = np.diff(starts)
    x = x - np.repeat(np.add.reduceat(x, starts[:-1]) / count, count)
    y = y - np.repeat(np.add.reduceat(y, starts[:-1]) / count, count)
    xx, yy, xy = (np.add.reduceat(a, starts[:-1]) for a in (x * x, y * y, x * y))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = xy / np.sqrt(xx * yy)
    found[(count < 2) | (xx <= 0) | (yy <= 0)] = np.nan
    return found


def _ranks(days: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return average ranks within each day."""
    if not len(x):
        return x
    starts = _starts(days)
    day = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = _sorted_within(starts, x)
    values, of = x[order], day[order]
    new = np.concatenate(([True], (values[1:] != values[:-1]) | (of[1:] != of[:-1])))
    run = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    last = np.concatenate((first[1:], [len(x)])) - 1
    ranks = np.empty(len(x))
    ranks[order] = ((first + last) / 2)[run]
    return ranks


def _sorted_within(starts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the rows sorted by `x` within each day; ties keep their order, NaN come last.

    Days become the rows of a matrix, padded with NaN: sorting those is some ten times faster than one sort over
    (day, x). Days of very different length are sorted the slow way.
    """
    count = np.diff(starts)
    width = int(count.max(initial=0))
    if width * len(count) > 4 * len(x):
        return np.lexsort((x, np.repeat(np.arange(len(count)), count)))
    inside = np.arange(width) < count[:, None]
    table = np.full((len(count), width), np.nan)
    table[inside] = x
    order = np.argsort(table, axis=1, kind="stable")
    return (starts[:-1, None] + order)[inside]


def _all_days(score: pd.Series, values: pd.Series) -> pd.Series:
    days = score.index.get_level_values(0).unique().sort_values()
    return values.reindex(days).rename_axis("datetime")


def _by_day(days: np.ndarray, values: np.ndarray) -> pd.Series:
    import pandas as pd

    starts = _starts(days)
    return pd.Series(values, index=pd.DatetimeIndex(days[starts[:-1]], name="datetime"), dtype=np.float64)
