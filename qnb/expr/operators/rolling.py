"""Rolling operators: the last N calendar rows of an instrument, today's included.

Suspended days are rows without a value: they take a place in the window and are skipped. N = 0 takes all history
that is loaded; a weight 0 < N < 1 makes an exponentially weighted mean, whatever the operator is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..operator import BOOL, Parameter, Series
from ..plan import Builder, Column

__all__ = [
    "EMA", "WMA", "Count", "IdxMax", "IdxMin", "Kurt", "Mad", "Max", "Mean", "Med", "Min", "Quantile", "Rank", "Resi",
    "Rsquare", "Skew", "Slope", "Std", "Sum", "Var",
]  # fmt: skip

_X_N = (Parameter("feature", "series"), Parameter("N", "window"))


class _Rolling(Series):
    signature: ClassVar[tuple[Parameter, ...]] = _X_N
    kernel: ClassVar[str] = ""
    output: ClassVar[Any] = ""
    decays: ClassVar[bool] = True
    nanoseconds: ClassVar[float] = 4.0

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Refuse a weight where it has no meaning."""
        if 0 < values[0] < 1 and not cls.decays:
            return f"its window must be a whole number of rows, not {values[0]!r}"
        return ""

    @classmethod
    def cost(cls, values: Sequence[Any]) -> float:
        """Return what the kernel takes."""
        return cls.nanoseconds

    @classmethod
    def lower(cls, builder: Builder, args: Any, values: Any) -> Column:
        """Use the kernel, which several operators over the same window share."""
        column, n = builder.lower(args[0]), values[0]
        if 0 < n < 1:
            return builder.kernel("decay", [column], 0, "mean", float(n))
        return cls.window_of(builder, column, int(n), values)

    @classmethod
    def window_of(cls, builder: Builder, column: Column, n: int, values: Any) -> Column:
        """Return the result over a window of `n` rows."""
        return builder.kernel(cls.kernel, [column], n, cls.output)


class Sum(_Rolling):
    """Sum of the valid values; NaN without one."""

    kernel, output = "sums", "sum"


class Mean(_Rolling):
    """Mean of the valid values; NaN without one."""

    kernel, output = "sums", "mean"


class Count(_Rolling):
    """Number of values that are not NaN; 0 without one."""

    @classmethod
    def window_of(cls, builder: Builder, column: Column, n: int, values: Any) -> Column:
        """Add up the rows that have a value."""
        if builder.is_missing(column):
            return column
        there = column if column.kind == BOOL else builder.element(np.equal, [column, column], BOOL)
        if column.kind == BOOL:
            there = builder.element(np.logical_or, [column, builder.element(np.logical_not, [column], BOOL)], BOOL)
        return builder.kernel("sums", [there], n, "sum")


class Var(_Rolling):
    """Variance of the valid values, divided by their number less one; NaN below two, 0 when all are equal."""

    kernel, output, nanoseconds = "moments", "var", 6.0


class Std(_Rolling):
    """Standard deviation of the valid values, divided by their number less one; NaN below two, 0 when all are equal."""

    kernel, output, nanoseconds = "moments", "std", 6.0


class Skew(_Rolling):
    """Skewness of the valid values, corrected for bias; NaN below three."""

    kernel, output, nanoseconds = "shape", "skew", 150.0

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Ask for three rows."""
        return "its window must have at least 3 rows" if 1 <= values[0] < 3 else ""


class Kurt(_Rolling):
    """Excess kurtosis of the valid values, corrected for bias; NaN below four."""

    kernel, output, nanoseconds = "shape", "kurt", 150.0

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Ask for four rows."""
        return "its window must have at least 4 rows" if 1 <= values[0] < 4 else ""


class Max(_Rolling):
    """Largest valid value; NaN without one."""

    kernel, output, nanoseconds = "extremes", "max", 6.0


class Min(_Rolling):
    """Smallest valid value; NaN without one."""

    kernel, output, nanoseconds = "extremes", "min", 6.0


class IdxMax(_Rolling):
    """Place of the largest value in the window, 1 being the oldest row; the earliest on ties.

    If the window has a missing value, the place of the first missing one.
    """

    kernel, output, decays, nanoseconds = "extremes", "argmax", False, 6.0


class IdxMin(_Rolling):
    """Place of the smallest value in the window, 1 being the oldest row; the earliest on ties.

    If the window has a missing value, the place of the first missing one.
    """

    kernel, output, decays, nanoseconds = "extremes", "argmin", False, 6.0


class Med(_Rolling):
    """Median of the valid values; NaN without one."""

    kernel, output, nanoseconds = "order", -1.0, 30.0


class Quantile(_Rolling):
    """Quantile of the valid values, linear at q * (count - 1); NaN without one."""

    signature = (*_X_N, Parameter("qscore", "number"))
    decays, nanoseconds = False, 30.0

    @classmethod
    def check(cls, values: Sequence[Any]) -> str:
        """Refuse a level outside 0 to 1."""
        if not 0 <= values[1] <= 1:
            return f"the quantile must lie between 0 and 1, not {values[1]!r}"
        return super().check(values)

    @classmethod
    def window_of(cls, builder: Builder, column: Column, n: int, values: Any) -> Column:
        """Take it from the sorted window."""
        return builder.kernel("order", [column], n, float(values[1]))


class Rank(_Rolling):
    """Percentile rank of today's value in the window: (less + (equal + 1) / 2) / valid; NaN if today has none."""

    kernel, output, decays, nanoseconds = "order", "rank", False, 30.0


class Mad(_Rolling):
    """Mean absolute deviation of the valid values from their mean; NaN without one."""

    kernel, output, decays, nanoseconds = "shape", "mad", False, 100.0


class Slope(_Rolling):
    """Slope of least squares on the row number; NaN below two valid values."""

    kernel, output, decays, nanoseconds = "linear", "slope", False, 10.0


class Rsquare(_Rolling):
    """R squared of least squares on the row number; NaN below two values or where Std is at most 2e-5."""

    kernel, output, decays, nanoseconds = "linear", "rsquare", False, 10.0

    @classmethod
    def window_of(cls, builder: Builder, column: Column, n: int, values: Any) -> Column:
        """Mask windows that hardly vary; the peer does not for N = 0."""
        return builder.kernel("linear", [column], n, "rsquare" if n else "rsquare_unmasked")


class Resi(_Rolling):
    """Today's value less what least squares on the row number say; NaN below two valid values."""

    kernel, output, decays, nanoseconds = "linear", "resi", False, 10.0


class WMA(_Rolling):
    """Mean weighted 1, 2, ... N from the oldest row to today's, over the valid values.

    In compat mode it is what the peer has: the weighted values' mean instead of their sum, about N times smaller.
    """

    decays, nanoseconds = False, 60.0

    @classmethod
    def window_of(cls, builder: Builder, column: Column, n: int, values: Any) -> Column:
        """Choose by mode."""
        return builder.kernel("shape", [column], n, "wma" if builder.strict else "wma_compat")


class EMA(_Rolling):
    """Exponentially weighted mean with span N: weight 2 / (N + 1), weights adjusted at the start.

    A day without a value keeps yesterday's mean while the weights decay on. It starts with the history that is
    loaded, in compat mode N - 1 rows before the first day, in strict mode with the first day of the data.
    """

    nanoseconds = 5.0

    @classmethod
    def reach(cls, values: Sequence[Any]) -> Any:
        """All history; what is loaded in compat mode is that of a rolling window."""
        own = super().reach(values)
        return type(own)(left=None, loaded=own.left if own.left is not None else own.loaded)

    @classmethod
    def window_of(cls, builder: Builder, column: Column, n: int, values: Any) -> Column:
        """Use weight 2 / (N + 1)."""
        if n == 0:
            return builder.kernel("shape", [column], 0, "ema_expanding")
        return builder.kernel("decay", [column], 0, "mean", 2.0 / (n + 1.0))
