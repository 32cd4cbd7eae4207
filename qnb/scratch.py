"""Folders for files that are needed for a moment; what processes that were killed left of theirs is removed.

A folder is locked by the process that made it, as long as it lives and however it ends. The first folder that a process
makes sweeps those that nobody locks any more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, so nothing is swept
    fcntl = None  # type: ignore[assignment]

__all__ = ["HIDDEN", "scratch_folder"]

HIDDEN = ".qnb-"
_PREFIX = "qnb-scratch-"
_swept: set[tuple[int, str]] = set()


@contextmanager
def scratch_folder(place: Path | None = None) -> Iterator[Path]:
    """Make a folder of our own below `place`, by default the temporary folder; it is removed in the end.

    Parameters
    ----------
    place : Path, optional
        A folder in which others look for files; the new one is hidden there (`HIDDEN`).

    Raises
    ------
    OSError
        When it cannot be made, as on a full disk.
    """
    prefix = _PREFIX if place is None else HIDDEN
    place = place or Path(tempfile.gettempdir())
    _sweep(place, prefix)
    folder, lock = _locked(place, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(place: Path, prefix: str) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(dir=place, prefix=prefix))
        if fcntl is None:
            return folder, None
        lock = _lock(folder)
        if lock is not None:
            if folder.is_dir():
                return folder, lock
            os.close(lock)  # somebody swept it before it was locked


def _lock(folder: Path) -> int | None:
    """Return what holds the lock of `folder`; None where another process has it, or the folder is gone."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _sweep(place: Path, prefix: str) -> None:
    """Remove the folders of processes that are gone, once a process."""
    key = (os.getpid(), str(place))
    if fcntl is None or key in _swept:
        return
    _swept.add(key)
    for folder in place.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            lock = _lock(folder) if folder.stat().st_uid == os.getuid() else None
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
