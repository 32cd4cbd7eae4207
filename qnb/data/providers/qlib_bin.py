"""Reads a market data store in the qlib layout, in place and memory-mapped.

::

    calendars/<freq>.txt                     one day or time a line, ascending
    instruments/<universe>.txt               SYMBOL<TAB>first day<TAB>last day
    features/<symbol, lower case>/<field>.<freq>.bin   little-endian float32: position in the calendar, then values
    financial/<symbol, lower case>/<field>.data        point-in-time records (date, period, value, next)
    groups/<name>.txt                        SYMBOL<TAB>group
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...errors import DataError, UnknownNameError
from ...names import checked_name, is_device
from ..calendar import read_calendar, standard_freq
from ..universe import Universe, read_universe

__all__ = ["PERIOD_RECORD", "QlibBinStore"]

_LOG = logging.getLogger(__name__)

PERIOD_RECORD = np.dtype([("date", "<u4"), ("period", "<u4"), ("value", "<f8"), ("next", "<u4")])
"""One published figure: day of publication as 20200131, period as 202001 (quarter) or 2020 (year), value."""

_SMALL = 1 << 18  # a file below this size is read faster than it is mapped


class QlibBinStore:
    """A market data store of one frequency.

    Parameters
    ----------
    path : Path or str
        Folder with ``calendars``, ``features`` and ``instruments``; ``~`` is expanded.
    freq : str
        Frequency: ``day``, ``1min`` …

    Raises
    ------
    DataError
        There is no such folder, or it has no calendar of that frequency.
    """

    def __init__(self, path: Path | str, freq: str = "day") -> None:
        self.path = Path(path).expanduser()
        self.freq = standard_freq(freq)
        if not (self.path / "calendars").is_dir():
            what = "has no folder 'calendars'" if self.path.is_dir() else "does not exist"
            raise DataError(
                f"no market data at {self.path}: it {what}; "
                f"set provider_uri to a data folder, or to 'demo' for the embedded market"
            )
        self._calendar_file = self.path / "calendars" / f"{self.freq}.txt"
        self._calendar_time = _time_of(self._calendar_file)
        self.calendar: np.ndarray = read_calendar(self._calendar_file)
        self._features = self.path / "features"
        self._suffix = f".{self.freq}.bin"
        self._folders: tuple[int, dict[str, str]] | None = None
        self._fields: list[str] | None = None
        self._universes: dict[tuple[str, int], Universe] = {}
        self._files: dict[str, tuple[int, list[str]]] = {}  # folder -> its modification time, and its files
        self._starts: dict[str, tuple[int, int, int]] = {}  # file -> modification time, size, first position
        self._held: tuple[str, dict[str, tuple[int, int]]] | None = None  # fingerprint; file -> time, size
        self._holders = 0

    def __repr__(self) -> str:
        return f"QlibBinStore({str(self.path)!r}, freq={self.freq!r})"

    @property
    def is_current(self) -> bool:
        """Whether the calendar is still the one that was read: an update of the data writes it anew."""
        return _time_of(self._calendar_file) == self._calendar_time

    @property
    def fingerprint(self) -> str:
        """Content address of the data: names, sizes and modification times of every file of this frequency.

        Which folder it is says its number in the file system, so that a store that was moved with its project is the
        same, and two that were made at once are not.

        Read anew each time (about 10 microseconds a file), so that it changes as soon as the data does, but in `held`.
        """
        return self._held[0] if self._held is not None else self._survey()[0]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Look at the files once, at the start of the block, for all questions about their sizes and times in it.

        For one load out of many steps, which then all mean the same data.
        """
        if self._held is None:
            self._held = self._survey()
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._held = None

    def _survey(self) -> tuple[str, dict[str, tuple[int, int]]]:
        """Return the fingerprint, and modification time and size of every file of features."""
        seen: dict[str, tuple[int, int]] = {}
        made = hashlib.blake2b(digest_size=16)
        made.update(f"{os.stat(self.path).st_ino}\0{self.freq}\0".encode())
        made.update(self.calendar.view(np.uint8).data)
        for folder in ("instruments", "groups"):
            made.update(_stat_lines(self.path / folder, ".txt"))
        for name in sorted(self._scan().values()):
            made.update(name.encode())
            made.update(_stat_lines(f"{self._features}{os.sep}{name}", self._suffix, seen))
        financial = self.path / "financial"
        if financial.is_dir():
            for name in sorted(e.name for e in os.scandir(financial) if e.is_dir()):
                made.update(_stat_lines(financial / name, ".data"))
        return made.hexdigest(), seen

    def instruments(self) -> list[str]:
        """Return every instrument that has a features folder, sorted."""
        return sorted(self._scan())

    def has_instrument(self, symbol: str) -> bool:
        """Return whether `symbol` has a features folder."""
        return self._folder(symbol) is not None

    def fields(self) -> list[str]:
        """Return the fields (without ``$``) that at least one instrument has, sorted."""
        if self._fields is None:
            found: set[str] = set()
            for name in self._scan().values():
                found.update(n for n in os.listdir(self._features / name) if n.endswith(self._suffix))
            self._fields = sorted(n[: -len(self._suffix)] for n in found)
        return list(self._fields)

    def has_field(self, field: str) -> bool:
        """Return whether at least one instrument has `field` (without ``$``); mostly the first one does."""
        files = (self._file(symbol, field) for symbol in self._scan())
        return any(file is not None and os.path.exists(file) for file in files)

    def universes(self) -> list[str]:
        """Return the names of the universes, sorted."""
        return sorted(p.stem for p in (self.path / "instruments").glob("*.txt"))

    def universe(self, name: str) -> Universe:
        """Return a universe by name; ``all`` without a file is every instrument on every day.

        Raises
        ------
        UnknownNameError
            There is no such universe.
        DataError
            The name leads elsewhere, or its file cannot be read.
        """
        path = self.path / "instruments" / f"{checked_name('universe', name, suffix='.txt', error=DataError)}.txt"
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            if name == "all":
                span = ((self.calendar[0], self.calendar[-1]),)
                return Universe(name, dict.fromkeys(self.instruments(), span))
            raise UnknownNameError("universe", name, self.universes(), hint=f"searched in {path.parent}") from None
        key = (name, changed)
        if key not in self._universes:
            self._universes[key] = read_universe(path)
        return self._universes[key]

    def series(self, instrument: str, field: str) -> tuple[int, np.ndarray] | None:
        """Return a field of an instrument.

        Returns
        -------
        (int, ndarray of float32, shape (n,)) or None
            Position in the calendar of the first value, and the values, read-only; None if there is no such file.

        Raises
        ------
        DataError
            The file is truncated or is none of this format.
        """
        path = self._file(instrument, field)
        if path is None:
            return None
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        raw: bytes | mmap.mmap
        try:
            raw = os.read(handle, _SMALL + 4)
            if len(raw) > _SMALL:
                raw = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
        size = len(raw)
        if size < 4 or size % 4:
            raise _broken(path, size)
        start = _start(path, raw[:4])
        length = min(size // 4 - 1, max(0, len(self.calendar) - start))
        return start, np.frombuffer(raw, dtype="<f4", count=length, offset=4)

    def extent(self, instrument: str, fields: Sequence[str] | None = None) -> tuple[int, int]:
        """Return the half-open range of calendar positions in which any of `fields` (None: any field) has values.

        (0, 0) if there is none.
        """
        folder = self._folder(instrument)
        if folder is None:
            return 0, 0
        base = f"{self._features}{os.sep}{folder}"
        names = self._listing(base) if fields is None else [name.lower() + self._suffix for name in fields]
        first, stop = len(self.calendar), 0
        for name in names:
            start, length = self._head(f"{base}{os.sep}{name}")
            if length:
                first, stop = min(first, start), max(stop, start + length)
        stop = min(stop, len(self.calendar))
        return (first, stop) if first < stop else (0, 0)

    def periods(self, instrument: str, field: str) -> np.ndarray | None:
        """Return the point-in-time records of a field, dtype `PERIOD_RECORD`, ordered by publication; None without.

        Raises
        ------
        DataError
            The file is truncated.
        """
        folder = self.path / "financial" / checked_name("symbol", instrument.lower(), error=DataError)
        path = folder / f"{checked_name('field', field.lower(), suffix='.data', error=DataError)}.data"
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        if len(raw) % PERIOD_RECORD.itemsize:
            raise _broken(path, len(raw), PERIOD_RECORD.itemsize)
        return np.frombuffer(raw, dtype=PERIOD_RECORD)

    def group(self, name: str) -> Mapping[str, str]:
        """Return instrument -> group of the grouping `name` (``sector``), empty if the store has none."""
        path = self.path / "groups" / f"{checked_name('group', name, suffix='.txt', error=DataError)}.txt"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        pairs = [line.split("\t", 1) for line in lines if line.strip()]
        wrong = [i for i, p in enumerate(pairs, 1) if len(p) != 2]
        if wrong:
            raise DataError(f"{path}, line {wrong[0]}: expected SYMBOL<TAB>group")
        return {symbol.strip().upper(): group.strip() for symbol, group in pairs}

    def groups(self) -> list[str]:
        """Return the names of the groupings, sorted."""
        return sorted(p.stem for p in (self.path / "groups").glob("*.txt"))

    def _listing(self, folder: str) -> list[str]:
        """Return the files of this frequency in a features folder, read anew when the folder was changed."""
        try:
            changed = os.stat(folder).st_mtime_ns
            known = self._files.get(folder)
            if known is None or known[0] != changed:
                known = self._files[folder] = (changed, [n for n in os.listdir(folder) if n.endswith(self._suffix)])
        except FileNotFoundError:
            return []
        return known[1]

    def _head(self, path: str) -> tuple[int, int]:
        """Return the position of the first value and the number of values; read anew when the file was changed."""
        try:
            if self._held is not None:
                now = self._held[1].get(path)
                if now is None:
                    return 0, 0
            else:
                stat = os.stat(path)
                now = (stat.st_mtime_ns, stat.st_size)
            known = self._starts.get(path)
            if known is None or known[:2] != now:
                size = now[1]
                if size < 4 or size % 4:
                    raise _broken(path, size)
                handle = os.open(path, os.O_RDONLY)
                try:
                    start = _start(path, os.read(handle, 4))
                finally:
                    os.close(handle)
                known = self._starts[path] = (*now, start)
        except FileNotFoundError:
            return 0, 0
        return known[2], known[1] // 4 - 1

    def _scan(self) -> dict[str, str]:
        """Return symbol -> folder name, read anew when the features folder was changed."""
        try:
            changed = os.stat(self._features).st_mtime_ns
            if self._folders is None or self._folders[0] != changed:
                names = [e.name for e in os.scandir(self._features) if e.is_dir()]
                self._folders = (changed, {_symbol(n): n for n in names if not n.startswith(".")})
                self._fields = None
        except FileNotFoundError:
            raise DataError(f"no market data at {self.path}: it has no folder 'features'") from None
        return self._folders[1]

    def _folder(self, symbol: str) -> str | None:
        folders = self._folders[1] if self._folders is not None else {}
        return folders.get(symbol.upper()) or self._scan().get(symbol.upper())

    def _file(self, instrument: str, field: str) -> str | None:
        folder = self._folder(instrument)
        if folder is None:
            return None
        name = checked_name("field", field.lower(), suffix=self._suffix, error=DataError)
        return f"{self._features}{os.sep}{folder}{os.sep}{name}{self._suffix}"


def _symbol(folder: str) -> str:
    name = folder.removeprefix("_qlib_")  # before names that Windows refuses
    return name.upper() if is_device(name) else folder.upper()


def _start(path: Path | str, head: bytes) -> int:
    """Return the position in the calendar that the first four bytes of a file say."""
    (start,) = struct.unpack("<f", head)
    if not 0 <= start < 2**24 or start != int(start):
        raise DataError(f"{path} does not start with a position in the calendar but with {start}; write it again")
    return int(start)


def _broken(path: Path | str, size: int, unit: int = 4) -> DataError:
    return DataError(
        f"{path} is truncated: {size} bytes are no whole number of values ({unit} bytes each); import it again"
    )


def _stat_lines(folder: Path | str, suffix: str, seen: dict[str, tuple[int, int]] | None = None) -> bytes:
    try:
        found: Iterable[os.DirEntry[str]] = [e for e in os.scandir(folder) if e.name.endswith(suffix)]
    except OSError:
        return b""
    lines = []
    for entry in found:
        stat = entry.stat()
        if seen is not None:
            seen[entry.path] = (stat.st_mtime_ns, stat.st_size)
        lines.append(f"{entry.name}\0{stat.st_size}\0{stat.st_mtime_ns}")
    lines.sort()
    return "\n".join(lines).encode()


def _time_of(path: Path) -> int:
    """Return when a file was changed; 0 for one that is not there, which reading it tells."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
