"""Checks of calendar and files: what must hold before a value means anything."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..writer import intraday
from .report import Finding

__all__ = ["Instrument", "check_calendar", "check_fields", "load_calendar", "load_instrument"]

LONGEST_CLOSE = 17  # calendar days; no holidays close an exchange for longer
COMMON = 0.9
"""A field that this share of the instruments has is expected of all."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """The fields of one instrument, laid side by side.

    Attributes
    ----------
    symbol : str
        Upper case.
    start : int
        Position in the calendar of the first row.
    fields : dict of str to ndarray of float32, shape (n,)
        NaN where a field has no value.
    """

    symbol: str
    start: int
    fields: dict[str, np.ndarray]

    @property
    def stop(self) -> int:
        """Position in the calendar after the last row."""
        return self.start + max((len(v) for v in self.fields.values()), default=0)


def load_calendar(path: Path) -> tuple[np.ndarray, list[Finding]]:
    """Return the days of a calendar file as they stand there (NaT for a line that is no date), and what is wrong."""
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        finding = Finding("calendar_missing", path.name, value=f"frequencies there are: {known}")
        return np.empty(0, dtype="datetime64[s]"), [finding]
    texts = [(i, line.strip()) for i, line in enumerate(lines, 1) if line.strip()]
    if not texts:
        finding = Finding("calendar_missing", path.name, value="the file is empty")
        return np.empty(0, dtype="datetime64[s]"), [finding]
    try:
        return np.array([t for _, t in texts], dtype="datetime64[s]"), []
    except ValueError:
        days = [_day_or_nat(t) for _, t in texts]
    wrong = [(i, t) for (i, t), day in zip(texts, days, strict=True) if np.isnat(day)]
    finding = Finding(
        "calendar_unreadable", path.name, days=len(wrong), value=f"line {wrong[0][0]}: {wrong[0][1][:40]!r}"
    )
    return np.array(days, dtype="datetime64[s]"), [finding]


def check_calendar(days: np.ndarray, freq: str) -> Iterator[Finding]:
    """Yield what is wrong with the order of the calendar's days."""
    name = f"{freq}.txt"
    known = days[~np.isnat(days)]
    if not len(known):
        return
    unique, count = np.unique(known, return_counts=True)
    twice = unique[count > 1]
    if len(twice):
        yield _dated("calendar_duplicate", name, twice, freq)
    back = np.flatnonzero(known[1:] < known[:-1])
    if len(back):
        at = known[back + 1]
        yield _dated("calendar_unsorted", name, at, freq, f"comes after {_text(known[back[0]], freq)}")
    dates = np.unique(known.astype("datetime64[D]"))
    weekend = dates[~np.is_busday(dates)]
    if 0 < len(weekend) < 0.05 * len(dates):  # with more of them it trades on weekends
        yield _dated("calendar_weekend", name, weekend, "day")
    wide = np.flatnonzero(np.diff(dates).astype(int) > LONGEST_CLOSE)
    for i in wide.tolist() if freq not in ("week", "month", "quarter", "year") else []:
        length = int((dates[i + 1] - dates[i]).astype(int))
        yield Finding("calendar_gap", name, length, str(dates[i]), str(dates[i + 1]), "calendar days without a bar")


def load_instrument(folder: Path, freq: str, days: int) -> tuple[Instrument | None, list[Finding]]:
    """Return the fields in `folder`, side by side, and what is wrong with the files.

    Parameters
    ----------
    folder : Path
        Features folder of the instrument.
    freq : str
        Frequency.
    days : int
        Length of the calendar.
    """
    symbol = folder.name.removeprefix("_qlib_").upper()
    suffix = f".{freq}.bin"
    raw: dict[str, tuple[int, np.ndarray]] = {}
    findings: list[Finding] = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(suffix) or name.startswith("."):
            continue
        field = name[: -len(suffix)]
        data = (folder / name).read_bytes()
        if len(data) < 4 or len(data) % 4:
            findings.append(Finding("truncated", symbol, value=f"{name}: {len(data):,} bytes"))
            continue
        values = np.frombuffer(data, dtype="<f4")
        start, values = float(values[0]), values[1:]
        if not (0 <= start < max(days, 1)) or start != int(start):
            findings.append(Finding("bad_start", symbol, value=f"{name}: starts at {start:g}, calendar has {days:,}"))
            continue
        beyond = int(start) + len(values) - days
        if beyond > 0:
            findings.append(Finding("too_long", symbol, value=f"{name}: {beyond:,} values too many"))
            values = values[: len(values) - beyond]
        raw[field] = int(start), values
    if not raw:
        if not findings:
            findings.append(Finding("no_data", symbol))
        return None, findings
    return _side_by_side(symbol, raw, findings), findings


def check_fields(fields: dict[str, frozenset[str]], torn: frozenset[tuple[str, str]]) -> Iterator[Finding]:
    """Yield instruments that lack a field that most have.

    Parameters
    ----------
    fields : dict of str to frozenset of str
        Fields of each instrument.
    torn : frozenset of (str, str)
        Instruments and fields that are reported for another reason.
    """
    count = Counter(name for names in fields.values() for name in names)
    expected = {name for name, n in count.items() if n >= COMMON * len(fields)}
    for symbol, names in fields.items():
        missing = sorted(n for n in expected - names if (symbol, n) not in torn)
        if missing:
            yield Finding("missing_field", symbol, value=", ".join(missing))


def _side_by_side(symbol: str, raw: dict[str, tuple[int, np.ndarray]], findings: list[Finding]) -> Instrument:
    spans = {(start, len(values)) for start, values in raw.values()}
    if len(spans) == 1:
        [(start, _)] = spans
        return Instrument(symbol, start, {name: values for name, (_, values) in raw.items()})
    start = min(a for a, _ in spans)
    stop = max(a + n for a, n in spans)
    fields = {}
    for name, (a, values) in raw.items():
        fields[name] = np.full(stop - start, np.nan, dtype=np.float32)
        fields[name][a - start : a - start + len(values)] = values
    usual = Counter((a, len(v)) for a, v in raw.values()).most_common(1)[0][0]
    odd = [name for name, (a, v) in raw.items() if (a, len(v)) != usual]
    findings.append(Finding("misaligned", symbol, value=f"{', '.join(odd)} against the other fields"))
    return Instrument(symbol, start, fields)


def _dated(check: str, subject: str, days: np.ndarray, freq: str, value: str = "") -> Finding:
    return Finding(check, subject, len(days), _text(days[0], freq), _text(days[-1], freq), value)


def _text(day: np.datetime64, freq: str) -> str:
    return str(day.astype("datetime64[s]")).replace("T", " ") if intraday(freq) else str(day.astype("datetime64[D]"))


def _day_or_nat(text: str) -> np.datetime64:
    try:
        return np.datetime64(dt.datetime.fromisoformat(text).replace(tzinfo=None), "s")
    except ValueError:
        return np.datetime64("NaT", "s")
