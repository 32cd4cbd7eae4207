"""Correlation and covariance of two columns over a window."""

from __future__ import annotations

from math import sqrt

from .types import F8, NAN
from .windows import State, finite, inlined, windows

__all__ = ["pairs"]


@inlined
def _present(x: F8, y: F8, i: int) -> bool:
    return finite(x[i]) and finite(y[i])


@inlined
def _add(state: State, x: F8, y: F8, i: int, pivot: int, first: int) -> State:
    count, own_x, own_y, sx, sy, xx, yy, xy = state
    dx = x[i] - x[pivot]
    dy = y[i] - y[pivot]
    okx = finite(dx)
    oky = finite(dy)
    ok = okx and oky
    dx = dx if ok else 0.0
    dy = dy if ok else 0.0
    return (
        count + (1.0 if ok else 0.0), own_x + (1.0 if okx else 0.0), own_y + (1.0 if oky else 0.0),
        sx + dx, sy + dy, xx + dx * dx, yy + dy * dy, xy + dx * dy,
    )  # fmt: skip


@inlined
def _keep(work: F8, m: int, state: State) -> None:
    k = 8 * m
    work[k], work[k + 1], work[k + 2], work[k + 3], work[k + 4], work[k + 5], work[k + 6], work[k + 7] = state


@inlined
def _join(state: State, work: F8, m: int) -> State:
    count, own_x, own_y, sx, sy, xx, yy, xy = state
    k = 8 * m
    return (
        count + work[k], own_x + work[k + 1], own_y + work[k + 2],
        sx + work[k + 3], sy + work[k + 4], xx + work[k + 5], yy + work[k + 6], xy + work[k + 7],
    )  # fmt: skip


@inlined
def _flat(v: F8, start: int, i: int, own: float, common: float, var: float) -> bool:
    """Return whether a series of `own` values hardly varies; `var` is its variance over the `common` rows."""
    if own > common:
        count = 0.0
        d1 = 0.0
        d2 = 0.0
        centre = 0.0
        for k in range(start, i + 1):
            if finite(v[k]):
                if count == 0.0:
                    centre = v[k]
                d = v[k] - centre
                count += 1.0
                d1 += d
                d2 += d * d
        var = (d2 - d1 * d1 / count) / (count - 1.0)
    return var <= 4e-10


@inlined
def _emit(
    state: State, x: F8, y: F8, i: int, pivot: int, first: int, start: int, flags: int, out: F8, stride: int
) -> None:
    count, own_x, own_y, sx, sy, xx, yy, xy = state
    varx = (xx - sx * sx / count) / (count - 1.0)
    vary = (yy - sy * sy / count) / (count - 1.0)
    cov = (xy - sx * sy / count) / (count - 1.0)
    few = count < 1.5
    at = i
    if flags & 1:
        r = NAN if few else cov / sqrt(varx * vary)
        if flags & 4 and not few and (_flat(x, start, i, own_x, count, varx) or _flat(y, start, i, own_y, count, vary)):
            r = NAN
        out[at] = r
        at += stride
    if flags & 2:
        out[at] = NAN if few else cov


pairs = windows((0.0,) * 8, _present, _add, _keep, _join, _emit)
"""Flags: 1 correlation, 2 covariance (ddof 1) over the rows where both values are finite.

Flag 4: the correlation is NaN where either series' own standard deviation in the window is at most 2e-5.
"""
