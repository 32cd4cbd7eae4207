"""Tables to pandas and back, without copying values where pandas allows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ConfigError, DataError, Problem
from .protocols import RowIndex
from .table import Block, Table, as_slice, take_rows

__all__ = ["Guards", "frame_of", "index_of", "table_of"]


def frame_of(
    table: Table,
    groups: Sequence[str] | None = None,
    *,
    rows: slice | np.ndarray = slice(None),
    levels: int = 2,
    guards: Guards | None = None,
) -> pd.DataFrame:
    """Return `table` as a frame with the index (datetime, instrument).

    Parameters
    ----------
    table : Table
        What to show.
    groups : sequence of str, optional
        Column groups in the order wanted; all by default.
    rows : slice or ndarray of int
        Rows of the table.
    levels : int
        2 for the columns (group, name), 1 for the names alone. A flat table always has one level.
    guards : Guards, optional
        What the frames' owner keeps, so that pandas knows that values are shared and copies before it writes.

    Returns
    -------
    DataFrame of float32, shape (rows, columns)
        Views of the table's matrices where the rows are contiguous.
    """
    blocks = table.blocks if groups is None else [b for g in groups for b in table.blocks if b.group == g]
    index = table.index.take(rows).to_pandas()
    guards = Guards() if guards is None else guards
    parts = [_part(b, rows, index, 1 if table.flat else levels, guards) for b in blocks]
    if not parts:
        return pd.DataFrame(index=index)
    frame = parts[0] if len(parts) == 1 else pd.concat(parts, axis=1)
    if table.by_instrument:
        order = np.argsort(index.codes[1], kind="stable")
        frame = frame.iloc[order]
    return frame


def table_of(frame: Any, *, fingerprint: str = "") -> Table:
    """Return a frame or series as a table.

    Parameters
    ----------
    frame : DataFrame or Series
        Index of the levels ``datetime`` and ``instrument`` in either order (without names: this order); columns of one
        or two levels; numbers only.
    fingerprint : str
        Content address of the data; empty if unknown.

    Raises
    ------
    DataError
        The index has other levels, or a column is not numeric.
    """
    if isinstance(frame, pd.Series):
        frame = frame.to_frame()
    frame = _ordered(frame)
    flat = frame.columns.nlevels == 1
    if frame.columns.nlevels > 2:
        problem = Problem(f"the frame's columns have {frame.columns.nlevels} levels", "use (group, name)")
        raise ConfigError([problem])
    groups = [""] * frame.shape[1] if flat else [str(g) for g in frame.columns.get_level_values(0)]
    names = [str(n) for n in frame.columns.get_level_values(-1)]
    blocks = []
    for group in dict.fromkeys(groups):
        where = [i for i, g in enumerate(groups) if g == group]
        values = _float32(frame.iloc[:, where], group)
        blocks.append(Block(group, tuple(names[i] for i in where), values))
    return Table(index_of(frame.index), tuple(blocks), flat=flat, fingerprint=fingerprint)


def index_of(index: pd.MultiIndex) -> RowIndex:
    """Return a MultiIndex (datetime, instrument) as a row index."""
    level = index.levels[1]
    order = np.argsort(np.asarray(level.astype(str), dtype=object), kind="stable")
    ranks = np.empty(len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    codes = ranks[np.asarray(index.codes[1])] if len(level) else np.zeros(0, dtype=np.int32)
    dates = np.asarray(index.levels[0].values, dtype="datetime64[ns]")[np.asarray(index.codes[0])]
    return RowIndex(dates, codes, tuple(str(level[i]) for i in order))


class Guards:
    """One frame over each matrix, so that all frames cut from it share pandas' own count of references.

    A frame that is changed then gets a copy of its values first. A matrix in the cache is mapped privately: even where
    the owner of the guards is gone, a change never reaches the file.
    """

    def __init__(self) -> None:
        self._frames: dict[int, tuple[np.ndarray, pd.DataFrame]] = {}

    def frame(self, values: np.ndarray) -> pd.DataFrame:
        """Return the frame over all of `values`, without labels."""
        if id(values) not in self._frames:
            self._frames[id(values)] = (values, pd.DataFrame(_private(values), copy=False))
        return self._frames[id(values)][1]


def _part(block: Block, rows: slice | np.ndarray, index: pd.MultiIndex, levels: int, guards: Guards) -> pd.DataFrame:
    names = pd.Index(block.names)
    columns = names if levels == 1 else pd.MultiIndex.from_product([[block.group], names])
    chosen = rows if block.rows is None else as_slice(block.rows[rows])
    if isinstance(chosen, slice):
        frame = guards.frame(block.values).iloc[chosen]
        return frame.set_axis(index, axis=0).set_axis(columns, axis=1)
    values = take_rows(block.values, chosen, threads=block.gathering.threads)
    return pd.DataFrame(values, index=index, columns=columns, copy=False)


def _private(values: np.ndarray) -> np.ndarray:
    """Return the same values in memory that may be written to without changing the file behind them."""
    if values.flags.writeable or not isinstance(values, np.memmap) or values.filename is None:
        return values
    try:
        return np.memmap(values.filename, values.dtype, "c", values.offset, values.shape)
    except OSError:  # the cache dropped the file; this mapping still holds it
        return values


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(frame.index, pd.MultiIndex) or frame.index.nlevels != 2:
        raise DataError(
            f"expected an index of two levels (datetime, instrument), received {frame.index.nlevels} level(s) named "
            f"{list(frame.index.names)}; use frame.set_index(['datetime', 'instrument'])"
        )
    names = list(frame.index.names)
    if set(names) == {"datetime", "instrument"} and names[0] == "instrument":
        frame = frame.swaplevel()
    index: Any = frame.index
    if not pd.api.types.is_datetime64_any_dtype(index.levels[0].dtype):
        raise DataError(
            f"the first index level must be dates, received {index.levels[0].dtype}; convert it with pandas.to_datetime"
        )
    return frame if frame.index.is_monotonic_increasing else frame.sort_index()


def _float32(frame: pd.DataFrame, group: str) -> np.ndarray:
    bad = [str(c) for c, t in zip(frame.columns, frame.dtypes, strict=True) if not pd.api.types.is_numeric_dtype(t)]
    if bad:
        where = f"group {group!r}" if group else "the frame"
        raise DataError(f"{where} has columns that are not numbers: {', '.join(bad[:5])}; convert or drop them")
    values = frame.to_numpy(dtype=np.float32, na_value=np.nan)
    values = np.ascontiguousarray(values)
    if values.base is not None or not values.flags.owndata:
        values = values.copy()
    return values
