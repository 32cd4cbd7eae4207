"""Locates components by kind and name in the sources, without importing them.

Plug-in families are listed by `qnb.registry`; the other kinds (datasets, handlers ...) are engine classes, found by
name in the packages they live in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .. import registry
from ..errors import UnknownNameError
from ..registry import Member

__all__ = ["KINDS", "kinds_of", "locate", "names"]

_PACKAGE = Path(registry.__file__).parent

_ENGINE_KINDS = {
    "dataset": ("qnb.data", ("DatasetH", "TSDatasetH", "MTSDatasetH")),
    "handler": ("qnb.data", ("Alpha158", "Alpha158vwap", "Alpha360", "Alpha360vwap", "DataHandlerLP", "DataHandler")),
    "loader": (
        "qnb.data",
        ("QlibDataLoader", "StaticDataLoader", "NestedDataLoader", "DataLoaderDH", "Alpha158DL", "Alpha360DL"),
    ),
    "filter": ("qnb.data", ("NameDFilter", "ExpressionDFilter")),
    "executor": ("qnb.backtest", ("SimulatorExecutor",)),
    "network": ("qnb.models", ("Net", "GRUModel", "LSTMModel", "ALSTMModel")),
    "reweighter": ("qnb.data", ("Reweighter",)),
}
"""Kind -> (package that is searched, names of its classes)."""

KINDS: tuple[str, ...] = (
    "model", "dataset", "handler", "processor", "loader", "record", "strategy", "filter", "executor", "reweighter",
    "network", "operator", "feature_set", "provider", "space", "backend",
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
    package, wanted = _ENGINE_KINDS[kind]
    folder = _PACKAGE.joinpath(*package.split(".")[1:])
    found: dict[str, Member] = {}
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(f"class {name}" in text for name in wanted):
            continue
        for node in ast.parse(text, str(path)).body:
            if isinstance(node, ast.ClassDef) and node.name in wanted and node.name not in found:
                found[node.name] = Member(
                    kind, node.name, _module_of(path), path, node.lineno, ast.get_docstring(node) or ""
                )
    return {name: found[name] for name in wanted if name in found}


def _module_of(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
