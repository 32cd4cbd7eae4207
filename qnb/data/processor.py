"""What a processor is: the base for users' own (pandas style) and the base for ours (matrices, threads, no copies).

A user's processor derives from `Processor`, or merely has ``fit(df)`` and ``__call__(df)``. A processor of qnb derives
from `TableProcessor`: ``learn(table)`` looks at the rows of the fit window and keeps what it learned in attributes that
end in ``_``; ``transform(table, work)`` returns a new table. Both kinds can be called on a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from ..errors import ConfigError, EmptyDataError, Problem
from ..threads import ContextThreads
from .protocols import RowIndex
from .spans import rows_between, text_of
from .table import Block, FieldsGroup, Table

__all__ = ["Processor", "Reads", "TableProcessor", "Workspace", "chunks_of", "fit_rows"]

Reads: TypeAlias = Literal["row", "day", "fit window", "all"]
"""Which rows decide the output of a row: itself, its date, the fit window (and itself), or all dates (leaks)."""

_FEW = 4  # columns up to which dates are put side by side
_CHUNK = 1 << 18
"""Cells of a chunk: one megabyte of float32, which stays in a core's cache."""


class Processor:
    """Base of user-defined processors.

    Examples
    --------
    >>> class Double(Processor):
    ...     def __call__(self, df):
    ...         return df * 2
    """

    def fit(self, df: Any = None) -> None:
        """Learn from `df`, the frame that the processor before this one returned."""

    def __call__(self, df: Any) -> Any:
        """Return `df` processed; `df` is the processor's own and may be changed."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__(df)")

    def is_for_infer(self) -> bool:
        """Return whether the processor may be used on data to predict from (it never looks at labels)."""
        return True

    def readonly(self) -> bool:
        """Return whether the frame that is given is never written to."""
        return False

    def config(self, **kwargs: Any) -> None:
        """Set ``fit_start_time`` and ``fit_end_time`` where the processor has them; other keys are ignored."""
        for key in ("fit_start_time", "fit_end_time"):
            if key in kwargs and hasattr(self, key):
                setattr(self, key, kwargs[key])


class Workspace:
    """Where processors put new matrices and how many threads they use.

    Parameters
    ----------
    threads : int
        Threads for chunks of rows.
    allocate : callable, optional
        Returns an array of float32 of a shape; ``numpy.empty`` by default.
    """

    def __init__(self, *, threads: int = 1, allocate: Callable[[tuple[int, int]], np.ndarray] | None = None) -> None:
        self.threads = max(1, threads)
        self._allocate = allocate or (lambda shape: np.empty(shape, dtype=np.float32))

    def map_rows(self, table: Table, group: FieldsGroup, change: Callable[[np.ndarray, slice], None]) -> Table:
        """Return `table` with `change` applied to every row of `group`.

        Parameters
        ----------
        change : callable
            Receives a chunk of float32, shape (rows, columns of a block), which it overwrites, and the place of these
            columns among all columns of `group`.
        """
        blocks = list(table.blocks)
        for i, columns in table.windows(group):
            block, source = self._writable(blocks[i], len(table))

            def run(
                chunk: slice, block: Block = block, source: Block | None = source, columns: slice = columns
            ) -> None:
                part = block.values[chunk]
                if source is not None:
                    _copy(source, chunk, part)
                change(part, columns)

            self.each(chunks_of(slice(0, len(table)), len(block.names)), run)
            blocks[i] = block
        return table.with_blocks(blocks)

    def map_days(
        self, table: Table, group: FieldsGroup, change: Callable[[np.ndarray], None], *, padded: bool = False
    ) -> Table:
        """Return `table` with `change` applied to every date of `group`.

        Parameters
        ----------
        change : callable
            Receives the rows of one date, shape (instruments, columns of a block), float32, and overwrites them.
        padded : bool
            `change` looks at each column by itself and leaves NaN aside: dates of a few columns may then come side by
            side, as columns that end in NaN, which saves a call for each.
        """
        starts = table.index.day_starts()
        blocks = list(table.blocks)
        for i, _ in table.windows(group):
            block, source = self._writable(blocks[i], len(table))

            def run(days: range, block: Block = block, source: Block | None = source) -> None:
                if padded and len(block.names) <= _FEW:
                    rows = slice(int(starts[days.start]), int(starts[days.stop]))
                    if source is not None:
                        _copy(source, rows, block.values[rows])
                    _side_by_side(block.values[rows], np.diff(starts[days.start : days.stop + 1]), change)
                    return
                for day in days:
                    rows = slice(int(starts[day]), int(starts[day + 1]))
                    part = block.values[rows]
                    if source is not None:
                        _copy(source, rows, part)
                    change(part)

            n = len(starts) - 1
            self.each([range(a, min(a + 32, n)) for a in range(0, n, 32)], run)
            blocks[i] = block
        return table.with_blocks(blocks)

    def complete(self, table: Table, group: FieldsGroup) -> np.ndarray:
        """Return a boolean mask of the rows in which no column of `group` is NaN, shape (rows,)."""
        keep = np.ones(len(table), dtype=bool)
        for i in table.select(group):
            block = table.blocks[i]

            def run(chunk: slice, block: Block = block) -> None:
                keep[chunk] &= ~np.isnan(block.matrix(chunk)).any(axis=1)

            self.each(chunks_of(slice(0, len(table)), len(block.names)), run)
        return keep

    def each(self, items: Sequence[Any], work: Callable[[Any], None]) -> None:
        """Call `work` for every item, in the threads there are; the first exception is raised.

        Floating point warnings are silenced: NaN and infinity in, NaN and infinity out.
        """

        def quietly(item: Any) -> None:
            with np.errstate(all="ignore"):
                work(item)

        if self.threads == 1 or len(items) < 2:
            for item in items:
                quietly(item)
            return
        with ContextThreads(min(self.threads, len(items))) as pool:
            for _ in pool.map(quietly, items):
                pass

    def _writable(self, block: Block, rows: int) -> tuple[Block, Block | None]:
        """Return a block that may be written to, and the block to copy from if it has no values yet."""
        if block.owned:
            return block, None
        values = self._allocate((rows, len(block.names)))
        return replace(block, values=values, rows=None, owned=True), block


def _side_by_side(values: np.ndarray, lengths: np.ndarray, change: Callable[[np.ndarray], None]) -> None:
    """Apply `change` to dates of `lengths` rows each, as columns of one matrix."""
    date = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    wide = np.full((int(lengths.max()), len(lengths), values.shape[1]), np.nan, dtype=np.float32)
    wide[place, date] = values
    change(wide.reshape(len(wide), -1))
    values[...] = wide[place, date]


class TableProcessor(Processor):
    """Base of qnb's own processors, which work on matrices.

    A subclass states in `reads` which rows decide its output, implements `transform` and, if it learns, `learn`.
    """

    reads: ClassVar[Reads] = "row"

    def learn(self, table: Table, work: Workspace) -> None:
        """Learn from `table`; look only at the fit window. Keep what was learned in attributes that end in ``_``."""

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return `table` processed; never write to a block that is not owned."""
        raise NotImplementedError(f"{type(self).__name__} has no transform(table, work)")

    def left(self, columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]] | None:
        """Return which of `columns` (group, name) are left, where leaving out columns is all that it does; else None.

        A handler whose first processors answer does not compute the other columns.
        """
        return None

    def fit(self, df: Any = None) -> None:
        """Learn from a frame."""
        from .frames import table_of

        self.learn(table_of(df), Workspace())

    def __call__(self, df: Any) -> Any:
        """Return the frame `df` processed, as a new frame."""
        from .frames import frame_of, table_of

        return frame_of(self.transform(table_of(df), Workspace()))

    def readonly(self) -> bool:
        """Return True: what is given is never written to."""
        return True

    @property
    def state(self) -> dict[str, Any]:
        """What was learned, as JSON values."""
        return {k: _plain(v) for k, v in vars(self).items() if k.endswith("_") and not k.startswith("_")}

    @state.setter
    def state(self, values: dict[str, Any]) -> None:
        for key, value in values.items():
            setattr(self, key, np.array(value, dtype=np.float32) if isinstance(value, list) else value)

    def __repr__(self) -> str:
        given = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.endswith("_") and not k.startswith("_"))
        return f"{type(self).__name__}({given})"


def fit_rows(index: RowIndex, start: Any, end: Any, who: str) -> slice:
    """Return the rows of the fit window.

    Raises
    ------
    ConfigError
        One of the times is missing.
    EmptyDataError
        No row lies inside.
    """
    if start is None and end is None:
        raise ConfigError(
            [Problem(f"{who} has no fit window", "give fit_start_time and fit_end_time to the handler", who)]
        )
    rows = rows_between(index, start, end)
    if rows.start == rows.stop:
        have = text_of((index.dates[0], index.dates[-1])) if len(index) else "no rows"
        raise EmptyDataError(f"the fit window {text_of((start, end))} of {who} has no rows; the data has {have}")
    return rows


def chunks_of(rows: slice, columns: int) -> list[slice]:
    """Return `rows` cut into chunks that stay in a core's cache."""
    step = max(1, _CHUNK // max(1, columns))
    return [slice(a, min(a + step, rows.stop)) for a in range(rows.start, rows.stop, step)]


def _copy(source: Block, rows: slice, out: np.ndarray) -> None:
    if source.rows is None:
        np.copyto(out, source.values[rows])
    else:
        np.take(source.values, source.rows[rows], axis=0, out=out, mode="clip")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [float(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value
