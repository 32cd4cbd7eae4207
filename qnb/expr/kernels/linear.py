"""Least squares of a window on the row number."""

from __future__ import annotations

from .types import F8, NAN
from .windows import State, finite, inlined, windows

__all__ = ["linear"]


@inlined
def _present(x: F8, y: F8, i: int) -> bool:
    return x[i] == x[i]


@inlined
def _add(state: State, x: F8, y: F8, i: int, pivot: int, first: int) -> State:
    count, u1, u2, d1, d2, ud = state
    d = x[i] - x[pivot]
    ok = d == d
    w = 1.0 if ok else 0.0
    d = d if ok else 0.0
    u = float(i - first)
    return count + w, u1 + w * u, u2 + w * u * u, d1 + d, d2 + d * d, ud + u * d


@inlined
def _keep(work: F8, m: int, state: State) -> None:
    k = 6 * m
    work[k], work[k + 1], work[k + 2], work[k + 3], work[k + 4], work[k + 5] = state


@inlined
def _join(state: State, work: F8, m: int) -> State:
    count, u1, u2, d1, d2, ud = state
    k = 6 * m
    return count + work[k], u1 + work[k + 1], u2 + work[k + 2], d1 + work[k + 3], d2 + work[k + 4], ud + work[k + 5]


@inlined
def _emit(
    state: State, x: F8, y: F8, i: int, pivot: int, first: int, start: int, flags: int, out: F8, stride: int
) -> None:
    count, u1, u2, d1, d2, ud = state
    num = count * ud - u1 * d1
    den = count * u2 - u1 * u1
    few = count < 1.5 or not finite(d2)  # an infinite value makes the squares infinite
    slope = NAN if few else num / den
    at = i
    if flags & 1:
        out[at] = slope
        at += stride
    if flags & 2:
        spread = count * d2 - d1 * d1
        r2 = num * num / (den * spread)
        if flags & 8 and spread / (count * (count - 1.0)) <= 4e-10:
            r2 = NAN
        out[at] = NAN if few else r2
        at += stride
    if flags & 4:
        out[at] = (x[i] - x[pivot]) - (d1 / count + slope * (float(i - first) - u1 / count))


linear = windows((0.0,) * 6, _present, _add, _keep, _join, _emit)
"""Flags: 1 slope, 2 R squared, 4 residual at the last row, of least squares on the row number.

Missing rows are dropped but keep their number. An infinite value makes every window it is in NaN. Flag 8: R squared is
NaN where the standard deviation is at most 2e-5.
"""
