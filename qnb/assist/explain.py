"""What a word in a workflow means: a class, an argument, a key, an operator, a field."""

from __future__ import annotations

import inspect
import re
from typing import Any

from ..registry import Member
from ..task import catalogue
from ..task.schema import Argument, Entry, entries
from .complete import Surroundings, in_expression, market_of
from .names import fields, market_folder
from .outline import Outline, outline, spot_at
from .places import properties_at

__all__ = ["explain_at"]

_KINDS = ("model", "dataset", "handler", "processor", "loader", "record", "strategy", "reweighter", "filter", "network")


def explain_at(text: str, offset: int, around: Surroundings | None = None) -> str | None:
    """Return help on the word at `offset` of a workflow's `text`; None where nothing is known of it.

    Examples
    --------
    >>> explain_at("label: Mean($close, 5)", 8).splitlines()[0]
    'operator Mean(feature, N)'
    """
    start, word = _word_at(text, offset)
    if not word:
        return None
    root, spot = outline(text), spot_at(text, start)
    if word.startswith("$"):
        return _field(word, root, around or Surroundings())
    line_end = text.find("\n", start)
    rest = text[start + len(word) : line_end if line_end >= 0 else len(text)]
    if re.match(r"[\"']?\s*:(\s|$)", rest) and spot.is_key:
        return _key(root, spot.path, word) or _entry(word)
    called = rest.startswith("(") or in_expression(spot_at(text, min(start + len(word), len(text))))
    return (_operator(word) if called else None) or _entry(word) or _operator(word)


def _word_at(text: str, offset: int) -> tuple[int, str]:
    offset = min(offset, len(text))
    start = offset
    while start and re.match(r"[\w$]", text[start - 1]):
        start -= 1
    match = re.match(r"\$*\w+", text[start:])
    return (start, match[0]) if match else (start, "")


def _key(root: Outline, path: tuple[str | int, ...], word: str) -> str | None:
    shape = properties_at(root, path).get(word)
    if shape is None:
        return None
    lines = [f"key {word}"]
    types = _types(shape)
    if types:
        lines[0] += f": {types}"
    if shape.get("x-default"):
        lines[0] += f" = {shape['x-default']}"
    owner = _owner(root, path)
    if owner:
        lines.append(f"argument of {owner}")
    about = str(shape.get("description", ""))
    return "\n".join([*lines, *(["", about] if about else [])])


def _types(shape: Any) -> str:
    parts = [shape, *shape.get("anyOf", ())]
    found: dict[str, None] = {}
    for part in parts:
        kind = part.get("type")
        for one in [kind] if isinstance(kind, str) else kind or ():
            found[one] = None
        for one in part.get("enum", ()):
            found[repr(one)] = None
    return " | ".join(k for k in found if k != "None")


def _owner(root: Outline, path: tuple[str | int, ...]) -> str:
    if path[-1:] != ("kwargs",):
        return ""
    node = root.at((*path[:-1], "class"))
    return node.text if node is not None else ""


def _entry(word: str) -> str | None:
    for kind in _KINDS:
        for entry in entries(kind):
            if word in (entry.name, entry.short):
                return _shown(entry, catalogue.locate(kind, entry.name))
    return None


def _shown(entry: Entry, member: Member) -> str:
    arguments = ",\n    ".join(_argument(a) for a in entry.arguments)
    head = f"{entry.kind} {entry.name}" + (f" (short: {entry.short})" if entry.short else "")
    signature = f"{entry.name}(\n    {arguments}\n)" if arguments else f"{entry.name}()"
    return "\n\n".join(p for p in (head, signature, inspect.cleandoc(entry.doc), f"{member.module}") if p)


def _argument(argument: Argument) -> str:
    text = argument.name + (f": {argument.annotation}" if argument.annotation else "")
    return text + (f" = {argument.default}" if argument.default else "")


def _operator(word: str) -> str | None:
    from ..expr.catalogue import operators

    operator = operators().get(word)
    if operator is None:
        return None
    arguments = ", ".join(p.name for p in operator.signature)
    return f"operator {word}({arguments})\n\n{inspect.cleandoc(operator.__doc__ or '')}".rstrip()


def _field(word: str, root: Outline, around: Surroundings) -> str:
    name = word.lstrip("$")
    known = fields(market_folder(market_of(root, around), around.settings))
    if name in known:
        return f"field {word}: a column of the market data, adjusted where the store adjusts it"
    return f"field {word} is not in this market; it has: {', '.join('$' + f for f in known)}"
