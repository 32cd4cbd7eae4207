"""Whether a YAML value fits a simple annotation: numbers, text, booleans, literals, lists and mappings."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Misfit", "kinds", "misfit"]

_LISTS = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "frozenset", "Collection"})
_MAPPINGS = frozenset({"dict", "Dict", "Mapping", "MutableMapping"})
_WORDS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "list": "a list",
    "dict": "a mapping", "None": "null",
}  # fmt: skip
_BOOLEAN_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "y", "n"})


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that does not fit: what is wanted, in words, and the remedy or ''."""

    wanted: str
    remedy: str = ""


def misfit(annotation: str, value: Any) -> Misfit | None:
    """Return how `value` fails to fit `annotation`, or None when it fits or nothing simple can be said.

    None always fits: an argument that is null is as good as its default to most constructors.

    Examples
    --------
    >>> misfit("int", "12").wanted
    'a whole number'
    >>> misfit("float | None", 1) is None
    True
    >>> misfit("SomethingElse", 1) is None
    True
    """
    if value is None or not annotation or (isinstance(value, str) and value.startswith("<")):
        return None
    allowed, choices = kinds(annotation)
    if allowed is None or _fits(allowed, choices, value):
        return None
    if choices and not allowed - {"None"}:
        return Misfit("one of " + ", ".join(map(repr, choices)))
    wanted = " or ".join(_WORDS[k] for k in _WORDS if k in allowed and k != "None")
    if choices:
        wanted += " or one of " + ", ".join(map(repr, choices))
    return Misfit(wanted, _remedy(allowed, value))


def kinds(annotation: str) -> tuple[frozenset[str] | None, tuple[Any, ...]]:
    """Return the simple kinds that `annotation` allows and the literals it lists.

    Returns
    -------
    (frozenset of str or None, tuple)
        Of ``int float bool str list dict None``; None when anything may be right.
    """
    try:
        tree = ast.parse(annotation.strip("'\""), mode="eval").body
    except SyntaxError:
        return None, ()
    found: set[str] = set()
    choices: list[Any] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            waiting += [node.right, node.left]
            continue
        base = node.value if isinstance(node, ast.Subscript) else node
        name = "None" if isinstance(base, ast.Constant) and base.value is None else ast.unparse(base).rpartition(".")[2]
        if isinstance(node, ast.Subscript) and name in ("Union", "Optional"):
            waiting += node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        elif isinstance(node, ast.Subscript) and name == "Literal":
            items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            choices += [i.value for i in items if isinstance(i, ast.Constant)]
        elif name in _LISTS:
            found.add("list")
        elif name in _MAPPINGS:
            found.add("dict")
        elif name in ("int", "float", "bool", "str", "None"):
            found.add(name)
        else:
            return None, ()
    return frozenset(found), tuple(choices)


def _fits(kinds: frozenset[str], choices: tuple[Any, ...], value: Any) -> bool:
    if any(value == c and type(value) is type(c) for c in choices):
        return True
    if isinstance(value, bool):
        return "bool" in kinds
    if isinstance(value, int):
        return bool(kinds & {"int", "float"})
    if isinstance(value, float):
        return "float" in kinds
    if isinstance(value, str):
        return "str" in kinds
    if isinstance(value, Mapping):
        return "dict" in kinds
    return "list" in kinds


def _remedy(kinds: frozenset[str], value: Any) -> str:
    if isinstance(value, str):
        if kinds & {"int", "float"} and _number(value):
            return "remove the quotation marks"
        if "bool" in kinds and value.lower() in _BOOLEAN_WORDS:
            return f"write {'true' if value.lower() in ('yes', 'on', 'true', 'y') else 'false'}"
    if isinstance(value, float) and "int" in kinds and value.is_integer():
        return f"write {int(value)}"
    if isinstance(value, bool | int | float) and "str" in kinds:
        return "put it in quotation marks"
    return ""


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
