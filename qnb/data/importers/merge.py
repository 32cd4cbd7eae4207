"""Puts bars into a store that may hold others already: one calendar, new files only where something changed.

1. The calendar becomes the union of the old one and of all that is imported.
2. If days were put before or between old ones, every old file of the frequency is laid out anew.
3. An imported row replaces the old row of that day, whole; old rows on other days stay.
4. ``change`` is computed over the joined closes where the import does not bring it.
5. A file whose bytes would not change is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..calendar import read_calendar
from ..writer import feature_file, feature_folder, read_series, write_calendar, write_series
from .convert import Bars, change_of

__all__ = ["StoreMerge"]

_REBASED = 1e-3


class StoreMerge:
    """Writes bars into the version of a store that is being built.

    Parameters
    ----------
    build : Path
        The new version; holds the files of the old one.
    freq : str
        Frequency.
    """

    def __init__(self, build: Path, freq: str) -> None:
        self.build, self.freq = build, freq
        path = build / "calendars" / f"{freq}.txt"
        self._had_calendar = path.exists()
        empty = np.empty(0, dtype="datetime64[s]")
        self.old: np.ndarray = read_calendar(path).astype("datetime64[s]") if self._had_calendar else empty
        self.calendar: np.ndarray = self.old
        self._place = np.arange(len(self.old))

    def extend_calendar(self, times: Iterable[np.ndarray]) -> None:
        """Take in all times that will be imported; must come before `put`."""
        self.calendar = np.unique(np.concatenate([self.old, *times]))
        self._place = np.searchsorted(self.calendar, self.old)
        if len(self.calendar) > len(self.old):
            write_calendar(self.build, self.calendar, self.freq)

    @property
    def moved(self) -> bool:
        """Whether days were put before or between old ones, so that every old file has to be laid out anew."""
        return bool(len(self.old)) and bool((self._place != np.arange(len(self.old))).any())

    def lay_out_anew(self) -> None:
        """Move the values of every old file to where its days now are."""
        suffix = f".{self.freq}.bin"
        for folder in sorted(os.scandir(self.build / "features"), key=lambda e: e.name):
            for entry in sorted(os.scandir(folder.path), key=lambda e: e.name):
                if entry.name.endswith(suffix):
                    start, values = read_series(Path(entry.path))
                    start, values = self._moved(start, values)
                    write_series(Path(entry.path), start, values)

    def put(self, bars: Bars) -> tuple[str, str]:
        """Write the bars of one instrument.

        Returns
        -------
        (str, str)
            ``new``, ``changed`` or ``unchanged``, and a note or ''.
        """
        folder = feature_folder(self.build, bars.symbol)
        state = "unchanged" if folder.is_dir() else "new"
        folder.mkdir(parents=True, exist_ok=True)
        place = np.searchsorted(self.calendar, bars.times)
        note = ""
        joined: dict[str, tuple[int, np.ndarray]] = {}
        for name, values in bars.fields.items():
            old = self._old(bars.symbol, name)
            if name == "close" and old is not None:
                note = _rebased(old, place, values)
            joined[name] = _join(old, place, values)
        if "change" not in bars.fields:
            joined["change"] = self._change(bars.symbol, joined["close"], place)
        for name, (start, values) in joined.items():
            if self._write(bars.symbol, name, start, values) and state == "unchanged":
                state = "changed"
        return state, note

    def extent(self, symbol: str) -> tuple[int, int] | None:
        """Return the positions in the calendar of the first and last close of an instrument, None without one."""
        series = self._old(symbol, "close")
        if series is None:
            return None
        known = np.flatnonzero(np.isfinite(series[1]))
        return (series[0] + int(known[0]), series[0] + int(known[-1])) if len(known) else None

    def _moved(self, start: int, values: np.ndarray) -> tuple[int, np.ndarray]:
        place = self._place[start : start + len(values)]
        if not len(place):
            return start, values
        out = np.full(place[-1] - place[0] + 1, np.nan, dtype=np.float32)
        out[place - place[0]] = values[: len(place)]
        return int(place[0]), out

    def _old(self, symbol: str, name: str) -> tuple[int, np.ndarray] | None:
        path = feature_file(self.build, symbol, name, self.freq)
        return read_series(path) if path.exists() else None

    def _change(self, symbol: str, close: tuple[int, np.ndarray], place: np.ndarray) -> tuple[int, np.ndarray]:
        """The change of imported days and of the first known one after each, as its last close may be another."""
        start, values = close
        fresh = change_of(values.astype(np.float64)).astype(np.float32)
        old = self._old(symbol, "change")
        if old is None:
            return start, fresh
        known = np.flatnonzero(np.isfinite(values))
        after = known[np.minimum(np.searchsorted(known, place - start, side="right"), len(known) - 1)]
        touched = np.union1d(place - start, after)
        return _join(old, touched + start, fresh[touched])

    def _write(self, symbol: str, name: str, start: int, values: np.ndarray) -> bool:
        """Write a file unless it holds just that; returns whether it was written."""
        path = feature_file(self.build, symbol, name, self.freq)
        if path.exists():
            old_start, old = read_series(path)
            if old_start == start and old.tobytes() == values.astype("<f4").tobytes():
                return False
        write_series(path, start, values)
        return True


def _join(old: tuple[int, np.ndarray] | None, place: np.ndarray, values: np.ndarray) -> tuple[int, np.ndarray]:
    """Return old values with `values` put at the positions `place` of the calendar."""
    first, stop = int(place[0]), int(place[-1]) + 1
    if old is not None:
        first, stop = min(first, old[0]), max(stop, old[0] + len(old[1]))
    out = np.full(stop - first, np.nan, dtype=np.float32)
    if old is not None:
        out[old[0] - first : old[0] - first + len(old[1])] = old[1]
    out[place - first] = values
    return first, out


def _rebased(old: tuple[int, np.ndarray], place: np.ndarray, values: np.ndarray) -> str:
    """Return a note if the import's closes are on another base than old ones that it does not replace."""
    start, before = old
    inside = (place >= start) & (place < start + len(before))
    if not inside.any() or place[0] <= start:
        return ""
    ratio = values[inside] / before[place[inside] - start]
    ratio = ratio[np.isfinite(ratio)]
    if len(ratio) and abs(float(np.median(ratio)) - 1) > _REBASED:
        return "prices before the import are on another adjustment base; import the whole history"
    return ""
