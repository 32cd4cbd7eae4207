"""What a run left in its recorder: the list of its files, and a look into one of them.

Nothing is unpickled for a look, and no class is imported: tables, figures, arrays and texts are shown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RecorderError
from ..recorder.recorder import Recorder
from ..reports.numbers import MINUS, MISSING, bytes_of, count, counted

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["artifact_bytes", "artifact_preview", "artifact_rows"]

ROWS, COLUMNS = 100, 40
TEXT = 50_000
CELL = 80
LARGEST = 200_000_000
_TEXTS = frozenset(
    (".txt", ".yaml", ".yml", ".md", ".csv", ".tsv", ".log", ".diff", ".ndjson", ".py", ".toml", ".ini", ".cfg", ".xml",
     ".svg", ".tex", ".sql", ".sh", ".rst", ".css", ".js")
)  # fmt: skip


def artifact_rows(recorder: Recorder) -> list[dict[str, Any]]:
    """Return the tree of the run's files, each folder before what is in it."""
    rows = []
    for entry in recorder.list_files():
        folder, _, name = entry.path.rpartition("/")
        size = "" if entry.is_dir else bytes_of(entry.bytes)
        depth = folder.count("/") + 1 if folder else 0
        rows.append({"path": entry.path, "name": name, "depth": depth, "folder": entry.is_dir, "size": size})
    return rows


def artifact_preview(recorder: Recorder, path: str) -> dict[str, Any]:
    """Return a look at the file `path`.

    Returns
    -------
    dict
        ``kind`` is ``table`` (``columns``, ``rows``), ``figure`` (``figure``, Plotly's JSON), ``text`` (``text``) or
        ``note``; ``note`` says how large it is and what is left out.

    Raises
    ------
    RecorderError
        When there is no such file or it cannot be read.
    """
    file = Path(recorder.download_artifact(path))
    if file.is_dir():
        return {"kind": "note", "note": "A folder."}
    size = bytes_of(file.stat().st_size)
    match file.suffix.lower():
        case ".parquet":
            return _table(recorder.load_object(path, trust=False), size)
        case ".npy":
            array = recorder.load_object(path, trust=False)
            shape = " × ".join(count(n) for n in getattr(array, "shape", ())) or "one value"
            return {"kind": "text", "note": f"{shape}, {array.dtype}, {size}", "text": str(array)[:TEXT]}
        case ".json":
            return _json(file, size)
        case ".html":
            return {"kind": "note", "note": f"A page, {size}. Save it and open it in the browser."}
        case ".pkl" | ".pickle" | ".joblib":
            return {
                "kind": "note",
                "note": f"A pickle, {size}. It is not opened here; load_object({path!r}) does that.",
            }
        case suffix if suffix in _TEXTS or file.name.isupper():
            return _text(file, size)
    return {"kind": "note", "note": f"{size}. There is no look into files of this kind; save it."}


def artifact_bytes(recorder: Recorder, path: str) -> tuple[str, bytes]:
    """Return name and content of a file, to be saved by the browser.

    Raises
    ------
    RecorderError
        For a folder, or a file too large to be sent.
    """
    file = Path(recorder.download_artifact(path))
    if file.is_dir():
        raise RecorderError(f"{path} is a folder; save its files one by one, or copy {file}")
    size = file.stat().st_size
    if size > LARGEST:
        raise RecorderError(f"{path} has {bytes_of(size)}, too much to send to the browser; copy {file}")
    return file.name, file.read_bytes()


def _table(frame: Any, size: str) -> dict[str, Any]:
    if getattr(frame, "ndim", 2) == 1:
        frame = frame.to_frame()
    if not hasattr(frame, "columns"):
        return {"kind": "text", "note": size, "text": str(frame)[:TEXT]}
    rows, columns = frame.shape
    cut = []
    if rows > ROWS:
        cut.append(f"the first {ROWS} rows")
    if columns > COLUMNS:
        cut.append(f"the first {COLUMNS} columns")
    note = f"{counted(rows, 'row')} × {counted(columns, 'column')}, {size}"
    shown: pd.DataFrame = frame.iloc[:ROWS, :COLUMNS]
    index = list(shown.index.names)
    heads = [_name(n) for n in index] + [_name(c) for c in shown.columns]
    body = [
        [*(_cell(v) for v in (key if isinstance(key, tuple) else (key,))), *(_cell(v) for v in values)]
        for key, values in zip(shown.index.tolist(), shown.itertuples(index=False, name=None), strict=True)
    ]
    return {
        "kind": "table", "note": note + (f"; here {' and '.join(cut)}" if cut else ""), "columns": heads, "rows": body,
        "index": len(index),
    }  # fmt: skip


def _json(file: Path, size: str) -> dict[str, Any]:
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        return _text(file, size)
    if isinstance(value, Mapping) and {"data", "layout"} <= value.keys():
        return {"kind": "figure", "note": f"A figure, {size}", "figure": value}
    return {"kind": "text", "note": size, "text": json.dumps(value, indent=1, ensure_ascii=False)[:TEXT]}


def _text(file: Path, size: str) -> dict[str, Any]:
    with file.open(encoding="utf-8", errors="replace") as opened:
        text = opened.read(TEXT + 1)
    note = f"{size}; here the first {count(TEXT)} characters" if len(text) > TEXT else size
    return {"kind": "text", "note": note, "text": text[:TEXT]}


def _name(value: Any) -> str:
    if isinstance(value, tuple):
        return " / ".join(str(v) for v in value)
    return "" if value is None else str(value)


def _cell(value: Any) -> str:
    """Return a cell's text: numbers with six digits, days without a time of midnight."""
    if value is None or value != value:
        return MISSING
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        text = f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:.6g}"  # infinities too
        return text.replace("-", MINUS)
    if hasattr(value, "isoformat"):
        return str(value.isoformat(" ")).removesuffix(" 00:00:00")
    text = str(value)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"
