"""Largest and smallest value of a window, and where they are."""

from __future__ import annotations

from .types import F8, I8, INF, NAN
from .windows import block_at, finite

__all__ = ["extremes"]


def extremes(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Flags: 1 largest finite value, 2 its place in the window (1 is the oldest row); flag 4: smallest instead.

    The place is the earliest on ties, and that of the first missing value if the window has one;
    NaN without a finite value.
    """
    want_value = flags & 1
    want_place = flags & 2
    sign = -1.0 if flags & 4 else 1.0
    at_place = stride if want_value else 0
    for s in range(segments):
        lo = starts[s]
        hi = stops[s]
        if n > 0:
            step = n
            b = lo - days[s] % n
        else:
            step = hi - lo + 1
            b = lo
        while b < hi:
            first, last, reach = block_at(b, step, lo, hi, n)
            best = -INF
            place = -1.0
            gap = -1.0
            work[0] = best
            work[1] = place
            work[2] = gap
            for m in range(1, reach + 1):
                p = first - m
                v = x[p] * sign
                ok = finite(v)
                gap = gap if ok else float(p)
                better = ok and v >= best
                best = v if better else best
                place = float(p) if better else place
                work[3 * m] = best
                work[3 * m + 1] = place
                work[3 * m + 2] = gap
            best = -INF
            place = -1.0
            gap = -1.0
            for i in range(first, last):
                v = x[i] * sign
                ok = finite(v)
                if not ok and gap < 0.0:
                    gap = float(i)
                better = ok and v > best
                best = v if better else best
                place = float(i) if better else place
                m = min(b + step - 1 - i, reach)
                before = work[3 * m]
                there = work[3 * m + 1]
                hole = work[3 * m + 2]
                older = before >= best
                top = before if older else best
                if want_value:
                    out[i] = top * sign if top > -INF else NAN
                if want_place:
                    k = i - n + 1
                    if k < lo or n == 0:
                        k = lo
                    where = there if older else place
                    where = gap if gap >= 0.0 else where
                    where = hole if hole >= 0.0 else where
                    out[at_place + i] = where - float(k) + 1.0 if top > -INF else NAN
            b += step
