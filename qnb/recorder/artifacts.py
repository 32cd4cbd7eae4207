"""A run's files in a folder of this machine: written all at once, listed, found."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from ..errors import RecorderError
from ..names import checked_path
from ..project import make_folder
from ..refused import NO_ROOM, refusal
from ..scratch import HIDDEN, scratch_folder
from .base import ArtifactInfo, UnreachableError

__all__ = ["artifact_path", "existing", "files_in", "keep_file", "place_of"]


def keep_file(root: Path, source: Path, folder: str = "") -> Path:
    """Copy a file or a folder to ``root/folder/name`` so that a reader sees the old one or the whole new one.

    Raises
    ------
    RecorderError
        When it cannot be written; nothing is left behind.
    """
    target = root / artifact_path("/".join(p for p in (folder, source.name) if p), new=True)
    try:
        make_folder(target.parent)
        with scratch_folder(target.parent) as scratch:
            fresh = scratch / target.name
            if source.is_dir():
                shutil.copytree(source, fresh)
            else:
                shutil.copyfile(source, fresh)
            if target.is_dir() or (fresh.is_dir() and target.exists()):
                os.replace(target, scratch / "old")
            os.replace(fresh, target)
    except OSError as error:
        raise _failed(target, error) from error
    return target


def files_in(root: Path, folder: str = "") -> list[ArtifactInfo]:
    """Return the entries directly below ``root/folder``, by name; none where there is no such folder."""
    base = place_of(root, folder) if folder else root
    try:
        entries = sorted(p for p in base.iterdir() if not p.name.startswith(HIDDEN))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RecorderError(f"cannot list {base}: {error.strerror or error}") from error
    return [
        ArtifactInfo(p.relative_to(root).as_posix(), p.is_dir(), 0 if p.is_dir() else p.stat().st_size) for p in entries
    ]


def place_of(root: Path, path: str) -> Path:
    """Return ``root/path``; raises `RecorderError` for a path that leads out of the run's folder."""
    return root / artifact_path(path)


def artifact_path(path: str, *, new: bool = False) -> str:
    """Return `path` in its normal form; `new` says that it is to be written. See `qnb.names.checked_path`.

    Raises
    ------
    RecorderError
        For a path that leads out of the run's folder, and a new one with a part that cannot name a file.
    """
    return checked_path("artifact", path, new=new, error=RecorderError)


def existing(path: str | Path) -> Path:
    """Return a path of the user's; raises `RecorderError` when nothing is there."""
    found = Path(path).expanduser()
    if not found.exists():
        raise RecorderError(f"no file {str(path)!r} to save")
    return found


def _failed(target: Path, error: OSError) -> RecorderError:
    reason = refusal(error)
    if isinstance(error, shutil.Error) and error.args[0]:  # a list of (from, to, why) for the files of a folder
        reason = str(error.args[0][0][-1])
    full = error.errno in NO_ROOM or os.strerror(errno.ENOSPC) in reason
    return (UnreachableError if full else RecorderError)(f"cannot save {target.name} in {target.parent}: {reason}")
