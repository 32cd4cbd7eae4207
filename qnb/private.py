"""Folders and files that are the user's alone: made so, put right where they are not, and told from those of others.

``.qnb`` and all that is in it has mode 0700 (folders) and 0600 (files). One that an earlier version made, or somebody
opened, is put right by the next process that writes there. What is loaded as code must be the user's own.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from .project import make_folder

__all__ = ["keep_private", "private_folder", "private_opener", "strangers_hold"]

TOP = ".qnb"
_closed: set[Path] = set()  # by this process: where rights cannot be changed it is tried once
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE = stat.S_IWGRP | stat.S_IWOTH


def private_folder(path: Path) -> Path:
    """Make the folder `path` below ``.qnb`` (or by itself), for the user alone; returns it.

    Raises
    ------
    OSError
        When it cannot be made; `qnb.project.GoneError` when its project was moved or removed.
    """
    top = next((p for p in (path, *path.parents) if p.name == TOP), path)
    make_folder(top.parent)
    for folder in [p for p in reversed(path.parents) if p.is_relative_to(top)] + [path]:
        folder.mkdir(mode=0o700, exist_ok=True)
    if top.name == TOP and top not in _closed and _is_open(top):
        _closed.add(top)
        keep_private(top)
    return path


def private_opener(path: str, flags: int) -> int:
    """Open a file that is made for the user alone; the ``opener`` of `open`."""
    return os.open(path, flags, 0o600)


def keep_private(top: Path) -> None:
    """Take the rights of others from all that is in `top`; from `top` itself last, which says that it is done."""
    for folder, _, files in os.walk(top, topdown=False):
        for path in (*(os.path.join(folder, name) for name in files), folder):
            with contextlib.suppress(OSError):  # another user's, or gone meanwhile
                mode = os.lstat(path).st_mode
                if mode & _OTHERS and not stat.S_ISLNK(mode):
                    os.chmod(path, stat.S_IMODE(mode) & ~_OTHERS)


def strangers_hold(status: os.stat_result) -> str:
    """Return why what has this `status` may be another user's work, '' if only the user or root could write it."""
    if not hasattr(os, "getuid"):  # Windows: folders of a user are closed to others
        return ""
    if status.st_uid not in (os.getuid(), 0):
        return "belongs to another user"
    return "can be written by others" if status.st_mode & _WRITE else ""


def _is_open(top: Path) -> bool:
    status = top.stat()
    return hasattr(os, "getuid") and status.st_uid == os.getuid() and bool(status.st_mode & _OTHERS)
