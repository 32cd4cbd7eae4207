"""A document: plain values, and for every path of them the place in the text they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import Problem

__all__ = ["ABSENT", "Document", "Path", "Place", "copied", "dotted", "get", "put", "walk"]

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of a document."""

ABSENT: Any = object()
"""What `get` returns where there is nothing (None is a value)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands in its text. Lines and columns are 1-based, as the user sees them.

    Attributes
    ----------
    line, column : int
        Of the value's first character (inside quotation marks).
    key_line, key_column : int
        Of its key, or of the value in a list.
    exact : bool
        Whether an offset in the value is the same offset in the line (one line, nothing escaped or filled in).
    source : str
        The file, when it is not the main text; with line 0 anything else that a value can come from.
    """

    line: int
    column: int
    key_line: int
    key_column: int
    exact: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A workflow text, read.

    Attributes
    ----------
    values : dict
        Mappings with text keys, lists, str, int, float, bool, None; dates are ISO strings.
    places : dict of str to Place
        By dotted path.
    links : dict of Path to Path
        Where an alias or a merge key shows a value -> where that value is defined.
    warnings : list of Problem
        What does not stop the run.
    imports : tuple of str
        Folders for ``sys.path``, from the ``sys`` section.
    """

    values: dict[str, Any]
    places: dict[str, Place] = field(default_factory=dict)
    links: dict[Path, Path] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    imports: tuple[str, ...] = ()

    def problem(
        self,
        message: str,
        path: Path = (),
        *,
        remedy: str = "",
        severity: str = "error",
        key: bool = False,
        offset: int | None = None,
    ) -> Problem:
        """Return a Problem that points at `path`.

        Parameters
        ----------
        key : bool
            Point at the key rather than at the value.
        offset : int, optional
            Character of the value that is meant, from 0.
        """
        return locate_problem(self.places, message, path, remedy=remedy, severity=severity, key=key, offset=offset)


def locate_problem(
    places: Mapping[str, Place],
    message: str,
    path: Path,
    *,
    remedy: str = "",
    severity: str = "error",
    key: bool = False,
    offset: int | None = None,
) -> Problem:
    """Return a Problem at `path`, or at its nearest ancestor that has a place."""
    name = dotted(path)
    here = True
    while path and dotted(path) not in places:
        path, here = path[:-1], False
    place = places.get(dotted(path))
    if place is None:
        return Problem(message, remedy, name, severity=severity)
    line, column = (place.key_line, place.key_column) if key or not here else (place.line, place.column)
    if offset is not None and here and place.exact:
        column += offset
    if place.source:
        where = f"{place.source}, line {line}" if line else place.source
        return Problem(f"{where}: {message}", remedy, name, severity=severity)
    return Problem(message, remedy, name, line, column, severity)


def dotted(path: Path) -> str:
    """Return `path` as ``a.b.0``."""
    return ".".join(map(str, path))


def get(values: Any, path: Sequence[str | int]) -> Any:
    """Return the value at `path`, or `ABSENT`. A text step counts as a position in a list."""
    for step in path:
        if isinstance(values, Mapping):
            if step not in values:
                return ABSENT
            values = values[step]
        elif isinstance(values, list):
            if isinstance(step, str):
                if not step.isdecimal():
                    return ABSENT
                step = int(step)
            if not 0 <= step < len(values):
                return ABSENT
            values = values[step]
        else:
            return ABSENT
    return values


def put(values: Any, path: Sequence[str | int], value: Any) -> None:
    """Set the value at `path`, whose parent must be there."""
    parent = get(values, path[:-1])
    last = path[-1]
    if isinstance(parent, list):
        parent[int(last)] = value
    else:
        parent[last] = value


def walk(values: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every (path, value), containers before their content."""
    yield path, values
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from walk(value, (*path, key))
    elif isinstance(values, list):
        for number, value in enumerate(values):
            yield from walk(value, (*path, number))


def copied(value: Any) -> Any:
    """Return `value` with its mappings and lists copied."""
    if isinstance(value, Mapping):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [copied(v) for v in value]
    return value
