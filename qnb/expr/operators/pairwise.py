"""Rolling operators over two columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..operator import Parameter, Series
from ..plan import Builder, Column

__all__ = ["Corr", "Cov"]


class _PairRolling(Series):
    signature = (Parameter("feature_left", "series"), Parameter("feature_right", "series"), Parameter("N", "rows"))
    output: ClassVar[str] = ""

    @classmethod
    def cost(cls, values: Sequence[Any]) -> float:
        """Return what the kernel takes."""
        return 12.0

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Use the kernel for pairs."""
        n = int(values[0])
        output = "corr_unmasked" if cls.output == "corr" and n == 0 else cls.output
        return builder.kernel("pairs", [builder.lower(args[0]), builder.lower(args[1])], n, output)


class Corr(_PairRolling):
    """Correlation over the rows where both have a value; NaN where either one's own Std is at most 2e-5."""

    output = "corr"


class Cov(_PairRolling):
    """Covariance over the rows where both have a value, divided by their number less one."""

    output = "cov"
