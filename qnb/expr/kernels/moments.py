"""Variance and standard deviation over a window."""

from __future__ import annotations

from math import sqrt

from .types import F8, I8, NAN

__all__ = ["moments"]


def moments(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Flags: 1 variance, 2 standard deviation (ddof 1) of the finite values; NaN below two."""
    want_var = flags & 1
    want_std = flags & 2
    at_std = stride if want_var else 0
    for s in range(segments):
        lo = starts[s]
        hi = stops[s]
        if n > 0:
            step = n
            b = lo - days[s] % n
        else:
            step = hi - lo + 1
            b = lo
            while b < hi and x[b] - x[b] != 0.0:
                if want_var:
                    out[b] = NAN
                if want_std:
                    out[at_std + b] = NAN
                b += 1
            lo = b
        while b < hi:
            first = b if b > lo else lo
            last = b + step
            if last > hi:
                last = hi
            pivot = x[first]
            direct = pivot - pivot != 0.0
            reach = 0
            if not direct:
                reach = first - lo
                if reach > n - 1:
                    reach = n - 1
                if n == 0:
                    reach = 0
                work[0] = 0.0
                work[1] = 0.0
                work[2] = 0.0
                count = 0.0
                d1 = 0.0
                d2 = 0.0
                for m in range(1, reach + 1):
                    d = x[first - m] - pivot
                    ok = d - d == 0.0
                    d = d if ok else 0.0
                    count += 1.0 if ok else 0.0
                    d1 += d
                    d2 += d * d
                    work[3 * m] = count
                    work[3 * m + 1] = d1
                    work[3 * m + 2] = d2
            count = 0.0
            d1 = 0.0
            d2 = 0.0
            for i in range(first, last):
                if direct:
                    k = i - n + 1
                    if k < lo:
                        k = lo
                    c = 0.0
                    e1 = 0.0
                    e2 = 0.0
                    centre = NAN
                    while k <= i:
                        v = x[k]
                        if v - v == 0.0:
                            if c == 0.0:
                                centre = v
                            d = v - centre
                            c += 1.0
                            e1 += d
                            e2 += d * d
                        k += 1
                else:
                    d = x[i] - pivot
                    ok = d - d == 0.0
                    d = d if ok else 0.0
                    count += 1.0 if ok else 0.0
                    d1 += d
                    d2 += d * d
                    m = b + step - 1 - i
                    if m > reach:
                        m = reach
                    c = count + work[3 * m]
                    e1 = d1 + work[3 * m + 1]
                    e2 = d2 + work[3 * m + 2]
                var = (e2 - e1 * e1 / c) / (c - 1.0)
                var = var if var > 0.0 else 0.0
                var = var if c > 1.0 else NAN
                if want_var:
                    out[i] = var
                if want_std:
                    out[at_std + i] = sqrt(var)
            b += step
