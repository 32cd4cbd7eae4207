"""Sums and means over a window."""

from __future__ import annotations

from .types import F8, I8, NAN

__all__ = ["sums"]


def sums(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Flags: 1 sum, 2 mean of the finite values; NaN without one."""
    want_sum = flags & 1
    want_mean = flags & 2
    at_mean = stride if want_sum else 0
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
            first = b if b > lo else lo
            reach = first - lo
            if reach > n - 1:
                reach = n - 1
            if n == 0:
                reach = 0
            work[0] = 0.0
            work[1] = 0.0
            count = 0.0
            total = 0.0
            for m in range(1, reach + 1):
                v = x[first - m]
                ok = v - v == 0.0
                total += v if ok else 0.0
                count += 1.0 if ok else 0.0
                work[2 * m] = count
                work[2 * m + 1] = total
            count = 0.0
            total = 0.0
            last = b + step
            if last > hi:
                last = hi
            for i in range(first, last):
                v = x[i]
                ok = v - v == 0.0
                total += v if ok else 0.0
                count += 1.0 if ok else 0.0
                m = b + step - 1 - i
                if m > reach:
                    m = reach
                c = count + work[2 * m]
                t = total + work[2 * m + 1]
                if want_sum:
                    out[i] = t if c > 0.0 else NAN
                if want_mean:
                    out[at_mean + i] = t / c
            b += step
