"""Splits of a calendar into folds: walk-forward, and k folds with purge and embargo. Pure functions on dates.

A label of day t that looks h days ahead is known at t + h; a fit on days up to t therefore knows prices up to t + h. To
keep test days out of it, training days whose label reaches into the test span are purged, and days right after a test
span, whose features still contain it, are put under embargo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import ConfigError, Problem

__all__ = ["Fold", "Span", "purged_k_fold", "walk_forward"]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of calendar dates.

    Attributes
    ----------
    start, end : numpy.datetime64
        First and last date, both inclusive.
    """

    start: np.datetime64
    end: np.datetime64

    def as_segment(self) -> tuple[str, str]:
        """Return the span as a pair of texts for a dataset's ``segments``."""
        return str(self.start.astype("datetime64[D]")), str(self.end.astype("datetime64[D]"))


@dataclass(frozen=True, slots=True)
class Fold:
    """One split.

    Attributes
    ----------
    train : tuple of Span
        Training spans in order; more than one where the test lies between them.
    test : Span
        Test span.
    valid : Span or None
        Validation span between training and test, where one was asked for.
    """

    train: tuple[Span, ...]
    test: Span
    valid: Span | None = None

    def as_segments(self) -> dict[str, tuple[str, str]]:
        """Return the fold as ``segments`` of a dataset.

        Raises
        ------
        ConfigError
            The training days are not one span.
        """
        if len(self.train) != 1:
            raise ConfigError(
                [Problem(f"the fold trains on {len(self.train)} spans; a segment is one", "use the spans")]
            )
        segments = {"train": self.train[0].as_segment()}
        if self.valid is not None:
            segments["valid"] = self.valid.as_segment()
        return {**segments, "test": self.test.as_segment()}


def walk_forward(
    calendar: np.ndarray,
    *,
    train: int,
    test: int,
    valid: int = 0,
    step: int | None = None,
    horizon: int = 0,
    expanding: bool = False,
) -> Iterator[Fold]:
    """Yield folds that move forward in time: train, then valid, then test.

    Parameters
    ----------
    calendar : ndarray of datetime64, shape (days,)
        Trading days, ascending.
    train, test, valid : int
        Days in each part; `valid` may be 0.
    step : int, optional
        Days from one fold to the next; default `test`, so that every day is tested once.
    horizon : int
        Days that labels look ahead: as many days are left out before `valid` and before `test`.
    expanding : bool
        Train on everything from the first day on instead of on the last `train` days.

    Yields
    ------
    Fold
        The last one's test may be shorter. None when the calendar is too short for one.

    Raises
    ------
    ConfigError
        A length that is not positive, or a calendar that is not ascending.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")
    >>> [fold.as_segments()["test"] for fold in walk_forward(days, train=4, test=3)]
    [('2020-01-05', '2020-01-07'), ('2020-01-08', '2020-01-10')]
    """
    days = _calendar(calendar)
    _positive(train=train, test=test, step=test if step is None else step)
    _not_negative(valid=valid, horizon=horizon)
    gap = horizon if valid else 0
    first = train + gap + valid + horizon
    for start in range(first, len(days), test if step is None else step):
        valid_stop = start - horizon
        train_stop = valid_stop - valid - gap
        train_start = 0 if expanding else train_stop - train
        yield Fold(
            (_span(days, train_start, train_stop),),
            _span(days, start, min(start + test, len(days))),
            _span(days, valid_stop - valid, valid_stop) if valid else None,
        )


def purged_k_fold(calendar: np.ndarray, *, folds: int, horizon: int = 0, embargo: int = 0) -> Iterator[Fold]:
    """Yield `folds` folds: each run of days is the test once, the others train, without the days that leak.

    Parameters
    ----------
    calendar : ndarray of datetime64, shape (days,)
        Trading days, ascending.
    folds : int
        Number of folds, at least 2.
    horizon : int
        Days that labels look ahead; so many days before the test are purged.
    embargo : int
        So many days after the test, beyond the `horizon` whose prices the test's own labels see, are left out.

    Yields
    ------
    Fold
        With one or two training spans.

    Raises
    ------
    ConfigError
        Fewer days than folds, or nothing left to train on.

    References
    ----------
    Lopez de Prado, M. (2018). Advances in Financial Machine Learning, chapter 7.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-01-10", dtype="datetime64[D]")
    >>> fold = list(purged_k_fold(days, folds=3, horizon=1, embargo=1))[1]
    >>> [span.as_segment() for span in fold.train]
    [('2020-01-01', '2020-01-02'), ('2020-01-09', '2020-01-09')]
    """
    days = _calendar(calendar)
    _not_negative(horizon=horizon, embargo=embargo)
    if folds < 2 or folds > len(days):
        problem = Problem(f"{folds} folds of {len(days)} days", "give 2 folds or more, and no more than days", "folds")
        raise ConfigError([problem])
    edges = np.linspace(0, len(days), folds + 1).round().astype(int)
    for start, stop in pairwise(edges):
        before, after = int(start) - horizon, int(stop) + horizon + embargo
        train = []
        if before > 0:
            train.append(_span(days, 0, before))
        if after < len(days):
            train.append(_span(days, after, len(days)))
        if not train:
            problem = Problem(
                f"purging {horizon} and embargoing {embargo} days leaves nothing to train on",
                "use fewer folds or a longer calendar",
                "folds",
            )
            raise ConfigError([problem])
        yield Fold(tuple(train), _span(days, int(start), int(stop)))


def _span(days: np.ndarray, start: int, stop: int) -> Span:
    return Span(days[start], days[stop - 1])


def _calendar(calendar: np.ndarray) -> np.ndarray:
    days = np.asarray(calendar, dtype="datetime64[ns]")
    if days.ndim != 1 or not len(days):
        raise ConfigError([Problem("the calendar has no days", "give an array of dates", "calendar")])
    if (days[1:] <= days[:-1]).any():
        raise ConfigError([Problem("the calendar is not ascending", "sort it and drop repeated days", "calendar")])
    return days


def _positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ConfigError([Problem(f"{name} must be at least one day, received {value}", "", name)])


def _not_negative(**values: int) -> None:
    for name, value in values.items():
        if value < 0:
            raise ConfigError([Problem(f"{name} must not be negative, received {value}", "", name)])
