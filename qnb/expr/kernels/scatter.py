"""From columns of a chunk to rows of the result."""

from __future__ import annotations

from .types import F4, I8, NAN

__all__ = ["scatter"]


def scatter(
    src: F4, stride: int, columns: I8, count: int, places: I8, targets: I8, rows: int, dst: F4, width: int
) -> None:
    """Write columns of a chunk into rows of the result: ``dst[targets[r], c] = src[columns[c], places[r]]``.

    Sixteen rows and sixteen columns at a time, so that both sides stay in the first-level cache. A place of -1 is NaN.
    """
    for r0 in range(0, rows, 16):
        r1 = r0 + 16
        if r1 > rows:
            r1 = rows
        for c0 in range(0, count, 16):
            c1 = c0 + 16
            if c1 > count:
                c1 = count
            for r in range(r0, r1):
                p = places[r]
                t = targets[r] * width
                if p < 0:
                    for c in range(c0, c1):
                        dst[t + c] = NAN
                else:
                    for c in range(c0, c1):
                        dst[t + c] = src[columns[c] * stride + p]
