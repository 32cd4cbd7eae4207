"""The id of a run: what it looks like, and how a person may shorten it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import TypeVar

from .errors import UnknownNameError

__all__ = ["ID_LENGTH", "ID_START", "is_run_id", "new_run_id", "only_with_id"]

ID_LENGTH = 12
ID_START = 4
"""Characters of an id that are enough to name a run, if no other id begins with them."""
T = TypeVar("T")


def new_run_id() -> str:
    """Return an id that no other run has."""
    return uuid.uuid4().hex[:ID_LENGTH]


def is_run_id(text: str) -> bool:
    """Return whether `text` looks like the id of a run's folder."""
    return re.fullmatch(f"[0-9a-f]{{{ID_LENGTH}}}", text) is not None


def only_with_id(ref: str, ids: Iterable[tuple[T, Sequence[str]]], *, names: Iterable[str]) -> T:
    """Return the one run with an id that begins with `ref`; `ids` are runs and their ids.

    Raises
    ------
    UnknownNameError
        There is none, or several, or `ref` is shorter than `ID_START`.
    """
    matching = [run for run, own in ids if any(i.startswith(ref) for i in own)]
    if len(matching) == 1 and len(ref) >= ID_START:
        return matching[0]
    if matching and len(ref) < ID_START:
        raise UnknownNameError("run", ref, hint=f"of an id give {ID_START} characters or more")
    if matching:
        raise UnknownNameError("run", ref, hint=f"{len(matching)} ids start like that; give more characters")
    raise UnknownNameError("run", ref, dict.fromkeys(names), hint="`qnb runs` lists them")
