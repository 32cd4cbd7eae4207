"""What the system refused, in one sentence with cause, place and remedy: no space, no rights, too many open files."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from .config import default_cache_dir
from .errors import ConfigError, Problem, QnbError

__all__ = ["NO_ROOM", "OF_THE_MACHINE", "refusal", "require_encodable", "survives_any_text", "what_refuses"]

OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EIO}
)
"""Numbers of errors that are no mistake in a task: the same task runs where the machine has what it lacks here."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of errors that are gone when somebody frees some space."""
FEW = 100
MUCH = 1 << 20
_ENCODE = "set LC_ALL=C.UTF-8 or PYTHONUTF8=1 before you start it, or work in a folder without such letters"


def refusal(error: BaseException, *, at: Path | None = None, elsewhere: str = "") -> str:
    """Return the sentence for an OSError, or for an import that failed for want of files; '' for any other error.

    Parameters
    ----------
    at : Path, optional
        The place, where the error does not say it.
    elsewhere : str
        How to take another place; by default it is guessed from the place.
    """
    if isinstance(error, ImportError) and os.strerror(errno.EMFILE) in str(error):
        error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    if not isinstance(error, OSError):
        return ""
    if isinstance(error, QnbError):  # one that says it all
        return str(error)
    place = _place(error) or str(at or "")
    elsewhere = elsewhere or _elsewhere(place)
    match error.errno:
        case number if number in NO_ROOM:
            return _no_space(place, elsewhere)
        case errno.EFBIG:
            return f"{place or 'a file'} may not grow any more; lift the limit with `ulimit -f unlimited`"
        case errno.EROFS:
            return f"{place or 'the disk'} cannot be written: its disk is read-only; {elsewhere}"
        case errno.EACCES | errno.EPERM:
            return f"no permission for {place or 'a file'}; change its rights, or {elsewhere}"
        case errno.EMFILE:
            return (
                f"too many files are open: this process may have {_files_at_most()}; "
                "allow more with `ulimit -n 4096` before you start it"
            )
        case errno.ENFILE:
            return "too many files are open on this machine; end what holds them, then try again"
        case errno.EAGAIN:
            return "the system starts no further process; end some, or allow more with `ulimit -u`"
        case errno.ENOENT if not place:
            return "a file or the working folder is not there any more; go to a folder that is"
        case errno.ENOENT:
            return f"there is no {place}; check the path"
        case errno.EIO:
            return f"the disk of {place or 'a file'} does not answer; check it, then try again"
    reason = error.strerror or str(error) or type(error).__name__
    return f"{place}: {reason}; check that it is there and can be read and written" if place else reason


def what_refuses(path: Path) -> OSError | None:
    """Return what the system says to opening a file and to writing another one beside it; None where it does both.

    For libraries that only say that they could not.
    """
    try:
        if path.exists():
            with path.open("r+b"):
                pass
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as file:
            file.write(bytes(4096))
    except OSError as error:
        return OSError(error.errno, error.strerror, str(path))
    return None


def require_encodable(folder: Path) -> None:
    """See to it that a path can be written to files, databases and URLs.

    Raises
    ------
    ConfigError
        The system's encoding lacks a letter of it, so that it would be another folder's name there.
    """
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(folder).decode("utf-8", "backslashreplace").encode("ascii", "backslashreplace").decode()
        encoding = sys.getfilesystemencoding()
        problem = f"the path {shown} has letters that the encoding of this process, {encoding}, lacks"
        raise ConfigError([Problem(problem, _ENCODE)]) from None


def survives_any_text(*streams: TextIO | None) -> None:
    """Have streams show ``?`` for what their encoding lacks, instead of raising."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and not (stream.encoding or "").lower().startswith("utf"):
            stream.reconfigure(errors="replace")


def _place(error: OSError) -> str:
    names = [os.fsdecode(n) for n in (error.filename2, error.filename) if isinstance(n, str | bytes | os.PathLike)]
    return names[0].encode("utf-8", "replace").decode() if names else ""


def _no_space(place: str, elsewhere: str) -> str:
    free = f"free some there (`qnb data cache --clear` removes what can be computed again), or {elsewhere}"
    folder = _without_room(place)
    if folder is None:
        return f"no space left on the disk of {place or 'a file'}; {free}"
    try:
        disk = os.statvfs(folder)
        # Some may have come free again since: what was half done has been removed.
        inodes = disk.f_files > 0 and disk.f_favail < FEW and disk.f_bavail * disk.f_frsize > MUCH
    except (AttributeError, OSError):  # Windows has no such call
        inodes = False
    if inodes:
        return (
            f"no file can be made in {place or folder}: its disk has no inodes left; remove files there, or {elsewhere}"
        )
    return f"no space left on the disk of {place or folder}; {free}"


def _without_room(place: str) -> Path | None:
    """Return the folder on the disk that is full: of `place`, or else one that qnb writes to."""
    if place:
        path = Path(place).absolute()
        return next((p for p in (path, *path.parents) if p.is_dir()), None)
    for candidate in (os.curdir, tempfile.gettempdir()):
        try:
            disk = os.statvfs(candidate)
        except (AttributeError, OSError):
            continue
        if disk.f_bavail * disk.f_frsize < MUCH or (disk.f_files > 0 and disk.f_favail < FEW):
            return Path(candidate).absolute()
    return None


def _elsewhere(place: str) -> str:
    """Return how to write to another place, in the words for the kind of place that it is."""
    if place and str(default_cache_dir()) in place:
        return "set QNB_CACHE_DIR to another folder"
    return "work in another folder"


def _files_at_most() -> str:
    try:
        import resource
    except ImportError:  # Windows
        return "no more of them"
    return f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,} of them"
