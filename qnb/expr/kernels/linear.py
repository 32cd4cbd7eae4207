"""Least squares of a window on the row number."""

from __future__ import annotations

from .types import F8, I8, NAN

__all__ = ["linear"]


def linear(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Flags: 1 slope, 2 R squared, 4 residual at the last row, of least squares on the row number.

    Missing rows are dropped but keep their number. An infinite value makes every window it is in NaN. Flag 8: R squared
    is NaN where the standard deviation is at most 2e-5.
    """
    want_slope = flags & 1
    want_rsq = flags & 2
    want_resi = flags & 4
    masked = flags & 8
    at_rsq = stride if want_slope else 0
    at_resi = at_rsq + (stride if want_rsq else 0)
    for s in range(segments):
        lo = starts[s]
        hi = stops[s]
        if n > 0:
            step = n
            b = lo - days[s] % n
        else:
            step = hi - lo + 1
            b = lo
            while b < hi and x[b] != x[b]:
                if want_slope:
                    out[b] = NAN
                if want_rsq:
                    out[at_rsq + b] = NAN
                if want_resi:
                    out[at_resi + b] = NAN
                b += 1
            lo = b
        while b < hi:
            first = b if b > lo else lo
            last = b + step
            if last > hi:
                last = hi
            pivot = x[first]
            direct = pivot != pivot
            reach = 0
            if not direct:
                reach = first - lo
                if reach > n - 1:
                    reach = n - 1
                if n == 0:
                    reach = 0
                for k in range(6):
                    work[k] = 0.0
                c = 0.0
                u1 = 0.0
                u2 = 0.0
                d1 = 0.0
                d2 = 0.0
                ud = 0.0
                for m in range(1, reach + 1):
                    d = x[first - m] - pivot
                    ok = d == d
                    w = 1.0 if ok else 0.0
                    d = d if ok else 0.0
                    u = -float(m)
                    c += w
                    u1 += w * u
                    u2 += w * u * u
                    d1 += d
                    d2 += d * d
                    ud += u * d
                    work[6 * m] = c
                    work[6 * m + 1] = u1
                    work[6 * m + 2] = u2
                    work[6 * m + 3] = d1
                    work[6 * m + 4] = d2
                    work[6 * m + 5] = ud
            c = 0.0
            u1 = 0.0
            u2 = 0.0
            d1 = 0.0
            d2 = 0.0
            ud = 0.0
            for i in range(first, last):
                u = float(i - first)
                if direct:
                    k = i - n + 1
                    if k < lo:
                        k = lo
                    f0 = 0.0
                    f1 = 0.0
                    f2 = 0.0
                    e1 = 0.0
                    e2 = 0.0
                    eu = 0.0
                    centre = 0.0
                    while k <= i:
                        v = x[k]
                        if v == v:
                            if f0 == 0.0:
                                centre = v
                            d = v - centre
                            g = float(k - first)
                            f0 += 1.0
                            f1 += g
                            f2 += g * g
                            e1 += d
                            e2 += d * d
                            eu += g * d
                        k += 1
                else:
                    centre = pivot
                    d = x[i] - pivot
                    ok = d == d
                    w = 1.0 if ok else 0.0
                    d = d if ok else 0.0
                    c += w
                    u1 += w * u
                    u2 += w * u * u
                    d1 += d
                    d2 += d * d
                    ud += u * d
                    m = b + step - 1 - i
                    if m > reach:
                        m = reach
                    f0 = c + work[6 * m]
                    f1 = u1 + work[6 * m + 1]
                    f2 = u2 + work[6 * m + 2]
                    e1 = d1 + work[6 * m + 3]
                    e2 = d2 + work[6 * m + 4]
                    eu = ud + work[6 * m + 5]
                num = f0 * eu - f1 * e1
                den = f0 * f2 - f1 * f1
                few = f0 < 1.5 or e2 - e2 != 0.0  # an infinite value makes the squares infinite
                slope = NAN if few else num / den
                if want_slope:
                    out[i] = slope
                if want_rsq:
                    spread = f0 * e2 - e1 * e1
                    r2 = num * num / (den * spread)
                    if masked and spread / (f0 * (f0 - 1.0)) <= 4e-10:
                        r2 = NAN
                    out[at_rsq + i] = NAN if few else r2
                if want_resi:
                    out[at_resi + i] = (x[i] - centre) - (e1 / f0 + slope * (u - f1 / f0))
            b += step
