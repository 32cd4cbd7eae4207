"""What a backtest is asked to simulate: costs, prices, limits, lots, and how orders are carried out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BacktestError, remedy_for

__all__ = ["ExchangeSpec", "VolumeLimit", "daily", "is_number", "one_of"]

_WEIGHTS = ("mean", "amount_weighted", "value_weighted")
_DAY = re.compile(r"^(1\s*)?(d|day|days)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VolumeLimit:
    """How much of an instrument can be traded on a day.

    Attributes
    ----------
    side : str
        ``"all"``, ``"buy"`` or ``"sell"``.
    kind : str
        ``"current"``: the expression is the capacity of each order; ``"cum"``: that of the day, less what earlier
        orders took.
    expression : str
        Amount in adjusted shares, e.g. ``"0.1 * $volume"``; NaN means nothing can be traded.
    """

    side: str
    kind: str
    expression: str


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """The exchange that orders go to.

    Attributes
    ----------
    open_cost, close_cost : float
        Cost of a buy and of a sell as a share of its value.
    min_cost : float
        Least cost of an order that trades, in money.
    impact_cost : float
        Market impact: ``impact_cost * (value / day's traded value) ** 2`` is added to the rate.
    limit_threshold : float, pair of str, or None
        A float t: no buy at ``$change >= t``, no sell at ``$change <= -t``. A pair of expressions: no buy (sell) where
        the first (second) is not 0. None: no price limits.
    deal_price : str or pair of str
        Price of a fill: a field (``"close"``, ``"$close"``) or an expression, or one for buys and one for sells. Where
        it is missing or not above 1e-8 the close is taken.
    volume_threshold : tuple of VolumeLimit
        Limits on the amount; the tightest counts.
    trade_unit : int or None
        Shares in a lot; None trades fractions.
    codes : str or sequence of str
        Universe, or instruments, that are traded here; what is not among them counts as suspended.
    trade_type : str
        ``"serial"`` carries orders out as they come, ``"parallel"`` buys before it sells (proceeds come too late).
    settle_type : str
        ``"cash"``: proceeds can be used from the next day on. ``"none"``: at once.
    ffr_weight : str
        Weights of the day's mean fill rate: ``"mean"``, ``"amount_weighted"`` or ``"value_weighted"``.
    freq : str
        Only ``"day"``.
    """

    open_cost: float = 0.0015
    close_cost: float = 0.0025
    min_cost: float = 5.0
    impact_cost: float = 0.0
    limit_threshold: float | tuple[str, str] | None = 0.095
    deal_price: str | tuple[str, str] = "close"
    volume_threshold: tuple[VolumeLimit, ...] = ()
    trade_unit: int | None = 100
    codes: str | tuple[str, ...] = "all"
    trade_type: str = "serial"
    settle_type: str = "none"
    ffr_weight: str = "mean"
    freq: str = "day"

    @property
    def buy_price(self) -> str:
        """Expression of the price of a buy."""
        return _price(self.deal_price if isinstance(self.deal_price, str) else self.deal_price[0])

    @property
    def sell_price(self) -> str:
        """Expression of the price of a sell."""
        return _price(self.deal_price if isinstance(self.deal_price, str) else self.deal_price[1])

    @property
    def limits(self) -> tuple[str, str] | None:
        """Expressions of the limits for buys and for sells, when they are expressions."""
        return self.limit_threshold if isinstance(self.limit_threshold, tuple) else None

    def checked(self) -> ExchangeSpec:
        """Return this after a look at its values; raises `BacktestError` for one that makes no sense."""
        for name in ("open_cost", "close_cost", "min_cost", "impact_cost"):
            value = getattr(self, name)
            if not is_number(value) or not value >= 0:
                raise BacktestError(f"{name} must be a number >= 0, received {value!r}")
        unit = self.trade_unit
        if unit is not None and (not is_number(unit) or unit <= 0):
            raise BacktestError(f"trade_unit must be a number of shares above 0 or null, received {unit!r}")
        limit = self.limit_threshold
        if is_number(limit) and not limit > 0:  # type: ignore[operator]
            raise BacktestError(f"limit_threshold must be above 0, received {limit!r}; null means no limit of your own")
        for name, valid in (("trade_type", ("serial", "parallel")), ("settle_type", ("none", "cash"))):
            one_of(name, getattr(self, name), valid)
        one_of("weight_method", self.ffr_weight, _WEIGHTS)
        daily(self.freq)
        return self


def daily(freq: Any, *, name: str = "freq") -> None:
    """Raise `BacktestError` unless `freq` means one trading day."""
    if not isinstance(freq, str) or not _DAY.match(freq.strip()):
        raise BacktestError(f"{name} {freq!r} is not supported: backtests run on daily bars; use 'day'")


def one_of(name: str, value: Any, valid: Sequence[str]) -> None:
    """Raise `BacktestError` with the nearest valid one unless `value` is among `valid`."""
    if value not in valid:
        remedy = remedy_for(str(value), valid)
        raise BacktestError(f"{name} {value!r} is not known; {remedy}")


def is_number(value: Any) -> bool:
    """Return whether `value` is an int or float and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _price(text: str) -> str:
    return f"${text}" if re.fullmatch(r"\w+", text) else text
