"""Operators that carry values into rows without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..operator import BOOL, SINGLE, Parameter, Reach, Series
from ..plan import Builder, Column
from ..segments import backward_fill, forward_fill

__all__ = ["BFillNan", "FFillNan"]


class FFillNan(Series):
    """The value, or where it is NaN the last one before it, however old.

    In compat mode it looks back to the history that is loaded for the expression, in strict mode to the first day.
    """

    signature = (Parameter("feature", "series"),)
    function = staticmethod(forward_fill)

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """All history; the peer loads no more for it."""
        return Reach(left=None, loaded=0)

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Fill each instrument's rows."""
        column = builder.lower(args[0])
        if column.kind == BOOL:
            column = builder.cast(column, SINGLE)
        return builder.series(cls.function, [column], reach=cls.reach(values), kind=column.kind)


class BFillNan(FFillNan):
    """The value, or where it is NaN the next one AFTER it: reads the future."""

    function = staticmethod(backward_fill)

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """All rows ahead."""
        return Reach(left=0, right=None, loaded=0)
