"""A pass as a list of steps over chunks of rows: elementwise steps in numpy, windows in kernels.

1. The values that a pass needs are put in an order in which inputs come first.
2. Outputs of one kernel over the same columns and window become one step (mean and std, slope and residual ...).
3. Each value gets a buffer, which is used again once nobody needs the value.
4. A chunk runs through the steps; results are cast to float32 in a block of columns, and the block is scattered into
   the rows of the result, or written to where later passes read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .layout import Slice
from .native import kernel
from .operator import BOOL, DOUBLE, SINGLE
from .plan import Plan, Value
from .segments import Segment

__all__ = ["Program", "Worker"]

_TYPES: dict[str, np.dtype[Any]] = {
    SINGLE: np.dtype(np.float32),
    DOUBLE: np.dtype(np.float64),
    BOOL: np.dtype(np.bool_),
}
_OUTPUTS: dict[str, dict[str, int]] = {
    "sums": {"sum": 1, "mean": 2},
    "moments": {"var": 1, "std": 2},
    "linear": {"slope": 1, "rsquare": 2, "rsquare_unmasked": 2, "resi": 4},
    "extremes": {"max": 1, "argmax": 2, "min": 1, "argmin": 2},
    "pairs": {"corr": 1, "corr_unmasked": 1, "cov": 2},
    "shape": {"skew": 1, "kurt": 2, "mad": 4, "wma": 8, "wma_compat": 16, "ema_expanding": 32},
    "decay": {"mean": 1},
}
"""Bits of a kernel's outputs."""

_VARIANT = {"min": 4, "argmin": 4, "rsquare": 8, "corr": 4}
"""Bits that change what a kernel computes; outputs of different variants are different steps."""


class Program:
    """The steps that compute `wanted` values of a plan.

    Parameters
    ----------
    plan : Plan
        The graph.
    wanted : sequence of int
        Values to compute.
    reader : object
        ``fill(kind, payload, chunk, out)`` for fields and kept values.
    start : int
        Calendar position of the first day asked for.
    block : bool
        Whether wanted values are cast to float32 into one block of columns, which is a worker's first buffer; otherwise
        they are handed over in their own type.
    """

    def __init__(self, plan: Plan, wanted: Sequence[int], reader: Any, *, start: int, block: bool = False) -> None:
        self.plan = plan
        self.reader = reader
        self.start = start
        self.wanted = list(dict.fromkeys(wanted))
        self.columns = {value: k for k, value in enumerate(self.wanted)}
        self.order = _ordered(plan.values, self.wanted)
        self.block = block
        self.buffers: list[tuple[str, int]] = [(SINGLE, len(self.wanted))] if block else []  # type, columns
        self.place: dict[int, tuple[int, int]] = {}
        self.scratch = 64
        self.steps: list[Callable[[Worker, Slice], None]] = []
        self._schedule()

    def type_of(self, value: int) -> np.dtype[Any]:
        """Return the numpy type of a value's column."""
        return _TYPES[self.plan.values[value].kind]

    def _schedule(self) -> None:
        values = self.plan.values
        groups = _kernel_groups(values, self.order)
        firsts = list(dict.fromkeys(groups.get(v, [v])[0] for v in self.order))
        inputs = {v: set(values[v].inputs) if values[v].op != "kept" else set() for v in firsts}
        uses = dict.fromkeys(self.order, 0)
        for v in firsts:
            for i in inputs[v]:
                uses[i] += 1
        free: dict[tuple[str, int], list[int]] = {}
        alive: dict[int, int] = {}  # buffer -> values in it that are still needed
        for v in firsts:
            group = groups.get(v, [v])
            kind = (values[v].kind, len(group))
            if self.block and v in self.columns and _fits_block(values[v], uses[v]):
                self.place[v] = (0, self.columns[v])
                self.steps.append(self._step(v, group))
            else:
                pool = free.setdefault(kind, [])
                if not pool:
                    pool.append(len(self.buffers))
                    self.buffers.append(kind)
                buffer = pool.pop()
                self.place.update({member: (buffer, k) for k, member in enumerate(group)})
                alive[buffer] = sum(1 for m in group if uses[m])
                self.steps.append(self._step(v, group))
                self.steps.extend(self._output(m) for m in group if m in self.columns)
                if alive[buffer] == 0:
                    pool.append(buffer)
            for i in inputs[v]:
                uses[i] -= 1
                held = self.place[i][0]
                if uses[i] == 0 and held in alive:
                    alive[held] -= 1
                    if alive[held] == 0:
                        free[self.buffers[held]].append(held)

    def _step(self, v: int, group: list[int]) -> Callable[[Worker, Slice], None]:
        value = self.plan.values[v]
        if value.op == "kernel":
            return self._kernel(group)
        return getattr(self, f"_{value.op}")(v, value)

    def _field(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        (b, k), fill, name = self.place[v], self.reader.field, value.payload[0]
        return lambda w, c: fill(name, c, w.view[b][k])

    def _kept(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        (b, k), fill = self.place[v], self.reader.kept
        return lambda w, c: fill(v, c, w.view[b][k])

    def _missing(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        b, k = self.place[v]
        return lambda w, c: w.view[b][k].fill(np.nan)

    def _cast(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        (b, k), (ib, ik) = self.place[v], self.place[value.inputs[0]]

        def run(w: Worker, c: Slice) -> None:
            np.copyto(w.view[b][k], w.view[ib][ik], casting="unsafe")

        return run

    def _element(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        function, scalars, _ = value.payload
        b, k = self.place[v]
        inputs = iter(self.place[i] for i in value.inputs)
        slots = [next(inputs) if s is None else None for s in scalars]
        if isinstance(function, np.ufunc) and len(slots) == 2:
            return _binary(function, slots, scalars, b, k)

        def run(w: Worker, c: Slice) -> None:
            operands = [w.view[s[0]][s[1]] if s is not None else x for s, x in zip(slots, scalars, strict=True)]
            if isinstance(function, np.ufunc):
                function(*operands, out=w.view[b][k])
            else:
                np.copyto(w.view[b][k], function(*operands), casting="unsafe")

        return run

    def _where(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        sides, _ = value.payload
        b, k = self.place[v]
        condition, *rest = (self.place[i] for i in value.inputs)
        inputs = iter(rest)
        slots = [next(inputs) if s is None else None for s in sides]

        def run(w: Worker, c: Slice) -> None:
            then, other = (w.view[s[0]][s[1]] if s is not None else x for s, x in zip(slots, sides, strict=True))
            chosen = w.view[condition[0]][condition[1]]
            out = w.view[b][k]
            picked = np.where(chosen, then, other)
            np.copyto(out, picked, casting="unsafe")

        return run

    def _shift(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        rows, *origin = value.payload
        (b, k), (ib, ik) = self.place[v], self.place[value.inputs[0]]
        first = self.start - origin[0] + rows if origin else None

        def run(w: Worker, c: Slice) -> None:
            out, x = w.view[b][k], w.view[ib][ik]
            if abs(rows) < c.rows:
                if rows > 0:
                    out[rows:] = x[:-rows]
                else:
                    out[:rows] = x[-rows:]
            out[w.edge(c, rows)] = np.nan
            if first is not None:
                for s in np.flatnonzero(c.days < first):
                    out[c.starts[s] : min(c.stops[s], c.starts[s] + first - c.days[s])] = np.nan

        return run

    def _series(self, v: int, value: Value) -> Callable[[Worker, Slice], None]:
        function, parameters, _, origin = value.payload
        b, k = self.place[v]
        inputs = [self.place[i] for i in value.inputs]
        describe = self.reader.segment
        first = 0 if origin is None else self.start - origin

        def run(w: Worker, c: Slice) -> None:
            out = w.view[b][k]
            for s in range(len(c.days)):
                lo, hi, day = int(c.starts[s]), int(c.stops[s]), int(c.days[s])
                skip = min(max(first - day, 0), hi - lo)
                out[lo : lo + skip] = np.nan
                columns = [w.view[i][j][lo + skip : hi] for i, j in inputs]
                segment: Segment = describe(int(c.codes[s]), day + skip, hi - lo - skip)
                out[lo + skip : hi] = function(segment, *columns, *parameters)

        return run

    def _kernel(self, group: list[int]) -> Callable[[Worker, Slice], None]:
        values = [self.plan.values[m] for m in group]
        name, n, parameters, _, origin = values[0].payload
        outputs = [value.payload[3] for value in values]
        b = self.place[group[0]][0]
        ix = self.place[values[0].inputs[0]]
        iy = self.place[values[0].inputs[-1]]
        function = kernel(name)
        if name == "order":
            flags = 1 if "rank" in outputs else 0
            levels = [float(o) for o in outputs if o != "rank"]
            setup = [float(len(levels)), *levels]
        else:
            flags = 0
            for output in outputs:
                flags |= _OUTPUTS[name][output] | _VARIANT.get(output, 0)
            setup = list(parameters)
        self.scratch = max(self.scratch, 8 * (n + 2) + len(setup)) if n else self.scratch
        prepared = np.array(setup, dtype=np.float64)
        first = 0 if origin is None else self.start - origin

        def run(w: Worker, c: Slice) -> None:
            starts, days = c.starts, c.days
            if first > 0:
                skip = np.minimum(np.maximum(first - days, 0), c.stops - starts)
                for k in range(len(group)):
                    for s in np.flatnonzero(skip):
                        w.view[b][k][starts[s] : starts[s] + skip[s]] = np.nan
                starts, days = starts + skip, days + skip
            work = w.work(int((c.stops - c.starts).max()) if n == 0 else 0)
            work[: len(prepared)] = prepared
            function(
                w.address(ix), w.address(iy), starts.ctypes.data, c.stops.ctypes.data, days.ctypes.data,
                len(starts), n, flags, w.address((b, 0)), w.capacity, work.ctypes.data,
            )  # fmt: skip

        return run

    def _output(self, v: int) -> Callable[[Worker, Slice], None]:
        (b, k), column = self.place[v], self.columns[v]
        if self.block:
            return lambda w, c: np.copyto(w.view[0][column], w.view[b][k], casting="unsafe")
        return lambda w, c: w.emit(column, w.view[b][k])


class Worker:
    """Buffers of one thread.

    Parameters
    ----------
    program : Program
        Steps to run.
    capacity : int
        Rows of the longest chunk.
    """

    def __init__(self, program: Program, capacity: int) -> None:
        self.program = program
        self.capacity = (capacity + 15) // 16 * 16 + 16 * 5  # no power of two between columns
        self.base = [np.empty((k, self.capacity), _TYPES[kind]) for kind, k in program.buffers]
        self._addresses = [a.ctypes.data for a in self.base]
        self._step = [a.strides[0] for a in self.base]
        self._work = np.empty(program.scratch + 8, np.float64)
        self.view: list[Any] = []
        self.emit: Callable[[int, np.ndarray], None] = lambda column, values: None
        self._edges: dict[int, np.ndarray] = {}

    def run(self, chunk: Slice, emit: Callable[[int, np.ndarray], None] | None = None) -> None:
        """Compute one chunk; without a block, `emit` receives each wanted column."""
        n = chunk.rows
        self.view = [[row[:n] for row in a] for a in self.base]
        self.emit = emit or self.emit
        self._edges = {}
        with np.errstate(all="ignore"):
            for step in self.program.steps:
                step(self, chunk)

    def address(self, slot: tuple[int, int]) -> int:
        """Return the address of a buffer's column."""
        return self._addresses[slot[0]] + slot[1] * self._step[slot[0]]

    def work(self, rows: int) -> np.ndarray:
        """Return scratch space for kernels."""
        if len(self._work) < 8 * (rows + 4):
            self._work = np.empty(8 * (rows + 4), np.float64)
        return self._work

    def edge(self, chunk: Slice, rows: int) -> np.ndarray:
        """Return the rows that have no row `rows` before (after, if negative) them in their segment."""
        found = self._edges.get(rows)
        if found is None:
            k = np.arange(abs(rows))
            if rows > 0:
                at = chunk.starts[:, None] + k
                found = at[at < chunk.stops[:, None]]
            else:
                at = chunk.stops[:, None] - 1 - k
                found = at[at >= chunk.starts[:, None]]
            self._edges[rows] = found
        return found


def _binary(function: np.ufunc, slots: list[Any], scalars: Any, b: int, k: int) -> Callable[[Worker, Slice], None]:
    left, right = slots
    x, y = scalars
    if left is not None and right is not None:
        (lb, lk), (rb, rk) = left, right
        return lambda w, c: function(w.view[lb][lk], w.view[rb][rk], out=w.view[b][k])
    if left is not None:
        lb, lk = left
        return lambda w, c: function(w.view[lb][lk], y, out=w.view[b][k])
    rb, rk = right
    return lambda w, c: function(x, w.view[rb][rk], out=w.view[b][k])


def _fits_block(value: Value, uses: int) -> bool:
    """Return whether a value can be computed in its column of the block, in float32."""
    if value.op == "kernel":
        return False
    return value.kind == SINGLE or (value.kind == DOUBLE and value.op in ("element", "where") and uses == 0)


def _ordered(values: Sequence[Value], wanted: Sequence[int]) -> list[int]:
    """Return the values needed for `wanted`, inputs first, each shortly before its first use."""
    seen: set[int] = set()
    order: list[int] = []
    for top in wanted:
        stack = [(top, False)]
        while stack:
            v, ready = stack.pop()
            if ready:
                order.append(v)
            elif v not in seen:
                seen.add(v)
                stack.append((v, True))
                if values[v].op != "kept":
                    stack.extend((i, False) for i in reversed(values[v].inputs) if i not in seen)
    done: set[int] = set()
    return [v for v in order if not (v in done or done.add(v))]  # type: ignore[func-returns-value]


def _kernel_groups(values: Sequence[Value], order: Sequence[int]) -> dict[int, list[int]]:
    """Return the kernel values that one call computes, by each of them, in the order of the kernel's outputs."""
    found: dict[Any, list[int]] = {}
    for v in order:
        value = values[v]
        if value.op == "kernel":
            name, n, parameters, output, origin = value.payload
            variant = name == "extremes" and output in ("min", "argmin")
            found.setdefault((name, value.inputs, n, parameters, origin, variant), []).append(v)
    groups: dict[int, list[int]] = {}
    for (name, *_), members in found.items():
        if name == "order":
            members.sort(key=lambda v: (values[v].payload[3] != "rank", str(values[v].payload[3])))
        else:
            members.sort(key=lambda v: _OUTPUTS[name][values[v].payload[3]])
        groups.update(dict.fromkeys(members, members))
    return groups
