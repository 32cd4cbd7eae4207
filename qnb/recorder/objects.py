"""How objects become artifacts: Parquet, JSON, .npy, a model's own format; pickle only where nothing else serves.

An artifact keeps the stem of the name it was saved under, so ``load("pred.pkl")`` finds ``pred.parquet``.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecorderError
from .base import ArtifactInfo

__all__ = ["Saved", "find_artifact", "load_object", "save_object"]

MARK = "qnb_object.json"
_ORDER = (".parquet", ".json", ".npy", ".model", ".txt", ".html", ".yaml", ".bin", ".pickle", ".pkl")
_TEXT = (".txt", ".html", ".yaml", ".yml", ".md", ".csv", ".patch", ".log")


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved object: its file or folder and what kind it is (table, array, model, json, text, bytes, pickle)."""

    path: Path
    kind: str


def save_object(value: Any, name: str, folder: Path) -> Saved:
    """Write `value` below `folder` in the format that suits it.

    Parameters
    ----------
    value : object
        Frame, Series, array, JSON values, text, bytes, a model with ``save(path)``, a figure with ``to_json()``, or
        anything that pickles.
    name : str
        Name the user gave, with or without an ending; its stem is kept.

    Raises
    ------
    RecorderError
        When `value` cannot be written in any format.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = _stem(name)
    if type(value).__module__.split(".")[0] == "pandas":
        import pandas as pd

        if isinstance(value, pd.DataFrame | pd.Series):
            return _save_table(value, folder / f"{stem}.parquet")
    if callable(getattr(value, "save", None)) and hasattr(type(value), "load"):
        return _save_model(value, folder / f"{stem}.model")
    if callable(getattr(value, "to_plotly_json", None)):
        return _save_text(value.to_json(), folder / f"{stem}.json", "figure")
    if isinstance(value, bytes):
        return _save_bytes(value, folder / (name if "." in name else f"{stem}.bin"))
    if isinstance(value, str):
        suffix = Path(name).suffix
        return _save_text(value, folder / (name if suffix in (*_TEXT, ".json") else f"{stem}.txt"), "text")
    if (
        type(value).__module__.split(".")[0] == "numpy"
        and hasattr(value, "shape")
        and getattr(value, "shape", ()) != ()
    ):
        import numpy as np

        if value.dtype != object:
            path = folder / f"{stem}.npy"
            np.save(path, value, allow_pickle=False)
            return Saved(path, "array")
    try:
        text = json.dumps(value, allow_nan=True)
        if json.loads(text) == value:
            return _save_text(text, folder / f"{stem}.json", "json")
    except (TypeError, ValueError, RecursionError):
        pass
    return _save_pickle(value, folder / f"{stem}.pickle")


def load_object(path: Path, *, trusted: bool) -> Any:
    """Return the object in `path`.

    Parameters
    ----------
    trusted : bool
        Whether the file is the user's own; only then is a pickle read.

    Raises
    ------
    RecorderError
        For a pickle that is not the user's own, and for a file that cannot be read.
    """
    try:
        if path.is_dir():
            return _load_model(path)
        match path.suffix:
            case ".parquet":
                return _load_table(path)
            case ".json":
                return json.loads(path.read_text(encoding="utf-8"))
            case ".npy":
                import numpy as np

                return np.load(path, mmap_mode="r", allow_pickle=False)
            case ".pickle" | ".pkl":
                if not trusted:
                    raise RecorderError(
                        f"{path.name} is a pickle that was not written here; reading it could run foreign code. "
                        "Export it again as Parquet or JSON"
                    )
                import cloudpickle

                return cloudpickle.loads(path.read_bytes())
            case suffix if suffix in _TEXT:
                return path.read_text(encoding="utf-8")
            case _:
                return path.read_bytes()
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise RecorderError(f"{path.name} cannot be read: {error}") from error


def find_artifact(name: str, there: Iterable[ArtifactInfo]) -> str | None:
    """Return the path of the artifact that `name` means: the name itself, else the same stem in another format."""
    paths = {a.path for a in there}
    if name in paths:
        return name
    folder, _, last = name.rpartition("/")
    stem = _stem(last)
    prefix = f"{folder}/" if folder else ""
    for suffix in _ORDER:
        if f"{prefix}{stem}{suffix}" in paths:
            return f"{prefix}{stem}{suffix}"
    return None


def _stem(name: str) -> str:
    for suffix in (".pkl", ".pickle", ".parquet", ".json", ".npy", ".model"):
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _save_table(value: Any, path: Path) -> Saved:
    """Parquet with what it cannot say about pandas kept in a column-free side note: Series or frame, column labels."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    series = isinstance(value, pd.Series)
    frame = value.to_frame(name="value" if value.name is None else value.name) if series else value
    note: dict[str, Any] = {"series": series, "name": _label(value.name) if series else None}
    if not series:
        note["columns"] = [_label(c) for c in frame.columns]
        note["column_names"] = [_label(n) for n in frame.columns.names]
    plain = frame.copy(deep=False)
    plain.columns = pd.Index([f"c{k}" for k in range(frame.shape[1])])
    try:
        table = pa.Table.from_pandas(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return _save_pickle(value, path.with_suffix(".pickle"))
    metadata = table.schema.metadata or {}
    table = table.rename_columns(_readable(table.column_names, frame))
    note["order"] = [str(c) for c in plain.columns]
    table = table.replace_schema_metadata({**metadata, b"qnb": json.dumps(note).encode()})
    pq.write_table(table, path, compression="zstd")
    return Saved(path, "table")


def _readable(names: list[str], frame: Any) -> list[str]:
    """Return column names for other readers of the file: labels as text, made unique."""
    labels = [str(c) if not isinstance(c, tuple) else ".".join(map(str, c)) for c in frame.columns]
    taken: set[str] = set(names[len(labels) :])
    out = []
    for label in labels:
        unique, k = label, 1
        while unique in taken:
            k += 1
            unique = f"{label}_{k}"
        taken.add(unique)
        out.append(unique)
    return out + names[len(labels) :]


def _load_table(path: Path) -> Any:
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    raw = (table.schema.metadata or {}).get(b"qnb")
    if raw is None:
        return table.to_pandas()
    note = json.loads(raw)
    inner = note["order"] + table.column_names[len(note["order"]) :]
    frame = table.rename_columns(inner).replace_schema_metadata(table.schema.metadata).to_pandas()
    if note["series"]:
        return frame.iloc[:, 0].rename(_unlabel(note["name"]))
    columns = [_unlabel(c) for c in note["columns"]]
    names = [_unlabel(n) for n in note["column_names"]]
    if columns and all(isinstance(c, tuple) for c in columns):
        frame.columns = pd.MultiIndex.from_tuples(columns, names=names)
    else:
        frame.columns = pd.Index(columns, name=names[0] if names else None)
    return frame


def _label(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"tuple": [_label(v) for v in value]}
    if hasattr(value, "isoformat"):
        return {"time": value.isoformat()}
    return value.item() if hasattr(value, "item") else value


def _unlabel(value: Any) -> Any:
    if isinstance(value, dict):
        if "tuple" in value:
            return tuple(_unlabel(v) for v in value["tuple"])
        import pandas as pd

        return pd.Timestamp(value["time"])
    return value


def _save_model(value: Any, path: Path) -> Saved:
    path.mkdir(parents=True, exist_ok=True)
    value.save(path)
    cls = type(value)
    (path / MARK).write_text(json.dumps({"module": cls.__module__, "class": cls.__qualname__}), encoding="utf-8")
    return Saved(path, "model")


def _load_model(path: Path) -> Any:
    """Load a model by the class that saved it; only classes of installed modules, by name, never from the bundle."""
    mark = json.loads((path / MARK).read_text(encoding="utf-8"))
    cls: Any = importlib.import_module(mark["module"])
    for part in mark["class"].split("."):
        cls = getattr(cls, part)
    return cls.load(path)


def _save_text(text: str, path: Path, kind: str) -> Saved:
    path.write_text(text, encoding="utf-8")
    return Saved(path, kind)


def _save_bytes(data: bytes, path: Path) -> Saved:
    path.write_bytes(data)
    return Saved(path, "bytes")


def _save_pickle(value: Any, path: Path) -> Saved:
    import cloudpickle

    try:
        data = cloudpickle.dumps(value)
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        kind = type(value).__name__
        raise RecorderError(f"a {kind} cannot be saved: {error}; give it save(path) and load(path)") from error
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)
    return Saved(path, "pickle")
