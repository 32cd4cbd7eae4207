"""Checks the filters of a universe, which are described by ``filter_type`` and their own keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Problem, nearest
from .document import Document, Path
from .types import misfit

__all__ = ["FILTERS", "check_filters"]

_TIMES = {"filter_start_time": "str", "filter_end_time": "str"}

FILTERS: Mapping[str, Mapping[str, str]] = {
    "NameDFilter": {"name_rule_re": "str", **_TIMES},
    "ExpressionDFilter": {"rule_expression": "str", "keep": "bool", **_TIMES},
}
"""Type of a filter -> its keys -> annotation; the first key is needed."""


def check_filters(document: Document, path: Path, filters: Any) -> list[Problem]:
    """Return what is wrong with a ``filter_pipe``."""
    if not isinstance(filters, list):
        return [document.problem(f"{path[-1]} must be a list, received {filters!r}", path, remedy="begin with -")]
    problems: list[Problem] = []
    for number, item in enumerate(filters):
        problems += _check_filter(document, (*path, number), item)
    return problems


def _check_filter(document: Document, path: Path, item: Any) -> list[Problem]:
    kind = item.get("filter_type") if isinstance(item, Mapping) else None
    if not isinstance(kind, str) or kind not in FILTERS:
        near = nearest(str(kind), FILTERS)
        remedy = f"did you mean {near[0]!r}?" if near else "write filter_type: NameDFilter or ExpressionDFilter"
        if kind is None:
            return [document.problem("a filter without a filter_type", path, remedy=remedy)]
        return [document.problem(f"no filter {kind!r}", (*path, "filter_type"), remedy=remedy)]
    known = FILTERS[kind]
    problems: list[Problem] = []
    for key, value in item.items():
        if key == "filter_type":
            continue
        if key not in known:
            near = nearest(key, known)
            remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            problems.append(document.problem(f"{kind} has no key {key!r}", (*path, key), remedy=remedy, key=True))
        elif (wrong := misfit(known[key], value)) is not None:
            message = f"{key} of {kind} must be {wrong.wanted}, received {value!r}"
            problems.append(document.problem(message, (*path, key), remedy=wrong.remedy))
    needed = next(iter(known))
    if needed not in item and not problems:
        problems.append(document.problem(f"{kind} needs {needed!r}", path, remedy=f"write {needed}:"))
    return problems
