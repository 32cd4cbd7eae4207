"""Writes market data stores: the files of the format, and new versions of a whole store that appear at once.

A store is a folder::

    calendars/<freq>.txt                       one day or time a line, ascending
    instruments/<universe>.txt                 SYMBOL, first and last day of a span, tab-separated
    features/<symbol, lower case>/<field>.<freq>.bin   little-endian float32: start index in the calendar, then values
    groups/<name>.txt                          SYMBOL, group, tab-separated

`new_version` builds the next version of a store in a hidden folder beside it, in which unchanged files are hard links,
and exchanges the two folders with one system call. Whoever reads sees the old store or the new one; a process that is
killed on the way leaves the old one, and a hidden folder that the next writer removes. (A loss of power is left to the
file system: nothing is flushed to the disk.) Files are never written in place, so arrays that somebody has mapped stay
as they are.
"""

from __future__ import annotations

import ctypes
import glob
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..names import checked_name, is_device
from ..refused import refusal

__all__ = [
    "build_beside",
    "check_symbol",
    "feature_file",
    "feature_folder",
    "format_times",
    "intraday",
    "lock_store",
    "new_version",
    "read_series",
    "write_calendar",
    "write_groups",
    "write_series",
    "write_universe",
]

LOCK_SECONDS = 600.0


def feature_file(store: Path, symbol: str, field: str, freq: str = "day") -> Path:
    """Return the path of one field of one instrument."""
    suffix = f".{freq}.bin"
    name = checked_name("field", field.lower(), suffix=suffix, error=DataError)
    return feature_folder(store, symbol) / f"{name}{suffix}"


def feature_folder(store: Path, symbol: str) -> Path:
    """Return the folder of an instrument's fields; names that Windows refuses (``CON``) get the layout's prefix."""
    name, features = symbol.lower(), store / "features"
    own = checked_name("symbol", f"_qlib_{name}" if is_device(name) else name, error=DataError)
    return features / (name if own != name and (features / name).is_dir() else own)  # as another program made it


def write_series(path: Path, start: int, values: np.ndarray) -> None:
    """Write a field of an instrument.

    Parameters
    ----------
    path : Path
        As of `feature_file`; the folder must exist. An existing file is replaced, not written to.
    start : int
        Index in the calendar of the first value, at most 2**24 (it is stored as float32).
    values : ndarray, shape (n,)
        Values; NaN where there is none.
    """
    data = np.empty(len(values) + 1, dtype="<f4")
    data[0] = start
    data[1:] = values
    replace_file(path, data.tobytes())


def read_series(path: Path) -> tuple[int, np.ndarray]:
    """Return what `write_series` wrote: the start index and the values, float32 of shape (n,).

    Raises
    ------
    DataError
        For a file that is no such series: shorter than one number, torn, or with an impossible start.
    """
    data = path.read_bytes()
    if len(data) < 4 or len(data) % 4:
        raise DataError(f"{path} holds {len(data)} bytes, not a whole number of float32; write it again")
    values = np.frombuffer(data, dtype="<f4")
    start = float(values[0])
    if not start >= 0 or start != int(start):
        raise DataError(f"{path} starts at calendar index {start:g}; write it again")
    return int(start), values[1:]


def write_calendar(store: Path, times: np.ndarray, freq: str = "day") -> None:
    """Write the calendar of `freq`: `times` is datetime64 of any unit, ascending, shape (days,)."""
    _write_lines(store / "calendars" / f"{freq}.txt", format_times(times, freq))


def write_universe(store: Path, name: str, spans: Iterable[tuple[str, str, str]]) -> None:
    """Write a universe: (symbol, first day, last day) for each span, days as text, inclusive."""
    file = checked_name("universe", name, suffix=".txt", error=DataError) + ".txt"
    _write_lines(store / "instruments" / file, ("\t".join(span) for span in spans))


def write_groups(store: Path, name: str, groups: Mapping[str, str]) -> None:
    """Write a grouping of instruments, e.g. sectors: symbol -> group."""
    file = checked_name("group", name, suffix=".txt", error=DataError) + ".txt"
    _write_lines(store / "groups" / file, (f"{symbol}\t{group}" for symbol, group in groups.items()))


def format_times(times: np.ndarray, freq: str = "day") -> list[str]:
    """Return `times` as the calendar writes them: a date, or with a time for frequencies below a day."""
    if intraday(freq):
        return [t.replace("T", " ") for t in np.datetime_as_string(times.astype("datetime64[s]"))]
    return np.datetime_as_string(times.astype("datetime64[D]")).tolist()


def intraday(freq: str) -> bool:
    """Return whether bars of the standard frequency `freq` are shorter than a day (``1min``, ``hour`` ...)."""
    return freq.endswith(("min", "hour"))


def check_symbol(symbol: str) -> str:
    """Return `symbol` in upper case; raises `DataError` if it cannot name a folder."""
    clean = symbol.strip().upper()
    if any(c in ':*?"<>|' for c in clean):
        raise DataError(f'symbol {symbol!r} cannot name a folder; rename it without / \\ : * ? " < > |')
    checked_name("symbol", f"_qlib_{clean}" if is_device(clean) else clean, error=DataError)
    return clean


@contextmanager
def new_version(target: Path, *, keep: bool, timeout: float = LOCK_SECONDS) -> Iterator[Path]:
    """Yield a private folder that takes the place of `target` when the block ends well.

    Parameters
    ----------
    target : Path
        Folder of the store; need not exist.
    keep : bool
        Start from the files of the present store (as hard links; replace them, never write into them); otherwise from
        an empty folder.
    timeout : float
        Seconds to wait for another writer of the same store.

    Raises
    ------
    DataError
        When another process goes on writing the store, or the folder cannot be written (no space, no permission).
        The store is what it was.
    """
    target = Path(os.path.realpath(target))
    with lock_store(target, timeout=timeout), build_beside(target, keep=keep) as build:
        yield build


@contextmanager
def build_beside(target: Path, *, keep: bool) -> Iterator[Path]:
    """Do what `new_version` does for a caller that holds the lock of `target`."""
    build = target.parent / f".{target.name}.build-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        if keep and target.is_dir():
            _link_tree(target, build)
        else:
            build.mkdir()
        yield build
        _put_in_place(build, target)
    except OSError as error:
        raise DataError(f"cannot write the store, which is as it was: {refusal(error, at=target)}") from error
    finally:
        shutil.rmtree(build, ignore_errors=True)


@contextmanager
def lock_store(target: Path, *, timeout: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of the store `target` and put right what a killed writer left behind."""
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.parent / f".{target.name}.lock", timeout=timeout)
        lock.acquire()
    except Timeout:
        raise DataError(
            f"another process has been writing {target} for {timeout:.0f} s; wait for it, or stop it and try again"
        ) from None
    except OSError as error:
        raise DataError(f"cannot write the store: {refusal(error, at=target)}") from error
    try:
        _recover(target)
        yield
    finally:
        lock.release()


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to a new file that takes the place of `path`."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())


def _link_tree(source: Path, target: Path) -> None:
    """Make `target` a copy of `source` whose files are hard links; where links are refused, copies."""
    for folder, names, files in os.walk(source):
        place = target / os.path.relpath(folder, source)
        place.mkdir(exist_ok=True)
        names.sort()
        for name in files:
            old, new = os.path.join(folder, name), place / name
            try:
                os.link(old, new)
            except OSError:
                shutil.copy2(old, new)


def _put_in_place(build: Path, target: Path) -> None:
    """Make `build` the store `target`; the old one, if any, is then under the name of `build`."""
    if not target.exists():
        os.rename(build, target)
    elif not _exchange(build, target):
        old = _old_name(target)
        os.rename(target, old)
        os.rename(build, target)
        os.rename(old, build)


def _recover(target: Path) -> None:
    """Under the lock: bring back a store that a writer was killed over, remove unfinished versions."""
    old = _old_name(target)
    if old.is_dir():
        if target.exists():
            shutil.rmtree(old)
        else:
            os.rename(old, target)
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.build-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _old_name(target: Path) -> Path:
    return target.parent / f".{target.name}.old"


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    a, b = os.fsencode(one), os.fsencode(other)
    if sys.platform.startswith("linux") and hasattr(libc, "renameat2"):
        return libc.renameat2(-100, a, -100, b, 2) == 0  # AT_FDCWD, RENAME_EXCHANGE
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        return libc.renamex_np(a, b, 2) == 0  # RENAME_SWAP
    return False
