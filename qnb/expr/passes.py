"""The passes before the last: values that need all rows of an instrument, all members of a day, or another instrument.

Kept values live in a layout of their own, one segment an instrument, from which later passes read them like fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from .layout import Layout, Slice, full_layout
from .plan import Mode, Plan
from .program import Program, Worker
from .protocols import FieldSource
from .rows import Rows
from .segments import Segment

__all__ = ["Kept", "Reader", "compute_kept", "extents_of"]


@dataclass(slots=True)
class Kept:
    """Values of earlier passes.

    Attributes
    ----------
    layout : Layout or None
        Where rows lie in `columns`; None if nothing is kept.
    columns : dict of int to ndarray, shape (layout rows,)
        By value of the plan.
    calendars : dict of int to ndarray, shape (days,)
        Values that are the same for all instruments, over the calendar.
    """

    layout: Layout | None = None
    columns: dict[int, np.ndarray] = field(default_factory=dict)
    calendars: dict[int, np.ndarray] = field(default_factory=dict)


class Reader:
    """Fills buffers of a chunk with fields of the source and with kept values."""

    def __init__(self, source: FieldSource, rows: Rows, kept: Kept) -> None:
        self.source, self.rows, self.held = source, rows, kept
        self._segment_of: dict[int, int] = {}
        if kept.layout is not None:
            self._segment_of = {int(c): s for s, c in enumerate(kept.layout.codes)}

    def field(self, name: str, chunk: Slice, out: np.ndarray) -> None:
        """Fill `out` with a field; NaN before its first and after its last value."""
        series, instruments = self.source.series, self.rows.instruments
        last, found = -1, None
        for code, lo, hi, day in zip(
            chunk.codes.tolist(), chunk.starts.tolist(), chunk.stops.tolist(), chunk.days.tolist(), strict=True
        ):
            if code != last:
                found, last = series(instruments[code], name), code
            if found is None:
                out[lo:hi] = np.nan
                continue
            _copy(found[0], found[1], day, out[lo:hi])

    def kept(self, value: int, chunk: Slice, out: np.ndarray) -> None:
        """Fill `out` with a kept value."""
        calendar = self.held.calendars.get(value)
        column = None if calendar is not None else self.held.columns[value]
        layout = self.held.layout
        for s in range(len(chunk.days)):
            target, day = out[chunk.starts[s] : chunk.stops[s]], int(chunk.days[s])
            if calendar is not None:
                target[:] = calendar[day : day + len(target)]
                continue
            assert layout is not None and column is not None
            own = self._segment_of.get(int(chunk.codes[s]))
            if own is None:
                target[:] = np.nan
                continue
            values = column[layout.offsets[own] : layout.offsets[own + 1]]
            _copy(int(layout.days[own]), values, day, target)

    def segment(self, code: int, day: int, rows: int) -> Segment:
        """Describe a run of rows to a function over it."""
        return Segment(self.rows.instruments[code], self.source.calendar[day : day + rows])


def extents_of(source: FieldSource, instruments: Sequence[str], fields: Sequence[str]) -> np.ndarray:
    """Return for each instrument the half-open range of calendar positions with data, shape (instruments, 2)."""
    found = [source.extent(i, fields) for i in instruments]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def compute_kept(plan: Plan, source: FieldSource, rows: Rows, extents: np.ndarray, *, threads: int, mode: Mode) -> Kept:
    """Compute the values that later passes read, pass by pass."""
    kept = Kept()
    pending = [i for i, v in enumerate(plan.values) if v.op == "kept"]
    if not pending:
        return kept
    low = 0 if plan.history < 0 else max(0, rows.start - plan.history)
    days = len(source.calendar)
    high = days if plan.ahead < 0 else min(days, int(rows.days[-1]) + 1 + plan.ahead)
    kept.layout = full_layout(extents, low, high)
    for level in sorted({plan.values[i].level for i in pending}):
        own = [i for i in pending if plan.values[i].level == level]
        plain = [i for i in own if plan.values[i].payload[0] == "rows"]
        _compute_columns(
            plan, [plan.values[i].inputs[0] for i in own if plan.values[i].inputs], source, rows, kept, threads
        )
        for i in plain:
            kept.columns[i] = kept.columns[plan.values[i].inputs[0]]
    return kept


def _compute_columns(
    plan: Plan, wanted: Sequence[int], source: FieldSource, rows: Rows, kept: Kept, threads: int
) -> None:
    layout = kept.layout
    assert layout is not None
    program = Program(plan, wanted, Reader(source, rows, kept), start=rows.start)
    made = [np.empty(layout.rows, program.type_of(v)) for v in program.wanted]
    chunks = list(layout.chunks())
    if chunks:
        capacity = max(c.rows for c in chunks)
        spare: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(max(1, threads)):
            spare.put(Worker(program, capacity))

        def run(chunk: Slice) -> None:
            worker = spare.get()

            def emit(column: int, values: np.ndarray) -> None:
                made[column][chunk.offset : chunk.offset + chunk.rows] = values

            worker.run(chunk, emit)
            spare.put(worker)

        with ThreadPoolExecutor(max(1, threads), thread_name_prefix="qnb-expr") as pool:
            list(pool.map(run, chunks))
    kept.columns.update(zip(program.wanted, made, strict=True))


def _copy(first: int, values: np.ndarray, day: int, out: np.ndarray) -> None:
    """Copy values that start at calendar position `first` into rows that start at `day`; NaN where there are none."""
    shift = day - first
    a, b = max(0, -shift), min(len(out), len(values) - shift)
    if b <= a:
        out[:] = np.nan
        return
    out[:a] = np.nan
    out[a:b] = values[a + shift : b + shift]
    out[b:] = np.nan
