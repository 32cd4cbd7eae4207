"""The syntax tree of an expression: fields, numbers, texts and calls of operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Call", "Field", "Node", "Number", "Text", "fields_of", "to_text", "walk"]


@dataclass(frozen=True, slots=True)
class Field:
    """``$name``, a field of the store; with `periodic` ``$$name``, a point-in-time figure."""

    name: str
    periodic: bool = False
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: int | float
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A text argument such as an instrument or a grouping; None is an argument left out."""

    value: str | None
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its arguments in the order of its signature; infix forms are calls as well."""

    operator: str
    args: tuple[Node, ...]
    column: int = field(default=1, compare=False)


Node = Field | Number | Text | Call
"""Any node. Nodes compare by content, not by their column in the text."""


def walk(node: Node) -> Iterator[Node]:
    """Yield `node` and everything below it, parents first."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        if isinstance(top, Call):
            stack.extend(reversed(top.args))


def fields_of(node: Node) -> tuple[str, ...]:
    """Return the names of the store's fields that `node` reads, sorted, without point-in-time figures."""
    return tuple(sorted({n.name for n in walk(node) if isinstance(n, Field) and not n.periodic}))


def to_text(node: Node) -> str:
    """Return the canonical text of `node`, which parses back to an equal node.

    Examples
    --------
    >>> from qnb.expr.parse import parse
    >>> to_text(parse("$close / Ref($close, 1) - 1"))
    'Sub(Div($close,Ref($close,1)),1)'
    """
    if isinstance(node, Field):
        return ("$$" if node.periodic else "$") + node.name
    if isinstance(node, Number):
        return repr(node.value)
    if isinstance(node, Text):
        if node.value is None:
            return "None"
        quoted = node.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{quoted}"'
    return f"{node.operator}({','.join(to_text(a) for a in node.args)})"
