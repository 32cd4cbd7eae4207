"""From the text of a workflow to a Document.

1. Jinja2 is filled in from the notebook's variables and the environment.
2. YAML 1.2 is read; every key and value keeps its place.
3. ``BASE_CONFIG_PATH`` is read in the same way and the text is laid over it.
4. ``sys.path`` and ``sys.rel_path`` become folders, ``.py`` files become absolute paths.
5. ``<a.b.0>`` is replaced by what stands there (`fill_references`, called once overrides are applied).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from ..errors import ConfigError, Problem, nearest
from .document import ABSENT, Document, Path, copied, dotted, get, put, walk
from .template import MAX_CHARACTERS, fill_template
from .yaml import read_yaml

__all__ = ["DROP", "PLACEHOLDERS", "fill_references", "parse"]

PLACEHOLDERS = ("<MODEL>", "<DATASET>", "<PRED>")
"""Filled in when the objects exist."""

DROP = "__DROP__"
"""As a value over a base configuration: the key is removed."""

_BASE = "BASE_CONFIG_PATH"
_MAX_BASES = 10


def parse(
    text: str,
    *,
    source: str = "",
    first_line: int = 1,
    variables: Mapping[str, Any] | None = None,
    base_dir: FilePath | None = None,
    tags: frozenset[str] = frozenset(),
) -> Document:
    """Return the document of a workflow text; references and overrides are not applied yet.

    Parameters
    ----------
    text : str
        YAML, possibly with Jinja2.
    source : str
        Name of the file or cell, for messages.
    first_line : int
        Number of the text's first line as the user sees it; 2 in a cell whose first line is the magic.
    variables : mapping, optional
        For Jinja2, before those of the environment.
    base_dir : Path, optional
        Folder that relative paths start from; default the working folder.
    tags : frozenset of str
        Tags that are allowed; see `read_yaml`.

    Raises
    ------
    ConfigError
        With every problem found so far.
    """
    folder = (base_dir or FilePath.cwd()).absolute()
    try:
        return _parse(text, first_line, dict(os.environ) | dict(variables or {}), folder, "", (), tags)
    except ConfigError as error:
        raise ConfigError(error.problems, source=source) from error


def _parse(
    text: str,
    first_line: int,
    variables: Mapping[str, Any],
    folder: FilePath,
    source: str,
    above: tuple[FilePath, ...],
    tags: frozenset[str],
) -> Document:
    if len(text) > MAX_CHARACTERS:
        raise ConfigError([Problem(f"the text has {len(text)} characters", f"at most {MAX_CHARACTERS}")])
    filled = fill_template(text, variables, first_line=first_line)
    document = read_yaml(filled, first_line=first_line, source=source, tags=tags)
    for name, line in filled.missing:
        message = f"template variable {name!r} is not given, it becomes empty text"
        remedy = f"set {name} in the notebook or the environment"
        where = f"{source}, line {line + first_line}: " if source else ""
        shown = None if source else line + first_line
        document.warnings.append(Problem(where + message, remedy, line=shown, severity="warning"))
    document = _with_base(document, variables, folder, above, tags)
    return _with_files(document, folder)


def _with_base(
    document: Document,
    variables: Mapping[str, Any],
    folder: FilePath,
    above: tuple[FilePath, ...],
    tags: frozenset[str],
) -> Document:
    name = document.values.pop(_BASE, ABSENT)
    if name is ABSENT:
        return document
    if not isinstance(name, str):
        raise ConfigError([document.problem(f"{_BASE} must be a path, received {name!r}", (_BASE,))])
    given = FilePath(name).expanduser()
    candidates = [FilePath.cwd() / given, folder / given]
    file = next((c.resolve() for c in candidates if c.is_file()), None)
    if file is None:
        remedy = f"looked in {candidates[0].parent} and {candidates[1].parent}"
        raise ConfigError([document.problem(f"no file {name!r}", (_BASE,), remedy=remedy)])
    if file in above or len(above) >= _MAX_BASES:
        raise ConfigError([document.problem(f"{name!r} is built on itself", (_BASE,), remedy="remove the circle")])
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([document.problem(f"cannot read {name!r}: {error}", (_BASE,))]) from error
    try:
        base = _parse(text, 1, variables, file.parent, name, (*above, file), tags)
    except ConfigError as error:
        raise ConfigError(
            [p if p.message.startswith(name) else Problem(f"{name}, {p}") for p in error.problems]
        ) from error
    return _laid_over(base, document)


def _laid_over(base: Document, child: Document) -> Document:
    """Return `base` with `child` over it: mappings are merged, everything else is replaced."""
    places, links = dict(base.places), dict(base.links)

    def forget(path: Path) -> None:
        prefix = dotted(path)
        for name in [n for n in places if n == prefix or n.startswith(prefix + ".")]:
            del places[name]
        for use, home in list(links.items()):
            if use[: len(path)] == path or home[: len(path)] == path:
                del links[use]

    def merge(below: dict[str, Any], over: Mapping[str, Any], path: Path) -> dict[str, Any]:
        for key, value in over.items():
            here = (*path, key)
            if isinstance(value, str) and value == DROP:
                below.pop(key, None)
                forget(here)
            elif isinstance(value, Mapping) and isinstance(below.get(key), dict):
                merge(below[key], value, here)
            else:
                forget(here)
                below[key] = _without_drops(value)
        return below

    values = merge(copied(base.values), child.values, ())
    places |= {n: p for n, p in child.places.items() if n == "" or get(values, _steps(n)) is not ABSENT}
    links |= {u: h for u, h in child.links.items() if get(values, u) is not ABSENT}
    imports = tuple(dict.fromkeys((*child.imports, *base.imports)))
    return Document(values, places, links, [*base.warnings, *child.warnings], imports)


def _steps(name: str) -> Path:
    return tuple(name.split("."))


def _without_drops(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_drops(v) for k, v in value.items() if v != DROP}
    return value


def _with_files(document: Document, folder: FilePath) -> Document:
    """Return the document without its ``sys`` section, with folders and ``.py`` files as absolute paths."""
    values = document.values
    section = values.pop("sys", None)
    imports = list(document.imports)
    if section is not None:
        imports = [*_folders(document, section, folder), *imports]
    for path, value in list(walk(values)):
        if path and path[-1] == "module_path" and isinstance(value, str) and value.endswith(".py"):
            file = FilePath(value).expanduser()
            put(values, path, str(file if file.is_absolute() else folder / file))
    return Document(values, document.places, document.links, document.warnings, tuple(imports))


def _folders(document: Document, section: Any, folder: FilePath) -> list[str]:
    if not isinstance(section, Mapping):
        raise ConfigError([document.problem(f"sys must be a mapping, received {section!r}", ("sys",))])
    found: list[str] = []
    problems: list[Problem] = []
    for key, value in section.items():
        if key not in ("path", "rel_path"):
            near = nearest(key, ("path", "rel_path"))
            remedy = f"did you mean {near[0]!r}?" if near else "valid: path, rel_path"
            problems.append(document.problem(f"unknown key {key!r} in sys", ("sys", key), remedy=remedy, key=True))
            continue
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str):
                problems.append(document.problem(f"a folder is wanted, received {item!r}", ("sys", key)))
                continue
            start = folder if key == "rel_path" else FilePath.cwd()
            place = start / FilePath(item).expanduser()
            if not place.is_dir():
                warning = document.problem(f"no folder {str(place)!r}", ("sys", key), severity="warning")
                document.warnings.append(warning)
            found.append(str(place))
    if problems:
        raise ConfigError(problems)
    return found


def fill_references(document: Document) -> list[Problem]:
    """Replace every value ``<a.b.0>`` by a copy of what stands there, in place; return what does not fit.

    A path is looked for in the ``task`` section first, then from the top.
    """
    problems: list[Problem] = []
    for _ in range(_MAX_BASES):  # a reference may lead to another one
        changed = False
        for path, value in list(walk(document.values)):
            if not isinstance(value, str) or value in PLACEHOLDERS:
                continue
            found = re.fullmatch(r"<([^<>\s]+)>", value)
            if found is None:
                continue
            home, target = _home_of(document.values, found[1])
            if target is ABSENT:
                problems.append(_unknown_reference(document, path, value))
            elif path[: len(home)] == home:
                problems.append(document.problem(f"{value} stands inside of what it refers to", path))
            else:
                put(document.values, path, copied(target))
                changed = True
        if problems or not changed:
            return problems
    return [Problem("references that lead to each other", "replace one of them by its value")]


def _home_of(values: Any, name: str) -> tuple[Path, Any]:
    steps = _steps(name)
    for start in (("task",), ()):
        target = get(values, start + steps)
        if target is not ABSENT:
            return start + steps, target
    return (), ABSENT


def _unknown_reference(document: Document, path: Path, value: str) -> Problem:
    known = [*PLACEHOLDERS]
    for start in (("task",), ()):
        section = get(document.values, start)
        if isinstance(section, Mapping):
            known += [f"<{dotted(p)}>" for p, _ in walk(section) if p]
    near = nearest(value, known)
    remedy = (
        f"did you mean {near[0]}?" if near else f"valid: {', '.join(PLACEHOLDERS)} or a path such as <dataset.kwargs>"
    )
    return document.problem(f"{value} refers to nothing", path, remedy=remedy)
