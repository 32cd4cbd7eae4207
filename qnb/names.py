"""Names that become parts of paths: one rule for all, whatever they name and whichever system reads them later.

A name is one part of a path. It holds no slash and no control character, neither begins nor ends with a dot or a blank,
is none that Windows keeps for a device, and fits into the 255 bytes that file systems have for a name.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import PurePosixPath

from .errors import QnbError

__all__ = ["checked_name", "checked_path", "is_device", "wrong_with"]

LONGEST = 255
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", *(f"{d}{n}" for d in ("com", "lpt") for n in "0123456789¹²³")]
)
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that show a name in another order than it is written."""


def checked_name(kind: str, name: str, *, suffix: str = "", error: type[QnbError]) -> str:
    """Return `name` if it can be one part of a path, with `suffix` behind it.

    Parameters
    ----------
    kind : str
        What it names, for the message: ``universe``, ``symbol``, ``artifact``.
    error : type
        What is raised otherwise.

    Examples
    --------
    >>> from qnb.errors import DataError
    >>> checked_name("universe", "../calendars/day", suffix=".txt", error=DataError)
    Traceback (most recent call last):
    qnb.errors.DataError: the universe '../calendars/day' cannot name a file: it holds a slash; choose another name
    """
    reason = wrong_with(name, suffix)
    if not reason:
        return name
    shown = repr(name) if len(name) <= 60 else repr(name[:57] + "...")
    raise error(f"the {kind} {shown} cannot name a file: {reason}; choose another name")


def checked_path(kind: str, path: str, *, new: bool, error: type[QnbError]) -> str:
    """Return a relative path of names in its normal form, with ``/`` between them.

    Parameters
    ----------
    new : bool
        Whether something is to be written there: then each part must be such a name. What others have left may be read
        under any name that does not lead elsewhere.
    """
    pure = PurePosixPath(str(path).replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise error(f"an {kind}'s path stays within the run, received {str(path)!r}; leave out .. and / at its start")
    for part in pure.parts:
        if new or "\0" in part:
            checked_name(kind, part, error=error)
    return pure.as_posix()


@lru_cache(maxsize=8192)
def wrong_with(name: str, suffix: str = "") -> str:
    """Return why `name` with `suffix` cannot be one part of a path, '' if it can."""
    if not name:
        return "it is empty"
    if "/" in name or "\\" in name:
        return "it holds a slash"
    unseen = next((c for c in name if c in _TURNING or unicodedata.category(c) in _UNSEEN), None)
    if unseen is not None:
        return f"it holds the character U+{ord(unseen):04X}, which nobody sees"
    if name[0] in ". " or name[-1] in ". ":
        return "it begins or ends with a dot or a blank"
    if is_device(name):
        return "Windows keeps it for a device"
    room = LONGEST - len(suffix.encode())
    return f"it is longer than {room} bytes" if len(name.encode()) > room else ""


def is_device(name: str) -> bool:
    """Return whether Windows refuses files and folders of that name: ``CON``, ``nul.txt``."""
    return name.partition(".")[0].rstrip().lower() in _DEVICES
