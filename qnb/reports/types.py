"""What a report is made from and what it consists of: frozen types without a drawing in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CostTerms", "Kpi", "Mode", "Phrase", "ReportInput", "RunFacts", "TaskSummary"]

Mode = Literal["sum", "product"]
"""Whether daily returns are summed or compounded."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Where a report comes from.

    Attributes
    ----------
    name, experiment, run_id, status : str
        As the recorder has them; '' where unknown.
    started : datetime or None
        Begin of the run.
    seconds : float or None
        Time it took.
    """

    name: str = ""
    experiment: str = ""
    run_id: str = ""
    status: str = ""
    started: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class CostTerms:
    """What trading costs.

    Attributes
    ----------
    open_cost, close_cost : float
        Share of the traded value, to buy and to sell.
    min_cost : float
        Least amount of money an order costs.
    """

    open_cost: float = 0.0
    close_cost: float = 0.0
    min_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """What was traded, in the few facts that a reader asks for first.

    Attributes
    ----------
    sentence : str
        What the strategy does, in one sentence; '' lets the report write it from `topk` and `n_drop`.
    universe : str
        Name of the universe.
    topk, n_drop : int or None
        Names held and names replaced a day, where the strategy has such numbers.
    deal_price : str
        Field at which orders are filled.
    """

    sentence: str = ""
    universe: str = ""
    topk: int | None = None
    n_drop: int | None = None
    deal_price: str = ""


@dataclass(frozen=True, slots=True)
class ReportInput:
    """All that a report can show. Everything but the title may be missing: its part is then left out.

    Attributes
    ----------
    title : str
        Headline, e.g. 'LightGBM on Alpha158, CSI 300'.
    run : RunFacts
        Where it comes from.
    segments : mapping of str to (start, end)
        Train, valid, test.
    report : DataFrame or None
        Index day; columns account, return (gross of cost), turnover, cost, value, bench and others of report_normal.
        Returns, turnover and cost are shares of the last account. NaN counts as no return.
    positions : DataFrame or None
        A row a holding and day: datetime, instrument, amount, price, weight, count_day (columns or index levels).
    orders : DataFrame or None
        A row an order: datetime, instrument, side ('buy' or 'sell'), rank, score, requested, executed, price, value,
        cost, reason, held_days, factor, change. Amounts and prices are adjusted; `factor` turns them into real ones.
    pred, label : Series or DataFrame or None
        Scores and labels, index (datetime, instrument); of a DataFrame the first column counts.
    metrics : mapping of str to float
        Metrics of the recorder; shown where they are not computed here.
    indicators : DataFrame or None
        Index day; ffr, pa, pos, deal_amount, value, count.
    benchmark : str
        Name of the benchmark, '' without one.
    costs : CostTerms or None
        What trading costs.
    provenance : mapping of str to (mapping of str to str)
        Columns of the last section, e.g. ``{"Data": {"Fingerprint": "557a…"}}``.
    task_summary : TaskSummary or None
        What was traded.
    currency : str
        Of the account.
    periods : int
        Trading periods in a year, by which returns are annualised.
    command : str
        What reproduces the run, '' if nothing does.
    orders_file : str
        Name of the artifact that holds all orders, '' where there is none.
    made : datetime or None
        When the report was made; None leaves it out.
    """

    title: str
    run: RunFacts = field(default_factory=RunFacts)
    segments: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    report: pd.DataFrame | None = None
    positions: pd.DataFrame | None = None
    orders: pd.DataFrame | None = None
    pred: pd.Series | pd.DataFrame | None = None
    label: pd.Series | pd.DataFrame | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    indicators: pd.DataFrame | None = None
    benchmark: str = ""
    costs: CostTerms | None = None
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    task_summary: TaskSummary | None = None
    currency: str = "CNY"
    periods: int = 238
    command: str = ""
    orders_file: str = ""
    made: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kpi:
    """One number of the head of a report.

    Attributes
    ----------
    key : str
        Stable name, e.g. ``"excess_return"``.
    label, value, caption : str
        What it is, the number as written, and how to read it.
    formula : str
        How it is computed; shown on hover and focus.
    number : float
        The value itself; NaN where missing.
    """

    key: str
    label: str
    value: str
    caption: str = ""
    formula: str = ""
    number: float = float("nan")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A piece of the paragraph in words.

    Attributes
    ----------
    text : str
        The words, spaces included.
    strong : bool
        True for a number that the eye should find.
    """

    text: str
    strong: bool = False
