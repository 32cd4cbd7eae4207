"""Standard output and error of a worker during a run: kept in the run's ``log.txt`` and told as log lines.

What Python code prints becomes log lines; what C libraries write to the descriptors lands in the file alone. Both are
bounded: a line is cut at `LINE_LIMIT`, and of a flood only `LINES_A_SECOND` lines a second are told.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..events import Emit, LogLine

__all__ = ["LINES_A_SECOND", "LINE_LIMIT", "bounded", "is_redirected", "output_as_log"]

LINE_LIMIT = 20_000
LINES_A_SECOND = 200
FILE_LIMIT = 50_000_000
_lately: deque[tuple[io.TextIOBase, ...]] = deque(maxlen=2)
"""``print`` borrows the stream that it finds: one that was taken back must outlive the threads that print to it."""


def bounded(text: str) -> str:
    """Return `text` cut to `LINE_LIMIT` characters, saying how much is missing."""
    if len(text) <= LINE_LIMIT:
        return text
    return f"{text[:LINE_LIMIT]} … and {len(text) - LINE_LIMIT:,} more characters"


class _Pace:
    """Lets `LINES_A_SECOND` lines a second pass and counts the others."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # what is collected as garbage under it may print
        self._second, self._passed, self._held = 0.0, 0, 0

    def take(self) -> tuple[bool, int]:
        """Return whether the next line may pass, and how many were held back before it."""
        with self._lock:
            now = time.monotonic()
            held = 0
            if now - self._second >= 1.0:
                self._second, self._passed = now, 0
                held, self._held = self._held, 0
            self._passed += 1
            if self._passed > LINES_A_SECOND:
                self._held += 1
                return False, 0
            return True, held


class _Lines(io.TextIOBase):
    """A text stream that writes to a file and tells every whole line."""

    def __init__(self, write: Callable[[str], None], emit: Emit, level: str, pace: _Pace) -> None:
        self._write, self._emit, self._level, self._pace = write, emit, level, pace
        self._rest = ""
        self._lock = threading.RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            self._write(text)
            *lines, rest = (self._rest + text).split("\n")
            self._rest = rest[-4 * LINE_LIMIT :]
            for line in lines:
                self._tell(line)
        return len(text)

    def flush(self) -> None:
        """What was written is with the system already."""

    def end(self) -> None:
        """Tell what is left without a line break."""
        if self._rest:
            self._tell(self._rest)
            self._rest = ""

    def _tell(self, line: str) -> None:
        line = line.rpartition("\r")[2] if "\r" in line.rstrip("\r") else line.rstrip("\r")
        if not line.strip():
            return
        passes, held = self._pace.take()
        if held:
            self._emit(LogLine(text=f"{held:,} lines of output are in log.txt only", level="warning"))
        if passes:
            self._emit(LogLine(text=bounded(line), level=self._level))


def is_redirected(stream: object) -> bool:
    """Return whether what is printed to `stream` becomes log lines."""
    return isinstance(stream, _Lines)


@contextmanager
def output_as_log(path: Path, emit: Emit, clean: Callable[[str], str] = str) -> Iterator[None]:
    """Send standard output and error to the file `path` and, line by line, to `emit` while it is open.

    The process's own descriptors 1 and 2 are redirected and restored at the end. `clean` takes secrets out of what
    Python code prints.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    kept = [os.dup(1), os.dup(2)]
    streams = sys.stdout, sys.stderr
    pace = _Pace()

    def write(text: str) -> None:
        data = clean(text).encode("utf-8", "replace")
        try:
            if os.fstat(file).st_size < FILE_LIMIT:
                os.write(file, data)
        except OSError:  # a full disk must not end a training that prints
            return

    lines = _Lines(write, emit, "info", pace), _Lines(write, emit, "info", pace)
    _lately.append(lines)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout, sys.stderr = lines
        yield
    finally:
        sys.stdout, sys.stderr = streams
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(file)
        for stream in lines:
            stream.end()
