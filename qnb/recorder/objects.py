"""Objects as files: the format is chosen by what the object is, the name keeps its stem.

================================================  =========================================
object                                            file
================================================  =========================================
DataFrame, Series                                 ``stem.parquet`` (see `qnb.recorder.tables`)
numpy array or scalar                             ``stem.npy``
figure (has ``to_plotly_json`` and ``to_json``)   ``stem.json``; loading gives the figure's JSON
dict, list and plain values                       ``stem.json``
str, bytes                                        the name itself, or ``stem.txt``, ``stem.bin``
model with ``save(path)`` and ``load(path)``      folder ``stem.model``, in the model's own format
anything else                                     ``stem.pkl``: what ends in .pkl, and only that, is a pickle
================================================  =========================================
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .. import registry
from ..errors import QnbError, RecorderError
from ..task.modules import public_name, reduce_user_object
from .base import ArtifactInfo, RefusedError

__all__ = ["Saved", "find_artifact", "load_object", "save_object"]

CARD = "qnb_object.json"
USER_CLASS = "qnb_class.pkl"
_REPLACED = (".pkl", ".pickle", ".joblib", ".parquet", ".json", ".npy", ".model")
_FOUND = (".parquet", ".json", ".npy", ".model", ".txt", ".bin", ".pkl")
_TEXT = frozenset(
    (".txt", ".yaml", ".yml", ".json", ".md", ".csv", ".tsv", ".html", ".xml", ".svg", ".py", ".js", ".css", ".toml",
     ".ini", ".cfg", ".log", ".diff", ".ndjson", ".rst", ".tex", ".sql", ".sh")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written: file or folder, and its kind (table, array, figure, json, text, bytes, model, pickle)."""

    path: Path
    kind: str


def save_object(value: Any, name: str, folder: Path) -> Saved:
    """Write `value` into `folder` under the stem of `name`.

    Raises
    ------
    RecorderError
        When the object cannot be written in any format.
    """
    stem = _stem(name)
    if _is_pandas(value):
        from .tables import write_table

        path = folder / f"{stem}.parquet"
        return Saved(path, "table") if write_table(value, path) else _pickled(value, folder / f"{stem}.pkl")
    if isinstance(value, str | bytes | bytearray):
        return _save_raw(value, name, stem, folder)
    if callable(getattr(value, "to_plotly_json", None)) and callable(getattr(value, "to_json", None)):
        return _text(str(value.to_json()), folder / f"{stem}.json", "figure")
    if _is_numpy(value):
        import numpy as np

        path = folder / f"{stem}.npy"
        np.save(path, np.asarray(value), allow_pickle=False)
        return Saved(path, "array")
    if _is_plain(value):
        return _text(json.dumps(value, indent=1), folder / f"{stem}.json", "json")
    if callable(getattr(value, "save", None)) and callable(getattr(type(value), "load", None)):
        return _save_model(value, folder / f"{stem}.model")
    return _pickled(value, folder / f"{stem}.pkl")


def load_object(path: Path, *, trusted: bool) -> Any:
    """Return the object in `path`.

    Parameters
    ----------
    trusted : bool
        Whether the file is the user's own. Otherwise only plain data is read, and those models of qnb that cannot name
        another class.

    Raises
    ------
    RecorderError
        For a file that may not be, or cannot be, read.
    """
    try:
        if path.is_dir():
            return _load_model(path, trusted=trusted)
        match path.suffix:
            case ".parquet":
                from .tables import read_table

                return read_table(path)
            case ".npy":
                import numpy as np

                array = np.load(path, allow_pickle=False)
                return array[()] if array.ndim == 0 else array
            case ".json":
                return _json_or_text(path.read_text(encoding="utf-8"))
            case ".pkl" | ".pickle" | ".joblib":
                return _unpickled(path, trusted=trusted)
            case suffix if suffix in _TEXT:
                return path.read_text(encoding="utf-8")
            case _:
                return path.read_bytes()
    except QnbError:
        raise
    except (OSError, ValueError, KeyError, AttributeError, ImportError, EOFError) as error:
        raise RecorderError(f"{path.name} cannot be read: {error}") from error


def find_artifact(name: str, there: Iterable[ArtifactInfo]) -> str | None:
    """Return the path of the artifact that `name` means: itself, else the same stem in another format."""
    paths = {a.path for a in there}
    if name in paths:
        return name
    pure = PurePosixPath(name)
    for stem in dict.fromkeys((_stem(pure.name), pure.name)):
        for suffix in _FOUND:
            candidate = str(pure.with_name(stem + suffix))
            if candidate in paths:
                return candidate
    return None


def _stem(name: str) -> str:
    """Return `name` without a suffix that only names a format; other dots belong to the name."""
    for suffix in _REPLACED:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _is_pandas(value: Any) -> bool:
    if type(value).__module__.partition(".")[0] != "pandas":
        return False
    import pandas as pd

    return isinstance(value, pd.DataFrame | pd.Series)


def _is_numpy(value: Any) -> bool:
    if type(value).__module__.partition(".")[0] != "numpy":
        return False
    import numpy as np

    return isinstance(value, np.ndarray | np.generic) and value.dtype.hasobject is False and value.dtype.names is None


def _is_plain(value: Any) -> bool:
    """Return whether JSON gives `value` back exactly."""
    if value is None or type(value) in (str, int, float, bool):
        return True
    if type(value) is list:
        return all(_is_plain(v) for v in value)
    return type(value) is dict and all(type(k) is str and _is_plain(v) for k, v in value.items())


def _save_raw(value: str | bytes | bytearray, name: str, stem: str, folder: Path) -> Saved:
    suffix = PurePosixPath(name).suffix.lower()
    if isinstance(value, str):
        return _text(
            value, folder / (name if suffix in _TEXT else f"{stem}.txt"), "html" if suffix == ".html" else "text"
        )
    own = bool(suffix) and suffix not in (".pkl", ".pickle", ".joblib", ".parquet", ".json", ".npy", ".model")
    path = folder / (name if own else f"{stem}.bin")
    path.write_bytes(bytes(value))
    return Saved(path, "bytes")


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _save_model(value: Any, path: Path) -> Saved:
    """Let the model write itself; a model that writes one file gets it put into the folder."""
    value.save(path)
    if path.is_file():
        file = path.with_name(path.name + ".state")
        path.rename(file)
        path.mkdir()
        file.rename(path / "state")
    elif not path.is_dir():
        name = type(value).__name__
        raise RecorderError(f"{name}.save(path) wrote nothing at the path it was given; write a file or a folder there")
    cls = type(value)
    card = {"class": f"{cls.__module__}:{cls.__qualname__}", "file": "state" if (path / "state").is_file() else ""}
    if reduce_user_object(cls) is not None:
        card["class"] = f"{public_name(cls.__module__)}:{cls.__qualname__}"
        _pickled(cls, path / USER_CLASS)
    (path / CARD).write_text(json.dumps(card), encoding="utf-8")
    return Saved(path, "model")


def _load_model(path: Path, *, trusted: bool) -> Any:
    try:
        card = json.loads((path / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RefusedError(f"{path.name} is a folder, not an object; download_artifact gives its path") from None
    named, file = str(card["class"]), card.get("file")
    if trusted and (path / USER_CLASS).is_file():
        target = _unpickled(path / USER_CLASS, trusted=True)
    else:
        target = _own_class(named) if trusted else _safe_model(named)
    if target is None:
        module, _, name = named.partition(":")
        raise RefusedError(_foreign(path, f"a {name} of module {module}"))
    if file not in (None, "", "state"):
        raise RecorderError(f"{path.name} cannot be read: its card names the file {file!r}; it can only be 'state'")
    return target.load(path / file if file else path)


def _own_class(named: str) -> Any:
    module, _, name = named.partition(":")
    target: Any = importlib.import_module(module)
    for part in name.split("."):
        target = getattr(target, part)
    return target


def _safe_model(named: str) -> Any:
    """Return the model class of qnb of that name; None if there is none, or its files could name another class."""
    for member in registry.members("model").values():
        if f"{member.module}:{member.name}" == named:
            target = getattr(importlib.import_module(member.module), member.name)
            return target if target.names_no_class else None
    return None


def _pickled(value: Any, path: Path) -> Saved:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):
        """Pickles modules of the user with their source."""

        def reducer_override(self, value: Any) -> Any:
            return reduce_user_object(value) or super().reducer_override(value)

    try:
        Pickler(stream := io.BytesIO()).dump(value)
    except Exception as error:
        kind = type(value).__name__
        raise RecorderError(f"a {kind} cannot be saved: {error}; give it save(path) and load(path)") from error
    path.write_bytes(stream.getvalue())
    return Saved(path, "pickle")


def _unpickled(path: Path, *, trusted: bool) -> Any:
    if not trusted:
        raise RefusedError(_foreign(path, "a pickle"))
    import cloudpickle

    try:
        return cloudpickle.loads(path.read_bytes())
    except Exception as error:
        raise RecorderError(f"{path.name} cannot be unpickled: {error}") from error


def _foreign(path: Path, what: str) -> str:
    return (
        f"{path.name} is {what} from a store that is not the one of your settings; reading it can run foreign code. "
        "If you trust whoever wrote it: load_object(name, trust=True)"
    )


def _text(text: str, path: Path, kind: str) -> Saved:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    return Saved(path, kind)
