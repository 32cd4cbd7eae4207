"""The order ledger: every order and every candidate of a run, with what was asked, what was done and why."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .exchange import BUY, Fill
from .market import Market
from .scores import Scores
from .strategy import Order

__all__ = ["COLUMNS", "Ledger", "ledger_frame"]

COLUMNS = (
    "datetime", "instrument", "side", "rank", "score", "requested", "executed", "price", "value", "cost", "reason",
    "held_days", "factor", "change", "sent",
)  # fmt: skip


class Ledger:
    """Collects rows while a run goes on; the engine alone writes it."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, float, float, float, float, float, str, int, bool]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def order(self, day: int, order: Order, fill: Fill, held_days: int) -> None:
        """Add an order that was sent."""
        code, side, amount, reason = order
        filled, price, value, cost, hindered = fill
        self._rows.append((day, code, side, amount, filled, price, value, cost, hindered or reason, held_days, True))

    def skip(self, day: int, order: Order, price: float, held_days: int) -> None:
        """Add a candidate that was not sent."""
        code, side, amount, reason = order
        self._rows.append((day, code, side, amount, 0.0, price, 0.0, 0.0, reason, held_days, False))

    def columns(self) -> dict[str, np.ndarray]:
        """Return the rows as arrays: day, code, side, requested, executed, price, value, cost, reason, ..."""
        names = ("day", "code", "side", "requested", "executed", "price", "value", "cost", "reason", "held", "sent")
        kinds = (np.int64, np.int64, np.int64, *[np.float64] * 5, object, np.int64, bool)
        parts = list(zip(*self._rows, strict=True)) if self._rows else [()] * len(names)
        return {n: np.array(p, dtype=k) for n, p, k in zip(names, parts, kinds, strict=True)}


def ledger_frame(columns: Mapping[str, np.ndarray], market: Market, scores: Scores) -> pd.DataFrame:
    """Return the ledger as a frame, in the sequence of the orders.

    Parameters
    ----------
    columns : mapping
        `Ledger.columns`.
    market, scores
        Of the run.

    Returns
    -------
    DataFrame
        datetime, instrument; side ``buy`` or ``sell``; rank of the score that day (1 is the best, ties share the
        better rank; 0 without a score) and score (NaN without); requested and executed in adjusted shares (requested
        is NaN where no price gave an amount); price of the fill; value and cost in money; reason, see
        `qnb.backtest.Reason`; held_days at the time of the order; factor and change of the day; sent, False for
        candidates that did not become orders.
    """
    day, code = columns["day"], columns["code"]
    score, rank = _scores_and_ranks(day, code, scores)
    data = {
        "datetime": market.days[day],
        "instrument": np.array(market.instruments, dtype=object)[code],
        "side": np.where(columns["side"] == BUY, "buy", "sell"),
        "rank": rank,
        "score": score,
        **{name: columns[name] for name in ("requested", "executed", "price", "value", "cost")},
        "reason": np.array([str(r) for r in columns["reason"]], dtype=object),
        "held_days": columns["held"],
        "factor": market.factor[day, code].astype(np.float64),
        "change": market.change[day, code].astype(np.float64),
        "sent": columns["sent"],
    }
    frame = pd.DataFrame({name: data[name] for name in COLUMNS})
    return frame.astype({"instrument": "str", "side": "str", "reason": "str"})


def _scores_and_ranks(days: np.ndarray, codes: np.ndarray, scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    score, rank = np.full(len(days), np.nan), np.zeros(len(days), dtype=np.int64)
    last_of_day = np.append(np.diff(days) != 0, True) if len(days) else np.zeros(0, dtype=bool)
    begin = 0
    for end in (np.flatnonzero(last_of_day) + 1).tolist():  # a loop over days, each of which ranks its own scores
        rows = slice(scores.starts[days[begin]], scores.starts[days[begin] + 1])
        known, values = scores.codes[rows], scores.values[rows]
        if len(known):
            place = np.minimum(np.searchsorted(known, codes[begin:end]), len(known) - 1)
            mine = np.where(known[place] == codes[begin:end], values[place], np.nan)
            ordered = np.sort(values[~np.isnan(values)])
            better = len(ordered) - np.searchsorted(ordered, mine, side="right")
            score[begin:end] = mine
            rank[begin:end] = np.where(np.isnan(mine), 0, better + 1)
        begin = end
    return score, rank
