"""Operators that read another instrument than the row's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..operator import Parameter, Reach, Series
from ..plan import Builder, Column

__all__ = ["ChangeInstrument", "Mask"]


class ChangeInstrument(Series):
    """The feature of another instrument on the same days: ``ChangeInstrument("SH000300", $close)``.

    Everything below it is computed on that instrument's own history, so ``Mean`` of an index is right on the first day
    of a stock.
    """

    signature: ClassVar[tuple[Parameter, ...]] = (Parameter("instrument", "text"), Parameter("feature", "series"))

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Reach:
        """Today's row; what is below it reads what it reads."""
        return Reach()

    @classmethod
    def cost(cls, values: Sequence[Any]) -> float:
        """Return the cost of a copy."""
        return 0.5

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Compute it once for all."""
        return builder.elsewhere(args[1], str(values[0]))


class Mask(ChangeInstrument):
    """The feature of another instrument; ``ChangeInstrument`` with its arguments the other way round."""

    signature = (Parameter("feature", "series"), Parameter("instrument", "text"))

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Compute it once for all."""
        return builder.elsewhere(args[0], str(values[0]))
