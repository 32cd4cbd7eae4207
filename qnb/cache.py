"""The cache: content-addressed arrays and JSON on disk, shared by processes, bounded, checked when read.

1. An entry's key is a digest of all that determines it, so an entry never has to be invalidated.
2. An array lies in ``<key>.npy`` with ``<key>.json`` beside it, which carries length, modification time and checksums.
   An entry without either does not exist.
3. Reading compares length, modification time and the system's start. All unchanged, a sample of pages is checked;
   otherwise every byte is, so that what a crash left unwritten is noticed. A corrupted entry is dropped with a warning
   and computed again.
4. Writing goes to a hidden file in the same folder that is renamed when all is well, under a lock of the key.
5. Reading touches the description; when the cache grows beyond its bound, what was read longest ago goes first.
   The file ``limit`` holds the bound of whose cache it is; `qnb data cache` sets it, lists and clears.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CacheError
from .project import make_folder
from .refused import OF_THE_MACHINE, refusal

__all__ = ["DEFAULT_LIMIT", "NOTE", "Cache", "CacheEntry", "digest"]

DEFAULT_LIMIT = 20 * 2**30
NOTE = "note"
"""What a JSON value is, in words."""

_LOG = logging.getLogger(__name__)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PAGE = 1 << 16
_PART = 1 << 20
_WRITE = 1 << 24
_SAMPLES = 64
_STALE_SECONDS = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One entry of the cache.

    Attributes
    ----------
    key : str
        Content address.
    bytes : int
        Size on disk.
    used : float
        When it was last read or written, seconds since the epoch.
    label : str
        What it is, in words.
    """

    key: str
    bytes: int
    used: float
    label: str = ""


class Cache:
    """Content-addressed arrays and JSON values below `root`.

    Parameters
    ----------
    root : Path
        Folder; made on first writing.
    max_bytes : int
        Bound of the size on disk; what was used longest ago goes first. 0 for the one that `set_limit` keeps.
    """

    def __init__(self, root: Path, max_bytes: int = 0) -> None:
        self.root = Path(root)
        self._max_bytes = max_bytes
        self._sums: dict[int, _Words] = {}  # of arrays that are being written, by identity

    def __repr__(self) -> str:
        return f"Cache({str(self.root)!r})"

    @property
    def max_bytes(self) -> int:
        """Bound of the size on disk."""
        if self._max_bytes:
            return self._max_bytes
        try:
            return int((self.root / "limit").read_text("ascii"))
        except (OSError, ValueError):
            return DEFAULT_LIMIT

    def set_limit(self, size: int) -> None:
        """Keep a bound for all who use this folder, 0 for `DEFAULT_LIMIT`; what is too much goes at once.

        Raises
        ------
        CacheError
            The folder cannot be written.
        """
        with _translated(self.root, 0):
            make_folder(self.root)
            if size:
                _write_text(self.root / "limit", str(size))
            else:
                (self.root / "limit").unlink(missing_ok=True)
            self._make_room(0)

    def get_array(self, key: str) -> np.ndarray | None:
        """Return an array, memory-mapped and read-only, or None where there is none or it is corrupted."""
        data, note = self._paths(key)
        try:
            described = json.loads(note.read_text("utf-8"))
            why = _mismatch(data, note, described)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            self._dropped(key, f"its description cannot be read ({error})", error)
            return None
        if why:
            self._dropped(key, why)
            return None
        try:
            array = np.load(data, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            self._dropped(key, str(error), error)
            return None
        with suppress(OSError):
            os.utime(note)
        return array

    @contextmanager
    def create_array(self, key: str, shape: tuple[int, ...], dtype: Any, *, label: str = "") -> Iterator[np.ndarray]:
        """Give a writable, memory-mapped array, which becomes the entry when the block ends well.

        The block leaves nothing behind when it ends with an exception.

        Raises
        ------
        CacheError
            No space, or no permission; names the remedy.
        """
        data, note = self._paths(key)
        kind = np.dtype(dtype)
        size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        hidden = self.root / f".{key}.{os.getpid()}.{secrets.token_hex(4)}.npy"
        with _translated(self.root, size):
            make_folder(self.root)
            self._make_room(size)
        try:
            with _translated(self.root, size):
                offset = _write_header(hidden, shape, kind, size)
                array = (
                    np.memmap(hidden, dtype=kind, mode="r+", offset=offset, shape=shape)
                    if size
                    else np.empty(shape, kind)
                )
            sums = self._sums[id(array)] = _Words()
            try:
                yield array
            finally:
                del self._sums[id(array)]
            with _translated(self.root, size):
                words = sums.finish() if sums.bytes == array.nbytes else _words_of(array)
                _write_text(note, json.dumps({"label": label, "words": words, **_condition(hidden)}))
                os.replace(hidden, data)
        finally:
            hidden.unlink(missing_ok=True)

    def key_of(self, array: np.ndarray) -> str | None:
        """Return the key of an array of `get_array`, None for any other array."""
        name = getattr(array, "filename", None) if isinstance(array, np.memmap) else None
        path = Path(name) if name else None
        return path.stem if path is not None and path.parent.resolve() == self.root.resolve() else None

    def write(self, array: np.ndarray, first: int, values: np.ndarray) -> None:
        """Put final rows into an array of `create_array`, which come in order, from row 0 on.

        Costs half of assigning to the mapped array, whose pages the system would take in one by one.

        Raises
        ------
        CacheError
            No space.
        """
        values = np.ascontiguousarray(values, dtype=array.dtype)
        if isinstance(array, np.memmap):
            raw = values.reshape(-1).view(np.uint8)
            at = array.offset + first * array[:1].nbytes
            with _translated(self.root, array.nbytes), open(str(array.filename), "r+b", buffering=0) as file:
                file.seek(at)
                for start in range(0, len(raw), _WRITE):
                    _write_all(file, raw[start : start + _WRITE].data)
        else:
            array[first : first + len(values)] = values
        self._sums[id(array)].feed(values)

    def get_json(self, key: str) -> Any:
        """Return a JSON value, or None where there is none or it is corrupted."""
        path = self._json(key)
        try:
            held = json.loads(path.read_text("utf-8"))
            value = held["value"]
            if held["check"] != digest(json.dumps(value, sort_keys=True)):
                raise ValueError("the checksum differs")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning("cache entry %s is corrupted (%s) and is computed again", key, error)
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)
        return value

    def put_json(self, key: str, value: Any) -> None:
        """Keep a JSON value.

        Raises
        ------
        CacheError
            No space, or no permission.
        """
        text = json.dumps({"check": digest(json.dumps(value, sort_keys=True)), "value": value})
        with _translated(self.root, len(text)):
            make_folder(self.root)
            _write_text(self._json(key), text)

    @contextmanager
    def lock(self, key: str, *, timeout: float = -1) -> Iterator[None]:
        """Hold the lock of `key` among all processes; the second waits for the first.

        Raises
        ------
        CacheError
            The folder cannot be written, or `timeout` seconds passed.
        """
        from filelock import FileLock, Timeout

        locks = self.root / "locks"
        with _translated(self.root, 0):
            make_folder(locks)
            held = FileLock(locks / f"{self._checked(key)}.lock", timeout=timeout)
        with _translated(self.root, 0):
            try:
                held.acquire()
            except Timeout:
                raise CacheError(f"another process holds the cache entry {key} for more than {timeout:g} s") from None
        try:
            yield
        finally:
            held.release()

    def entries(self) -> list[CacheEntry]:
        """Return the entries, what was used last first."""
        found = []
        for note in self.root.glob("*.json"):
            try:
                stat = note.stat()
                size = stat.st_size
                label = NOTE
                if not note.name.endswith(".value.json"):
                    size += note.with_suffix(".npy").stat().st_size
                    label = json.loads(note.read_text("utf-8")).get("label", "")
                key = note.name.removesuffix(".value.json").removesuffix(".json")
                found.append(CacheEntry(key, size, stat.st_mtime, label))
            except (OSError, ValueError, AttributeError):
                continue
        return sorted(found, key=lambda e: e.used, reverse=True)

    def size(self) -> int:
        """Return the bytes on disk."""
        return sum(e.bytes for e in self.entries())

    def drop(self, key: str) -> None:
        """Remove an entry; nothing happens where there is none."""
        data, note = self._paths(key)
        for path in (note, data, self._json(key)):
            path.unlink(missing_ok=True)

    def clear(self, wanted: Callable[[CacheEntry], bool] | None = None) -> int:
        """Remove the entries that are `wanted`, by default all and what interrupted writers left; returns bytes freed.

        Arrays that are in use stay readable until they are closed.

        Raises
        ------
        CacheError
            The folder cannot be written.
        """
        found = [e for e in self.entries() if wanted is None or wanted(e)]
        with _translated(self.root, 0):
            for entry in found:
                self.drop(entry.key)
            for pattern in ("*.json", "*.npy", ".*.npy", ".*.part") if wanted is None else ():
                for path in self.root.glob(pattern):
                    path.unlink(missing_ok=True)
        return sum(e.bytes for e in found)

    def _paths(self, key: str) -> tuple[Path, Path]:
        name = self._checked(key)
        return self.root / f"{name}.npy", self.root / f"{name}.json"

    def _json(self, key: str) -> Path:
        return self.root / f"{self._checked(key)}.value.json"

    def _checked(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise CacheError(f"{key!r} is no cache key; keys are made with digest()")
        return key

    def _dropped(self, key: str, why: str, error: Exception | None = None) -> None:
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:  # the entry is as good as ever
            _LOG.warning("cache entry %s cannot be read: %s", key, refusal(error))
            return
        _LOG.warning("cache entry %s is corrupted (%s) and is computed again", key, why)
        self.drop(key)

    def _make_room(self, size: int) -> None:
        for path in self.root.glob(".*"):  # of writers that were killed
            with suppress(OSError):
                if path.is_file() and time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink()
        held = self.entries()
        total = sum(e.bytes for e in held) + size
        while held and total > self.max_bytes:
            oldest = held.pop()
            self.drop(oldest.key)
            total -= oldest.bytes


def digest(*parts: Any) -> str:
    """Return a content address of `parts`: text, bytes, numbers, and sequences or mappings of such.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1), digest("a", "1") == digest("a", 1)
    (True, False)
    """
    made = hashlib.blake2b(digest_size=16)
    _feed(made, parts)
    return made.hexdigest()


def _feed(made: Any, part: Any) -> None:
    if isinstance(part, bytes | bytearray | memoryview):
        made.update(b"b%d:" % len(part))
        made.update(part)
    elif isinstance(part, Mapping):
        made.update(b"m%d:" % len(part))
        for key in sorted(part, key=repr):
            _feed(made, key)
            _feed(made, part[key])
    elif isinstance(part, tuple | list):
        made.update(b"s%d:" % len(part))
        for item in part:
            _feed(made, item)
    elif isinstance(part, set | frozenset):
        _feed(made, sorted(part, key=repr))
    elif isinstance(part, np.ndarray):
        _feed(made, (str(part.dtype), part.shape))
        made.update(np.ascontiguousarray(part).view(np.uint8).data)
    else:
        text = part if isinstance(part, str) else repr(part)
        data = text.encode("utf-8", "surrogatepass")
        made.update(b"%s%d:" % (b"t" if isinstance(part, str) else b"r", len(data)))
        made.update(data)


def _write_header(path: Path, shape: tuple[int, ...], kind: np.dtype[Any], size: int) -> int:
    """Make an .npy file of full length and return where its values start; the space is taken, not promised."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        )
        offset = file.tell()
        file.flush()
        if size and hasattr(os, "posix_fallocate"):  # a full disk is noticed here, not as a crash in mapped memory
            os.posix_fallocate(file.fileno(), 0, offset + size)
        else:
            file.truncate(offset + size)
    return offset


def _condition(path: Path) -> dict[str, Any]:
    """Return what a file looks like without reading it whole."""
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "boot": _boot(), "sample": _sample(path)}


def _mismatch(data: Path, note: Path, described: dict[str, Any]) -> str:
    """Return why the file is not what was written, '' if it is."""
    now = _condition(data)
    if described.get("size") != now["size"]:
        return f"{now['size']} bytes instead of {described.get('size')}"
    if described.get("sample") != now["sample"]:
        return "the checksum differs"
    if any(described.get(k) != now[k] for k in ("mtime_ns", "boot")):
        if described.get("words") != _words_of(np.load(data, mmap_mode="r", allow_pickle=False)):
            return "the checksum differs"
        _write_text(note, json.dumps({**described, **now}))
    return ""


def _sample(path: Path) -> str:
    """Return a checksum of the header and of pages throughout the file."""
    made = hashlib.blake2b(digest_size=16)
    size = path.stat().st_size
    step = max(_PAGE, size // _SAMPLES // 4096 * 4096)
    with open(path, "rb", buffering=0) as file:
        for at in [*range(0, size, step), max(0, size - 4096)]:
            file.seek(at)
            made.update(file.read(4096))
    return made.hexdigest()


class _Words:
    """A checksum of all values of an array: of the sums of 64-bit words of its parts, one after the other."""

    def __init__(self) -> None:
        self.made = hashlib.blake2b(digest_size=16)
        self.rest = np.empty(0, np.uint8)
        self.bytes = 0

    def feed(self, values: np.ndarray) -> None:
        """Take in the next values of the array."""
        raw = values.reshape(-1).view(np.uint8)
        self.bytes += len(raw)
        if len(self.rest):
            missing = _PART - len(self.rest)
            joined = np.concatenate([self.rest, raw[:missing]])
            raw = raw[missing:]
            if len(joined) < _PART:
                self.rest = joined
                return
            self._sum(joined)
        whole = len(raw) // _PART * _PART
        self._sum(raw[:whole])
        self.rest = raw[whole:].copy()

    def finish(self) -> str:
        """Return the checksum of all that was fed."""
        self.made.update(bytes(self.rest))
        return self.made.hexdigest()

    def _sum(self, raw: np.ndarray) -> None:
        if len(raw):
            words = raw.view("<u8").reshape(-1, _PART // 8)
            self.made.update(words.sum(axis=1, dtype=np.uint64).tobytes())


def _words_of(array: np.ndarray) -> str:
    made = _Words()
    made.feed(array)
    return made.finish()


def _write_all(file: Any, data: memoryview) -> None:
    while data:
        data = data[file.write(data) :]


def _boot() -> str:
    """Return what changes when the system starts anew; pages that were not on disk by then are lost."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _write_text(path: Path, text: str) -> None:
    hidden = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        hidden.write_text(text, encoding="utf-8")
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)


@contextmanager
def _translated(root: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = refusal(error, at=root, elsewhere="set QNB_CACHE_DIR to another folder")
        what = f" with {size / 2**20:.0f} MiB" if size >= 2**20 else ""
        raise CacheError(f"the cache cannot be written{what}: {said}") from error
