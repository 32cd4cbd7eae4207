"""Locates components by kind and name in the sources, without importing them.

Plug-in families are listed by `qnb.registry`; the other kinds (datasets, handlers ...) are engine classes, found by
name in the packages they live in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .. import registry
from ..errors import UnknownNameError
from ..registry import Member

__all__ = ["KINDS", "kinds_of", "locate", "names"]

_PACKAGE = Path(registry.__file__).parent

_ENGINE_KINDS = {
    "dataset": (("data/dataset.py", "data/timeseries.py"), r"\w*DatasetH"),
    "handler": (("data/handlers/*.py", "data/handler.py"), r"(?!FeatureSet)(?!\w+DL$)\w+"),
    "loader": (("data/*loader.py", "data/handlers/*.py"), r"\w+DL|\w+DataLoader|DataLoader\w+"),
    "filter": (("data/filters.py",), r"\w+DFilter"),
    "reweighter": (("data/reweighter.py",), r"Reweighter"),
    "network": (("models/_networks/*.py",), r"\w+"),
}
"""Kind -> (files that define its classes, what their names look like)."""

KINDS: tuple[str, ...] = (
    "model", "dataset", "handler", "processor", "loader", "record", "strategy", "filter", "reweighter", "network",
    "operator", "feature_set", "provider", "space", "backend",
)  # fmt: skip
"""All kinds, in the order in which a bare name is looked up."""


def names(kind: str) -> tuple[str, ...]:
    """Return the names that are valid for `kind`: class names, then short keys."""
    if kind in registry.FAMILIES:
        family = registry.members(kind)
        return (*family, *dict.fromkeys(m.short for m in family.values() if m.short))
    return tuple(_engine_members(kind))


def locate(kind: str, name: str) -> Member:
    """Return the component of that kind and name, not imported.

    Raises
    ------
    UnknownNameError
        With the nearest right names.
    """
    if kind in registry.FAMILIES:
        return registry.locate(kind, name)
    found = _engine_members(kind)
    if name in found:
        return found[name]
    raise UnknownNameError(kind, name, found)


def kinds_of(name: str) -> Iterator[Member]:
    """Yield every component called `name`, of any kind."""
    for kind in KINDS:
        try:
            yield locate(kind, name)
        except UnknownNameError:
            continue


@cache
def _engine_members(kind: str) -> dict[str, Member]:
    patterns, wanted = _ENGINE_KINDS[kind]
    found: dict[str, Member] = {}
    for path in (p for pattern in patterns for p in sorted(_PACKAGE.glob(pattern))):
        for node in registry.parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and re.fullmatch(wanted, node.name):
                doc = ast.get_docstring(node) or ""
                found.setdefault(node.name, Member(kind, node.name, _module_of(path), path, node.lineno, doc))
    return found


def _module_of(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
