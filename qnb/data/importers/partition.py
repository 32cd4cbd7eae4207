"""Rows of long tables, put in order of their symbol without sorting all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .read import RawTable

__all__ = ["Partition"]

CHUNK_ROWS = 2_000_000


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Rows of long tables ordered by symbol: symbol k has the rows ``bounds[k]:bounds[k + 1]``."""

    bounds: np.ndarray
    times: np.ndarray
    fields: dict[str, np.ndarray]


class Partition:
    """Rows of long tables, ordered by symbol in chunks of some two million rows.

    The rows of a file count only after `commit`, so that a file that turns out to be torn leaves nothing.
    """

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._waiting = _Rows()
        self._fresh = _Rows()
        self._fresh_chunks: list[_Chunk] = []
        self._ids: dict[str, int] = {}
        self._faults: dict[int, str] = {}
        self._fresh_faults: dict[int, str] = {}

    def add(self, table: RawTable, row: int) -> None:
        """Take in a table of the present file; its first row is row `row` of the file."""
        ids = np.array([self._ids.setdefault(name.strip().upper(), len(self._ids)) for name in table.names])
        codes = ids[table.codes]
        for number, reason in table.faults:
            self._fresh_faults.setdefault(int(codes[number]), f"row {row + number + 1}, {reason}")
        self._fresh.append(table, codes)
        if self._fresh.count >= CHUNK_ROWS:
            self._fresh_chunks.append(self._fresh.take(len(self._ids)))

    def commit(self) -> None:
        """Keep what came since the last commit."""
        self._chunks += self._fresh_chunks
        self._faults = self._fresh_faults | self._faults
        self._waiting.extend(self._fresh)
        if self._waiting.count >= CHUNK_ROWS:
            self._chunks.append(self._waiting.take(len(self._ids)))
        self._fresh, self._fresh_chunks, self._fresh_faults = _Rows(), [], {}

    def drop(self) -> None:
        """Forget what came since the last commit."""
        self._fresh, self._fresh_chunks, self._fresh_faults = _Rows(), [], {}

    def symbols(self) -> Iterator[tuple[str, np.ndarray, dict[str, np.ndarray], str]]:
        """Yield symbol, times, fields and the first fault (or '') of each symbol that has rows, sorted."""
        if self._waiting.count:
            self._chunks.append(self._waiting.take(len(self._ids)))
        names = dict.fromkeys(name for chunk in self._chunks for name in chunk.fields)
        for symbol, k in sorted(self._ids.items()):
            parts = [(c, slice(c.bounds[k], c.bounds[k + 1])) for c in self._chunks if k + 1 < len(c.bounds)]
            parts = [(c, rows) for c, rows in parts if rows.start < rows.stop]
            if parts:
                times = np.concatenate([c.times[rows] for c, rows in parts])
                fields = {name: np.concatenate([_values(c, name, rows) for c, rows in parts]) for name in names}
                yield symbol, times, fields, self._faults.get(k, "")


class _Rows:
    """Tables with the number of each row's symbol, not yet in order."""

    def __init__(self) -> None:
        self.tables: list[RawTable] = []
        self.codes: list[np.ndarray] = []
        self.count = 0

    def append(self, table: RawTable, codes: np.ndarray) -> None:
        """Add a table."""
        self.tables.append(table)
        self.codes.append(codes)
        self.count += len(codes)

    def extend(self, other: _Rows) -> None:
        """Add the tables of `other`."""
        for table, codes in zip(other.tables, other.codes, strict=True):
            self.append(table, codes)

    def take(self, symbols: int) -> _Chunk:
        """Return the rows as a chunk in which `symbols` are told apart, and be empty."""
        codes = np.concatenate(self.codes)
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(symbols + 1))
        times = np.concatenate([t.times for t in self.tables])[order]
        fields = {}
        for name in dict.fromkeys(name for t in self.tables for name in t.fields):
            columns = [t.fields.get(name, np.full(len(t.times), np.nan)) for t in self.tables]
            fields[name] = np.concatenate(columns)[order]
        self.tables, self.codes, self.count = [], [], 0
        return _Chunk(bounds, times, fields)


def _values(chunk: _Chunk, name: str, rows: slice) -> np.ndarray:
    if name in chunk.fields:
        return chunk.fields[name][rows]
    return np.full(rows.stop - rows.start, np.nan)
