"""Dates and times as files write them, as datetime64."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

__all__ = ["numbers_to_times", "text_to_times"]

_SLASHED = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})(?:[ T](.+))?")
_YEAR_FIRST = re.compile(r"(\d{4})[/.\-](\d{1,2})[/.\-](\d{1,2})(?:[ T](.+))?")
NAT = np.datetime64("NaT", "s")


def text_to_times(texts: Sequence[str | None], date_format: str | None = None) -> np.ndarray:
    """Return the times of `texts`, datetime64[s], NaT where one cannot be read. A time zone is cut off, not applied.

    Read are ISO 8601, ``20200131``, ``2020/1/31``, seconds or milliseconds since 1970, and ``31/01/2020`` or
    ``01/31/2020`` if the texts together show which comes first.

    Parameters
    ----------
    texts : sequence of str or None
        Distinct texts, as they show together how days and months are ordered.
    date_format : str, optional
        How they are written, in the codes of ``strptime``; nothing else is tried then.
    """
    day_first = None if date_format else _day_first(texts)
    return np.array([_parse(t, date_format, day_first) for t in texts], dtype="datetime64[s]")


def numbers_to_times(numbers: np.ndarray) -> np.ndarray:
    """Return the times of whole `numbers`: 20200131, or seconds, milli-, micro- or nanoseconds since 1970."""
    out = np.full(len(numbers), NAT)
    finite = np.isfinite(numbers)
    whole = np.where(finite, numbers, 0).astype(np.int64)
    size = np.abs(whole)
    dates = finite & (size >= 18000101) & (size <= 22001231)
    if dates.any():
        out[dates] = text_to_times([str(n) for n in whole[dates].tolist()])
    for low, high, unit in (
        (10**8, 10**11, "s"),
        (10**11, 10**14, "ms"),
        (10**14, 10**17, "us"),
        (10**17, 2**62, "ns"),
    ):
        chosen = finite & ~dates & (size >= low) & (size < high)
        out[chosen] = whole[chosen].astype(f"datetime64[{unit}]").astype("datetime64[s]")
    return out


@lru_cache(maxsize=200_000)
def _parse(text: str | None, date_format: str | None, day_first: bool | None) -> np.datetime64:
    try:
        text = (text or "").strip()
        if date_format:
            return _plain(dt.datetime.strptime(text, date_format))
        if text.isdigit() and len(text) != 8:
            return numbers_to_times(np.array([int(text)]))[0] if len(text) in (10, 13, 16, 19) else NAT
        match = _YEAR_FIRST.fullmatch(text)
        if match:
            return _join(match.group(1), match.group(2), match.group(3), match.group(4))
        match = _SLASHED.fullmatch(text)
        if match and day_first is not None:
            day, month = (match.group(1), match.group(2)) if day_first else (match.group(2), match.group(1))
            return _join(match.group(3), month, day, match.group(4))
        return _plain(dt.datetime.fromisoformat(text))
    except ValueError:
        return NAT


def _join(year: str, month: str, day: str, clock: str | None) -> np.datetime64:
    date = f"{year}-{int(month):02d}-{int(day):02d}"
    return _plain(dt.datetime.fromisoformat(f"{date} {clock}" if clock else date))


def _plain(stamp: dt.datetime) -> np.datetime64:
    return np.datetime64(stamp.replace(tzinfo=None, microsecond=0), "s") if 1800 <= stamp.year <= 2200 else NAT


def _day_first(texts: Sequence[str | None]) -> bool | None:
    """Return whether 01/02/2020 has the day first, None if the texts do not show it or contradict each other."""
    found = [m for m in (_SLASHED.fullmatch((t or "").strip()) for t in texts) if m]
    first = any(int(m.group(1)) > 12 for m in found)
    second = any(int(m.group(2)) > 12 for m in found)
    return None if first == second else first
