"""Prepares a `ReportInput` once for all figures and tables: returns, scores against labels, holdings, orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..metrics.rows import ranks, row_correlation
from .types import Mode, ReportInput

__all__ = ["Material", "Returns", "Scores", "holdings_of", "returns_of", "scores_of"]


@dataclass(frozen=True, slots=True)
class Returns:
    """Daily returns of a backtest as shares of the last account.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    before : ndarray of float64, shape (days,)
        Return before cost; a missing one is 0.
    cost : ndarray of float64, shape (days,)
        Cost as a share of the last account.
    turnover : ndarray of float64, shape (days,), or None
        Traded value as a share of the last account; None where it is not known.
    bench : ndarray of float64, shape (days,), or None
        Return of the benchmark; None without one.
    benchmark : str
        Its name.
    periods : int
        Trading periods in a year.
    """

    dates: np.ndarray
    before: np.ndarray
    cost: np.ndarray
    turnover: np.ndarray | None = None
    bench: np.ndarray | None = None
    benchmark: str = ""
    periods: int = 238

    @property
    def after(self) -> np.ndarray:
        """Return after cost."""
        return self.before - self.cost

    @property
    def excess(self) -> np.ndarray | None:
        """Return after cost less the benchmark's."""
        return None if self.bench is None else self.after - self.bench

    @property
    def excess_before(self) -> np.ndarray | None:
        """Return before cost less the benchmark's."""
        return None if self.bench is None else self.before - self.bench

    @property
    def main(self) -> np.ndarray:
        """What the report judges by: the excess after cost, or the return after cost without a benchmark."""
        return self.after if self.excess is None else self.excess

    @property
    def main_before(self) -> np.ndarray:
        """The same before cost."""
        return self.before if self.excess_before is None else self.excess_before


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores and labels of every day as dense matrices, NaN where an instrument has none.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (days,)
    scores : ndarray of float64, shape (days, instruments)
    labels : ndarray of float64, shape (days, instruments), or None
        The return that the score was to foretell; None where no label is known.
    """

    dates: np.ndarray
    scores: np.ndarray
    labels: np.ndarray | None


class Material:
    """The prepared parts of a report input; each is computed on first use, None where it cannot be.

    Parameters
    ----------
    given : ReportInput
        What is known.
    mode : {'sum', 'product'}
        Whether returns are summed or compounded.
    """

    def __init__(self, given: ReportInput, *, mode: Mode = "sum") -> None:
        self.given = given
        self.mode: Mode = mode

    @cached_property
    def returns(self) -> Returns | None:
        """Daily returns, None without a backtest of at least one day."""
        report = self.given.report
        if report is None or len(report) == 0 or "return" not in report:
            return None
        return returns_of(report, benchmark=self.given.benchmark, periods=self.given.periods)

    @cached_property
    def scores(self) -> Scores | None:
        """Scores and labels, None without predictions."""
        return None if self.given.pred is None else scores_of(self.given.pred, self.given.label)

    @cached_property
    def ic(self) -> np.ndarray | None:
        """Information coefficient of every day of `scores`, None without labels."""
        s = self.scores
        return None if s is None or s.labels is None else row_correlation(s.scores, s.labels)

    @cached_property
    def rank_ic(self) -> np.ndarray | None:
        """Rank information coefficient of every day of `scores`, None without labels."""
        s = self.scores
        if s is None or s.labels is None:
            return None
        both = np.isfinite(s.scores) & np.isfinite(s.labels)
        x = ranks(np.where(both, s.scores, np.nan))
        return row_correlation(x, ranks(np.where(both, s.labels, np.nan)))

    @cached_property
    def holdings(self) -> pd.Series | None:
        """Number of names held by day, None without positions."""
        return None if self.given.positions is None else holdings_of(self.given.positions)

    @cached_property
    def orders(self) -> pd.DataFrame | None:
        """The order ledger in the order of days, None without one."""
        orders = self.given.orders
        if orders is None or len(orders) == 0:
            return None
        return columns_of(orders).sort_values("datetime", kind="stable").reset_index(drop=True)


def returns_of(report: pd.DataFrame, *, benchmark: str = "", periods: int = 238) -> Returns:
    """Return the daily returns of a report_normal frame, NaN as no return.

    A benchmark column that is missing, empty or zero throughout counts as no benchmark.
    """
    report = report.sort_index()
    dates = pd.DatetimeIndex(report.index).to_numpy().astype("datetime64[ns]")

    def column(name: str) -> np.ndarray:
        if name not in report:
            return np.zeros(len(report))
        values = report[name].to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isfinite(values), values, 0.0)

    bench = column("bench")
    return Returns(
        dates=dates,
        before=column("return"),
        cost=column("cost"),
        turnover=column("turnover") if "turnover" in report else None,
        bench=bench if np.any(bench != 0.0) else None,
        benchmark=benchmark or "benchmark",
        periods=periods,
    )


def scores_of(pred: pd.Series | pd.DataFrame, label: pd.Series | pd.DataFrame | None) -> Scores | None:
    """Return scores and labels as matrices over days and instruments; None where there is no score at all."""
    score = _first_column(pred).unstack(level="instrument").sort_index()
    if score.size == 0 or not np.isfinite(score.to_numpy(dtype=np.float64, na_value=np.nan)).any():
        return None
    labels = None
    if label is not None and len(label):
        aligned = _first_column(label).unstack(level="instrument")
        matrix = aligned.reindex(index=score.index, columns=score.columns).to_numpy(dtype=np.float64, na_value=np.nan)
        labels = matrix if np.isfinite(matrix).any() else None
    return Scores(
        dates=pd.DatetimeIndex(score.index).to_numpy().astype("datetime64[ns]"),
        scores=score.to_numpy(dtype=np.float64, na_value=np.nan),
        labels=labels,
    )


def holdings_of(positions: pd.DataFrame) -> pd.Series | None:
    """Return the number of names held by day; rows of cash and of the account are no names."""
    frame = columns_of(positions)
    if "datetime" not in frame or "instrument" not in frame:
        return None
    frame = frame[~frame["instrument"].isin(["cash", "now_account_value"])]
    if "amount" in frame:
        frame = frame[frame["amount"].to_numpy(dtype=np.float64, na_value=0.0) != 0.0]
    return frame.groupby("datetime").size() if len(frame) else None


def columns_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with its index levels as columns and its day called ``datetime``."""
    named: Mapping[Any, Any] = {"date": "datetime"}
    flat = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    return flat.rename(columns=named)


def _first_column(values: pd.Series | pd.DataFrame) -> pd.Series:
    series = values if isinstance(values, pd.Series) else values.iloc[:, 0]
    names = list(series.index.names)
    if "instrument" not in names or "datetime" not in names:
        series = series.rename_axis(["datetime", "instrument"])
    return series
