"""The journal of a run: an append-only, numbered file of events that is the truth about the run.

A run's directory holds ``journal.ndjson`` (this file), ``task.yaml``, ``log.txt`` and ``result.json``. One process
writes at a time: the manager queues, then the worker runs, then, if the worker died, the manager writes the end.
A line is written with one ``write`` call, so a reader sees whole lines and at most one torn last line, which it
leaves for the next look.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .events import Event, from_json, to_json
from .files import move_aside, parse_json, tell

__all__ = ["JOURNAL_NAME", "Entry", "JournalReader", "JournalWriter", "read_journal"]

JOURNAL_NAME = "journal.ndjson"
TOGETHER = 500
"""Lines that are parsed in one go: more are slower, since what they hold leaves the processor's caches."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal: its number (1-based, without gaps) and the event."""

    seq: int
    event: Event


class JournalWriter:
    """Appends events to a run's journal; safe for several threads of one process.

    Parameters
    ----------
    directory : Path
        The run's directory, which is not made: one that was moved or removed does not come back.
    sync : bool
        Have the disk confirm what was written when the writer closes.
    """

    def __init__(self, directory: Path, *, sync: bool = True) -> None:
        self.path = Path(directory) / JOURNAL_NAME
        self._sync = sync
        self._appended = False
        self._lock = threading.Lock()
        self._fd = -1
        self._seq = 0

    def open(self) -> Self:
        """Open for appending, going on after the last whole line; a torn last line is cut off."""
        if self.path.is_dir():
            move_aside(self.path)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._fd).st_size
        data = self.path.read_bytes() if size else b""
        whole = data.rfind(b"\n") + 1
        if whole < size:
            os.ftruncate(self._fd, whole)
        self._seq = data.count(b"\n", 0, whole)
        self._appended = False
        return self

    def append(self, event: Event) -> int:
        """Write `event` and return its number.

        Raises
        ------
        OSError
            When the disk is full; nothing of the line is left behind.
        """
        with self._lock:
            if self._fd < 0:
                self.open()
            seq = self._seq + 1
            line = json.dumps({"seq": seq, **to_json(event)}, ensure_ascii=False, separators=(",", ":"))
            data = line.encode("utf-8", "surrogateescape" if line.isascii() else "replace") + b"\n"
            start = os.fstat(self._fd).st_size
            try:
                written = os.write(self._fd, data)
            except OSError:
                os.ftruncate(self._fd, start)
                raise
            if written < len(data):
                os.ftruncate(self._fd, start)
                raise OSError(28, "No space left on device", str(self.path))
            self._seq = seq
            self._appended = True
            return seq

    def close(self) -> None:
        """Flush to the disk (unless made with ``sync=False``) and close; may be called twice."""
        with self._lock:
            if self._fd >= 0:
                try:
                    if self._sync and self._appended:
                        os.fsync(self._fd)
                finally:
                    os.close(self._fd)
                    self._fd = -1

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class JournalReader:
    """Reads a journal from where it stopped the last time; never raises.

    What it cannot read, or `complain` is told of, is left out, which is said once.
    """

    def __init__(self, directory: Path) -> None:
        self.path = Path(directory) / JOURNAL_NAME
        self._offset = 0
        self._seq = 0

    def read_new(self, limit: int | None = None) -> list[Entry]:
        """Return the entries that were appended since the last call, oldest first; a torn last line is left.

        Parameters
        ----------
        limit : int, optional
            Read about this many bytes at most, at least one line; the rest is for the next call.
        """
        entries = []
        for raw in self.read_raw(limit):
            event = from_json(raw, self.complain)
            if event is not None:
                entries.append(Entry(raw["seq"], event))
        return entries

    def read_raw(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the same lines as JSON objects, each with its number under ``"seq"``; to be read to the end.

        What is no JSON is left out, like in `read_new`; of many lines this is several times quicker.
        """
        lines = self._new_lines(limit)
        for first in range(0, len(lines), TOGETHER):
            for raw in _parse(lines[first : first + TOGETHER]):
                self._seq += 1
                if isinstance(raw, dict):
                    raw["seq"] = self._seq
                    yield raw
                else:
                    self.complain("no JSON object")

    def complain(self, what: str) -> None:
        """Say, once a journal, that the line read last says nothing to this version."""
        tell(
            self.path, f"line {self._seq} and perhaps others are left out ({what})",
            "update qnb if a newer version wrote it; else the run is shown as far as it can be read",
        )  # fmt: skip

    def _new_lines(self, limit: int | None) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read() if limit is None else file.read(limit)
                if limit is not None and len(data) == limit and b"\n" not in data:
                    data += file.readline()
        except FileNotFoundError:
            return []
        except OSError as error:
            tell(self.path, f"it cannot be read ({error.strerror})", "check what lies there, and its rights")
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        return data[:end].split(b"\n")[:-1]


def _parse(lines: list[bytes]) -> list[Any]:
    """Return what each line says, None for one that is no JSON; all at once where they are sound."""
    try:
        found = parse_json(b"[" + b",".join(lines) + b"]")
        if len(found) == len(lines):
            return list(found)
    except ValueError:
        pass
    return [_parse_line(line) for line in lines]


def _parse_line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError:
        return None


def read_journal(directory: Path) -> Iterator[Entry]:
    """Yield every entry of the journal in `directory`, oldest first."""
    yield from JournalReader(directory).read_new()
