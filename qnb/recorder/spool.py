"""What a tracking store did not take: files that keep it, and the way back to the store.

1. A run's file exists only while something of the run is missing in its store: entries, files, how it ended.
2. As long as the process that records the run lives, the file is that process's. Then whoever opens the store next
   writes what the file holds and removes it (`deliver`), one process at a time; written twice it changes nothing.
3. What the store refuses for good is kept in a file of its own (`REFUSED`), which nobody but a person writes again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import RecorderError
from ..files import tell, write_atomically
from ..machine import ProcessId
from ..names import checked_name
from ..private import private_folder
from ..project import GoneError, make_folder
from ..refused import refusal
from ..secrets import masked
from .base import RUN_ID, Entry, MetricPoint, ParamSet, RefusedError, Store, TagDeleted, TagSet, UnreachableError
from .uris import sqlite_path

__all__ = ["REFUSED", "Ending", "Kept", "KeptFile", "Spool", "deliver", "folders_of", "name_of", "read_spool"]

REFUSED = ".refused.ndjson"
LOCK_SECONDS = 60.0
STALE = 60.0
NOBODY = ProcessId(0)
_LOG = logging.getLogger("qnb.recorder")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file or folder in the spool, by its path there, and the folder of the run's artifacts that it belongs to."""

    path: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and when: seconds since the epoch."""

    status: str
    time: float


@dataclass(frozen=True, slots=True)
class Kept:
    """What a spool file holds.

    Attributes
    ----------
    run_id, uri : str
        The run and the name of its store (`name_of`). Without an id it is every run with the tag ``qnb.run_id`` of
        `task_run`: whoever left the file knows no more.
    task_run : str
        Id of the run's directory, '' without one.
    owner : ProcessId
        Who records the run and writes the file.
    contents : tuple
        Entries, files and ending, in the order in which they are written.
    """

    run_id: str
    uri: str
    task_run: str = ""
    owner: ProcessId = NOBODY
    contents: tuple[Entry | KeptFile | Ending, ...] = ()


_KINDS: dict[str, type[Any]] = {
    "metric": MetricPoint, "param": ParamSet, "tag": TagSet, "untag": TagDeleted, "file": KeptFile, "end": Ending,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Spool:
    """The spool file of one run.

    Parameters
    ----------
    folders : sequence of Path
        Where it is written: the first that takes it.
    kept : Kept
        Whose it is; holds nothing yet.
    """

    def __init__(self, folders: Sequence[Path], kept: Kept) -> None:
        stem = checked_name("run", kept.run_id or kept.task_run, suffix=f"-000000{REFUSED}", error=RecorderError)
        self._folders, self.kept = tuple(folders), kept
        self._stem = f"{stem}-{secrets.token_hex(3)}"
        self.folder = self._folders[0]
        self._entries: list[Entry] = []
        self._more: list[KeptFile | Ending] = []
        self._told = False

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self._stem}.ndjson"

    @property
    def refused_path(self) -> Path:
        """The file of what the store refused."""
        return self.folder / f"{self._stem}{REFUSED}"

    @property
    def files(self) -> list[tuple[KeptFile, Path]]:
        """The files that are kept, with where they lie."""
        return [(f, self.path.with_suffix("") / f.path) for f in self._more if isinstance(f, KeptFile)]

    def keep(self, entries: Sequence[Entry]) -> None:
        """Keep these entries instead of those before."""
        if list(entries) != self._entries:
            self._entries = list(entries)
            self._write()

    def keep_file(self, source: Path, folder: str) -> None:
        """Keep a copy of a file or folder.

        Raises
        ------
        RecorderError
            When there is no room for it.
        """
        target = self.path.with_suffix("") / str(len(self._more)) / source.name
        try:
            make_folder(target.parent)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
        except OSError as error:
            raise RecorderError(f"cannot keep {source.name}: {refusal(error, at=target)}") from error
        self._more.append(KeptFile(f"{len(self._more)}/{source.name}", folder))
        self._write()

    def leave(self, status: str, at: float) -> None:
        """Keep how the run ended, too, and give the file to whoever opens the store next."""
        self._more = [*(m for m in self._more if isinstance(m, KeptFile)), Ending(status, at)]
        self.kept = replace(self.kept, owner=NOBODY)
        self._write()

    def write_to(self, store: Store) -> None:
        """Write to the store what is kept; nothing is kept after that. Raises as `write_to` of a file does."""
        write_to(store, self.path)
        _remove_empty(self.folder)

    def refuse(self, entries: Sequence[Entry]) -> Path:
        """Keep what the store refuses, for a person to look at."""
        _refuse(self.refused_path, self.kept, entries)
        return self.refused_path

    def _write(self) -> None:
        contents = (*self._entries, *self._more)
        if not contents:
            self.path.unlink(missing_ok=True)
            _remove_empty(self.folder)
            return
        for folder in self._folders if not self.path.exists() else (self.folder,):
            self.folder = folder
            try:
                private_folder(folder)
                write_atomically(self.path, _text(replace(self.kept, contents=contents)))
                return
            except GoneError:  # the project was moved while the run went on, which ends it
                return
            except OSError as error:
                reason = error
        told = "entries of run %s cannot be kept in %s: %s"
        _LOG.log(logging.DEBUG if self._told else logging.ERROR, told, self.kept.run_id, self.folder, refusal(reason))
        self._told = True


def folders_of(work_dir: Path, cache_dir: Path | None) -> tuple[Path, ...]:
    """Return where the spool files of a working folder are: there, or where that cannot be written, in the cache's."""
    digest = hashlib.blake2b(str(work_dir).encode(), digest_size=8).hexdigest()
    return work_dir / ".qnb" / "unwritten", *(() if cache_dir is None else (cache_dir / "unwritten" / digest,))


def name_of(uri: str, work_dir: Path) -> str:
    """Return the name of a store in spool files: without a password, and relative to the working folder within it."""
    path = sqlite_path(uri)
    if path is not None and path.is_relative_to(work_dir):
        return f"sqlite:///{path.relative_to(work_dir)}"
    return masked(uri)


def read_spool(path: Path) -> Kept:
    """Return what a spool file holds.

    Raises
    ------
    RecorderError
        When it is none.
    """
    try:
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        contents = tuple(_KINDS[kind](*values) for kind, *values in map(json.loads, lines))
        return replace(_head(head), contents=contents)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecorderError(f"{path} is no spool file of a run: {error}") from error


def deliver(store: Store, folders: Sequence[Path], name: str) -> int:
    """Write what spool files hold for `store` and remove them; returns how many. One process at a time does so.

    What cannot be written, because the store cannot be reached or a file is damaged, stays.

    Parameters
    ----------
    name : str
        The store's name in the files.
    """
    from filelock import FileLock, Timeout

    count = 0
    for folder in folders:
        if not any(_waiting(folder, name)):
            continue
        try:
            with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=LOCK_SECONDS):
                _tidy(folder)
                for path in sorted(_waiting(folder, name), key=lambda p: p.stat().st_mtime_ns):
                    try:
                        write_to(store, path)
                        count += 1
                    except UnreachableError:
                        return count
                    except RecorderError as error:
                        tell(path, str(error), "look what it holds, then remove it")
                _remove_empty(folder)
        except (Timeout, OSError) as error:
            _LOG.warning("what waits in %s is not written to its store: %s", folder, error)
    return count


def write_to(store: Store, path: Path) -> int:
    """Write what one spool file holds to `store`, remove it, and return how many entries and files that were.

    Raises
    ------
    RecorderError
        When the store does not take it; the file stays.
    """
    kept = read_spool(path)
    written = 0
    for run_id in [kept.run_id] if kept.run_id else _runs_of(store, kept.task_run):
        refused = _write_run(store, run_id, kept.contents, path.with_suffix(""))
        written += len(kept.contents) - len(refused)
        entries = [e for e in refused if not isinstance(e, KeptFile | Ending | TagSet)]
        if entries:
            where = path.with_name(path.name.removesuffix(REFUSED).removesuffix(".ndjson") + REFUSED)
            _refuse(where, replace(kept, run_id=run_id), entries)
            if where == path:
                raise RefusedError(f"the store refuses what {path} holds: {entries[0]}")
            _LOG.warning("the store refuses some of what waited for run %s: %s holds it", run_id, where)
    path.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    return written


def _write_run(store: Store, run_id: str, contents: Sequence[Any], place: Path) -> list[Any]:
    """Write and return what is refused."""
    entries = [c for c in contents if not isinstance(c, KeptFile | Ending)]
    calls: list[tuple[Any, Any]] = [(entries, lambda: store.log(run_id, entries))] if entries else []
    for item in contents:
        match item:
            case KeptFile(path, folder):
                calls.append(([item], lambda path=path, folder=folder: store.put_file(run_id, place / path, folder)))
            case Ending(status, at):
                calls.append(([item], lambda s=status, at=at: store.update_run(run_id, status=s, end=at)))
    refused: list[Any] = []
    for items, call in calls:
        try:
            call()
        except RefusedError:
            if len(items) == 1:
                refused += items
                continue
            for entry in items:
                refused += _write_run(store, run_id, [entry], place)
    return refused


def _runs_of(store: Store, task_run: str) -> list[str]:
    ids = [e.id for e in store.experiments()]
    return [r.run_id for r in store.search(ids, filter_string=f"tags.`{RUN_ID}` = '{task_run}'")] if ids else []


def _waiting(folder: Path, name: str) -> Iterator[Path]:
    """Yield the spool files for a store that no living process writes."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith(".ndjson") and not entry.name.endswith(REFUSED):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open(entry.path, "rb") as file:
                    head = _head(file.readline())
                    if head.uri == name and not head.owner.alive:
                        yield Path(entry.path)


def _tidy(folder: Path) -> None:
    """Remove what processes that were killed left half written."""
    with contextlib.suppress(OSError):
        for path in folder.glob(".*"):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _refuse(path: Path, kept: Kept, entries: Sequence[Entry]) -> None:
    old = read_spool(path).contents if path.exists() else ()
    private_folder(path.parent)
    write_atomically(path, _text(replace(kept, owner=NOBODY, contents=(*old, *entries))))


def _text(kept: Kept) -> str:
    head = {
        "run_id": kept.run_id, "uri": kept.uri, "task_run": kept.task_run,
        "owner": [kept.owner.pid, kept.owner.began],
    }  # fmt: skip
    lines = [json.dumps(head)]
    for item in kept.contents:
        values = [getattr(item, name) for name in type(item).__slots__]
        lines.append(json.dumps([_NAMES[type(item)], *values]))
    return "\n".join(lines) + "\n"


def _head(line: str | bytes) -> Kept:
    raw = json.loads(line)
    if not isinstance(raw, dict):
        raise ValueError(f"no line of a spool: {raw!r}")
    owner = ProcessId.of(raw.get("owner"))
    return Kept(str(raw["run_id"]), str(raw["uri"]), str(raw.get("task_run", "")), owner)
