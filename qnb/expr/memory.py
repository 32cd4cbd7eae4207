"""Market data that is at hand as arrays, for expressions over frames and for tests of operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..cache import digest
from .rows import Rows

__all__ = ["MemorySource"]


@dataclass(frozen=True, slots=True)
class MemorySource:
    """A `FieldSource` of arrays.

    Attributes
    ----------
    calendar : ndarray of datetime64[ns], shape (days,)
        Ascending.
    data : mapping of str to mapping of str to (int, ndarray)
        By instrument and field: calendar position of the first value, and the values.
    groupings : mapping of str to mapping of str to str
        Groups of instruments by name of the grouping.
    figures : mapping of (str, str) to ndarray
        Point-in-time records (``date``, ``period``, ``value``) by instrument and field.

    Examples
    --------
    >>> days = np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[ns]")
    >>> source = MemorySource(days, {"A": {"close": (0, np.array([1.0, 2.0], np.float32))}})
    >>> from qnb.expr.evaluate import evaluate
    >>> evaluate(["$close / Ref($close, 1)"], source, source.rows()).tolist()
    [[nan], [2.0]]
    """

    calendar: np.ndarray
    data: Mapping[str, Mapping[str, tuple[int, np.ndarray]]]
    groupings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    figures: Mapping[tuple[str, str], np.ndarray] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Content address of all values."""
        values = {s: {f: (a, np.asarray(v)) for f, (a, v) in own.items()} for s, own in self.data.items()}
        figures = {f"{s} {f}": np.asarray(r).tobytes() for (s, f), r in self.figures.items()}
        return digest(self.calendar, values, {k: dict(v) for k, v in self.groupings.items()}, figures)

    def instruments(self) -> list[str]:
        """Return the instruments, sorted."""
        return sorted(self.data)

    def fields(self) -> list[str]:
        """Return the fields that any instrument has, sorted."""
        return sorted({f for own in self.data.values() for f in own})

    def series(self, instrument: str, field: str) -> tuple[int, np.ndarray] | None:
        """Return position of the first value, and the values as float32."""
        found = self.data.get(instrument, {}).get(field)
        return None if found is None else (found[0], np.asarray(found[1], dtype=np.float32))

    def extent(self, instrument: str, fields: Sequence[str] | None = None) -> tuple[int, int]:
        """Return the half-open range of calendar positions with values."""
        own = self.data.get(instrument, {})
        found = [own[f] for f in (own if fields is None else fields) if f in own]
        if not found:
            return 0, 0
        return min(a for a, _ in found), max(a + len(v) for a, v in found)

    def group(self, name: str) -> Mapping[str, str]:
        """Return instrument -> group."""
        return self.groupings.get(name, {})

    def periods(self, instrument: str, field: str) -> np.ndarray | None:
        """Return point-in-time records."""
        return self.figures.get((instrument, field))

    def rows(self, start: int = 0, stop: int | None = None) -> Rows:
        """Return the rows of all instruments on calendar positions [start, stop)."""
        stop = len(self.calendar) if stop is None else stop
        names = self.instruments()
        spans = [self.extent(s) for s in names]
        there = [(d, c) for d in range(start, stop) for c, (a, b) in enumerate(spans) if a <= d < b]
        days, codes = (np.array(x, dtype=np.int32) for x in (zip(*there, strict=True) if there else ((), ())))
        return Rows(tuple(names), days, codes, self.calendar, start)
