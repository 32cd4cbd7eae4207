"""Finds the part of the workflow's schema that describes a place, from what is written around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..task.schema import schema
from .outline import Outline, Path

__all__ = ["properties_at", "schemas_at"]

Schema = Mapping[str, Any]


def schemas_at(root: Outline, path: Path) -> list[Schema]:
    """Return every schema that `path` may have, references and conditions resolved.

    Parameters
    ----------
    root : Outline
        The text, from which the class beside a ``kwargs`` is read.
    """
    found: list[Schema] = [_schema()]
    for depth, step in enumerate(path):
        here = root.at(path[:depth])
        below: list[Schema] = []
        for part in found:
            for one in _expanded(part, here):
                if isinstance(step, int):
                    items = one.get("items")
                    below += [items] if isinstance(items, Mapping) else []
                elif step in one.get("properties", {}):
                    below.append(one["properties"][step])
                elif isinstance(one.get("additionalProperties"), Mapping):
                    below.append(one["additionalProperties"])
        found = below
    here = root.at(path)
    return [one for part in found for one in _expanded(part, here)]


def properties_at(root: Outline, path: Path) -> dict[str, Schema]:
    """Return the keys that can stand at `path` with their schemas."""
    found: dict[str, Schema] = {}
    for one in schemas_at(root, path):
        for key, value in one.get("properties", {}).items():
            if value or key not in found:
                found[key] = value
    return found


@cache
def _schema() -> Schema:
    return schema()


def _expanded(part: Schema, here: Outline | None) -> Iterator[Schema]:
    """Yield `part` and what it refers to; of conditional parts those whose condition holds `here`."""
    yield part
    if "$ref" in part:
        yield from _expanded(_schema()["$defs"][str(part["$ref"]).rpartition("/")[2]], here)
    for other in part.get("anyOf", ()):
        yield from _expanded(other, here)
    for branch in part.get("allOf", ()):
        if "if" not in branch or _holds(branch["if"], here):
            yield from _expanded(branch.get("then", branch), here)


def _holds(condition: Schema, here: Outline | None) -> bool:
    if here is None:
        return False
    for key, wanted in condition.get("properties", {}).items():
        node = here.keys.get(key)
        if node is None or node.text.rpartition(".")[2] not in wanted.get("enum", ()):
            return False
    return True
