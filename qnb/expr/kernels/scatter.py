"""From columns of a chunk to rows of the result."""

from __future__ import annotations

from .types import F4, I8, NAN, F4Stream

__all__ = ["scatter", "scatter_wide"]


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


def scatter_wide(
    src: F4, stride: int, columns: I8, count: int, places: I8, targets: I8, rows: int, dst: F4Stream, width: int
) -> None:
    """Do the same for rows of several cache lines, past the caches: what is written is not read again soon.

    Two rows at a time share what is loaded; more would exceed the processor's buffers for such writes.
    """
    for r in range(0, rows - 1, 2):
        p = places[r]
        q = places[r + 1]
        t = targets[r] * width
        u = targets[r + 1] * width
        if p >= 0 and q >= 0:
            for c in range(count):
                at = columns[c] * stride
                dst[t + c] = src[at + p]
                dst[u + c] = src[at + q]
        else:
            for c in range(count):
                at = columns[c] * stride
                a = NAN
                b = NAN
                if p >= 0:
                    a = src[at + p]
                if q >= 0:
                    b = src[at + q]
                dst[t + c] = a
                dst[u + c] = b
    if rows % 2:
        p = places[rows - 1]
        t = targets[rows - 1] * width
        for c in range(count):
            a = NAN
            if p >= 0:
                a = src[columns[c] * stride + p]
            dst[t + c] = a
