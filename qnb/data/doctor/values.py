"""Checks of one instrument's values, vectorised over its days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .report import Finding
from .structure import Instrument

__all__ = ["Limits", "check_values"]


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on the doctor speaks up.

    Attributes
    ----------
    jump : float
        Move of a day, up or (as its inverse) down, that is a jump: 0.5 is +50 % or -33 %.
    split : float
        How near to a simple ratio (1:2, 2:3 ...) a move must be to look like a split, relative.
    gap : int
        Days without a price that are a long gap.
    stale : int
        Days with one and the same close, with volume, that are too many.
    range_tolerance : float
        How far outside low and high a price may lie, relative.
    change_tolerance : float
        How far `change` may be from the computed one.
    """

    jump: float = 0.5
    split: float = 0.015
    gap: int = 120
    stale: int = 15
    range_tolerance: float = 1e-3
    change_tolerance: float = 2e-3


_SPLITS = np.array([3 / 2, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100])
_PRICES = ("open", "high", "low", "close", "vwap")
_NEAR_ROWS, _NEAR_DAYS = 6, 15  # rows and calendar days over which a move still counts as that of one day


def check_values(instrument: Instrument, days: np.ndarray, texts: Sequence[str], limits: Limits) -> Iterator[Finding]:
    """Yield what is wrong with the values of an instrument.

    Parameters
    ----------
    instrument : Instrument
        Its fields.
    days : ndarray of datetime64[s], shape (days,)
        The calendar.
    texts : sequence of str
        The calendar as text.
    limits : Limits
        Thresholds.
    """
    look = _Look(instrument, days, texts)
    close = look.fields.get("close")
    yield from _empty_fields(look)
    yield from _impossible(look)
    if close is None:
        return
    known = np.flatnonzero(np.isfinite(close) & (close > 0))
    if not len(known):
        return
    yield from _range(look, limits)
    yield from _gaps(look, known, limits)
    yield from _moves(look, known, limits)
    yield from _beside_close(look)
    yield from _volume(look, known, limits)


class _Look:
    """An instrument with what findings are made of."""

    def __init__(self, instrument: Instrument, days: np.ndarray, texts: Sequence[str]) -> None:
        self.symbol, self.start, self._texts = instrument.symbol, instrument.start, texts
        self.days = days[instrument.start : instrument.stop].astype("datetime64[D]").astype(np.int64)
        self.fields = {name: values.astype(np.float64) for name, values in instrument.fields.items()}

    def day(self, row: int) -> str:
        """Return the day of a row as text."""
        return self._texts[self.start + row]

    def found(self, check: str, rows: np.ndarray, value: Callable[[int], str], worst: int | None = None) -> Finding:
        """Return a finding on `rows`, with the value of the row `worst` (by default the first)."""
        first, last = self.day(int(rows[0])), self.day(int(rows[-1]))
        at = int(rows[0]) if worst is None else worst
        when = "" if worst is None or at == int(rows[0]) or len(rows) == 1 else f" on {self.day(at)}"
        return Finding(check, self.symbol, len(rows), first, last, value(at) + when)


def _empty_fields(look: _Look) -> Iterator[Finding]:
    empty = [name for name, values in look.fields.items() if not np.isfinite(values).any()]
    if empty:
        yield Finding("all_nan", look.symbol, value=", ".join(empty))


def _impossible(look: _Look) -> Iterator[Finding]:
    for name, values in look.fields.items():
        rows = np.flatnonzero(np.isinf(values))
        if len(rows):
            yield look.found("infinite", rows, lambda i, n=name: n)  # type: ignore[misc]
        if name in _PRICES:
            check, bad = "not_positive", values <= 0
        elif name == "factor":
            check, bad = "bad_factor", values <= 0
        elif name == "volume":
            check, bad = "negative_volume", values < 0
        else:
            continue
        rows = np.flatnonzero(bad)
        if len(rows):
            yield look.found(check, rows, lambda i, n=name, v=values: f"{n} {v[i]:g}")  # type: ignore[misc]


def _range(look: _Look, limits: Limits) -> Iterator[Finding]:
    high, low = look.fields.get("high"), look.fields.get("low")
    if high is None or low is None:
        return
    slack = limits.range_tolerance
    rows = np.flatnonzero(high < low * (1 - 1e-6))
    if len(rows):
        yield look.found("high_below_low", rows, lambda i: f"high {high[i]:.6g} < low {low[i]:.6g}")
    sane = high >= low
    for name in ("open", "close", "vwap"):
        price = look.fields.get(name)
        if price is None:
            continue
        over = np.maximum(price / high - 1, 1 - price / low)
        rows = np.flatnonzero(sane & (price > 0) & (over > slack))
        if len(rows):
            worst = int(rows[np.argmax(over[rows])])
            yield look.found(
                "outside_range",
                rows,
                lambda i, n=name, p=price: f"{n} {p[i]:.6g} outside {low[i]:.6g} .. {high[i]:.6g}",  # type: ignore[misc]
                worst,
            )


def _gaps(look: _Look, known: np.ndarray, limits: Limits) -> Iterator[Finding]:
    missing = np.diff(known) - 1
    for k in np.flatnonzero(missing >= limits.gap).tolist():
        a, b = int(known[k]) + 1, int(known[k + 1]) - 1
        yield Finding("gap", look.symbol, int(missing[k]), look.day(a), look.day(b), "without a price")


def _moves(look: _Look, known: np.ndarray, limits: Limits) -> Iterator[Finding]:
    close = look.fields["close"]
    now, before = known[1:], known[:-1]
    ratio = close[now] / close[before]
    size = np.maximum(ratio, 1 / ratio)
    big = size > 1 + limits.jump - 0.02  # a split of 3:2 is just a jump
    near = (now - before <= _NEAR_ROWS) & (look.days[now] - look.days[before] <= _NEAR_DAYS)
    if big.any():
        factor = look.fields.get("factor")
        step = np.ones(len(now)) if factor is None else factor[now] / factor[before]
        step = np.where(np.isfinite(step) & (step > 0), step, 1.0)
        moved = np.maximum(step, 1 / step) > 1.01
        with_factor = np.minimum(np.abs(ratio / step - 1), np.abs(ratio * step - 1)) < 0.12
        simple = (np.abs(size[:, None] / _SPLITS - 1) < limits.split).any(axis=1)
        kinds = {
            "factor_jump": big & near & moved & with_factor,
            "split": big & near & ~moved & simple,
            "jump": big & near & (size > 1 + limits.jump) & ~(moved & with_factor) & ~(~moved & simple),
            "jump_after_gap": big & ~near & (size > 2),
        }
        for check, mask in kinds.items():
            if mask.any():
                worst = int(now[mask][np.argmax(size[mask])])
                at = dict(zip(now.tolist(), ratio.tolist(), strict=True))
                yield look.found(check, now[mask], lambda i, r=at: f"close x {r[i]:.3g}", worst)  # type: ignore[misc]
    change = look.fields.get("change")
    if change is not None:
        given = change[now]
        wrong = np.abs(given - (ratio - 1)) > limits.change_tolerance * np.maximum(1, size)
        rows = now[wrong & np.isfinite(given)]
        if len(rows):
            computed = dict(zip(now.tolist(), (ratio - 1).tolist(), strict=True))
            yield look.found("change_differs", rows, lambda i: f"change {change[i]:.4f}, computed {computed[i]:.4f}")


def _beside_close(look: _Look) -> Iterator[Finding]:
    """Fields that are NaN on days that have a close; the first day has no change by nature."""
    close = np.isfinite(look.fields["close"])
    partial: list[str] = []
    rows: np.ndarray = np.zeros(len(close), dtype=bool)
    for name in ("open", "high", "low", "volume"):
        values = look.fields.get(name)
        if values is not None and np.isfinite(values).any():
            lacking = close & np.isnan(values)
            if lacking.any():
                partial.append(name)
                rows |= lacking
    if partial:
        yield look.found("partial_row", np.flatnonzero(rows), lambda i: f"without {', '.join(partial)}")
    factor = look.fields.get("factor")
    if factor is not None:
        unknown = np.flatnonzero(close & np.isnan(factor))
        if len(unknown):
            yield look.found("factor_unknown", unknown, lambda i: "factor NaN")


def _volume(look: _Look, known: np.ndarray, limits: Limits) -> Iterator[Finding]:
    volume, close = look.fields.get("volume"), look.fields["close"]
    if volume is None or not (volume > 0).any():
        return
    same = np.abs(close[known[1:]] / close[known[:-1]] - 1) < 1e-6
    dry = volume[known[1:]] == 0
    moved = known[1:][dry & ~same]
    if len(moved):
        yield look.found("no_trade", moved, lambda i: "volume 0")
    quiet = known[1:][dry & same]
    if len(quiet):
        yield look.found("idle", quiet, lambda i: "volume 0, price unchanged")
    first, stop = _longest_run(same & ~dry)
    if stop - first >= limits.stale:
        rows = known[1:][first:stop]
        yield look.found("stale", rows, lambda i: f"close {close[i]:.6g}")


def _longest_run(flags: np.ndarray) -> tuple[int, int]:
    """Return the half-open range of the longest run of True, (0, 0) without one."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    if not len(edges):
        return 0, 0
    starts, stops = edges[::2], edges[1::2]
    k = int(np.argmax(stops - starts))
    return int(starts[k]), int(stops[k])
