"""What an operator declares: its arguments, the dates it may read, the type of its result, and how it is computed.

An operator is a class that is never instantiated by the engine with state: the same instance serves every expression.
Write one by deriving from the family it belongs to:

`Element`
    today's value from today's values; ``compute(*arrays)``
`Series`
    one instrument's values in time; ``compute(*arrays)`` with the window of `reach`
`CrossSection`
    one day's values over all members; ``compute(values, cells, count)``
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from .nodes import Call, Field, Node, Number, Text

__all__ = [
    "BOOL",
    "DOUBLE",
    "REQUIRED",
    "SINGLE",
    "CrossSection",
    "Element",
    "Operator",
    "Parameter",
    "Reach",
    "Series",
    "decay_days",
    "plain_values",
]

SINGLE: Final = "f4"
DOUBLE: Final = "f8"
BOOL: Final = "b1"
"""Types of a column while it is computed: float32, float64, boolean."""


_PLAIN = frozenset(("window", "rows", "shift", "number", "text"))


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Reach:
    """The rows an operator reads besides today's, in calendar rows.

    Attributes
    ----------
    left : int or None
        Rows back; None is all history there is.
    right : int or None
        Rows ahead; None is all there is. Anything but 0 reads the future.
    loaded : int or None
        Rows back that are loaded for it in compat mode, where that differs from `left`.
    days_back, days_ahead : int
        Days whose bars it reads besides, today's being the first; with daily data, 1 is today's row alone.
    """

    left: int | None = 0
    right: int | None = 0
    loaded: int | None = None
    days_back: int = 0
    days_ahead: int = 0

    @property
    def reads_future(self) -> bool:
        """Whether it reads rows after today's; the later bars of the same day count."""
        return self.right != 0 or self.days_ahead > 0

    def rows(self, bars: int) -> tuple[int | None, int | None]:
        """Return the rows back and ahead where a day has at most `bars` rows; None is all there are."""
        back = self.days_back * bars - 1 if self.days_back else 0
        ahead = self.days_ahead * bars - 1 if self.days_ahead else 0
        return None if self.left is None else self.left + back, None if self.right is None else self.right + ahead


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of an operator.

    Attributes
    ----------
    name : str
        Name, by which it can be given.
    kind : str
        ``series`` an expression; ``operand`` an expression or a number; ``flag`` a condition; ``window`` a number of
        rows, 0 for all history, or a weight between 0 and 1; ``rows`` a whole number of rows; ``shift`` a whole
        number of either sign; ``number``; ``text``; ``figure`` an expression of point-in-time figures.
    default : number, text, None or REQUIRED
        Value when it is left out.
    """

    name: str
    kind: str
    default: Any = REQUIRED

    def problem(self, arg: Node) -> str:
        """Return what is wrong with `arg`, '' if nothing is."""
        if isinstance(arg, Text) and arg.value is None and self.default is None:
            return ""
        if self.kind in ("series", "flag", "figure"):
            return "" if isinstance(arg, Field | Call) else f"argument {self.name!r} must be an expression"
        if self.kind == "operand":
            ok = isinstance(arg, Field | Call | Number)
            return "" if ok else f"argument {self.name!r} must be an expression or a number"
        if self.kind == "text":
            return "" if isinstance(arg, Text) and arg.value else f"argument {self.name!r} must be a text in quotes"
        if not isinstance(arg, Number):
            return f"argument {self.name!r} must be a number, not an expression"
        value = arg.value
        if not math.isfinite(value):
            return f"argument {self.name!r} must be finite"
        whole = value == int(value)
        if self.kind == "window" and not (value >= 0 and (whole or value < 1)):
            return f"window {self.name!r} must be a whole number of rows, or a weight between 0 and 1, not {value!r}"
        if self.kind == "rows" and not (whole and value >= 0):
            return f"window {self.name!r} must be a whole number of rows, not {value!r}"
        if self.kind == "shift" and not whole:
            return f"{self.name!r} must be a whole number of rows, not {value!r}"
        if self.kind in ("window", "rows", "shift") and abs(value) > 1_000_000:
            return f"{self.name!r} is {value!r} rows, more than any calendar has"
        return ""


class Operator:
    """Base of all operators.

    Attributes
    ----------
    signature : tuple of Parameter
        The arguments.
    fold : callable or None
        The same operation on plain numbers, so that ``5 * 2`` is one number.
    version : int
        Raise it when the result changes for a reason outside the class, so that caches notice.
    """

    signature: ClassVar[tuple[Parameter, ...]] = ()
    fold: ClassVar[Callable[..., Any] | None] = None
    version: ClassVar[int] = 1

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Return what is wrong with the plain arguments `values` (numbers and texts, in order), '' if nothing is."""
        return ""

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """Return the rows it reads for the plain arguments `values`."""
        return Reach()

    @classmethod
    def result(cls, kinds: Sequence[str], values: Sequence[Any]) -> str:
        """Return the type of the result for column types `kinds`; a number among operands counts as ``"number"``."""
        return DOUBLE

    @classmethod
    def cost(cls, values: Sequence[Any]) -> float:
        """Return nanoseconds a row, roughly."""
        return 1.0


class Element(Operator):
    """An operator that makes today's value from today's values.

    A subclass has a ``ufunc``, or ``compute(*arrays)`` that takes and returns arrays of one value a row.
    """

    ufunc: ClassVar[np.ufunc | None] = None

    @classmethod
    def result(cls, kinds: Sequence[str], values: Sequence[Any]) -> str:
        """Return float32 unless an operand is float64, or a truth value meets a number."""
        columns = [k for k in kinds if k != "number"]
        if DOUBLE in columns or all(k == BOOL for k in columns):
            return DOUBLE
        return SINGLE

    def compute(self, *arrays: Any) -> np.ndarray:
        """Return the result for operands of equal length (or plain numbers)."""
        raise NotImplementedError(f"{type(self).__name__} has neither ufunc nor compute()")


class Series(Operator):
    """An operator over one instrument's values in time.

    A subclass gives ``compute(*arguments)``: columns arrive as float64 arrays of consecutive calendar rows of one
    instrument, plain arguments as they are; it returns an array of the same length. The window is what ``reach`` says;
    by default that of the argument of kind ``window`` or ``rows``.
    """

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """Return n - 1 rows back for a window of n rows, everything for 0."""
        n = cls.window(values)
        if n is None:
            return Reach()
        if n == 0:
            return Reach(left=None, loaded=0)
        if n < 1:
            days = decay_days(n)
            return Reach(left=None, loaded=max(0, days - 1))
        return Reach(left=int(n) - 1)

    @classmethod
    def window(cls, values: Sequence[Any]) -> float | None:
        """Return the window among the plain arguments, None without one."""
        for parameter, value in zip((p for p in cls.signature if p.kind in _PLAIN), values, strict=False):
            if parameter.kind in ("window", "rows"):
                return value
        return None

    @classmethod
    def cost(cls, values: Sequence[Any]) -> float:
        """Return a guess for a plain implementation."""
        return 20.0

    def compute(self, *arguments: Any) -> np.ndarray:
        """Return the result for one instrument."""
        raise NotImplementedError(f"{type(self).__name__} has no compute()")


class CrossSection(Operator):
    """An operator over one day's values of all members of the universe.

    A subclass gives ``compute(values, cells, count, *numbers)``: `values` are those of all members on all days,
    float64, NaN where there is none; `cells` tells for each the cross-section it belongs to, counted from 0 to
    `count` - 1: a day, or with a text argument that names a grouping (``sector``) a day and a group. It returns an
    array like `values`. On days on which an instrument is no member, it has no value.
    """

    @classmethod
    def cost(cls, values: Sequence[Any]) -> float:
        """Return the cost of sorting each day."""
        return 120.0

    def compute(self, values: np.ndarray, cells: np.ndarray, count: int, *numbers: float) -> np.ndarray:
        """Return the result for all cross-sections."""
        raise NotImplementedError(f"{type(self).__name__} has no compute()")


def plain_values(operator: type[Operator], args: Sequence[Node]) -> tuple[Any, ...]:
    """Return the values of the plain arguments (windows, numbers, texts) among `args`, in order."""
    return tuple(
        arg.value
        for parameter, arg in zip(operator.signature, args, strict=True)
        if parameter.kind in _PLAIN and isinstance(arg, Number | Text)
    )


def decay_days(weight: float) -> int:
    """Return the rows after which an exponential weight has decayed to 1e-6."""
    return int(math.log(1e-6) / math.log(1 - weight))
