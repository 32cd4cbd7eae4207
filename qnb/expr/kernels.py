"""Kernels over ragged rows, written in the part of Python that numba compiles, on bare pointers.

Every kernel walks the segments ``starts[s]:stops[s]`` of `x` (and `y`), each being consecutive calendar rows of one
instrument; ``days[s]`` is the calendar position of a segment's first row. A window is the last `n` rows up to the row
itself, cut at the segment's start; ``n = 0`` is everything since the segment's start. Results go to
``out[k * stride + row]``, one slot k for each bit set in `flags`, in the order of the bits. `work` is scratch.

Running sums would lose digits. Instead, rows are cut into blocks of `n`: a window consists of the end of one block and
the beginning of the next, so its sums are a suffix sum plus a prefix sum and nothing is ever subtracted (van Herk,
Pattern Recognition Letters 13, 1992). Blocks are aligned to the calendar, so a result does not depend on the range that
was asked for. Sums of squares are taken around the value at the block's start, which lies in every window of the block;
where it is missing, each window is summed by itself around its first value. So a constant window has variance 0 exactly.
"""

from __future__ import annotations

from math import sqrt

__all__ = ["SOURCES"]

NAN = float("nan")
INF = float("inf")


def sums(x, y, starts, stops, days, segments, n, flags, out, stride, work):  # type: ignore[no-untyped-def]
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


def moments(x, y, starts, stops, days, segments, n, flags, out, stride, work):  # type: ignore[no-untyped-def]
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


def linear(x, y, starts, stops, days, segments, n, flags, out, stride, work):  # type: ignore[no-untyped-def]
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
                few = f0 < 1.5
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


def extremes(x, y, starts, stops, days, segments, n, flags, out, stride, work):  # type: ignore[no-untyped-def]
    """Flags: 1 largest finite value, 2 its place in the window (1 is the oldest row); flag 4: smallest instead.

    The place is the earliest on ties, and that of the first missing value if the window has one;
    NaN without a finite value.
    """
    want_value = flags & 1
    want_place = flags & 2
    sign = -1.0 if flags & 4 else 1.0
    at_place = stride if want_value else 0
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
            best = -INF
            place = -1.0
            gap = -1.0
            work[0] = best
            work[1] = place
            work[2] = gap
            for m in range(1, reach + 1):
                p = first - m
                v = x[p] * sign
                ok = v - v == 0.0
                gap = gap if ok else float(p)
                better = ok and v >= best
                best = v if better else best
                place = float(p) if better else place
                work[3 * m] = best
                work[3 * m + 1] = place
                work[3 * m + 2] = gap
            best = -INF
            place = -1.0
            gap = -1.0
            last = b + step
            if last > hi:
                last = hi
            for i in range(first, last):
                v = x[i] * sign
                ok = v - v == 0.0
                if not ok and gap < 0.0:
                    gap = float(i)
                better = ok and v > best
                best = v if better else best
                place = float(i) if better else place
                m = b + step - 1 - i
                if m > reach:
                    m = reach
                before = work[3 * m]
                there = work[3 * m + 1]
                hole = work[3 * m + 2]
                older = before >= best
                top = before if older else best
                if want_value:
                    out[i] = top * sign if top > -INF else NAN
                if want_place:
                    k = i - n + 1
                    if k < lo or n == 0:
                        k = lo
                    where = there if older else place
                    where = gap if gap >= 0.0 else where
                    where = hole if hole >= 0.0 else where
                    out[at_place + i] = where - float(k) + 1.0 if top > -INF else NAN
            b += step


def order(x, y, starts, stops, days, segments, n, flags, out, stride, work):  # type: ignore[no-untyped-def]
    """Flag 1: percentile rank of the row's value among the finite values; then ``work[0]`` quantiles.

    Quantile q is taken linearly at q * (count - 1) of the sorted values; q = -1 is the median. The sorted window is
    kept in `work` after the quantiles.
    """
    want_rank = flags & 1
    quantiles = int(work[0])
    base = 1 + quantiles
    at_quantile = stride if want_rank else 0
    for s in range(segments):
        lo = starts[s]
        hi = stops[s]
        size = 0
        for i in range(lo, hi):
            v = x[i]
            fresh = v - v == 0.0
            gone = False
            old = 0.0
            if n > 0 and i - n >= lo:
                old = x[i - n]
                gone = old - old == 0.0
            r = 0
            if gone:
                for k in range(size):
                    held = work[base + k]
                    r += 1 if held < old else 0
            p = 0
            if fresh:
                for k in range(size):
                    held = work[base + k]
                    p += 1 if held < v else 0
            if gone and fresh:
                if p > r:
                    p -= 1
                    for k in range(r, p):
                        work[base + k] = work[base + k + 1]
                else:
                    for k in range(r, p, -1):
                        work[base + k] = work[base + k - 1]
                work[base + p] = v
            elif fresh:
                for k in range(size, p, -1):
                    work[base + k] = work[base + k - 1]
                work[base + p] = v
                size += 1
            elif gone:
                size -= 1
                for k in range(r, size):
                    work[base + k] = work[base + k + 1]
            if want_rank:
                equal = 0
                while p + equal < size and work[base + p + equal] == v:
                    equal += 1
                out[i] = (float(p) + (float(equal) + 1.0) * 0.5) / float(size) if fresh else NAN
            for q in range(quantiles):
                level = work[1 + q]
                at = at_quantile + q * stride + i
                if size == 0:
                    out[at] = NAN
                elif level < 0.0:
                    half = size // 2
                    top = work[base + half]
                    if size % 2:
                        out[at] = top
                    else:
                        out[at] = (work[base + half - 1] + top) * 0.5
                else:
                    where = level * float(size - 1)
                    k = int(where)
                    below = work[base + k]
                    if k + 1 < size:
                        below += (work[base + k + 1] - below) * (where - float(k))
                    out[at] = below


def pairs(x, y, starts, stops, days, segments, n, flags, out, stride, work):  # type: ignore[no-untyped-def]
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


def scatter(src, stride, columns, count, places, targets, rows, dst, width):  # type: ignore[no-untyped-def]
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


SOURCES = {f.__name__: f for f in (sums, moments, linear, extremes, order, pairs)}
"""Kernels of the common signature by name."""
