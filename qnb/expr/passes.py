"""The passes before the last: values that need all rows of an instrument, all members of a day, or another instrument.

Kept values live in a layout of their own, one segment an instrument, from which later passes read them like fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np

from ..errors import UnknownNameError
from ..threads import ContextThreads
from .layout import Layout, Slice, full_layout, trimmed_layout
from .nodes import Node
from .operator import CrossSection
from .periods import make_views, periodic_tree
from .plan import Mode, Plan, build_plan
from .program import Program, Worker
from .protocols import FieldSource
from .rows import Rows
from .segments import Segment

__all__ = ["Kept", "Reader", "bars_a_day", "compute_kept", "extents_of", "whole_column"]


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
            assert layout is not None
            assert column is not None
            own = self._segment_of.get(int(chunk.codes[s]))
            if own is None:
                target[:] = np.nan
                continue
            values = column[layout.offsets[own] : layout.offsets[own + 1]]
            _copy(int(layout.days[own]), values, day, target)

    def segment(self, code: int, day: int, rows: int) -> Segment:
        """Describe a run of rows to a function over it."""
        return Segment(self.rows.instruments[code], self.source.calendar[day : day + rows])


def extents_of(source: FieldSource, instruments: Sequence[str], plan: Plan) -> np.ndarray:
    """Return for each instrument the half-open range of calendar positions with data, shape (instruments, 2)."""
    foreign = any(v.op == "kept" and not v.inputs for v in plan.values)
    fields = None if foreign or not plan.fields else plan.fields
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
        inputs = [plan.values[i].inputs[0] for i in own if plan.values[i].inputs]
        made = _compute_columns(plan, inputs, source, rows, kept, threads)
        for i in own:
            value = plan.values[i]
            how, *what = value.payload
            if how == "rows":
                kept.columns[i] = made[value.inputs[0]]
            elif how == "across":
                kept.columns[i] = _across(made[value.inputs[0]], kept.layout, source, rows, *what)
            elif how == "elsewhere":
                kept.calendars[i] = _elsewhere(source, rows, (low, high), threads, mode, *what)
            else:
                kept.columns[i] = _published(source, rows, kept.layout, threads, mode, *what)
    return kept


def whole_column(
    tree: Node, source: FieldSource, rows: Rows, *, threads: int, mode: Mode, origin: int | None = None
) -> np.ndarray:
    """Return one expression on `rows`, in the type it is computed in, shape (rows,)."""
    plan = build_plan(
        [tree], mode=mode, known=[f.lower() for f in source.fields()], bars=bars_a_day(source.calendar), origin=origin
    )
    extents = extents_of(source, rows.instruments, plan)
    kept = compute_kept(plan, source, rows, extents, threads=threads, mode=mode)
    layout = trimmed_layout(rows.days, rows.codes, extents, plan.left, plan.right)
    program = Program(plan, plan.outputs, Reader(source, rows, kept), start=rows.start)
    found = np.full(len(rows), np.nan, program.type_of(plan.outputs[0]) if len(rows) else np.float32)

    def take(chunk: Slice, columns: Sequence[np.ndarray]) -> None:
        there = chunk.places >= 0
        found[chunk.targets[there]] = columns[0][chunk.places[there]]

    run_chunks(program, list(layout.chunks()), threads, take)
    return found


def bars_a_day(calendar: np.ndarray) -> int:
    """Return the most calendar rows that one day has; 1 for daily data."""
    days = calendar.astype("datetime64[D]").view(np.int64)
    if len(days) < 2 or (days[1:] > days[:-1]).all():
        return 1
    starts = np.flatnonzero(np.append(True, days[1:] != days[:-1]))
    return int(np.diff(np.append(starts, len(days))).max())


def run_chunks(
    program: Program, chunks: Sequence[Slice], threads: int, take: Callable[[Slice, Sequence[np.ndarray]], None]
) -> None:
    """Compute chunks in several threads; `take` receives each chunk with the columns of ``program.wanted``."""
    if not chunks:
        return
    capacity = max(c.rows for c in chunks)
    spare: SimpleQueue[Worker] = SimpleQueue()
    count = max(1, min(threads, len(chunks)))
    for _ in range(count):
        spare.put(Worker(program, capacity))

    def run(chunk: Slice) -> None:
        worker = spare.get()
        columns: list[np.ndarray] = [np.empty(0)] * len(program.wanted)

        def emit(column: int, values: np.ndarray) -> None:
            columns[column] = values.copy()

        try:
            worker.run(chunk, emit)
            take(chunk, columns)
        finally:
            spare.put(worker)

    with ContextThreads(count, thread_name_prefix="qnb-expr") as pool:
        list(pool.map(run, chunks))


def _compute_columns(
    plan: Plan, wanted: Sequence[int], source: FieldSource, rows: Rows, kept: Kept, threads: int
) -> dict[int, np.ndarray]:
    """Return values of the plan on the whole layout."""
    layout = kept.layout
    if layout is None or not wanted:
        return {}
    program = Program(plan, wanted, Reader(source, rows, kept), start=rows.start)
    made = [np.empty(layout.rows, program.type_of(v)) for v in program.wanted]

    def take(chunk: Slice, columns: Sequence[np.ndarray]) -> None:
        for whole, part in zip(made, columns, strict=True):
            whole[chunk.offset : chunk.offset + chunk.rows] = part

    run_chunks(program, list(layout.chunks()), threads, take)
    return dict(zip(program.wanted, made, strict=True))


def _across(
    values: np.ndarray,
    layout: Layout,
    source: FieldSource,
    rows: Rows,
    operator: type[CrossSection],
    grouping: str | None,
    numbers: tuple[float, ...],
) -> np.ndarray:
    """Return a cross-section of a column over the members of each day."""
    lengths = np.diff(layout.offsets)
    day = np.arange(layout.rows) - np.repeat(layout.offsets[:-1] - layout.days, lengths)
    member = np.ones(layout.rows, dtype=bool)
    for s, code in enumerate(layout.codes):
        spans = rows.members.get(rows.instruments[code])
        if spans is not None:
            lo, hi, first = layout.offsets[s], layout.offsets[s + 1], layout.days[s]
            inside = np.zeros(hi - lo, dtype=bool)
            for a, b in spans:
                inside[max(0, a - first) : max(0, b - first)] = True
            member[lo:hi] = inside
    at = np.flatnonzero(member)
    cells, count = day[at], len(source.calendar)
    if grouping is not None:
        names = source.group(grouping)
        if not names:
            raise UnknownNameError(
                "grouping", grouping, hint=f"write groups/{grouping}.txt into the store: SYMBOL<TAB>group"
            )
        groups = {name: k for k, name in enumerate(sorted({*names.values(), ""}))}
        own = np.array([groups[names.get(rows.instruments[c], "")] for c in layout.codes], dtype=np.int64)
        cells = cells * len(groups) + np.repeat(own, lengths)[at]
        count *= len(groups)
    taken = values[at]
    taken[~np.isfinite(taken)] = np.nan
    found = np.full(layout.rows, np.nan)
    found[at] = operator().compute(taken, cells, count, *numbers)
    return found


def _elsewhere(
    source: FieldSource,
    rows: Rows,
    span: tuple[int, int],
    threads: int,
    mode: Mode,
    instrument: str,
    tree: Node,
    origin: int | None,
) -> np.ndarray:
    """Return an expression of one instrument over the calendar, NaN where it has no rows."""
    low, high = source.extent(instrument)
    if low == high:
        raise UnknownNameError("instrument", instrument, source.instruments())
    first, stop = max(low, span[0]), min(high, span[1])
    days = np.arange(first, max(first, stop), dtype=np.int32)
    own = Rows((instrument,), days, np.zeros(len(days), np.int32), rows.calendar, rows.start)
    column = whole_column(tree, source, own, threads=threads, mode=mode, origin=origin)
    found = np.full(len(source.calendar), np.nan, column.dtype if column.dtype != np.bool_ else np.float32)
    found[days] = column
    return found


def _published(
    source: FieldSource, rows: Rows, layout: Layout, threads: int, mode: Mode, tree: Node, period: int | None
) -> np.ndarray:
    """Return an expression over figures as known on each day of the layout."""
    instruments = [rows.instruments[c] for c in layout.codes]
    views = make_views(tree, source, instruments, period)
    names = views.instruments()
    ends = [views.extent(v) for v in names]
    there = [k for k, (a, b) in enumerate(ends) if a < b]
    latest = np.full(len(names), np.nan, np.float32)
    if there:
        days = np.array([ends[k][1] - 1 for k in there], dtype=np.int32)
        order = np.argsort(days, kind="stable")
        asked = Rows(
            tuple(names[k] for k in there), days[order], order.astype(np.int32), views.calendar, len(views.calendar)
        )
        column = whole_column(periodic_tree(tree), views, asked, threads=threads, mode=mode)
        latest[np.array(there)[order]] = column
    found = np.full(layout.rows, np.nan, np.float32)
    first = 0
    for s, symbol in enumerate(instruments):
        dates = views.dates.get(symbol)
        if dates is None:
            continue
        lo, hi, day = int(layout.offsets[s]), int(layout.offsets[s + 1]), int(layout.days[s])
        known = np.searchsorted(dates, source.calendar[day : day + hi - lo].astype("datetime64[D]"), side="right") - 1
        own = latest[first : first + len(dates)]
        found[lo:hi] = np.where(known >= 0, own[np.maximum(known, 0)], np.nan)
        first += len(dates)
    return found


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
