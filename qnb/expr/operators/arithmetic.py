"""Arithmetic, row by row: today's values in, today's value out."""

from __future__ import annotations

import math
import operator as py
from typing import Any, ClassVar

import numpy as np

from ..operator import BOOL, SINGLE, Element, Parameter
from ..plan import Builder, Column

__all__ = ["Abs", "Add", "Div", "Greater", "Less", "Log", "Mul", "Neg", "Power", "Sign", "Sub"]

_PAIR = (Parameter("feature_left", "operand"), Parameter("feature_right", "operand"))
_ONE = (Parameter("feature", "operand"),)


class _Arithmetic(Element):
    signature: ClassVar[tuple[Parameter, ...]] = _PAIR
    truth: ClassVar[bool] = False  # whether two conditions give a condition in compat mode, as numpy has it

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Compute in float32, unless an operand is float64 or a condition meets a number."""
        operands = [builder.operand(a) for a in args]
        kinds = [o.kind if isinstance(o, Column) else "number" for o in operands]
        if all(k == BOOL for k in kinds) and cls.truth and not builder.strict:
            return builder.element(cls.ufunc, operands, BOOL)
        return builder.element(cls.ufunc, operands, cls.result(kinds, values))


class Add(_Arithmetic):
    """Sum, infix ``+``. In compat mode the sum of two conditions is their Or."""

    ufunc, fold, truth = np.add, py.add, True


class Sub(_Arithmetic):
    """Difference, infix ``-``."""

    ufunc, fold = np.subtract, py.sub


class Mul(_Arithmetic):
    """Product, infix ``*``. In compat mode the product of two conditions is their And."""

    ufunc, fold, truth = np.multiply, py.mul, True


class Div(_Arithmetic):
    """Quotient, infix ``/``; x / 0 is infinite, 0 / 0 is NaN."""

    ufunc, fold = np.divide, py.truediv


class Power(_Arithmetic):
    """Power, infix ``**``; NaN for a fractional power of a negative number."""

    ufunc = np.power
    fold = staticmethod(lambda a, b: math.pow(a, b))


class Greater(_Arithmetic):
    """The larger of the two; NaN if either is."""

    ufunc, fold, truth = np.maximum, max, True


class Less(_Arithmetic):
    """The smaller of the two; NaN if either is."""

    ufunc, fold, truth = np.minimum, min, True


class Neg(_Arithmetic):
    """The value with its sign changed, infix ``-x``."""

    signature = _ONE
    ufunc, fold = np.negative, py.neg


class Abs(_Arithmetic):
    """Absolute value."""

    signature = _ONE
    ufunc, fold = np.absolute, abs


class Log(_Arithmetic):
    """Natural logarithm; Log(0) is minus infinity, NaN below."""

    signature = _ONE
    ufunc = np.log
    fold = math.log


class Sign(_Arithmetic):
    """-1, 0 or 1 after the sign of the value, NaN for NaN; taken of the value as float32."""

    signature = _ONE
    ufunc = np.sign
    fold = staticmethod(lambda a: (a > 0) - (a < 0))

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Compute in float32."""
        column = builder.lower(args[0])
        return builder.element(np.sign, [builder.cast(column, SINGLE)], SINGLE)
