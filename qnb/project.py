"""A project's folder, which may be renamed or moved, also while it is used.

1. What is kept in it names places inside of it without saying where it lies (`without_place`), and is read with the
   place it has now (`with_place`). Older files say where it was: what lay there is looked for where it is now.
2. Folders are made by `make_folder`: a project that this process has used (`used`) and that is gone does not come back
   as an empty folder, with the rest of what goes on in it lost.
3. `Anchor` notices that a folder was moved, and finds it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Any, Self

from .errors import QnbError

__all__ = ["Anchor", "GoneError", "is_gone", "make_folder", "project_of", "used", "with_place", "without_place"]

PLACE = "<project>"
_used: set[Path] = set()


def without_place(value: Any, project: Path) -> Any:
    """Return JSON values in which paths inside of `project` begin with ``<project>``, in URIs and longer texts, too.

    Examples
    --------
    >>> without_place(["/work/p/net.py", "sqlite:////work/p/m.db", "/work/pa", "/old/work/p"], Path("/work/p"))
    ['<project>/net.py', 'sqlite:///<project>/m.db', '/work/pa', '/old/work/p']
    """
    return _moved(value, str(project), PLACE)


def with_place(value: Any, project: Path, *, was: object = None) -> Any:
    """Return JSON values with the paths they had before `without_place`, or where `project` lies now.

    Parameters
    ----------
    value : any
        JSON values.
    project : Path
        The folder's present place.
    was : str, optional
        The place it had when an older version wrote it.
    """
    value = _moved(value, PLACE, str(project))
    moved = isinstance(was, str) and os.path.isabs(was) and was.rstrip("/\\") and was != str(project)
    return _moved(value, str(was).rstrip("/\\"), str(project)) if moved else value


def project_of(folder: Path) -> Path:
    """Return the project that a run's or study's folder belongs to: the one that holds ``.qnb``, wherever it lies."""
    above = folder.absolute().parents
    return above[min(2, len(above) - 1)]


def used(project: Path) -> None:
    """Remember a project's folder that is there, for `make_folder`."""
    if project not in _used and project.is_dir():
        _used.add(project)


def make_folder(folder: Path, *, mode: int = 0o777) -> Path:
    """Make a folder and those above it, and return it.

    Raises
    ------
    GoneError
        It lies in a project that this process has used and that is gone.
    OSError
        It cannot be made.
    """
    folder = folder.absolute()
    for project in (p for p in (folder, *folder.parents) if p in _used):
        if is_gone(project):
            raise GoneError(project)
    folder.mkdir(parents=True, exist_ok=True, mode=mode)
    return folder


def is_gone(folder: Path) -> bool:
    """Return whether there is no such folder; False where that cannot be told just now."""
    try:
        os.stat(folder)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


class GoneError(QnbError, FileNotFoundError):
    """A project's folder was moved or removed while it was used.

    Parameters
    ----------
    project : Path
        Where it was.
    """

    def __init__(self, project: Path) -> None:
        self.project = project
        super().__init__(
            f"the folder {project} is gone: it was moved, renamed or removed while it was used; go on in its new "
            "place, in a notebook whose kernel was started there"
        )


class Anchor:
    """Holds on to a folder, wherever it is moved; a context manager.

    Parameters
    ----------
    folder : Path
        Is there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known = os.stat(folder)
        self._fd = -1

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # Windows opens no folders, and moves none in which a file is open
            self._fd = os.open(self.folder, os.O_RDONLY)
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def is_gone(self) -> bool:
        """Whether the folder is not any more where it was."""
        try:
            return not os.path.samestat(os.stat(self.folder), self._known)
        except OSError:
            return is_gone(self.folder)

    def find(self) -> Path | None:
        """Return where the folder is now; None when it was removed, or the system does not tell."""
        if self._fd < 0:
            return None
        try:
            if sys.platform == "darwin":
                import fcntl

                found = Path(os.fsdecode(fcntl.fcntl(self._fd, fcntl.F_GETPATH, b"\0" * 1024).rstrip(b"\0")))
            else:
                found = Path(os.readlink(f"/proc/self/fd/{self._fd}"))
            return found if os.path.samestat(os.stat(found), self._known) else None
        except OSError:
            return None


def _moved(value: Any, old: str, new: str) -> Any:
    # Not within another path, such as /backup/work/p; but behind a URI's scheme.
    place = re.compile(rf"(?:(?<![\w.\-/\\])|(?<=:///)|(?<=[a-z]://)){re.escape(old)}(?=[/\\'\"`,;:)\]}}\n]|$)")

    def change(found: Any) -> Any:
        if isinstance(found, str | Path):
            text = str(found)
            return place.sub(lambda _: new, text) if old in text else text
        if isinstance(found, list | tuple):
            return [change(v) for v in found]
        if isinstance(found, dict):
            return {k: change(v) for k, v in found.items()}
        return found

    return change(value) if old.strip("/\\") else value
