"""Kernels over ragged rows, one file each: plain loops over pointers, which numba compiles (`qnb.expr.native`).

Every kernel walks the segments ``starts[s]:stops[s]`` of `x` (and `y`), each being consecutive calendar rows of one
instrument; ``days[s]`` is the calendar position of a segment's first row. A window is the last `n` rows up to the row
itself, cut at the segment's start; ``n = 0`` is everything since the segment's start. Results go to
``out[k * stride + row]``, one slot k for each bit set in `flags`, in the order of the bits. `work` is scratch.

Running sums would lose digits. Instead, rows are cut into blocks of `n`: a window consists of the end of one block and
the beginning of the next, so its sums are a suffix sum plus a prefix sum and nothing is ever subtracted (van Herk,
Pattern Recognition Letters 13, 1992). Blocks are aligned to the calendar, so a result does not depend on the range
that was asked for. Sums of squares are taken around the value at the block's start, which lies in every window of the
block; where it is missing, each window is summed by itself around its first value. So a constant window has variance 0
exactly.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

__all__ = ["KERNELS", "source_of"]

_WINDOW = "ddqqqnnndnd"

KERNELS = {
    "sums": _WINDOW, "moments": _WINDOW, "linear": _WINDOW, "extremes": _WINDOW, "order": _WINDOW, "pairs": _WINDOW,
    "shape": _WINDOW, "decay": _WINDOW, "scatter": "fnqnqqnfn",
}  # fmt: skip
"""Names of the kernels, each a function of that name in a file of that name, and the kinds of their parameters.

Pointers to float64 (d), float32 (f) and int64 (q); n is a whole number.
"""


def source_of(name: str) -> Callable[..., None]:
    """Return a kernel as the Python function that it is written as; loads numba."""
    return getattr(importlib.import_module(f"{__name__}.{name}"), name)
