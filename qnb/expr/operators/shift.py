"""Values of other days: Ref and Delta, the only operators through which an expression can look ahead by rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..operator import BOOL, SINGLE, Parameter, Reach, Series
from ..plan import Builder, Column
from ..segments import first_value

__all__ = ["Cut", "Delta", "Ref"]


class Ref(Series):
    """The value N rows ago; a negative N is N rows AHEAD and reads the future. NaN where there is no such row.

    N = 0 is the value itself; in compat mode it is the first value that is loaded, as in the peer.
    """

    signature = (Parameter("feature", "series"), Parameter("N", "shift"))

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """N rows back or ahead."""
        n = int(values[0])
        return Reach(left=max(n, 0), right=max(-n, 0))

    @classmethod
    def cost(cls, values: Sequence[Any]) -> float:
        """Return the cost of a copy."""
        return 0.5

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Shift the rows."""
        column, n = builder.lower(args[0]), int(values[0])
        if n == 0 and not builder.strict:
            kind = SINGLE if column.kind == BOOL else column.kind
            return builder.series(first_value, [builder.cast(column, kind)], reach=Reach(None, loaded=0), kind=kind)
        return builder.shift(column, n)


class Delta(Ref):
    """The value less that of N rows ago. In compat mode NaN on the first day asked for, as the peer loads too little.

    N = 0 is 0; in compat mode it is the value less the first one that is loaded.
    """

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """N rows back or ahead; the peer loads one less."""
        own = super().reach(values)
        return Reach(left=own.left, right=own.right, loaded=max(int(values[0]) - 1, 0))

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Subtract the shifted rows."""
        column, n = builder.lower(args[0]), int(values[0])
        if column.kind == BOOL:
            column = builder.cast(column, SINGLE)
        if n == 0 and not builder.strict:
            before = builder.series(first_value, [column], reach=Reach(None, loaded=0), kind=column.kind)
        else:
            before = builder.bounded_shift(column, n)
        return builder.element(np.subtract, [column, before], column.kind)


class Cut(Series):
    """The value itself, with `left` more rows loaded before and `right` (negative) after it and cut off again."""

    signature = (
        Parameter("feature", "series"),
        Parameter("left", "shift", None),
        Parameter("right", "shift", None),
    )

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Ask for a positive left and a negative right."""
        left, right = values
        if (left is not None and left <= 0) or (right is not None and right >= 0):
            return "left must be above 0 and right below 0"
        return ""

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """The rows that are loaded and cut off; none of them is read."""
        left, _ = values
        return Reach(left=0, right=0, loaded=int(left or 0))

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Return the column as it is."""
        return builder.lower(args[0])
