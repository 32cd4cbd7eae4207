"""Ranks and quantiles of a window."""

from __future__ import annotations

from .types import F8, I8, NAN
from .windows import finite

__all__ = ["order"]


def order(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Flag 1: percentile rank of the row's value among the finite values; then ``work[0]`` quantiles.

    Quantile q is taken linearly at q * (count - 1) of the sorted values; q = -1 is the median. The sorted window is
    kept in `work` after the quantiles.
    """
    want_rank = flags & 1
    quantiles = int(work[0])
    base = 1 + quantiles
    at_quantile = stride if want_rank else 0
    for s in range(segments):
        lo = starts[s]
        hi = stops[s]
        size = 0
        for i in range(lo, hi):
            v = x[i]
            fresh = finite(v)
            gone = False
            old = 0.0
            if n > 0 and i - n >= lo:
                old = x[i - n]
                gone = finite(old)
            r = 0
            if gone:
                for k in range(size):
                    held = work[base + k]
                    r += 1 if held < old else 0
            p = 0
            if fresh:
                for k in range(size):
                    held = work[base + k]
                    p += 1 if held < v else 0
            if gone and fresh:
                if p > r:
                    p -= 1
                    for k in range(r, p):
                        work[base + k] = work[base + k + 1]
                else:
                    for k in range(r, p, -1):
                        work[base + k] = work[base + k - 1]
                work[base + p] = v
            elif fresh:
                for k in range(size, p, -1):
                    work[base + k] = work[base + k - 1]
                work[base + p] = v
                size += 1
            elif gone:
                size -= 1
                for k in range(r, size):
                    work[base + k] = work[base + k + 1]
            if want_rank:
                equal = 0
                while p + equal < size and work[base + p + equal] == v:
                    equal += 1
                out[i] = (float(p) + (float(equal) + 1.0) * 0.5) / float(size) if fresh else NAN
            for q in range(quantiles):
                level = work[1 + q]
                at = at_quantile + q * stride + i
                if size == 0:
                    out[at] = NAN
                elif level < 0.0:
                    half = size // 2
                    top = work[base + half]
                    if size % 2:
                        out[at] = top
                    else:
                        out[at] = (work[base + half - 1] + top) * 0.5
                else:
                    where = level * float(size - 1)
                    k = int(where)
                    below = work[base + k]
                    if k + 1 < size:
                        below += (work[base + k + 1] - below) * (where - float(k))
                    out[at] = below
