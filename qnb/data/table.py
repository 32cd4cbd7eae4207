"""The table that loaders fill and processors change: column groups of float32 over one row index.

Blocks are never changed in place once they are shared. A table that only drops rows keeps the matrices it came from and
remembers which of their rows are left, so the raw, infer and learn data of a handler share one matrix where nothing
was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from ..cache import Cache
from ..errors import ConfigError, Problem, UnknownNameError
from ..threads import ContextThreads
from .protocols import RowIndex

__all__ = ["Block", "FieldsGroup", "Gathering", "Table", "as_slice", "hstack", "take_rows"]

FieldsGroup: TypeAlias = str | Sequence[str] | None
"""Column group of a processor: a name, several names, or None for all columns."""


_CHUNK = 4096
_LARGE = 1 << 26  # bytes from which on threads are worth their while


@dataclass(frozen=True, slots=True)
class Gathering:
    """How rows with gaps are gathered.

    Attributes
    ----------
    threads : int
        Threads for large matrices.
    cache : Cache or None
        Where large ones are shared between processes.
    """

    threads: int = 1
    cache: Cache | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Some columns of one group.

    Attributes
    ----------
    group : str
        Name of the column group; empty in a flat table.
    names : tuple of str
        Column names.
    values : ndarray of float32, shape (m, columns)
        C-ordered; read-only unless `owned`.
    rows : ndarray of int64, shape (rows,), or None
        The table's rows in `values`; None means all of them in order.
    owned : bool
        True while `values` belongs to this table alone and may be written to.
    gathering : Gathering
        How rows with gaps are taken from `values`.
    """

    group: str
    names: tuple[str, ...]
    values: np.ndarray
    rows: np.ndarray | None = None
    owned: bool = False
    gathering: Gathering = field(default=Gathering(), compare=False)

    def matrix(self, rows: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Return the values of `rows` of the table: a read-only view where they are contiguous, else one gather."""
        chosen = rows if self.rows is None else self.rows[rows]
        if isinstance(chosen, np.ndarray):
            chosen = as_slice(chosen)
        values = self.values[chosen] if isinstance(chosen, slice) else _gathered(self, chosen)
        values.flags.writeable = False
        return values

    def columns(self, keep: np.ndarray) -> Block:
        """Return the block with the columns of the boolean mask `keep`."""
        if keep.all():
            return self
        names = tuple(n for n, k in zip(self.names, keep, strict=True) if k)
        values = np.ascontiguousarray(self.values[:, np.flatnonzero(keep)])
        return replace(self, names=names, values=values, owned=True)


@dataclass(frozen=True, slots=True)
class Table:
    """Column groups over one row index, ordered by date.

    Attributes
    ----------
    index : RowIndex
        The rows.
    blocks : tuple of Block
        The columns, in order.
    flat : bool
        True when the columns have one level (no groups).
    rows : ndarray of int64, or None
        Which rows of the table that entered the pipeline are left; None means all.
    fingerprint : str
        Content address of the table as loaded; empty when it has none (a user's frame).
    by_instrument : bool
        Frames of this table are ordered (instrument, datetime).
    """

    index: RowIndex
    blocks: tuple[Block, ...]
    flat: bool = False
    rows: np.ndarray | None = None
    fingerprint: str = field(default="", compare=False)
    by_instrument: bool = False

    def __len__(self) -> int:
        return len(self.index)

    @property
    def groups(self) -> tuple[str, ...]:
        """Column groups in order, without repetition."""
        return tuple(dict.fromkeys(b.group for b in self.blocks))

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Group and name of each column."""
        return tuple((b.group, n) for b in self.blocks for n in b.names)

    def select(self, group: FieldsGroup) -> tuple[int, ...]:
        """Return the positions of the blocks of `group`.

        Raises
        ------
        UnknownNameError
            There is no such column group.
        """
        if group is None:
            return tuple(range(len(self.blocks)))
        wanted = [group] if isinstance(group, str) else list(group)
        if None in wanted:
            return tuple(range(len(self.blocks)))
        for name in wanted:
            if name not in self.groups:
                known = self.groups
                hint = "the data has one level of columns" if self.flat else f"groups: {', '.join(known)}"
                raise UnknownNameError("column group", name, known, hint=hint)
        return tuple(i for i, b in enumerate(self.blocks) if b.group in wanted)

    def group(self, name: str) -> Block:
        """Return the columns of one group as one block; several blocks are joined by a copy."""
        found = [self.blocks[i] for i in self.select(name)]
        return found[0] if len(found) == 1 else hstack(found)

    def take(self, keep: np.ndarray) -> Table:
        """Return the table of the rows where the boolean mask `keep` is True; no values are copied."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        index = self.index.take(rows)
        composed: dict[int, np.ndarray] = {}  # blocks share the arrays of their row numbers

        def rows_of(old: np.ndarray | None) -> np.ndarray:
            if old is None:
                return rows
            if id(old) not in composed:
                composed[id(old)] = old[rows]
            return composed[id(old)]

        blocks = tuple(replace(b, rows=rows_of(b.rows), owned=False) for b in self.blocks)
        return replace(self, index=index, blocks=blocks, rows=rows_of(self.rows))

    def where_columns(self, keep: Callable[[str, str], bool]) -> Table:
        """Return the table with the columns for which ``keep(group, name)`` is True."""
        blocks = []
        for block in self.blocks:
            mask = np.array([keep(block.group, n) for n in block.names], dtype=bool)
            if mask.any():
                blocks.append(block.columns(mask))
        return self.with_blocks(blocks)

    def with_blocks(self, blocks: Sequence[Block]) -> Table:
        """Return the table with other blocks over the same rows."""
        return replace(self, blocks=tuple(blocks))

    def gathered(self, how: Gathering) -> Table:
        """Return the table whose rows are gathered as `how` says."""
        return replace(self, blocks=tuple(replace(b, gathering=how) for b in self.blocks))

    def shared(self) -> Table:
        """Return the table as one that nobody may write to, at the start of a pipeline."""
        return replace(self, rows=None, blocks=tuple(replace(b, owned=False) for b in self.blocks))

    def windows(self, group: FieldsGroup) -> Iterator[tuple[int, slice]]:
        """Yield each block's position and its columns among all columns of `group`, as learned arrays are laid out."""
        start = 0
        for i in self.select(group):
            stop = start + len(self.blocks[i].names)
            yield i, slice(start, stop)
            start = stop


def hstack(blocks: Sequence[Block]) -> Block:
    """Return `blocks`, which have the same rows, joined side by side as a new block of the first one's group."""
    if not blocks:
        raise ConfigError([Problem("no columns to join")])
    values = np.hstack([b.matrix() for b in blocks])
    values.flags.writeable = False
    names = tuple(n for b in blocks for n in b.names)
    return Block(blocks[0].group, names, values, gathering=blocks[0].gathering)


def _gathered(block: Block, rows: np.ndarray) -> np.ndarray:
    from .gathered import gather  # which gathers with `take_rows`

    return gather(block.values, rows, block.gathering)


def take_rows(values: np.ndarray, rows: np.ndarray, out: np.ndarray | None = None, *, threads: int = 1) -> np.ndarray:
    """Return the rows of a matrix, gathered into `out` or a new array in chunks that stay in a core's cache.

    A large matrix is gathered by `threads` threads.
    """
    found = np.empty((len(rows), values.shape[1]), dtype=values.dtype) if out is None else out

    def gather(start: int) -> None:
        part = slice(start, start + _CHUNK)
        np.take(values, rows[part], axis=0, out=found[part], mode="clip")

    starts = range(0, len(rows), _CHUNK)
    if threads == 1 or found.nbytes <= _LARGE:
        for start in starts:
            gather(start)
    else:
        with ContextThreads(threads, thread_name_prefix="qnb-rows") as pool:
            list(pool.map(gather, starts))
    return found


def as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """Return ascending `rows` as a slice where they are contiguous."""
    if rows.dtype == bool or not len(rows):
        return rows
    if rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
