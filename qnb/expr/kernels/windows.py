"""What kernels share: how windows are summed by blocks, and the mark of functions that are inlined into a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from numba.extending import register_jitable

from .types import F8, I8

__all__ = ["OPTIONS", "State", "block_at", "finite", "inlined", "windows"]

State: TypeAlias = tuple[float, ...]
"""Running sums."""

_F = TypeVar("_F", bound=Callable[..., Any])

OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "arcp"}, "forceinline": True}
"""How kernels are compiled: nothing raises, a product and a sum may be fused, NaN and infinity keep their meaning."""


def inlined(function: _F) -> _F:
    """Mark a function as part of the kernels that call it; in Python it stays what it is."""
    return register_jitable(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


@inlined
def finite(v: float) -> bool:
    """Return whether a number is neither missing nor infinite."""
    return v - v == 0.0


@inlined
def block_at(b: int, step: int, lo: int, hi: int, n: int) -> tuple[int, int, int]:
    """Return a block's first row in the segment, its end, and how many rows its windows reach back before it."""
    first = max(b, lo)
    return first, min(b + step, hi), (min(first - lo, n - 1) if n > 0 else 0)


def windows(
    zero: State,
    present: Callable[..., bool],
    add: Callable[..., State],
    keep: Callable[..., None],
    join: Callable[..., State],
    emit: Callable[..., None],
) -> Callable[..., None]:
    """Return a kernel of running sums over windows.

    Parameters
    ----------
    zero : tuple of float
        Sums of nothing.
    present : callable
        ``present(x, y, row)``: whether a row's values can be what the squares of a block are taken around.
    add : callable
        ``add(sums, x, y, row, pivot, first)``: sums with one row more, around the values at row `pivot`; `first` is the
        block's first row.
    keep, join : callable
        ``keep(work, m, sums)`` puts sums into slot `m` of the scratch; ``join(sums, work, m)`` adds those to `sums`.
    emit : callable
        ``emit(sums, x, y, row, pivot, first, start, flags, out, stride)`` writes the results of the window of rows
        `start` to `row`.
    """

    def kernel(
        x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
    ) -> None:
        for s in range(segments):
            lo = starts[s]
            hi = stops[s]
            b = lo
            if n > 0:
                step = n
                b -= days[s] % n
            else:
                while b < hi and not present(x, y, b):
                    emit(zero, x, y, b, b, b, lo, flags, out, stride)
                    b += 1
                step = hi - b + 1
            while b < hi:
                first, last, reach = block_at(b, step, lo, hi, n)
                shared = present(x, y, first)
                state = zero
                keep(work, 0, state)
                if shared:
                    for m in range(1, reach + 1):
                        state = add(state, x, y, first - m, first, first)
                        keep(work, m, state)
                state = zero
                for i in range(first, last):
                    pivot = first
                    start = max(i - n + 1, lo) if n > 0 else lo
                    if shared:
                        state = add(state, x, y, i, first, first)
                        total = join(state, work, min(b + step - 1 - i, reach))
                    else:
                        pivot = start
                        while pivot < i and not present(x, y, pivot):
                            pivot += 1
                        total = zero
                        for k in range(pivot, i + 1):
                            total = add(total, x, y, k, pivot, first)
                    emit(total, x, y, i, pivot, first, start, flags, out, stride)
                b += step

    return kernel
