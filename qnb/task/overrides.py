"""``--set a.b.c=value``: changes a value of a document, and every value that is the same by an alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ConfigError, Problem, nearest
from .document import ABSENT, Document, Path, Place, copied, dotted, get, put
from .yaml import read_scalar

__all__ = ["apply_overrides"]

_OPEN = frozenset({"kwargs", "qlib_init", "qnb_init", "init", "exchange_kwargs", "backtest", "segments"})
"""Mappings in which a key that is not there yet may be set; whether it is right is validated later."""


def apply_overrides(document: Document, overrides: Iterable[str], *, top: Iterable[str]) -> list[Problem]:
    """Apply ``"a.b.c=value"`` texts to `document` in place and return what is wrong with them.

    Parameters
    ----------
    overrides : iterable of str
        The value is read as YAML.
    top : iterable of str
        Keys that may be set at the top even if they are not there yet.
    """
    problems: list[Problem] = []
    for text in overrides:
        problem = _apply(document, text, tuple(top))
        if problem is not None:
            problems.append(problem)
    return problems


def _apply(document: Document, text: str, top: tuple[str, ...]) -> Problem | None:
    name, equals, raw = text.partition("=")
    name = name.strip()
    if not equals or not name:
        return Problem(f"--set {text!r} has no value", "write --set task.model.kwargs.num_leaves=64")
    try:
        value = read_scalar(raw)
    except ConfigError as error:
        return Problem(f"--set {name}: {error.problems[0].message}", "quote the value as in YAML", name)
    path = _path(document.values, name.split("."))
    problem = _missing(document.values, path, top)
    if problem is not None:
        return problem
    for target in _same(document.links, path):
        if get(document.values, target[:-1]) is ABSENT:
            continue
        put(document.values, target, copied(value))
        _forget(document, target)
        document.places[dotted(target)] = Place(0, 0, 0, 0, source=f"--set {name}")
    return None


def _path(values: Any, steps: list[str]) -> Path:
    """Return `steps` with positions in lists as numbers."""
    path: Path = ()
    for step in steps:
        inside = get(values, path)
        path = (*path, int(step) if isinstance(inside, list) and step.isdecimal() else step)
    return path


def _missing(values: dict[str, Any], path: Path, top: tuple[str, ...]) -> Problem | None:
    """Return what is wrong with setting `path`, after making an absent ``kwargs`` of a component."""
    for depth in range(1, len(path) + 1):
        here = path[:depth]
        if get(values, here) is not ABSENT:
            continue
        parent = get(values, here[:-1])
        last = depth == len(path)
        if isinstance(parent, Mapping):
            above = here[-2] if depth > 1 else ""
            if last and (above in _OPEN or (depth == 1 and here[0] in top)):
                return None
            if here[-1] == "kwargs" and ("class" in parent or "func" in parent) and not last:
                put(values, here, {})
                continue
        known = list(parent) if isinstance(parent, Mapping) else []
        known += [k for k in top if depth == 1]
        near = nearest(str(here[-1]), map(str, known))
        remedy = (
            f"did you mean {near[0]!r}?" if near else f"there is {', '.join(map(str, known[:12]))}" if known else ""
        )
        place = dotted(here[:-1]) or "the document"
        if isinstance(parent, list):
            remedy = f"it has {len(parent)} entries, counted from 0"
        return Problem(f"--set {dotted(path)}: nothing called {here[-1]!r} in {place}", remedy, dotted(path))
    return None


def _same(links: Mapping[Path, Path], path: Path) -> list[Path]:
    """Return `path` and every path that shows the same value by an alias."""
    found = [path]
    for here in found:
        for use, home in links.items():
            for new in (
                use + here[len(home) :] if here[: len(home)] == home else None,
                home + here[len(use) :] if here[: len(use)] == use and len(here) > len(use) else None,
            ):
                if new is not None and new not in found:
                    found.append(new)
    return found


def _forget(document: Document, path: Path) -> None:
    """Drop places and links below `path`, whose value is no longer that of the text."""
    prefix = dotted(path) + "."
    for name in [n for n in document.places if n.startswith(prefix)]:
        del document.places[name]
    for use in [u for u in document.links if u[: len(path)] == path and len(u) > len(path)]:
        del document.links[use]
