"""Small files that several processes and several versions of qnb share: checked when read, written whole.

1. `load_json` reads a file, `fit` and `make` compare what it says with the types of a dataclass or TypedDict. What a
   newer version added is left out, what an older one lacks has its default.
2. What cannot be read is told once a file (`tell`), with its name and what to do, and whoever reads goes on without it.
3. `write_atomically` writes; what stands in the way of a file (a folder of that name) is moved aside.
4. `locked` keeps other processes from changing the same things meanwhile, `is_locked` asks without being in their way.
   Neither they nor `write_atomically` make a folder: one that was moved or removed does not come back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import re
import tempfile
import time
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

__all__ = [
    "LARGEST", "LAST_MOMENT", "AnyFloat", "Moment", "Natural", "changing", "fit", "is_locked", "load_json", "locked",
    "make", "move_aside", "parse_json", "read_json", "remove", "tell", "write_atomically",
]  # fmt: skip

LARGEST = 2**62
"""No whole number in a file is larger, so that it fits into what arrays, systems and databases have for one."""
LAST_MOMENT = 253_370_000_000.0
"""The last moment that every calendar can write, in the year 9999."""
DEEPEST = 60
LOCK_POLL = 0.005
Moment: TypeAlias = Annotated[float, "moment"]
"""Seconds since the epoch."""
AnyFloat: TypeAlias = Annotated[float, "any"]
"""A measured number, which may be NaN or infinite; other floats are finite."""
Natural: TypeAlias = Annotated[int, "natural"]
"""0 or more."""
Complain: TypeAlias = Callable[[str], None]
T = TypeVar("T")

_LOG = logging.getLogger("qnb.files")
_told: set[str] = set()
_CLOSING = re.compile(rb"[\]}\s]{%d}" % DEEPEST)


def tell(path: Path, what: str, remedy: str) -> None:
    """Say once a process and file what is wrong with it, and what to do."""
    if str(path) not in _told:
        _told.add(str(path))
        _LOG.warning("%s: %s; %s", path, what, remedy)


def parse_json(data: bytes) -> Any:
    """Return what `data` says, whatever Unicode encoding it has; texts are free of halves of surrogate pairs.

    Raises
    ------
    ValueError
        It is no JSON, or nested too deeply to be ours.
    """
    try:
        found = json.loads(data)
        return _sound(found) if b"\\ud" in data or b"\\uD" in data or _CLOSING.search(data) else found
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def load_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds.

    Raises
    ------
    OSError
        It is not there or cannot be opened.
    ValueError
        It holds no JSON object.
    """
    found = parse_json(path.read_bytes())
    if not isinstance(found, dict):
        raise ValueError("it holds no JSON object" if found != {} else "it is empty")
    return found


def read_json(path: Path, *, remedy: str, damaged: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """Return the object that a file holds, None without one; a file that cannot be read is told and gives `damaged`."""
    try:
        return load_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        tell(path, f"it cannot be read ({getattr(error, 'strerror', None) or error})", remedy)
        return damaged


def fit(kind: type[Any], raw: Mapping[str, Any], complain: Complain | None = None) -> dict[str, Any]:
    """Return the values of `raw` for the fields of `kind`, a dataclass or TypedDict; keys that it lacks are left out.

    Parameters
    ----------
    kind : type
        Fields are of str, bool, int, float, Path, `Moment`, `AnyFloat`, `Natural`, Any, Literal texts, or made of these
        and of other such types by tuple, list, Mapping and ``| None``. Lists become tuples where the type says so.
    raw : mapping
        What a file says.
    complain : callable, optional
        Told of each value of a wrong type, which is left out.

    Raises
    ------
    ValueError
        `raw` is no mapping. Without `complain`: a value is of a wrong type, or one that has no default is missing.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"{_short(raw)} is no object")
    values = {}
    for name, (read, required) in _readers(typing.cast(Any, kind)).items():
        try:
            if name in raw:
                values[name] = read(raw[name])
            elif required:
                raise ValueError("it is missing")
        except (TypeError, ValueError, OverflowError) as error:
            problem = f"{name}: {error}"
            if complain is None:
                raise ValueError(problem) from None
            complain(problem)
    return values


def make(kind: type[T], raw: Mapping[str, Any], complain: Complain | None = None) -> T:
    """Return a `kind` of what `raw` says; see `fit`. With `complain` a field of a wrong type has its default."""
    return kind(**fit(kind, raw, complain))


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the new one, never a part.

    Raises
    ------
    OSError
        It cannot be written; a folder that is gone, since it was moved or removed, is not made again.
    """
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        if path.is_dir():
            move_aside(path)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def move_aside(path: Path) -> None:
    """Rename what stands where a file or folder of another kind should be; it is neither in the way then nor lost."""
    aside = path.with_name(f".{path.name}.damaged-{time.time_ns()}")
    path.rename(aside)
    tell(
        path, f"it was no file that could be read or written, and is now {aside.name}", "remove that if it is not yours"
    )


def remove(path: Path) -> None:
    """Remove a file; without one nothing happens, and what is no file is moved aside."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        if not path.is_dir():
            raise
        move_aside(path)
    except NotADirectoryError:
        return


@contextmanager
def locked(path: Path, *, seconds: float = 10.0) -> Iterator[None]:
    """Hold the lock file `path`; the system lets go of it when the process ends, however it ends.

    Raises
    ------
    FileNotFoundError
        Its folder is gone, perhaps since one waited for the lock.
    TimeoutError
        Another process, or another place in this one, has held it for `seconds`.
    """
    if path.is_dir():
        move_aside(path)
    end = time.monotonic() + seconds
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _hold(fd, shared=False):
                if _same(fd, path):
                    yield
                    return
            elif time.monotonic() > end:
                raise TimeoutError(f"another process has held {path} for {seconds:g}s; end it, or try again")
        finally:
            os.close(fd)
        time.sleep(LOCK_POLL)


@contextmanager
def changing(folder: Path, what: str, error: type[Exception]) -> Iterator[None]:
    """Hold the lock of a folder that several processes change, on behalf of a user, who is told what is in the way.

    Parameters
    ----------
    folder : Path
        Holds the lock.
    what : str
        What it is the folder of.
    error : type of exception
        Raised when the folder is gone, cannot be written, or another process does not let go of the lock.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder / ".lock"))
        except FileNotFoundError as found:
            raise error(f"{what} is gone: its folder {folder} was moved or removed") from found
        except OSError as found:
            raise error(f"{what} cannot be changed in {folder}: {found.strerror or found}") from found
        yield


def is_locked(path: Path) -> bool:
    """Return whether a process holds the lock file `path`. Any number may ask at once; who wants it waits for them."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _hold(fd, shared=True)
    finally:
        os.close(fd)


def _hold(fd: int, *, shared: bool) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        else:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _same(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


@cache
def _readers(kind: Any) -> dict[str, tuple[Callable[[Any], Any], bool]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    if dataclasses.is_dataclass(kind):
        absent = dataclasses.MISSING
        wanted = {
            f.name: f.default is absent and f.default_factory is absent for f in dataclasses.fields(kind) if f.init
        }
    else:
        wanted = {name: name in kind.__required_keys__ for name in hints}
    return {name: (_reader(hints[name]), required) for name, required in wanted.items()}


def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what turns a JSON value into one of type `hint`, or raises TypeError, ValueError or OverflowError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda value: value
    if origin is Annotated:
        return _MARKED[arguments[1]]
    if origin is typing.Literal:
        return lambda value: _one_of(arguments, value)
    if origin in (typing.Union, types.UnionType):
        read = _reader(next(a for a in arguments if a is not type(None)))
        return lambda value: None if value is None else read(value)
    if origin in (tuple, list):
        item = _reader(arguments[0])
        return lambda value: origin(map(item, _of(list, value)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = _reader(arguments[1])
        return lambda value: {_text(k): item(v) for k, v in _of(dict, value).items()}
    if hint in _PLAIN:
        return _PLAIN[hint]
    kind: type[Any] = hint
    if dataclasses.is_dataclass(kind):
        return lambda value: value if isinstance(value, kind) else make(kind, _of(dict, value))
    return lambda value: fit(hint, _of(dict, value))


def _of(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(f"{_short(value)} is no {_WORDS[kind]}")
    return value


def _one_of(words: tuple[Any, ...], value: Any) -> Any:
    if _text(value) not in words:
        raise ValueError(f"{_short(value)} is none of {', '.join(words)}")
    return value


def _text(value: Any) -> str:
    return _of(str, value)


def _bool(value: Any) -> bool:
    return _of(bool, value)


def _int(value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if abs(_of(int, value)) > LARGEST:
        raise ValueError(f"{_short(value)} is too large")
    return int(value)


def _natural(value: Any) -> int:
    if _int(value) < 0:
        raise ValueError(f"{_short(value)} is below 0")
    return int(value)


def _any_float(value: Any) -> float:
    if type(value) is float:
        return value
    return float(value if type(value) is str else _of(int, value))


def _float(value: Any) -> float:
    number = value if type(value) is float else float(_of(int, value))
    if not math.isfinite(number):
        raise ValueError(f"{number} is no number")
    return number


def _moment(value: Any) -> float:
    if not 0 <= _float(value) < LAST_MOMENT:
        raise ValueError(f"{_short(value)} is no time")
    return float(value)


def _path(value: Any) -> Path:
    if "\0" in _text(value):
        raise ValueError(f"{_short(value)} is no path")
    return Path(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _sound(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_sound(v, depth + 1) for v in value]
    if isinstance(value, dict):
        return {_sound(k): _sound(v, depth + 1) for k, v in value.items()}
    return value


_MARKED: Mapping[str, Callable[[Any], Any]] = {"moment": _moment, "any": _any_float, "natural": _natural}
_PLAIN: Mapping[Any, Callable[[Any], Any]] = {str: _text, bool: _bool, int: _int, float: _float, Path: _path}
_WORDS: Mapping[type, str] = {str: "text", bool: "true or false", int: "number", list: "list", dict: "object"}
