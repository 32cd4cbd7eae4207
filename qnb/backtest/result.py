"""What a backtest leaves: frames of the account, the holdings, the orders and how they were filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..metrics.risk import risk_analysis
from .indicators import indicator_analysis
from .market import Market

__all__ = ["REPORT_COLUMNS", "BacktestResult", "DayBook", "result_of"]

REPORT_COLUMNS = (
    "account", "return", "total_turnover", "turnover", "total_cost", "cost", "value", "cash", "bench",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A finished backtest.

    Attributes
    ----------
    report : DataFrame
        Index datetime. ``account`` = cash + holdings, in money; ``return`` of the day, gross of cost; ``turnover``,
        value traded / yesterday's account, and ``total_turnover``, value traded so far in money; ``cost`` / yesterday's
        account, and ``total_cost`` in money; ``value`` of the holdings; ``cash``; ``bench``, the benchmark's return.
        Net return = return - cost.
    positions : DataFrame
        A row for each day and holding at its end: datetime, instrument, amount (adjusted shares), price (last close),
        weight (share of the account), count_day (days held).
    indicators : DataFrame
        Index datetime: ffr, pa, pos, deal_amount, value, count; see `qnb.backtest.indicators`.
    orders : DataFrame
        The ledger: every order and every candidate, with requested, executed and reason; see `qnb.backtest.ledger`.
    final_account : float
        Account at the end, in money.
    initial_account : float
        Cash and holdings at the start, in money.
    notes : tuple of str
        What a user should know, e.g. why amounts are not rounded to lots.
    """

    report: pd.DataFrame
    positions: pd.DataFrame
    indicators: pd.DataFrame
    orders: pd.DataFrame
    final_account: float
    initial_account: float
    notes: tuple[str, ...] = ()

    def analysis(self, *, freq: str = "day", mode: str = "sum") -> pd.DataFrame:
        """Return mean, std, annualized_return, information_ratio and max_drawdown of the excess return.

        Returns
        -------
        DataFrame
            Index (``excess_return_without_cost`` | ``excess_return_with_cost``, measure), column ``risk``.
        """
        gross = self.report["return"] - self.report["bench"]
        net = gross - self.report["cost"]
        return pd.concat(
            {
                "excess_return_without_cost": risk_analysis(gross, freq=freq, mode=mode),
                "excess_return_with_cost": risk_analysis(net, freq=freq, mode=mode),
            }
        )

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """Return all frames under the names of the portfolio record's artifacts (without a suffix)."""
        return {
            "report_normal_1day": self.report,
            "positions_normal_1day": self.positions,
            "indicators_normal_1day": self.indicators,
            "port_analysis_1day": self.analysis(),
            "indicator_analysis_1day": indicator_analysis(self.indicators),
            "orders_1day": self.orders,
        }


class DayBook:
    """Collects account and holdings at the end of each day; the engine alone writes it.

    Parameters
    ----------
    base : float
        Account that the first day's return is measured against.
    """

    def __init__(self, base: float) -> None:
        self.last = base
        self.turnover = self.cost = 0.0
        self._rows: list[tuple[float, ...]] = []
        self._holdings: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def end_of_day(
        self, held: np.ndarray, amount: np.ndarray, price: np.ndarray, count: np.ndarray, cash: float, delayed: float,
        *, traded: float, cost: float,
    ) -> None:  # fmt: skip
        """Add a day: holdings, cash, and what was traded and paid."""
        values = amount * price
        value = float(values.sum())
        account = value + (cash + delayed)
        self.turnover += traded
        self.cost += cost
        last = self.last
        self._rows.append(
            (account, (account - last + cost) / last, self.turnover, traded / last, self.cost, cost / last, value, cash)
        )
        self._holdings.append((held, amount, price, values / account, count))
        self.last = account

    def report(self, days: np.ndarray, bench: np.ndarray) -> pd.DataFrame:
        """Return the report of all days."""
        table = np.column_stack([np.array(self._rows, dtype=np.float64), bench])
        return pd.DataFrame(table, index=pd.DatetimeIndex(days, name="datetime"), columns=list(REPORT_COLUMNS))

    def positions(self, market: Market) -> pd.DataFrame:
        """Return a row for each day and holding."""
        sizes = [len(h[0]) for h in self._holdings]
        held, amount, price, weight, count = (
            np.concatenate([h[i] for h in self._holdings]) if self._holdings else np.empty(0) for i in range(5)
        )
        names = np.array(market.instruments, dtype=object)[held.astype(np.int64)]
        frame = pd.DataFrame(
            {
                "datetime": np.repeat(market.days[: len(sizes)], sizes),
                "instrument": names,
                "amount": amount,
                "price": price,
                "weight": weight,
                "count_day": count.astype(np.int64),
            }
        )
        return frame.astype({"instrument": "str"})


def result_of(
    market: Market, book: DayBook, *, bench: np.ndarray, indicators: pd.DataFrame, orders: pd.DataFrame,
    initial_account: float, notes: tuple[str, ...],
) -> BacktestResult:  # fmt: skip
    """Return the result of a finished run."""
    return BacktestResult(
        report=book.report(market.days, bench),
        positions=book.positions(market),
        indicators=indicators,
        orders=orders,
        final_account=book.last,
        initial_account=initial_account,
        notes=notes,
    )
