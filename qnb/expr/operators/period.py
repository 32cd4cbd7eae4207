"""Point-in-time figures: what was known of a balance sheet on each day, revisions included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...errors import ExpressionError
from ..nodes import Call, Field, Node, walk
from ..operator import Parameter, Reach, Series
from ..plan import Builder, Column, loaded_rows

__all__ = ["P", "PRef"]


class P(Series):
    """The latest figure published up to each day: ``P($$roewa_q)``, or of an expression: ``P(Mean($$roewa_q, 4))``.

    Below it rows are periods, quarters for names that end in ``_q`` and years for ``_a``, with the values known on
    the day, so that a revision counts from its publication on.
    """

    signature: ClassVar[tuple[Parameter, ...]] = (Parameter("feature", "figure"),)

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """What is published up to the row's day."""
        return Reach()

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Check that only figures are read, and only past periods."""
        return builder.published(_checked(args[0]))


class PRef(P):
    """The figure of one period as known on each day: ``PRef($$roewa_q, 201903)`` is the third quarter of 2019."""

    signature = (Parameter("feature", "figure"), Parameter("period", "rows"))

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Check that only figures are read."""
        return builder.published(_checked(args[0]), int(values[0]))


def _checked(tree: Node) -> Node:
    figures = [n for n in walk(tree) if isinstance(n, Field)]
    for node in figures:
        if not node.periodic:
            raise ExpressionError(f"P reads point-in-time figures; write $${node.name}", column=node.column)
        if not node.name.lower().endswith(("_q", "_a")):
            raise ExpressionError(
                f"the name of a figure ends in _q (quarters) or _a (years), unlike $${node.name}", column=node.column
            )
    if len({n.name.lower()[-2:] for n in figures}) > 1:
        raise ExpressionError("P cannot join quarterly and yearly figures; give each its own P", column=0)
    if loaded_rows(tree)[1]:
        raise ExpressionError("P cannot read periods that are still to come", column=0)
    if any(isinstance(n, Call) and n.operator in ("P", "PRef") for n in walk(tree)):
        raise ExpressionError("P stands inside P; write it once", column=0)
    return tree
