"""From columns of a chunk to rows of the result."""

from __future__ import annotations

from .types import F4, I8, NAN

__all__ = ["scatter"]


def scatter(
    src: F4, stride: int, columns: I8, count: int, places: I8, targets: I8, rows: int, dst: F4, width: int
) -> None:
    """Write columns of a chunk into rows of the result: ``dst[targets[r], c] = src[columns[c], places[r]]``.

    A place of -1 is NaN.
    """
    for r in range(rows):
        p = places[r]
        t = targets[r] * width
        if p < 0:
            for c in range(count):
                dst[t + c] = NAN
        else:
            for c in range(count):
                dst[t + c] = src[columns[c] * stride + p]
