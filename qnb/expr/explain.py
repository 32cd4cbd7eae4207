"""What an expression reads and costs, without evaluating it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .catalogue import operators
from .nodes import Call, Field, Node, fields_of, to_text, walk
from .operator import CrossSection, Operator, plain_values
from .parse import parse
from .plan import build_plan, loaded_rows

__all__ = ["Explanation", "explain", "reads_future"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of an expression from its text.

    Attributes
    ----------
    text, canonical : str
        As written, and with every operator as a call.
    fields, figures : tuple of str
        Fields (``$``) and point-in-time figures (``$$``) it reads.
    operators : tuple of str
        Operators in it, sorted.
    left : int or None
        Calendar rows before the row itself that it reads; None is all history.
    right : int or None
        Calendar rows AFTER the row itself that it reads; None is all there are.
    days_back, days_ahead : int
        Days whose bars it reads besides, with intraday data.
    reads_future : bool
        Whether a value depends on what is not yet known on its row. Right for a label, wrong for a feature.
    cross_section : bool
        Whether a value depends on other members of the universe.
    loaded : tuple of (int, int)
        Rows before and after the rows asked for that are loaded in compat mode.
    nanoseconds : float
        Rough cost of a row on one core; equal terms count once.
    notes : tuple of str
        What to know about the result.
    """

    text: str
    canonical: str
    fields: tuple[str, ...]
    figures: tuple[str, ...]
    operators: tuple[str, ...]
    left: int | None
    right: int | None
    days_back: int
    days_ahead: int
    reads_future: bool
    cross_section: bool
    loaded: tuple[int, int]
    nanoseconds: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = [*(f"${f}" for f in self.fields), *(f"$${f}" for f in self.figures)]
        lines = [
            self.text,
            f"  reads     {', '.join(names)}",
            f"  window    {self._window()}",
            f"  future    {'YES: a value is not known on its day' if self.reads_future else 'no'}",
            f"  operators {', '.join(self.operators) or 'none'}",
            f"  cost      about {self.nanoseconds:.0f} ns a row on one core",
        ]
        return "\n".join([*lines, *(f"  note      {n}" for n in self.notes)])

    def _window(self) -> str:
        back = "all history" if self.left is None else f"{self.left} rows back" if self.left else ""
        ahead = "all rows ahead" if self.right is None else f"{self.right} rows ahead" if self.right else ""
        days = f"bars of {self.days_back} days back" if self.days_back > 1 else ""
        same = "the bars of the same day" if self.days_back == 1 else ""
        return ", ".join(filter(None, [back, days, same, ahead])) or "the row itself"


def explain(expression: str, known: Mapping[str, type[Operator]] | None = None) -> Explanation:
    """Return what `expression` reads, how far back and ahead, and what it costs.

    Raises
    ------
    ExpressionError
        The text cannot be read.

    Examples
    --------
    >>> found = explain("Mean($close, 5) / Ref($close, -1)")
    >>> found.left, found.right, found.reads_future
    (4, 1, True)
    """
    tree = parse(expression, known)
    if known is None:
        build_plan([tree], bars=2, texts=[expression])  # finds columns of a wrong type
    table = operators() if known is None else known
    left, right, back, ahead, future = _reach(tree, table)
    called = sorted({n.operator for n in walk(tree) if isinstance(n, Call)})
    return Explanation(
        text=expression,
        canonical=to_text(tree),
        fields=fields_of(tree),
        figures=tuple(sorted({n.name for n in walk(tree) if isinstance(n, Field) and n.periodic})),
        operators=tuple(called),
        left=left,
        right=right,
        days_back=back,
        days_ahead=ahead,
        reads_future=future,
        cross_section=any(issubclass(table[name], CrossSection) for name in called),
        loaded=loaded_rows(tree),
        nanoseconds=sum(_cost(n, table) for n in {n for n in walk(tree) if isinstance(n, Call)}),
        notes=_notes(tree, table),
    )


def reads_future(tree: Node) -> bool:
    """Return whether `tree` reads rows after the row itself."""
    return _reach(tree, operators())[4]


def _reach(tree: Node, table: Mapping[str, type[Operator]]) -> tuple[int | None, int | None, int, int, bool]:
    if not isinstance(tree, Call):
        return 0, 0, 0, 0, False
    below = [_reach(a, table) for a in tree.args]
    if tree.operator in ("P", "PRef"):
        return 0, 0, 0, 0, False
    own = table[tree.operator].reach(plain_values(table[tree.operator], tree.args))
    left = _sum([b[0] for b in below], own.left)
    right = _sum([b[1] for b in below], own.right)
    back = max([own.days_back, *(b[2] for b in below)])
    ahead = max([own.days_ahead, *(b[3] for b in below)])
    return left, right, back, ahead, own.reads_future or any(b[4] for b in below)


def _sum(below: list[int | None], own: int | None) -> int | None:
    if own is None or any(b is None for b in below):
        return None
    return own + max(b or 0 for b in below)


def _cost(node: Call, table: Mapping[str, type[Operator]]) -> float:
    operator = table[node.operator]
    return operator.cost(plain_values(operator, node.args))


def _notes(tree: Node, table: Mapping[str, type[Operator]]) -> tuple[str, ...]:
    notes = []
    for node in walk(tree):
        if not isinstance(node, Call):
            continue
        reach = table[node.operator].reach(plain_values(table[node.operator], node.args))
        if reach.right != 0:
            notes.append(f"{node.operator} reads rows after the row itself")
        if reach.days_ahead:
            notes.append(f"{node.operator} reads the later bars of the day")
        if reach.left is None:
            notes.append(f"{node.operator} has no window: in compat mode its value depends on the first day asked for")
        if node.operator in ("WMA", "Delta"):
            notes.append(f"{node.operator} differs between compat and strict mode")
    return tuple(dict.fromkeys(notes))
