"""Tables side by side: aligned rows, one group for all columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..cache import digest
from .protocols import RowIndex
from .table import Table

__all__ = ["grouped", "joined"]


def joined(tables: Sequence[Table], how: str) -> Table:
    """Return the columns of several tables side by side, on ``left``, ``outer`` or ``inner`` rows where they differ."""
    first = tables[0]
    if all(_same_rows(first.index, t.index) for t in tables[1:]):
        blocks = tuple(b for t in tables for b in t.blocks)
        if len(tables) == 1:
            return first
        known = all(t.fingerprint for t in tables)
        address = digest("joined", [(t.fingerprint, t.columns) for t in tables]) if known else ""
        return replace(first, blocks=blocks, fingerprint=address)
    import pandas as pd

    from .frames import frame_of, table_of

    frames = [frame_of(t) for t in tables]
    if how == "left":
        frames = [frames[0], *(f.reindex(frames[0].index) for f in frames[1:])]
    return table_of(pd.concat(frames, axis=1, join="inner" if how == "inner" else "outer").sort_index())


def _same_rows(a: RowIndex, b: RowIndex) -> bool:
    return a is b or (
        a.instruments == b.instruments and np.array_equal(a.dates, b.dates) and np.array_equal(a.codes, b.codes)
    )


def grouped(table: Table, group: str) -> Table:
    """Return `table` with all columns in one group."""
    return replace(table, blocks=tuple(replace(b, group=group) for b in table.blocks), flat=False)
