"""Sums and means over a window."""

from __future__ import annotations

from .types import F8, NAN
from .windows import State, finite, inlined, windows

__all__ = ["sums"]


@inlined
def _present(x: F8, y: F8, i: int) -> bool:
    return True


@inlined
def _add(state: State, x: F8, y: F8, i: int, pivot: int, first: int) -> State:
    count, total = state
    ok = finite(x[i])
    return count + (1.0 if ok else 0.0), total + (x[i] if ok else 0.0)


@inlined
def _keep(work: F8, m: int, state: State) -> None:
    work[2 * m], work[2 * m + 1] = state


@inlined
def _join(state: State, work: F8, m: int) -> State:
    count, total = state
    return count + work[2 * m], total + work[2 * m + 1]


@inlined
def _emit(
    state: State, x: F8, y: F8, i: int, pivot: int, first: int, start: int, flags: int, out: F8, stride: int
) -> None:
    count, total = state
    if flags & 1:
        out[i] = total if count > 0.0 else NAN
        i += stride
    if flags & 2:
        out[i] = total / count


sums = windows((0.0,) * 2, _present, _add, _keep, _join, _emit)
"""Flags: 1 sum, 2 mean of the finite values; NaN without one."""
