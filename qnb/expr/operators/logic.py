"""Comparisons, conditions and choices, row by row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...errors import ExpressionError
from ..operator import BOOL, DOUBLE, SINGLE, Element, Parameter
from ..plan import Builder, Column

__all__ = ["And", "Eq", "Ge", "Gt", "If", "IsInf", "IsNull", "Le", "Lt", "Ne", "Not", "Or", "Select"]

_PAIR = (Parameter("feature_left", "operand"), Parameter("feature_right", "operand"))
_FLAGS = (Parameter("feature_left", "flag"), Parameter("feature_right", "flag"))
_ONE = (Parameter("feature", "series"),)


class _Comparison(Element):
    signature = _PAIR

    @classmethod
    def result(cls, kinds: Any, values: Any) -> str:
        """A condition."""
        return BOOL


class Gt(_Comparison):
    """Whether left > right, infix; False if either is NaN."""

    ufunc = np.greater


class Ge(_Comparison):
    """Whether left >= right, infix; False if either is NaN."""

    ufunc = np.greater_equal


class Lt(_Comparison):
    """Whether left < right, infix; False if either is NaN."""

    ufunc = np.less


class Le(_Comparison):
    """Whether left <= right, infix; False if either is NaN."""

    ufunc = np.less_equal


class Eq(_Comparison):
    """Whether left == right, infix; False if either is NaN."""

    ufunc = np.equal


class Ne(_Comparison):
    """Whether left != right, infix; True if either is NaN."""

    ufunc = np.not_equal


class _Logic(Element):
    signature: ClassVar[tuple[Parameter, ...]] = _FLAGS

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Take conditions only."""
        columns = [builder.lower(a) for a in args]
        for arg, column in zip(args, columns, strict=True):
            if column.kind != BOOL:
                raise ExpressionError(
                    f"{cls.__name__} joins conditions, but this is a number; compare it, as in ($x > 0), "
                    f"and put comparisons in parentheses",
                    column=arg.column,
                )
        return builder.element(cls.ufunc, columns, BOOL)


class And(_Logic):
    """Whether both conditions hold, infix ``&``."""

    ufunc = np.logical_and


class Or(_Logic):
    """Whether one of the conditions holds, infix ``|``."""

    ufunc = np.logical_or


class Not(_Logic):
    """Whether the condition does not hold, infix ``~``."""

    signature = (Parameter("feature", "flag"),)
    ufunc = np.logical_not


class If(Element):
    """The left value where the condition holds (or is a number other than 0, NaN included), else the right one."""

    signature = (Parameter("condition", "series"), *_PAIR)

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Choose without computing anything."""
        condition = builder.lower(args[0])
        sides = [builder.operand(a) for a in args[1:]]
        kinds = [s.kind if isinstance(s, Column) else "number" for s in sides]
        if all(k == BOOL for k in kinds):
            kind = BOOL
        elif all(k in (SINGLE, BOOL) for k in kinds) or (SINGLE in kinds and DOUBLE not in kinds):
            kind = SINGLE
        else:
            kind = DOUBLE
        return builder.where(condition, sides[0], sides[1], kind)


class Select(Element):
    """The value where the condition holds, else NaN."""

    signature = (Parameter("condition", "series"), Parameter("feature", "series"))

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Choose between the value and NaN."""
        value = builder.lower(args[1])
        kind = SINGLE if value.kind == BOOL else value.kind
        return builder.where(builder.lower(args[0]), value, float("nan"), kind)


class IsNull(Element):
    """Whether the value is NaN."""

    signature = _ONE
    ufunc: ClassVar[np.ufunc | None] = np.isnan

    @classmethod
    def result(cls, kinds: Any, values: Any) -> str:
        """A condition."""
        return BOOL


class IsInf(IsNull):
    """Whether the value is infinite."""

    ufunc = np.isinf
