"""Frames and series as Parquet files that give back exactly what was saved, or say that they cannot.

Column labels, index names, a series' name, a date index's frequency and dates in whole seconds go into a note in the
file's metadata, because Parquet does not know them. Other readers of the file see the labels as texts, made unique.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table", "write_table"]

NOTE = b"qnb"


class _UnknownLabel(Exception):
    """A label that the note cannot hold."""


def write_table(value: pd.DataFrame | pd.Series, path: Path) -> bool:
    """Write `value`; return False, with no file left, where Parquet would not give it back as it is."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = value.copy(deep=False) if isinstance(value, pd.DataFrame) else value.to_frame(name="value")
    try:
        note = _note(value, frame)
    except _UnknownLabel:
        return False
    labels = _readable(frame.columns if isinstance(value, pd.DataFrame) else [value.name or "value"])
    frame.columns = pd.Index(labels, dtype="str")
    frame.index = frame.index.set_names(_level_names(frame.index.names, labels))
    try:
        with warnings.catch_warnings():
            if any(isinstance(dtype, pd.DatetimeTZDtype) for dtype in frame.dtypes):
                warnings.simplefilter("ignore")  # pyarrow takes zoned dates in a way that pandas 3.1 deprecates
            table = pa.Table.from_pandas(frame)
    except (pa.ArrowException, OverflowError):
        return False
    if not _same(frame, table):
        return False
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), NOTE: json.dumps(note).encode()})
    pq.write_table(table, path, compression="zstd")
    return True


def read_table(path: Path) -> pd.DataFrame | pd.Series:
    """Return what `write_table` wrote; any other Parquet file as pandas reads it."""
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    raw = (table.schema.metadata or {}).get(NOTE)
    frame = table.to_pandas()
    if raw is None:
        return frame
    note = json.loads(raw)
    frame.index = _restored(frame.index, seconds=note["index_seconds"], objects=note["index_objects"])
    frame.index = frame.index.set_names([_unpacked(n) for n in note["index_names"]])
    if note["freq"] is not None:
        frame.index.freq = note["freq"]
    for position in note["seconds"]:
        frame.isetitem(position, frame.iloc[:, position].dt.as_unit("s"))
    for position in note["objects"]:
        frame.isetitem(position, frame.iloc[:, position].astype(object))
    if note["columns"] is None:
        return frame.iloc[:, 0].rename(_unpacked(note["name"]))
    columns = [_unpacked(c) for c in note["columns"]]
    names = [_unpacked(n) for n in note["column_names"]]
    if len(names) > 1:
        frame.columns = pd.MultiIndex.from_tuples(columns, names=names)
    elif note["column_range"]:
        start, stop, step = note["column_range"]
        frame.columns = pd.RangeIndex(start, stop, step, name=names[0])
    else:
        frame.columns = pd.Index(columns, name=names[0], dtype=note["column_dtype"], tupleize_cols=False)
    return frame


def _note(value: pd.DataFrame | pd.Series, frame: pd.DataFrame) -> dict[str, Any]:
    """Return what Parquet would forget about `value`, of which `frame` is the frame."""
    import pandas as pd

    index = frame.index
    levels = list(index.levels) if isinstance(index, pd.MultiIndex) else [index]
    note: dict[str, Any] = {
        "name": None, "columns": None, "column_names": None, "column_dtype": None, "column_range": None,
        "index_names": [_packed(n) for n in index.names],
        "index_seconds": [k for k, level in enumerate(levels) if _whole_seconds(level.dtype)],
        "index_objects": [k for k, level in enumerate(levels) if _is_loose(level.dtype)],
        "seconds": [k for k, dtype in enumerate(frame.dtypes) if _whole_seconds(dtype)],
        "objects": [k for k, dtype in enumerate(frame.dtypes) if _is_loose(dtype)],
        "freq": index.freqstr if isinstance(index, pd.DatetimeIndex) else None,
    }  # fmt: skip
    if isinstance(value, pd.Series):
        note["name"] = _packed(value.name)
        return note
    columns = value.columns
    note["columns"] = [_packed(c) for c in columns]
    note["column_names"] = [_packed(n) for n in columns.names]
    note["column_dtype"] = None if isinstance(columns, pd.MultiIndex) else str(columns.dtype)
    if isinstance(columns, pd.RangeIndex):
        note["column_range"] = [columns.start, columns.stop, columns.step]
    if isinstance(columns, pd.DatetimeIndex | pd.CategoricalIndex | pd.IntervalIndex | pd.PeriodIndex):
        raise _UnknownLabel
    return note


def _same(frame: pd.DataFrame, table: Any) -> bool:
    """Return whether `table` gives `frame` back: types always, values where the type does not decide them."""
    import pandas as pd

    back = table.slice(0, 1).to_pandas()
    if type(frame.index) is not type(back.index):
        return False
    (types, levels), (found, found_levels) = ((list(f.dtypes), _level_types(f.index)) for f in (frame, back))
    if not all(map(_alike, [*types, *levels], [*found, *found_levels])):
        return False
    loose = [position for position, dtype in enumerate(types) if _is_loose(dtype)]
    if not loose and not any(map(_is_loose, levels)):
        return True
    whole = table.to_pandas()
    pairs = [(frame.iloc[:, k], whole.iloc[:, k].astype(object)) for k in loose]
    for level in (k for k, dtype in enumerate(levels) if _is_loose(dtype)):
        pairs.append(tuple(pd.Index(i.get_level_values(level), dtype=object) for i in (frame.index, whole.index)))
    return all(_equal(a, b) for a, b in pairs)


def _level_types(index: pd.Index) -> list[Any]:
    import pandas as pd

    return [level.dtype for level in index.levels] if isinstance(index, pd.MultiIndex) else [index.dtype]


def _alike(before: Any, after: Any) -> bool:
    """Return whether a column of type `before` can be made of one of type `after`."""
    if _is_loose(before):
        return _is_loose(after) or str(after) in ("str", "string")
    return bool(before == after) or str(before) == str(after)


def _is_loose(dtype: Any) -> bool:
    """Return whether a column of `dtype` can hold values that its type does not tell."""
    import numpy as np

    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def _equal(left: Any, right: Any) -> bool:
    """Compare objects by type and value, so that a list does not pass for a tuple or an array."""
    return all(type(a) is type(b) for a, b in zip(left, right, strict=True)) and bool(left.equals(right))


def _whole_seconds(dtype: Any) -> bool:
    return str(dtype).startswith(("datetime64[s", "timedelta64[s"))


def _restored(index: Any, *, seconds: Sequence[int], objects: Sequence[int]) -> Any:
    """Return an index with its levels' own types: dates in whole seconds, texts as objects."""
    if not seconds and not objects:
        return index
    if index.nlevels == 1:
        return index.as_unit("s") if seconds else index.astype(object)
    levels = [index.levels[k].as_unit("s") for k in seconds] + [index.levels[k].astype(object) for k in objects]
    return index.set_levels(levels, level=[*seconds, *objects], verify_integrity=False)


def _readable(labels: Iterable[Any]) -> list[str]:
    """Return labels as unique texts; a tuple's parts are joined by dots."""
    taken: dict[str, None] = {}
    for label in labels:
        text = ".".join(map(str, label)) if isinstance(label, tuple) else str(label)
        unique, count = text, 1
        while unique in taken:
            count += 1
            unique = f"{text}_{count}"
        taken[unique] = None
    return list(taken)


def _level_names(names: Sequence[Any], columns: Sequence[str]) -> list[str]:
    """Return names for the index's columns in the file, none like a column's."""
    found: list[str] = []
    for number, name in enumerate(names):
        text = f"index_{number}" if name is None else str(name)
        while text in columns or text in found:
            text += "_"
        found.append(text)
    return found


def _packed(label: Any) -> Any:
    """Return a label as JSON; raises `_UnknownLabel`."""
    import numpy as np
    import pandas as pd

    if isinstance(label, tuple):
        return {"tuple": [_packed(v) for v in label]}
    if isinstance(label, pd.Timestamp) and label.tz is None:
        return {"time": label.isoformat(), "unit": label.unit}
    if isinstance(label, np.generic):
        label = label.item()
    if label is None or type(label) in (str, int, float, bool):
        return label
    raise _UnknownLabel


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        if "tuple" in value:
            return tuple(_unpacked(v) for v in value["tuple"])
        import pandas as pd

        return pd.Timestamp(value["time"]).as_unit(value["unit"])
    return value
