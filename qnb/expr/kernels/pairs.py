"""Correlation and covariance of two columns over a window."""

from __future__ import annotations

from math import sqrt

from .types import F8, I8, NAN

__all__ = ["pairs"]


def pairs(
    x: F8, y: F8, starts: I8, stops: I8, days: I8, segments: int, n: int, flags: int, out: F8, stride: int, work: F8
) -> None:
    """Flags: 1 correlation, 2 covariance (ddof 1) over the rows where both values are finite.

    Flag 4: the correlation is NaN where either series' own standard deviation in the window is at most 2e-5.
    """
    want_corr = flags & 1
    want_cov = flags & 2
    masked = flags & 4
    at_cov = stride if want_corr else 0
    for s in range(segments):
        lo = starts[s]
        hi = stops[s]
        if n > 0:
            step = n
            b = lo - days[s] % n
        else:
            step = hi - lo + 1
            b = lo
            while b < hi and (x[b] - x[b] != 0.0 or y[b] - y[b] != 0.0):
                if want_corr:
                    out[b] = NAN
                if want_cov:
                    out[at_cov + b] = NAN
                b += 1
        while b < hi:
            first = b if b > lo else lo
            last = b + step
            if last > hi:
                last = hi
            px = x[first]
            py = y[first]
            direct = px - px != 0.0 or py - py != 0.0
            reach = 0
            if not direct:
                reach = first - lo
                if reach > n - 1:
                    reach = n - 1
                if n == 0:
                    reach = 0
                for k in range(8):
                    work[k] = 0.0
                c = 0.0
                cx = 0.0
                cy = 0.0
                sx = 0.0
                sy = 0.0
                xx = 0.0
                yy = 0.0
                xy = 0.0
                for m in range(1, reach + 1):
                    dx = x[first - m] - px
                    dy = y[first - m] - py
                    okx = dx - dx == 0.0
                    oky = dy - dy == 0.0
                    ok = okx and oky
                    cx += 1.0 if okx else 0.0
                    cy += 1.0 if oky else 0.0
                    dx = dx if ok else 0.0
                    dy = dy if ok else 0.0
                    c += 1.0 if ok else 0.0
                    sx += dx
                    sy += dy
                    xx += dx * dx
                    yy += dy * dy
                    xy += dx * dy
                    work[8 * m] = c
                    work[8 * m + 1] = cx
                    work[8 * m + 2] = cy
                    work[8 * m + 3] = sx
                    work[8 * m + 4] = sy
                    work[8 * m + 5] = xx
                    work[8 * m + 6] = yy
                    work[8 * m + 7] = xy
            c = 0.0
            cx = 0.0
            cy = 0.0
            sx = 0.0
            sy = 0.0
            xx = 0.0
            yy = 0.0
            xy = 0.0
            for i in range(first, last):
                k = i - n + 1
                if k < lo or n == 0:
                    k = lo
                start = k
                if direct:
                    g = 0.0
                    gx = 0.0
                    gy = 0.0
                    tx = 0.0
                    ty = 0.0
                    txx = 0.0
                    tyy = 0.0
                    txy = 0.0
                    qx = 0.0
                    qy = 0.0
                    while k <= i:
                        vx = x[k]
                        vy = y[k]
                        okx = vx - vx == 0.0
                        oky = vy - vy == 0.0
                        gx += 1.0 if okx else 0.0
                        gy += 1.0 if oky else 0.0
                        if okx and oky:
                            if g == 0.0:
                                qx = vx
                                qy = vy
                            dx = vx - qx
                            dy = vy - qy
                            g += 1.0
                            tx += dx
                            ty += dy
                            txx += dx * dx
                            tyy += dy * dy
                            txy += dx * dy
                        k += 1
                else:
                    dx = x[i] - px
                    dy = y[i] - py
                    okx = dx - dx == 0.0
                    oky = dy - dy == 0.0
                    ok = okx and oky
                    cx += 1.0 if okx else 0.0
                    cy += 1.0 if oky else 0.0
                    dx = dx if ok else 0.0
                    dy = dy if ok else 0.0
                    c += 1.0 if ok else 0.0
                    sx += dx
                    sy += dy
                    xx += dx * dx
                    yy += dy * dy
                    xy += dx * dy
                    m = b + step - 1 - i
                    if m > reach:
                        m = reach
                    g = c + work[8 * m]
                    gx = cx + work[8 * m + 1]
                    gy = cy + work[8 * m + 2]
                    tx = sx + work[8 * m + 3]
                    ty = sy + work[8 * m + 4]
                    txx = xx + work[8 * m + 5]
                    tyy = yy + work[8 * m + 6]
                    txy = xy + work[8 * m + 7]
                varx = (txx - tx * tx / g) / (g - 1.0)
                vary = (tyy - ty * ty / g) / (g - 1.0)
                cov = (txy - tx * ty / g) / (g - 1.0)
                few = g < 1.5
                if want_corr:
                    r = NAN if few else cov / sqrt(varx * vary)
                    if masked and not few:
                        for side in range(2):
                            own = gx if side == 0 else gy
                            var = varx if side == 0 else vary
                            if own > g:
                                e0 = 0.0
                                e1 = 0.0
                                e2 = 0.0
                                centre = 0.0
                                for j in range(start, i + 1):
                                    v = x[j]
                                    if side:
                                        v = y[j]
                                    if v - v == 0.0:
                                        if e0 == 0.0:
                                            centre = v
                                        d = v - centre
                                        e0 += 1.0
                                        e1 += d
                                        e2 += d * d
                                var = (e2 - e1 * e1 / e0) / (e0 - 1.0)
                            if var <= 4e-10:
                                r = NAN
                    out[i] = r
                if want_cov:
                    out[at_cov + i] = NAN if few else cov
            b += step
