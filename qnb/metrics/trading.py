"""What trading took: turnover, cost, exposure, fills.

The frames are those of a backtest: ``report`` (index datetime, columns turnover, cost, value, account), ``positions``
(a row for each day and holding) and ``orders`` (the ledger).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "annual_cost",
    "annual_turnover",
    "concentration",
    "exposure",
    "fill_rate",
    "holding_counts",
    "holding_periods",
    "order_reasons",
    "trading_summary",
]


def annual_turnover(report: pd.DataFrame, N: float = 238) -> float:
    """Return ``mean(turnover) * N``: value traded in a year over the account, buys and sells both counted.

    Turnover of a day is the traded value over the account of the day before; 2 is a portfolio sold once and bought
    anew. NaN without days.
    """
    return _mean(report["turnover"]) * N


def annual_cost(report: pd.DataFrame, N: float = 238) -> float:
    """Return ``mean(cost) * N``: what trading costs in a year over the account; NaN without days."""
    return _mean(report["cost"]) * N


def exposure(report: pd.DataFrame) -> pd.Series:
    """Return by day the share of the account that is invested, ``value / account``."""
    return (report["value"] / report["account"]).rename("exposure")


def holding_counts(positions: pd.DataFrame, days: pd.DatetimeIndex) -> pd.Series:
    """Return the number of holdings at the end of each of `days`."""
    counted = positions.groupby("datetime").size()
    return counted.reindex(days, fill_value=0).rename("holdings").rename_axis("datetime")


def concentration(positions: pd.DataFrame) -> pd.Series:
    """Return by day the Herfindahl index of the holdings, ``sum(w^2) / sum(w)^2``; 1 / it is the effective number.

    Days without holdings are left out.
    """
    square = positions["weight"] ** 2
    by_day = positions.assign(square=square).groupby("datetime")[["weight", "square"]].sum()
    return (by_day["square"] / by_day["weight"] ** 2).rename("concentration")


def fill_rate(orders: pd.DataFrame, *, by_value: bool = False) -> float:
    """Return the share of what was asked for that was filled, over the orders that were sent.

    ``mean(executed / requested)``, or by value ``sum(executed * price) / sum(requested * price)``. Orders that asked
    for nothing, and by value those without a price, are left out; NaN without an order.
    """
    asked = orders["requested"].to_numpy(dtype=np.float64)
    chosen = orders["sent"].to_numpy(dtype=bool) & (asked > 0)
    done = orders["executed"].to_numpy(dtype=np.float64)
    if not by_value:
        return float((done[chosen] / asked[chosen]).mean()) if chosen.any() else float("nan")
    price = orders["price"].to_numpy(dtype=np.float64)
    chosen &= ~np.isnan(price)
    total = (asked[chosen] * price[chosen]).sum()
    return float((done[chosen] * price[chosen]).sum() / total) if total else float("nan")


def holding_periods(orders: pd.DataFrame) -> np.ndarray:
    """Return for how many days each holding that was sold was held, int64, in the sequence of the sells."""
    sold = (orders["side"] == "sell") & (orders["executed"] > 0)
    return orders.loc[sold, "held_days"].to_numpy(dtype=np.int64)


def order_reasons(orders: pd.DataFrame) -> pd.DataFrame:
    """Return how many orders and candidates there were by reason (index) and side (columns buy, sell)."""
    import pandas as pd

    table = pd.crosstab(orders["reason"], orders["side"])
    return table.reindex(columns=["buy", "sell"], fill_value=0).sort_values(["buy", "sell"], ascending=False)


def trading_summary(
    report: pd.DataFrame, positions: pd.DataFrame, orders: pd.DataFrame, *, N: float = 238
) -> dict[str, float]:
    """Return annual turnover and cost, mean exposure and number of holdings, mean holding period, fill rate."""
    periods = holding_periods(orders)
    return {
        "annual_turnover": annual_turnover(report, N),
        "annual_cost": annual_cost(report, N),
        "mean_exposure": _mean(exposure(report)),
        "mean_holdings": _mean(holding_counts(positions, report.index)),  # type: ignore[arg-type]
        "mean_holding_period": float(periods.mean()) if len(periods) else float("nan"),
        "fill_rate": fill_rate(orders),
    }


def _mean(values: pd.Series) -> float:
    known = values.to_numpy(dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")
