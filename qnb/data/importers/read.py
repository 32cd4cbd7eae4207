"""Reads CSV and Parquet files into plain arrays, and says for each cell that cannot be read where it is."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ...errors import DataError
from .columns import Columns
from .times import numbers_to_times, text_to_times

__all__ = ["SUFFIXES", "RawTable", "read_header", "read_tables", "stem_of"]

SUFFIXES = (".csv", ".csv.gz", ".txt", ".tsv", ".parquet", ".pq")
_NULLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None", "none", "-", "--", "nat", "NaT"]
_BLOCK = 1 << 24


@dataclass(frozen=True, slots=True)
class RawTable:
    """Rows of a file as they are.

    Attributes
    ----------
    names : tuple of str
        Symbols that occur, empty if the file has none; a missing one is ''.
    codes : ndarray of int64, shape (n,)
        Position in `names` of each row's symbol; empty without symbols.
    times : ndarray of datetime64[s], shape (n,)
        Time of each row, NaT where it cannot be read.
    fields : dict of str to ndarray of float64, shape (n,)
        Values; NaN where there is none.
    faults : tuple of (row, reason)
        Cells that cannot be read, row 0-based within the table.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    times: np.ndarray
    fields: dict[str, np.ndarray]
    faults: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Header:
    """Column names of a file, and for text files how it is written."""

    names: tuple[str, ...]
    delimiter: str = ","
    encoding: str = "utf8"


def stem_of(path: Path) -> str:
    """Return the file's name without the suffixes that are known: ``BRK.B.csv.gz`` is ``BRK.B``."""
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


def read_header(path: Path) -> Header:
    """Return the columns of a file.

    Raises
    ------
    DataError
        The file is empty or is none of the formats.
    """
    try:
        if _is_parquet(path):
            return Header(tuple(pq.read_schema(path).names))
        opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
        with opener(path, "rb") as file:
            line = file.readline(1 << 20)
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot be read: {_first_line(error)}") from error
    if not line.strip():
        raise DataError("the file is empty")
    try:
        text, encoding = line.decode("utf-8-sig"), "utf8"
    except UnicodeDecodeError:
        text, encoding = line.decode("gb18030", "replace"), "gb18030"
    delimiter = max(",;\t|", key=text.count)
    names = next(csv.reader([text.rstrip("\r\n")], delimiter=delimiter))
    return Header(tuple(names), delimiter, encoding)


def read_tables(
    path: Path, header: Header, columns: Columns, *, date_format: str | None = None, whole: bool = True
) -> Iterator[RawTable]:
    """Yield the rows of a file, as one table if `whole`, otherwise in pieces of some hundred thousand rows.

    Raises
    ------
    DataError
        The file is torn or is none of the formats; a cell that cannot be read is no error but a fault of the table.
    """
    try:
        if _is_parquet(path):
            batches: Iterable[pa.RecordBatch] = _parquet_batches(path, columns)
        else:
            batches = _csv_batches(path, header, columns)
        if whole:
            found = list(batches)
            if not found:
                raise DataError("the file has no rows")
            yield _table(pa.Table.from_batches(found), columns, date_format)
        else:
            for batch in batches:
                yield _table(pa.Table.from_batches([batch]), columns, date_format)
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise DataError(_explain(error)) from error


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _wanted(columns: Columns) -> list[str]:
    texts = [c for c in (columns.symbol, columns.time, columns.clock) if c is not None]
    return [*dict.fromkeys([*texts, *columns.fields.values()])]


def _parquet_batches(path: Path, columns: Columns) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=1 << 18, columns=_wanted(columns))


def _csv_batches(path: Path, header: Header, columns: Columns) -> Iterable[pa.RecordBatch]:
    """Numbers are parsed while reading; only a file with a cell that is no number is read again as text."""
    texts = {c: pa.string() for c in (columns.symbol, columns.time, columns.clock) if c is not None}
    numbers = {c: pa.float64() for c in columns.fields.values()}
    size = path.stat().st_size
    if size <= 4 * _BLOCK:
        try:
            return list(_open_csv(path, header, columns, texts | numbers))
        except pa.ArrowInvalid as error:
            if "conversion error" not in str(error):
                raise
            return list(_open_csv(path, header, columns, texts | dict.fromkeys(numbers, pa.string())))
    return _long_csv(path, header, columns, texts, numbers)


def _long_csv(
    path: Path, header: Header, columns: Columns, texts: dict[str, Any], numbers: dict[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Read a long file in blocks; from the block with a cell that is no number on, as text."""
    done = 0
    try:
        for batch in _open_csv(path, header, columns, texts | numbers):
            yield batch
            done += 1
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
        again = _open_csv(path, header, columns, texts | dict.fromkeys(numbers, pa.string()))
        yield from (batch for n, batch in enumerate(again) if n >= done)


def _open_csv(path: Path, header: Header, columns: Columns, types: dict[str, Any]) -> Iterator[pa.RecordBatch]:
    reader = pacsv.open_csv(
        path,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=_BLOCK, encoding=header.encoding),
        parse_options=pacsv.ParseOptions(delimiter=header.delimiter),
        convert_options=pacsv.ConvertOptions(
            column_types=types,
            include_columns=_wanted(columns),
            null_values=_NULLS,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    with reader:
        yield from reader


def _table(table: pa.Table, columns: Columns, date_format: str | None) -> RawTable:
    faults: list[tuple[int, str]] = []
    times = _times(table, columns, date_format, faults)
    fields = {}
    for name, column in columns.fields.items():
        fields[name] = _numbers(table.column(column), column, faults)
    names, codes = ((), np.empty(0, dtype=np.int64)) if columns.symbol is None else _coded(table.column(columns.symbol))
    return RawTable(names, codes, times, fields, tuple(sorted(faults)))


def _coded(column: pa.ChunkedArray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the distinct texts of a column and each row's position in them; '' stands for a missing one."""
    coded = pc.dictionary_encode(_texts(column).combine_chunks())
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    known = tuple(coded.dictionary.to_pylist())
    codes = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False).astype(np.int64)
    return (*known, ""), codes


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _numbers(column: pa.ChunkedArray, name: str, faults: list[tuple[int, str]]) -> np.ndarray:
    if pa.types.is_boolean(column.type) or pa.types.is_temporal(column.type):
        raise DataError(f"column {name!r} holds {column.type}, not numbers")
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        values = column.cast(pa.float64(), safe=False).to_numpy()
        return values if values.flags.writeable else values.copy()
    texts = column.to_pylist()
    values = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):  # only reached by files with a cell that is no number
        try:
            values[row] = np.nan if text is None or text.strip() in _NULLS else float(text.strip().replace(",", ""))
        except ValueError:
            faults.append((row, f"column {name!r}: {text!r} is not a number"))
    return values


def _times(table: pa.Table, columns: Columns, date_format: str | None, faults: list[tuple[int, str]]) -> np.ndarray:
    column = table.column(columns.time)
    if columns.clock is not None and pa.types.is_string(column.type):
        column = pc.binary_join_element_wise(column, _texts(table.column(columns.clock)), " ")
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            column = pc.local_timestamp(column)
        times = column.cast(pa.timestamp("s"), safe=False).to_numpy().astype("datetime64[s]")
        texts = None
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        times, texts = numbers_to_times(column.cast(pa.float64(), safe=False).to_numpy()), None
    else:
        known, codes = _coded(column)
        times, texts = text_to_times(known, date_format)[codes], column
    for row in np.flatnonzero(np.isnat(times))[:1000].tolist():
        shown = (texts if texts is not None else column)[row].as_py()
        what = "has no date" if shown is None else f"{shown!r} is {_why_no_date(str(shown))}"
        faults.append((row, f"column {columns.time!r}{' ' if shown is None else ': '}{what}"))
    return times


def _why_no_date(text: str) -> str:
    if re.match(r"\d{1,2}[/.\-]\d{1,2}[/.\-]\d{4}", text.strip()):
        return "no date, or day and month cannot be told apart: give --date-format '%d/%m/%Y'"
    return "no date that can be read"


def _explain(error: Exception) -> str:
    text = _first_line(error)
    if "Empty CSV" in text:
        return "the file is empty"
    match = re.search(r"Row #(\d+): (Expected \d+ columns, got \d+)", text)
    if match:
        return f"line {match.group(1)}: {match.group(2).lower()}; is the file cut off?"
    return f"cannot be read: {text}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
