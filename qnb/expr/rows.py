"""Rows of a result: which instrument on which day, ordered (day, instrument)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows to evaluate.

    Attributes
    ----------
    instruments : tuple of str
        Sorted; each has at least one row.
    days : ndarray of int32, shape (n,)
        Position of each row's day in `calendar`, ascending.
    codes : ndarray of int32, shape (n,)
        Position of each row's instrument in `instruments`, ascending within a day.
    calendar : ndarray of datetime64[ns]
        The calendar that `days` refer to.
    start : int
        Position of the first day asked for, which bounds the history of operators without a window.
    members : mapping of str to tuple of (int, int)
        Half-open ranges of calendar positions at which an instrument is a member, not cut to the days asked for.
        Cross-sections consist of members; an instrument that is not named here is a member on every day.
    """

    instruments: tuple[str, ...]
    days: np.ndarray
    codes: np.ndarray
    calendar: np.ndarray
    start: int = 0
    members: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    @classmethod
    def from_universe(
        cls,
        universe: Any,
        calendar: np.ndarray,
        start: Any = None,
        end: Any = None,
        *,
        source: Any = None,
        fields: Sequence[str] | None = None,
    ) -> Rows:
        """Return the rows of `universe` within [start, end], both ends inclusive.

        Parameters
        ----------
        universe : Universe
            Has ``day_spans(calendar)``.
        calendar : ndarray of datetime64[ns]
            Ascending.
        start, end : datetime64 or None
            None is unbounded.
        source : FieldSource, optional
            With it, instruments without data are left out, and days before an instrument's first and after its last
            value.
        fields : sequence of str, optional
            Fields (``"close"``) that count for this; by default all that `source` has.
        """
        low = 0 if start is None else int(np.searchsorted(calendar, np.datetime64(start, "ns"), side="left"))
        high = len(calendar) if end is None else int(np.searchsorted(calendar, np.datetime64(end, "ns"), side="right"))
        spans = universe.day_spans(calendar)
        kept: list[str] = []
        pieces: list[np.ndarray] = []
        for symbol in sorted(spans):
            first, stop = (0, len(calendar)) if source is None else source.extent(symbol, fields)
            first, stop = max(first, low), min(stop, high)
            cut = [np.arange(max(a, first), min(b, stop), dtype=np.int32) for a, b in _merged(spans[symbol])]
            days = cut[0] if len(cut) == 1 else np.concatenate(cut)
            if len(days):
                kept.append(symbol)
                pieces.append(days)
        days = np.concatenate(pieces) if pieces else np.empty(0, np.int32)
        codes = np.repeat(np.arange(len(kept), dtype=np.int32), [len(p) for p in pieces])
        order = day_order(days, low)
        members = {s: tuple(sorted(spans[s])) for s in kept}
        return cls(tuple(kept), days[order], codes[order], calendar, low, members)

    def __len__(self) -> int:
        return len(self.days)

    @property
    def dates(self) -> np.ndarray:
        """Date of each row, datetime64[ns], shape (n,)."""
        return self.calendar[self.days]

    @property
    def fingerprint(self) -> str:
        """Content address: equal for equal rows of the same calendar."""
        made = hashlib.blake2b(digest_size=16)
        made.update("\0".join(self.instruments).encode())
        made.update(repr((self.start, sorted(self.members.items()))).encode())
        for array in (self.calendar, self.days, self.codes):
            made.update(np.ascontiguousarray(array).view(np.uint8).data)
        return made.hexdigest()

    def index(self) -> pd.MultiIndex:
        """Return the rows as a MultiIndex (datetime, instrument)."""
        import pandas as pd

        first, stop = (int(self.days[0]), int(self.days[-1]) + 1) if len(self) else (0, 0)
        levels: list[Any] = [pd.DatetimeIndex(self.calendar[first:stop]), pd.Index(self.instruments, dtype=object)]
        codes: list[Any] = [self.days - first, self.codes]
        return pd.MultiIndex(
            levels=levels,
            codes=codes,
            names=["datetime", "instrument"],
            verify_integrity=False,
        )


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return half-open ranges in order, those that overlap or touch as one."""
    merged: list[tuple[int, int]] = []
    for first, stop in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((first, stop))
    return merged


def day_order(days: np.ndarray, low: int = 0) -> np.ndarray:
    """Return the stable order of rows by day, given rows ordered by instrument."""
    if len(days) and int(days.max()) - low < 2**16:  # numpy sorts 16-bit keys by radix
        return np.argsort((days - low).astype(np.uint16), kind="stable")
    return np.argsort(days, kind="stable")
