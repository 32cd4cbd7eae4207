"""From files to bars: which files there are, how they are laid out, the bars of each symbol or what is bad about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..writer import check_symbol
from .columns import ColumnRequest, Columns, resolve_columns
from .convert import Bars, convert
from .partition import Partition
from .read import SUFFIXES, Header, RawTable, read_header, read_tables, stem_of
from .report import BadFile

__all__ = ["Reading", "Survey", "detect_layout", "list_files", "read_bars", "survey"]

LAYOUTS = ("auto", "files", "long")


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are to be read.

    Attributes
    ----------
    layout : str
        ``files`` (one a symbol) or ``long`` (tables of many symbols).
    request : ColumnRequest
        What the user says about columns.
    freq, prices, date_format : str
        As of `import_market`.
    threads : int
        Files read at a time.
    """

    layout: str
    request: ColumnRequest
    freq: str = "day"
    prices: str = "raw"
    date_format: str | None = None
    threads: int = 2


def list_files(source: Path) -> list[Path]:
    """Return the CSV and Parquet files of `source`, a file or a folder, sorted.

    Raises
    ------
    DataError
        There is no such file, or none in the folder.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"no file or folder {source}")
    files = [p for p in source.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES)]
    files = sorted(p for p in files if not any(part.startswith(".") for part in p.relative_to(source).parts))
    if not files:
        raise DataError(f"no file in {source} ends in {', '.join(SUFFIXES)}")
    return files


def detect_layout(files: list[Path], layout: str, request: ColumnRequest) -> str:
    """Return ``files`` or ``long``: long if the first readable file has a symbol column with several symbols, or with
    one that is not the file's name.

    Raises
    ------
    DataError
        Not one file can be read.
    """
    if layout != "auto":
        return layout
    reasons: list[str] = []
    for path in files[:50]:
        try:
            header = read_header(path)
            columns = resolve_columns(header.names, request)
            if columns.symbol is None:
                return "files"
            table = next(read_tables(path, header, columns, whole=False))
        except (DataError, StopIteration) as error:
            reasons.append(f"{path.name}: {error}")
            continue
        symbols = _symbols(table)
        same = len(symbols) == 1 and _alike(next(iter(symbols)), stem_of(path))
        return "files" if same or not symbols else "long"
    raise DataError(f"none of the first {len(reasons)} files can be read; {reasons[0]}")


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first lines of all files say.

    Attributes
    ----------
    files : dict of Path to (Header, Columns) or DataError
        How each file is to be read, or why it cannot be.
    ignored : tuple of str
        Columns that are not imported.
    """

    files: dict[Path, tuple[Header, Columns] | DataError]
    ignored: tuple[str, ...]

    def of(self, path: Path) -> tuple[Header, Columns]:
        """Return how `path` is to be read; raises its `DataError`."""
        found = self.files[path]
        if isinstance(found, DataError):
            raise found
        return found


def survey(files: list[Path], reading: Reading) -> Survey:
    """Look at the first line of each file. A file that lacks a field that more than half of them have is a bad one."""
    found: dict[Path, tuple[Header, Columns] | DataError] = {}
    count: Counter[str] = Counter()
    ignored: dict[str, None] = {}
    for path in files:
        try:
            header = read_header(path)
            columns = resolve_columns(header.names, reading.request)
            if reading.layout == "long" and columns.symbol is None:
                raise DataError("no column for the symbol; name it with --symbol-column")
        except DataError as error:
            found[path] = error
            continue
        found[path] = header, columns
        count.update(list(columns.fields))
        ignored |= dict.fromkeys(columns.ignored)
    good = [path for path, entry in found.items() if isinstance(entry, tuple)]
    required = {name for name, n in count.items() if n > len(good) / 2}
    for path in good:
        missing = sorted(required - set(found[path][1].fields))  # type: ignore[index]
        if missing:
            found[path] = DataError(f"no column for {', '.join(missing)}, which the other files have")
    return Survey(found, tuple(ignored))


def read_bars(
    surveyed: Survey, reading: Reading, *, done: Callable[[int], None] = lambda files: None
) -> Iterator[Bars | BadFile]:
    """Yield the bars of every symbol, and what cannot be used; of single files at most a few ahead are in memory.

    Parameters
    ----------
    surveyed : Survey
        The files.
    reading : Reading
        How to read them; its layout is not ``auto``.
    done : callable
        Told the number of files read so far.
    """
    return (_from_long if reading.layout == "long" else _from_files)(surveyed, reading, done)


def _from_files(surveyed: Survey, reading: Reading, done: Callable[[int], None]) -> Iterator[Bars | BadFile]:
    files = list(surveyed.files)

    def read(path: Path) -> Bars | BadFile:
        try:
            header, columns = surveyed.of(path)
            [table] = read_tables(path, header, columns, date_format=reading.date_format)
            _raise_faults(table)
            return convert(_symbol_of(path, table, reading), table.times, table.fields,
                           freq=reading.freq, prices=reading.prices)  # fmt: skip
        except DataError as error:
            return BadFile(path.name, str(error))

    seen: dict[str, str] = {}
    with ThreadPoolExecutor(reading.threads) as pool:
        waiting = iter(files)
        running = [(p, pool.submit(read, p)) for p in islice(waiting, 4 * reading.threads)]
        for number in range(1, len(files) + 1):
            path, future = running.pop(0)
            result = future.result()
            running.extend((p, pool.submit(read, p)) for p in islice(waiting, 1))
            if isinstance(result, Bars) and seen.setdefault(result.symbol, path.name) != path.name:
                result = BadFile(path.name, f"{seen[result.symbol]} has the symbol {result.symbol} already")
            done(number)
            yield result


def _symbol_of(path: Path, table: RawTable, reading: Reading) -> str:
    """Return the symbol: the one in the symbol column the user named, otherwise the file's name."""
    if reading.request.symbol_column is None or not table.names:
        return check_symbol(stem_of(path))
    symbols = _symbols(table)
    if len(symbols) != 1:
        raise DataError(f"column {reading.request.symbol_column!r} holds {len(symbols)} symbols; see --layout long")
    return check_symbol(symbols.pop())


def _raise_faults(table: RawTable) -> None:
    if table.faults:
        row, reason = table.faults[0]
        more = f" (and {len(table.faults) - 1} more)" if len(table.faults) > 1 else ""
        raise DataError(f"row {row + 1}, {reason}{more}")


def _from_long(surveyed: Survey, reading: Reading, done: Callable[[int], None]) -> Iterator[Bars | BadFile]:
    files = list(surveyed.files)
    parts = Partition()
    for number, path in enumerate(files, 1):
        try:
            header, columns = surveyed.of(path)
            row = 0
            for table in read_tables(path, header, columns, date_format=reading.date_format, whole=False):
                parts.add(table, row)
                row += len(table.times)
            parts.commit()
        except DataError as error:
            parts.drop()
            yield BadFile(path.name, str(error))
        done(number)
    where = f"{files[0].name}: " if len(files) == 1 else ""
    for symbol, times, fields, fault in parts.symbols():
        try:
            if fault:
                raise DataError(fault)
            yield convert(check_symbol(symbol), times, fields, freq=reading.freq, prices=reading.prices)
        except DataError as error:
            yield BadFile(where + symbol, str(error))


def _symbols(table: RawTable) -> set[str]:
    return {table.names[code] for code in np.unique(table.codes).tolist()} - {""}


def _alike(one: str, other: str) -> bool:
    return one.strip().upper() == other.strip().upper()
