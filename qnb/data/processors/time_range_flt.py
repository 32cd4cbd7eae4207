"""Keep instruments that exist over a whole span."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..processor import TableProcessor, Workspace
from ..spans import days_of
from ..table import Table

__all__ = ["TimeRangeFlt"]


class TimeRangeFlt(TableProcessor):
    """Keep the instruments whose rows begin no later than `start_time` and end no earlier than `end_time`.

    Meant for a loader's ``inst_processors``. What happens between the ends is not looked at.

    Parameters
    ----------
    start_time, end_time : date or None
        Moved to the first trading day from `start_time` on and the last one up to `end_time`; None is no bound.
    freq : str
        Frequency of the calendar.

    Notes
    -----
    Reads all dates: an instrument is dropped from the past because it is missing in the future, so results are
    optimistic. Use it for descriptions, never to choose what to trade.
    """

    reads = "all"

    def __init__(self, start_time: Any = None, end_time: Any = None, freq: str = "day") -> None:
        self.start_time = start_time
        self.end_time = end_time
        self.freq = freq

    def is_for_infer(self) -> bool:
        """Return True, as in the peer; see the warning in the notes."""
        return True

    def keep(self, table: Table, calendar: np.ndarray) -> np.ndarray:
        """Return a boolean mask of the rows of instruments that exist from start to end, shape (rows,)."""
        index = table.index
        if not len(index):
            return np.ones(0, dtype=bool)
        ticks = index.dates.view(np.int64)
        n = len(index.instruments)
        first = np.full(n, np.iinfo(np.int64).max)
        last = np.full(n, np.iinfo(np.int64).min)
        np.minimum.at(first, index.codes, ticks)
        np.maximum.at(last, index.codes, ticks)
        inside = calendar[days_of(calendar, self.start_time, self.end_time)].astype("datetime64[ns]").view(np.int64)
        whole = np.ones(n, dtype=bool)
        if len(inside) and self.start_time is not None:
            whole &= first <= inside[0]
        if len(inside) and self.end_time is not None:
            whole &= last >= inside[-1]
        return whole[index.codes]

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the rows of these instruments; the calendar is that of the table's own dates."""
        return table.take(self.keep(table, table.index.unique_dates()))
