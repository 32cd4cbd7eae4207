"""The market as an exchange shows it: prices of fills, who can be traded, lots, volume limits; all as matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .quotes import Quotes
from .spec import ExchangeSpec

__all__ = ["Market", "market_of"]

_NO_PRICE = 1e-8


@dataclass(frozen=True, slots=True)
class Market:
    """Quotes under the rules of an `ExchangeSpec`; every matrix is (days, instruments).

    Attributes
    ----------
    days : datetime64[ns] array (days,)
        Trading days.
    instruments : tuple of str
        Columns, sorted.
    close, buy_price, sell_price : float32 matrices
        Close (NaN: suspended) and the prices of fills.
    factor : float32 matrix
        Adjusted price / price as traded.
    change : float32 matrix
        Return of the day that price limits look at.
    limit_buy, limit_sell : bool matrices
        A price limit, or the suspension, forbids buying (selling).
    suspended : bool matrix
        Not traded at all.
    can_buy, can_sell, can_both : bool matrices
        What is left to trade in a direction, and in both.
    volume : float32 matrix or None
        Traded amount, read only where market impact needs it.
    buy_limits, sell_limits : tuple of (cumulative, matrix)
        Limits on the amount; cumulative ones are lessened by what the day's orders took.
    unit : float or None
        Shares in a lot; None trades fractions.
    notes : tuple of str
        What a user should know about these quotes.
    """

    days: np.ndarray
    instruments: tuple[str, ...]
    close: np.ndarray
    buy_price: np.ndarray
    sell_price: np.ndarray
    factor: np.ndarray
    change: np.ndarray
    limit_buy: np.ndarray
    limit_sell: np.ndarray
    suspended: np.ndarray
    can_buy: np.ndarray
    can_sell: np.ndarray
    can_both: np.ndarray
    volume: np.ndarray | None
    buy_limits: tuple[tuple[bool, np.ndarray], ...]
    sell_limits: tuple[tuple[bool, np.ndarray], ...]
    unit: float | None
    notes: tuple[str, ...]


def market_of(quotes: Quotes, spec: ExchangeSpec, *, strict: bool = False) -> Market:
    """Return the market of `quotes` under the rules of `spec`.

    Parameters
    ----------
    quotes : Quotes
        Read as far as the rules need.
    spec : ExchangeSpec
        The rules.
    strict : bool
        Lots are counted wherever a factor is known (otherwise one missing factor switches them off everywhere), and a
        store without ``$change`` gets it from the closes.
    """
    notes: list[str] = []
    close = quotes.field("$close")
    member = quotes.members(spec.codes)
    if member is not None:
        close = np.where(member, close, np.float32(np.nan))
    suspended = np.isnan(close)
    change = _change(quotes, close, spec, strict, notes)
    limit_buy, limit_sell = _limits(quotes, spec, suspended, change)
    free = ~suspended
    can_buy, can_sell = free & ~limit_buy, free & ~limit_sell
    amounts = [(v.side, v.kind == "cum", quotes.field(v.expression)) for v in spec.volume_threshold]
    return Market(
        days=quotes.days,
        instruments=quotes.instruments,
        close=close,
        buy_price=_fill_price(quotes.field(spec.buy_price), close),
        sell_price=_fill_price(quotes.field(spec.sell_price), close),
        factor=quotes.field("$factor"),
        change=change,
        limit_buy=limit_buy,
        limit_sell=limit_sell,
        suspended=suspended,
        can_buy=can_buy,
        can_sell=can_sell,
        can_both=can_buy & can_sell,
        volume=quotes.field("$volume") if spec.impact_cost else None,
        buy_limits=tuple((cum, values) for side, cum, values in amounts if side != "sell"),
        sell_limits=tuple((cum, values) for side, cum, values in amounts if side != "buy"),
        unit=_unit(quotes, spec, strict, notes),
        notes=tuple(notes),
    )


def _change(quotes: Quotes, close: np.ndarray, spec: ExchangeSpec, strict: bool, notes: list[str]) -> np.ndarray:
    change = quotes.field("$change")
    if isinstance(spec.limit_threshold, float) and not quotes.has_values("$change"):
        if strict:
            return _change_of(close)
        notes.append("the data has no $change: price limits are not simulated (mode strict takes them from the closes)")
    return change


def _change_of(close: np.ndarray) -> np.ndarray:
    """Return close / last known close - 1, NaN on the first day."""
    rows = np.where(np.isnan(close), -1, np.arange(len(close))[:, None])
    latest = np.maximum.accumulate(rows, axis=0)
    before = np.vstack([np.full((1, close.shape[1]), -1), latest[:-1]])
    last = np.take_along_axis(close, np.maximum(before, 0), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(before >= 0, close / last - np.float32(1), np.float32(np.nan)).astype(np.float32)


def _limits(
    quotes: Quotes, spec: ExchangeSpec, suspended: np.ndarray, change: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if spec.limits is not None:  # an expression that is NaN limits, as a comparison with nothing known should
        buy, sell = (quotes.field(text) for text in spec.limits)
        return (buy != 0) | suspended, (sell != 0) | suspended
    if spec.limit_threshold is None:
        return suspended, suspended
    threshold = np.float32(spec.limit_threshold)  # type: ignore[arg-type]
    return (change >= threshold) | suspended, (change <= -threshold) | suspended


def _fill_price(price: np.ndarray, close: np.ndarray) -> np.ndarray:
    if price is close:
        return close
    with np.errstate(invalid="ignore"):
        return np.where(price > _NO_PRICE, price, close)


def _unit(quotes: Quotes, spec: ExchangeSpec, strict: bool, notes: list[str]) -> float | None:
    if spec.trade_unit is None or strict:
        return spec.trade_unit
    name = quotes.without_factor(spec.codes)
    if name:
        notes.append(
            f"amounts are not rounded to lots of {spec.trade_unit}: {name} has days with a close and no factor "
            f"(restrict codes, or use mode strict)"
        )
        return None
    return spec.trade_unit
