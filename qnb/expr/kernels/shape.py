"""Statistics that are computed window by window."""

from __future__ import annotations

from math import sqrt

from .types import F8, I8, NAN
from .windows import finite

__all__ = ["shape"]


def shape(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Window by window, without any sharing between windows, which is exact and slow.

    Flags: 1 skewness, 2 excess kurtosis (both corrected for bias), 4 mean absolute deviation from the mean, 8 mean
    weighted by place, 16 the same divided by the count as well, 32 exponentially weighted mean with span of the window.
    """
    moments_wanted = flags & 7
    for s in range(segments):
        lo = starts[s]
        hi = stops[s]
        for i in range(lo, hi):
            first = i - n + 1
            if first < lo or n == 0:
                first = lo
            count = 0.0
            total = 0.0
            pivot = 0.0
            by_place = 0.0
            weights = 0.0
            held = 0.0
            mass = 0.0
            decay = 1.0 - 2.0 / (float(i - first) + 2.0)
            for k in range(first, i + 1):
                v = x[k]
                ok = finite(v)
                if ok and count == 0.0:
                    pivot = v
                d = v - pivot if ok else 0.0
                total += d
                count += 1.0 if ok else 0.0
                place = float(k - first + 1)
                by_place += place * v if ok else 0.0
                weights += place if ok else 0.0
                held = held * decay + (v if ok else 0.0)
                mass = mass * decay + 1.0
            mean = total / count
            m2 = 0.0
            m3 = 0.0
            m4 = 0.0
            spread = 0.0
            if moments_wanted:
                for k in range(first, i + 1):
                    v = x[k]
                    ok = finite(v)
                    d = v - pivot - mean if ok else 0.0
                    spread += d if d > 0.0 else -d
                    m2 += d * d
                    m3 += d * d * d
                    m4 += d * d * d * d
            at = i
            if flags & 1:
                skew = (m3 / count) / (m2 / count * sqrt(m2 / count)) * sqrt(count * (count - 1.0)) / (count - 2.0)
                out[at] = skew if count > 2.0 else NAN
                at += stride
            if flags & 2:
                kurt = (count * count - 1.0) * (m4 / count) / (m2 / count * m2 / count) - 3.0 * (count - 1.0) * (
                    count - 1.0
                )
                out[at] = kurt / ((count - 2.0) * (count - 3.0)) if count > 3.0 else NAN
                at += stride
            if flags & 4:
                out[at] = spread / count if count > 0.0 else NAN
                at += stride
            if flags & 8:
                out[at] = by_place / weights if count > 0.0 else NAN
                at += stride
            if flags & 16:
                places = float(i - first + 1)
                out[at] = by_place / (0.5 * places * (places + 1.0)) / count if count > 0.0 else NAN
                at += stride
            if flags & 32:
                out[at] = held / mass if count > 0.0 else NAN
