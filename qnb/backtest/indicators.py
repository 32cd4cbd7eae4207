"""How well orders were filled, by day and over a run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

__all__ = ["daily_indicators", "indicator_analysis"]


def daily_indicators(
    orders: Mapping[str, np.ndarray], days: np.ndarray, *, weight: str = "mean", strict: bool = False
) -> pd.DataFrame:
    """Return the indicators of each day.

    Parameters
    ----------
    orders : mapping
        Columns of the ledger: ``day``, ``code``, ``requested``, ``executed``, ``value``, ``sent``.
    days : datetime64[ns] array (days,)
        Trading days.
    weight : str
        Of the mean fill rate: ``"mean"``, ``"amount_weighted"`` or ``"value_weighted"``.
    strict : bool
        Count every order; otherwise, like the peer, only the last one of an instrument and day.

    Returns
    -------
    DataFrame
        Index datetime. ``ffr``, the fill rate: mean of executed / requested over orders, without those that asked for
        nothing; NaN on a day without any. ``pa`` and ``pos``, price advantage and share of orders with one: 0, since
        a bar has one price; NaN without an order. ``deal_amount`` and ``value``: sums over orders of amounts and
        of money. ``count``: orders, those that asked for nothing included.
    """
    sent = orders["sent"]
    day, wanted, done, value = (orders[name][sent] for name in ("day", "requested", "executed", "value"))
    if not strict:
        keep = _last_of_each(day, orders["code"][sent])
        day, wanted, done, value = day[keep], wanted[keep], done[keep], value[keep]
    size = len(days)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(day, weights=values, minlength=size) if len(day) else np.zeros(size)

    with np.errstate(divide="ignore", invalid="ignore"):
        rate = done / wanted
        scale = {"mean": np.ones(len(day)), "amount_weighted": np.abs(done), "value_weighted": np.abs(value)}[weight]
        known = ~np.isnan(rate)
        below = total(np.where(known, scale, 0.0)) if weight == "mean" else total(scale)
        ffr = total(np.where(known, rate * scale, 0.0)) / below
    count = np.bincount(day, minlength=size) if len(day) else np.zeros(size, dtype=np.int64)
    nothing = np.where(count > 0, 0.0, np.nan)
    return pd.DataFrame(
        {
            "ffr": ffr,
            "pa": nothing,
            "pos": nothing.copy(),
            "deal_amount": total(np.abs(done)),
            "value": total(np.abs(value)),
            "count": count.astype(np.int64),
        },
        index=pd.DatetimeIndex(days, name="datetime"),
    )


def indicator_analysis(indicators: pd.DataFrame, *, method: str = "mean") -> pd.DataFrame:
    """Return the indicators of a run as one column ``value`` with rows ffr, pa, pos.

    ``x = sum_t(w_t * x_t) / sum_t(w_t)`` with w the number of orders (``"mean"``), the amount (``"amount_weighted"``)
    or the value (``"value_weighted"``); pos always with the number of orders. NaN days add nothing to the sum above.
    """
    weights = {
        "mean": indicators["count"],
        "amount_weighted": indicators["deal_amount"].abs(),
        "value_weighted": indicators["value"].abs(),
    }
    if method not in weights:
        from ..errors import BacktestError

        raise BacktestError(f"indicator analysis method {method!r} is not known; valid: {', '.join(weights)}")
    found = {}
    for name in ("ffr", "pa", "pos"):
        w = weights["mean" if name == "pos" else method].to_numpy(dtype=np.float64)
        total = w.sum()
        found[name] = float(np.nansum(indicators[name].to_numpy() * w) / total) if total else np.nan
    return pd.Series(found).to_frame("value")


def _last_of_each(day: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Return the places of each instrument's last order of a day, in their sequence."""
    key = day * (int(code.max()) + 1 if len(code) else 1) + code
    if (np.diff(np.sort(key)) != 0).all():
        return np.arange(len(key))
    _, first_from_end = np.unique(key[::-1], return_index=True)
    return np.sort(len(key) - 1 - first_from_end)
