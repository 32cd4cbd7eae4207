"""Exponentially weighted means."""

from __future__ import annotations

from .types import F8, I8, NAN
from .windows import finite

__all__ = ["decay"]


def decay(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Exponentially weighted mean since the segment's start; ``work[0]`` is the weight of today's value.

    Weights are adjusted for the finite start and decay through rows without a value, which keep the last mean.
    """
    keep = 1.0 - work[0]
    for s in range(segments):
        mean = NAN
        old = 1.0
        for i in range(starts[s], stops[s]):
            v = x[i]
            ok = finite(v)
            if mean != mean:
                if ok:
                    mean = v
            else:
                old *= keep
                if ok:
                    if mean != v:
                        mean = (old * mean + v) / (old + 1.0)
                    old += 1.0
            out[i] = mean
