"""Optuna's journal file, which waits for the disk once a trial instead of once a word.

The operating system keeps what a process wrote when the process is killed; only a power cut loses what has not reached
the disk. Waiting takes milliseconds, and Optuna's own file does it for each parameter and each value on the way. Here
only the end of a trial waits, and takes everything that was written before with it: a power cut loses trials that were
running, which are run again anyway.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileSymlinkLock

from ..refused import NO_ROOM

__all__ = ["TrialWiseJournal"]

ROOM_POLL = 0.5


class TrialWiseJournal(BaseJournalBackend):
    """The journal of one study; the file and its lock are Optuna's own, so ``optuna-dashboard`` opens it.

    Parameters
    ----------
    path : Path
        The file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = JournalFileSymlinkLock(str(path))
        self._file = JournalFileBackend(str(path), lock_obj=self._lock)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the entries from a number on."""
        return self._file.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries, and wait for the disk where one of them ends a trial.

        A disk that is full is waited for as long as the study is not asked to stop.
        """
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode("utf-8")
        sync = any("datetime_complete" in log for log in logs)
        while True:
            try:
                self._lock.acquire()
                try:
                    self._append(text, sync=sync)
                finally:
                    self._lock.release()
                return
            except OSError as error:
                if error.errno not in (*NO_ROOM, errno.EFBIG) or self._path.with_name("stop").exists():
                    raise
                time.sleep(ROOM_POLL)

    def _append(self, text: bytes, *, sync: bool) -> None:
        with self._path.open("ab", buffering=0) as file:
            start = file.tell()
            try:
                if file.write(text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
                if sync:
                    os.fsync(file.fileno())
            except OSError:
                file.truncate(start)
                raise
