"""The data doctor: looks through a store for what makes results wrong, and says what to do about it.

1. The calendar: readable, ascending, without holes.
2. Every file: whole, within the calendar, beside the others of its instrument.
3. Every instrument's values: prices, ranges, jumps, gaps, factors, volumes.
4. All instruments together: fields that some lack, twins, days on which nothing has a price.
5. Universes and groups against the data.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..calendar import standard_freq
from ..writer import format_times
from .checks import CHECKS, SEVERITIES, Check
from .members import check_groups, check_universe
from .report import DoctorReport, Finding, sorted_findings
from .structure import Instrument, check_calendar, check_fields, load_calendar, load_instrument
from .values import Limits, check_values

__all__ = ["CHECKS", "SEVERITIES", "Check", "DoctorReport", "Finding", "Limits", "check_store"]

_DEAD = 0.1
"""A day on which at most this share of the instruments between their first and last price has one is a dead day."""


def check_store(
    store: str | Path,
    *,
    freq: str = "day",
    limits: Limits | None = None,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> DoctorReport:
    """Look through a store for faults.

    Parameters
    ----------
    store : str or Path
        Folder of the store.
    freq : str
        Frequency to look at.
    limits : Limits, optional
        Thresholds.
    threads : int
        Instruments looked at at a time.
    progress : callable, optional
        Called with the instruments done and the instruments there are.

    Returns
    -------
    DoctorReport
        ``print`` shows it, ``to_frame()`` gives every finding as a row, ``exit_status`` is 1 if there are errors.

    Raises
    ------
    DataError
        There is no store in that folder.

    Examples
    --------
    >>> print(check_store("~/.qlib/qlib_data/cn_data"))  # doctest: +SKIP
    """
    began = time.monotonic()
    path, freq = Path(store).expanduser(), standard_freq(freq)
    if not (path / "calendars").is_dir() and not (path / "features").is_dir():
        raise DataError(f"no market data at {path}: it has neither calendars nor features")
    limits = limits or Limits()
    days, findings = load_calendar(path / "calendars" / f"{freq}.txt")
    findings += check_calendar(days, freq)
    found = _look_at_all(path, days, freq, limits, threads, progress)
    findings += found.findings
    findings += check_fields(found.fields, found.torn)
    findings += _twins(found)
    findings += _dead_days(found, days, freq)
    findings += _check_members(path, found, days)
    facts = {
        "instruments": f"{len(found.fields):,}",
        "days": f"{len(days):,}",
        "fields": f"{len({n for names in found.fields.values() for n in names})}",
        "prices": f"{found.prices:,}",
    }
    return DoctorReport(
        store=str(path),
        freq=freq,
        findings=sorted_findings(findings),
        facts=facts,
        seconds=time.monotonic() - began,
    )


@dataclass(slots=True)
class _Found:
    """What was gathered over all instruments."""

    findings: list[Finding]
    fields: dict[str, frozenset[str]]
    torn: frozenset[tuple[str, str]]
    extent: dict[str, tuple[int, int]]
    prints: dict[bytes, list[str]]
    alive: np.ndarray
    priced: np.ndarray
    prices: int = 0


def _look_at_all(
    path: Path,
    days: np.ndarray,
    freq: str,
    limits: Limits,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> _Found:
    texts = format_times(days, freq) if len(days) else []

    def look(folder: Path) -> tuple[Instrument | None, list[Finding]]:
        instrument, findings = load_instrument(folder, freq, len(days))
        if folder.name != folder.name.lower():
            findings.append(Finding("upper_case", folder.name))
        if instrument is not None:
            with np.errstate(all="ignore"):  # zeros and NaN are what it looks for
                findings += check_values(instrument, days, texts, limits)
        return instrument, findings

    features = path / "features"
    folders = sorted(Path(e.path) for e in os.scandir(features) if e.is_dir()) if features.is_dir() else []
    folders = [f for f in folders if not f.name.startswith(".")]
    found = _Found([], {}, frozenset(), {}, {}, np.zeros(len(days) + 1, np.int64), np.zeros(len(days), np.int64))
    torn: set[tuple[str, str]] = set()
    with ThreadPoolExecutor(threads) as pool:
        for number, (instrument, findings) in enumerate(pool.map(look, folders), 1):
            found.findings += findings
            torn.update((f.subject, f.value.split(".")[0]) for f in findings if f.check in ("truncated", "bad_start"))
            if instrument is not None:
                _gather(found, instrument)
            if progress is not None and (number % 50 == 0 or number == len(folders)):
                progress(number, len(folders))
    found.torn = frozenset(torn)
    return found


def _gather(found: _Found, instrument: Instrument) -> None:
    found.fields[instrument.symbol] = frozenset(instrument.fields)
    close = instrument.fields.get("close")
    if close is None:
        return
    known = np.flatnonzero(np.isfinite(close))
    if not len(known):
        return
    first, last = instrument.start + int(known[0]), instrument.start + int(known[-1])
    found.extent[instrument.symbol] = first, last
    found.alive[first] += 1
    found.alive[last + 1] -= 1
    found.priced[instrument.start + known] += 1
    found.prices += len(known)
    if len(known) > 20:
        key = blake2b(close[known[0] : known[-1] + 1].tobytes() + bytes(str(first), "ascii"), digest_size=16).digest()
        found.prints.setdefault(key, []).append(instrument.symbol)


def _twins(found: _Found) -> list[Finding]:
    return [
        Finding("twins", group[0], value=", ".join(group[1:6])) for group in found.prints.values() if len(group) > 1
    ]


def _dead_days(found: _Found, days: np.ndarray, freq: str) -> list[Finding]:
    alive = np.cumsum(found.alive[:-1])
    rows = np.flatnonzero((found.priced <= _DEAD * alive) & (alive >= 5) | (found.priced == 0))
    if not len(rows) or not found.prices:
        return []
    texts = format_times(days[rows], freq)
    share = f"{found.priced[rows[0]]:,} of {alive[rows[0]]:,} have a price"
    return [Finding("dead_day", "calendar", len(rows), texts[0], texts[-1], share)]


def _check_members(path: Path, found: _Found, days: np.ndarray) -> list[Finding]:
    extent = {symbol: (days[a], days[b]) for symbol, (a, b) in found.extent.items()}
    findings: list[Finding] = []
    for file in sorted((path / "instruments").glob("*.txt")):
        findings += check_universe(file, extent, everything=file.stem == "all")
    for file in sorted((path / "groups").glob("*.txt")):
        findings += check_groups(file, frozenset(extent))
    return findings
