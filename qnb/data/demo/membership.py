"""Membership of the demo market's universe: the largest instruments, reviewed in June and December."""

from __future__ import annotations

import numpy as np

from .plan import Plan

__all__ = ["Membership"]

SEASONED = 20
"""Trading days that an instrument must have been listed before it can become a member."""

BUFFER = 1.1
"""A member stays until its rank is worse than the number of members times this."""


class Membership:
    """Who is a member on which day, decided with the capitalisation of the day before.

    Parameters
    ----------
    plan : Plan
        Listings and delistings.
    days : ndarray of datetime64[D]
        Trading days; reviews take effect on the first trading day of June and December, and on the first day.
    share : float
        Members as a share of all instruments.
    """

    def __init__(self, plan: Plan, days: np.ndarray, share: float) -> None:
        self._plan = plan
        months = days.astype("datetime64[M]").astype(int)
        starts = np.flatnonzero(np.diff(months, prepend=months[0] - 1))
        self._reviews = {0, *(int(d) for d in starts if months[d] % 12 in (5, 11))}
        self._size = max(5, round(share * len(plan.listed)))
        self._last_day = len(days) - 1
        self._members = np.zeros(len(plan.listed), dtype=bool)
        self._since = np.zeros(len(plan.listed), dtype=np.int64)
        self._spans: list[tuple[int, int, int]] = []

    def on(self, day: int, capital: np.ndarray) -> np.ndarray:
        """Return the members on `day`, bool, shape (instruments,); days must be asked in order."""
        plan = self._plan
        leaving = self._members & (plan.delisted < day)
        wanted = self._members & ~leaving
        if day in self._reviews:
            eligible = (plan.listed <= day - SEASONED) & (plan.delisted >= day)
            rank = np.empty(len(capital), dtype=np.int64)
            rank[np.argsort(-np.where(eligible, capital, -1.0), kind="stable")] = np.arange(len(capital))
            staying = wanted & eligible & (rank < self._size * BUFFER)
            entering = np.flatnonzero(eligible & ~staying)
            entering = entering[np.argsort(rank[entering], kind="stable")][: max(0, self._size - staying.sum())]
            wanted = staying
            wanted[entering] = True
        self._close(self._members & ~wanted, day - 1)
        self._since[wanted & ~self._members] = day
        self._members = wanted
        return wanted

    def spans(self) -> list[tuple[int, int, int]]:
        """Return (instrument, first day, last day) of every membership, by instrument and day."""
        return sorted([*self._spans, *self._ended(self._members, self._last_day)])

    def _close(self, which: np.ndarray, last: int) -> None:
        self._spans.extend(self._ended(which, last))

    def _ended(self, which: np.ndarray, last: int) -> list[tuple[int, int, int]]:
        delisted = self._plan.delisted
        return [(int(i), int(self._since[i]), int(min(last, delisted[i]))) for i in np.flatnonzero(which)]
