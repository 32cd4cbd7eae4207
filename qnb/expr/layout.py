"""Ragged rows: which calendar rows of which instruments a pass computes, and where the rows asked for are in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["CHUNK_ROWS", "Layout", "Slice", "full_layout", "trimmed_layout"]

CHUNK_ROWS = 32_768
"""Rows that are computed at once; their columns fit the second-level cache."""

_LONGEST = 65_536  # rows asked for in one segment, so that years of minutes do not make one giant chunk


@dataclass(frozen=True, slots=True)
class Slice:
    """A chunk of a layout: segments that are computed together, counted from 0.

    Attributes
    ----------
    starts, stops : ndarray of int64, shape (segments,)
        Rows of each segment within the chunk.
    days : ndarray of int64, shape (segments,)
        Calendar position of each segment's first row.
    codes : ndarray of int32, shape (segments,)
        Instrument of each segment.
    rows : int
        Rows of the chunk.
    offset : int
        Row of the layout at which the chunk starts.
    places, targets : ndarray of int64
        For each row asked for: its row in the chunk (-1 if there is no data) and its row in the result.
    """

    starts: np.ndarray
    stops: np.ndarray
    days: np.ndarray
    codes: np.ndarray
    rows: int
    offset: int
    places: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True, slots=True)
class Layout:
    """Segments one after the other.

    Attributes
    ----------
    offsets : ndarray of int64, shape (segments + 1,)
        First row of each segment, and the number of rows.
    days : ndarray of int64, shape (segments,)
        Calendar position of each segment's first row.
    codes : ndarray of int32, shape (segments,)
        Instrument of each segment.
    places, targets : ndarray of int64, shape (rows asked for,)
        Rows asked for, ordered by segment: their row in the layout (-1 if there is no data) and in the result.
    firsts : ndarray of int64, shape (segments + 1,)
        First row asked for of each segment among `places`, and their number.
    """

    offsets: np.ndarray
    days: np.ndarray
    codes: np.ndarray
    places: np.ndarray
    targets: np.ndarray
    firsts: np.ndarray

    @property
    def rows(self) -> int:
        """Rows of all segments."""
        return int(self.offsets[-1])

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[Slice]:
        """Yield the segments in groups of about `rows` rows."""
        count = len(self.days)
        first = 0
        while first < count:
            last = int(np.searchsorted(self.offsets, self.offsets[first] + rows, side="right")) - 1
            last = min(max(last, first + 1), count)
            base = int(self.offsets[first])
            a, b = int(self.firsts[first]), int(self.firsts[last])
            places = self.places[a:b]
            yield Slice(
                starts=self.offsets[first:last] - base,
                stops=self.offsets[first + 1 : last + 1] - base,
                days=self.days[first:last],
                codes=self.codes[first:last],
                rows=int(self.offsets[last]) - base,
                offset=base,
                places=np.where(places < 0, -1, places - base),
                targets=self.targets[a:b],
            )
            first = last


def full_layout(extents: np.ndarray, low: int, high: int) -> Layout:
    """Return a layout with one segment an instrument: all rows in [low, high) for which there is data.

    Parameters
    ----------
    extents : ndarray of int64, shape (instruments, 2)
        Half-open range of calendar positions with data.
    """
    first = np.maximum(extents[:, 0], low)
    lengths = np.maximum(np.minimum(extents[:, 1], high) - first, 0)
    codes = np.flatnonzero(lengths).astype(np.int32)
    offsets = np.concatenate(([0], np.cumsum(lengths[codes]))).astype(np.int64)
    nothing = np.empty(0, np.int64)
    return Layout(offsets, first[codes].astype(np.int64), codes, nothing, nothing, np.zeros(len(codes) + 1, np.int64))


def trimmed_layout(days: np.ndarray, codes: np.ndarray, extents: np.ndarray, left: int, right: int) -> Layout:
    """Return the layout of the rows asked for, with `left` rows before and `right` rows after each run of them.

    Parameters
    ----------
    days, codes : ndarray of int32, shape (rows,)
        Rows asked for, ordered by day.
    extents : ndarray of int64, shape (instruments, 2)
        Half-open range of calendar positions with data.
    """
    order = _by_code(codes, len(extents))
    c, d = codes[order], days[order].astype(np.int64)
    fresh = np.ones(len(c), dtype=bool)
    fresh[1:] = (c[1:] != c[:-1]) | (np.diff(d) > left + right + 1)
    fresh |= _every(fresh, _LONGEST)
    firsts = np.flatnonzero(fresh)
    lasts = np.append(firsts[1:], len(c)) - 1
    owner = c[firsts]
    begin = np.maximum(d[firsts] - left, extents[owner, 0])
    lengths = np.maximum(np.minimum(d[lasts] + right + 1, extents[owner, 1]) - begin, 0)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    segment = np.cumsum(fresh) - 1
    within = d - begin[segment]
    places = np.where((within >= 0) & (within < lengths[segment]), within + offsets[segment], -1)
    return Layout(offsets, begin, owner.astype(np.int32), places, order, np.append(firsts, len(c)))


def _by_code(codes: np.ndarray, count: int) -> np.ndarray:
    small = codes.astype(np.uint16) if count < 2**16 else codes  # numpy sorts 16-bit keys by radix
    return np.argsort(small, kind="stable").astype(np.int64, copy=False)


def _every(fresh: np.ndarray, longest: int) -> np.ndarray:
    """Return where runs (starting at `fresh`) longer than `longest` are to be cut."""
    at = np.flatnonzero(fresh)
    if len(fresh) == 0 or int(np.diff(np.append(at, len(fresh))).max()) <= longest:
        return np.zeros(len(fresh), dtype=bool)
    within = np.arange(len(fresh)) - np.repeat(at, np.diff(np.append(at, len(fresh))))
    return within % longest == 0
