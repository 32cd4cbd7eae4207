"""Orders of the last day with their reasons, and all orders counted by reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .. import numbers
from ..table import Cell, Column, Table

__all__ = ["OrdersData", "orders_data", "orders_table", "reasons_table"]

MOST_ROWS = 100
_REFUSED = frozenset({"limit_up", "limit_down", "suspended", "no_cash", "volume", "lot", "hold_thresh"})


@dataclass(frozen=True, slots=True)
class OrdersData:
    """What was ordered.

    Attributes
    ----------
    last : DataFrame
        Orders of the last day that has any, in real shares and prices; sells before buys, best rank first.
    by_reason : DataFrame
        A row a side and reason: orders, executed, value, cost.
    executed, days : int
        Orders executed at all, and days of the backtest.
    """

    last: pd.DataFrame
    by_reason: pd.DataFrame
    executed: int
    days: int


def orders_data(orders: pd.DataFrame, *, days: int | None = None) -> OrdersData:
    """Turn the ledger into real shares and prices, and count it.

    Parameters
    ----------
    orders : DataFrame
        Columns as `ReportInput.orders` has them, in the order of days. Real shares are amount * factor, real prices
        price / factor; a missing factor counts as 1.
    days : int or None
        Days of the backtest; None counts those with orders.
    """
    frame = orders.copy()
    factor = _numbers(frame, "factor")
    factor = np.where(np.isfinite(factor) & (factor > 0), factor, 1.0)
    for name in ("requested", "executed"):
        frame[name] = _numbers(frame, name) * factor
    frame["price"] = _numbers(frame, "price") / factor
    frame["done"] = np.abs(np.nan_to_num(frame["executed"].to_numpy(dtype=np.float64))) > 1e-9
    frame["value"], frame["cost"] = _numbers(frame, "value"), _numbers(frame, "cost")
    frame["reason"] = frame["reason"].fillna("").astype(str) if "reason" in frame else ""
    frame["side"] = frame["side"].astype(str).str.lower() if "side" in frame else ""
    last = frame[frame["datetime"] == frame["datetime"].iloc[-1]]
    by = [name for name in ("side", "rank") if name in last]
    last = last.sort_values(by, ascending=[name != "side" for name in by], kind="stable")
    counted = (
        frame.groupby(["side", "reason"], sort=False)
        .agg(orders=("done", "size"), executed=("done", "sum"), value=("value", "sum"), cost=("cost", "sum"))
        .reset_index()
        .sort_values(["side", "orders"], ascending=[False, False], kind="stable")
    )
    return OrdersData(last, counted, int(frame["done"].sum()), days or int(frame["datetime"].nunique()))


def orders_table(data: OrdersData, *, currency: str = "", n_drop: int | None = None, file: str = "") -> Table:
    """Lay out the last day's orders; the refused ones are there too.

    Parameters
    ----------
    n_drop : int or None
        Names replaced a day, for the words after 'dropped'.
    file : str
        Artifact that holds all orders.
    """
    last = data.last
    done = int(last["done"].sum())
    note = f"{numbers.count(len(last))} requested, {numbers.count(done)} executed · {numbers.count(data.executed)} "
    note += f"executed on {numbers.counted(data.days, 'day')}" + (f", all in {file}" if file else "")
    if "rank" in last or "score" in last:
        note += " · rank and score are of the day before"
    if len(last) > MOST_ROWS:
        note += f" · the first {MOST_ROWS} are shown"
    unit = f", {currency}" if currency else ""
    columns = (
        Column("Date", right=False),
        Column("Instrument", right=False, mono=True),
        Column("Side", right=False),
        Column("Rank"),
        Column("Score"),
        Column("Requested"),
        Column("Executed"),
        Column(f"Price{unit}"),
        Column(f"Value{unit}"),
        Column(f"Cost{unit}"),
        Column("Reason", right=False),
    )
    rows = tuple(_row(order, n_drop) for order in last.head(MOST_ROWS).to_dict("records"))
    return Table("orders", "Orders of the last day", note, columns, rows)


def reasons_table(data: OrdersData, *, currency: str = "") -> Table:
    """Lay out how often each reason decided, over all days."""
    unit = f", {currency}" if currency else ""
    columns = (
        Column("Reason", right=False),
        Column("Side", right=False),
        Column("Orders"),
        Column("Share"),
        Column("Executed"),
        Column(f"Value{unit}"),
        Column(f"Cost{unit}"),
    )
    total = int(data.by_reason["orders"].sum())
    rows = tuple(
        (
            Cell(_words(row["reason"]), strong=True, tone=_tone(row["reason"], row["executed"] > 0)),
            Cell(str(row["side"]).capitalize()),
            Cell(numbers.count(row["orders"])),
            Cell(numbers.share(row["orders"] / total)),
            Cell(numbers.count(row["executed"])),
            Cell(numbers.money(row["value"]) if row["executed"] else numbers.MISSING),
            Cell(numbers.money(row["cost"], digits=2) if row["executed"] else numbers.MISSING),
        )
        for row in data.by_reason.to_dict("records")
    )
    return Table("reasons", "Orders by reason", "all days, refused orders included", columns, rows)


def _row(order: Mapping[Any, Any], n_drop: int | None) -> tuple[Cell, ...]:
    done = bool(order["done"])
    sell = order["side"] == "sell"
    value = -order["value"] if sell else order["value"]
    return (
        Cell(numbers.day(order["datetime"])),
        Cell(str(order.get("instrument", ""))),
        Cell(str(order["side"]).capitalize()),
        Cell(_rank(order)),
        Cell(numbers.decimal(order.get("score"), 3, sign=True)),
        Cell(numbers.count(order["requested"])),
        Cell(numbers.count(order["executed"]), strong=not done),
        Cell(numbers.decimal(order["price"], 2, grouped=True)),
        Cell(numbers.decimal(value, 0, sign=True, grouped=True)) if done else Cell(numbers.MISSING, tone="muted"),
        Cell(numbers.count(order["cost"])) if done else Cell(numbers.MISSING, tone="muted"),
        Cell(_words(order["reason"]), _detail(order, n_drop), _tone(order["reason"], done), strong=True),
    )


def _words(reason: Any) -> str:
    return str(reason).replace("_", " ") or numbers.MISSING


def _rank(order: Mapping[str, Any]) -> str:
    """The rank of the order's score, 1 the best; a rank of 0 stands for no score."""
    return numbers.count(order.get("rank") or None)


def _tone(reason: str, done: bool) -> str:
    return "warning" if reason in _REFUSED or not done else ""


def _detail(order: Mapping[str, Any], n_drop: int | None) -> str:
    write = _DETAILS.get(order["reason"])
    text = write(order, n_drop) if write else ""
    if not bool(order["done"]):
        refused = "not sold" if order["side"] == "sell" else "not bought"
        text = f"{text}; {refused}" if text else refused
    return text


def _entered(order: Mapping[str, Any], n_drop: int | None) -> str:
    rank = _rank(order)
    return "" if rank == numbers.MISSING else f"rank {rank}, fills a free place"


def _dropped(order: Mapping[str, Any], n_drop: int | None) -> str:
    among = f"among the {n_drop} lowest held" if n_drop else "among the lowest held"
    held = numbers.counted(order.get("held_days"), "day")
    return among if held.startswith(numbers.MISSING) else f"{among}, after {held}"


def _limited(order: Mapping[str, Any], n_drop: int | None) -> str:
    parts = []
    rank, change = _rank(order), numbers.percent(order.get("change"), 2)
    if rank != numbers.MISSING:
        parts.append(f"rank {rank}")
    if change != numbers.MISSING:
        parts.append(f"closed {change}")
    return ", ".join(parts)


def _ranked(order: Mapping[str, Any], n_drop: int | None) -> str:
    rank = _rank(order)
    return "" if rank == numbers.MISSING else f"rank {rank}"


_DETAILS: Mapping[str, Callable[[Mapping[str, Any], int | None], str]] = {
    "entered": _entered,
    "dropped": _dropped,
    "limit_up": _limited,
    "limit_down": _limited,
    "suspended": _ranked,
    "no_cash": _ranked,
    "volume": _ranked,
}


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
