"""Variance and standard deviation over a window."""

from __future__ import annotations

from math import sqrt

from .types import F8, NAN
from .windows import State, finite, inlined, windows

__all__ = ["moments"]


@inlined
def _present(x: F8, y: F8, i: int) -> bool:
    return finite(x[i])


@inlined
def _add(state: State, x: F8, y: F8, i: int, pivot: int, first: int) -> State:
    count, d1, d2 = state
    d = x[i] - x[pivot]
    ok = finite(d)
    d = d if ok else 0.0
    return count + (1.0 if ok else 0.0), d1 + d, d2 + d * d


@inlined
def _keep(work: F8, m: int, state: State) -> None:
    k = 3 * m
    work[k], work[k + 1], work[k + 2] = state


@inlined
def _join(state: State, work: F8, m: int) -> State:
    count, d1, d2 = state
    k = 3 * m
    return count + work[k], d1 + work[k + 1], d2 + work[k + 2]


@inlined
def _emit(
    state: State, x: F8, y: F8, i: int, pivot: int, first: int, start: int, flags: int, out: F8, stride: int
) -> None:
    count, d1, d2 = state
    var = (d2 - d1 * d1 / count) / (count - 1.0)
    var = var if var > 0.0 else 0.0
    var = var if count > 1.0 else NAN
    if flags & 1:
        out[i] = var
        i += stride
    if flags & 2:
        out[i] = sqrt(var)


moments = windows((0.0,) * 3, _present, _add, _keep, _join, _emit)
"""Flags: 1 variance, 2 standard deviation (ddof 1) of the finite values; NaN below two."""
