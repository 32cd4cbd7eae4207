"""Builds a report: prepares what is there, computes each figure and table once, and draws the figures.

1. Prepare returns, scores, holdings, orders (`Material`); a part that is missing stays None.
2. Ask every figure for its data; those without theirs are left out.
3. Compute the tables, the numbers of the head, and the paragraph.
4. Draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from .figure_spec import FigureSpec, all_figures
from .figures.drawdown import DrawdownData
from .headline import kpis_of, lead_of
from .material import Material
from .table import Table
from .tables.orders import OrdersData, orders_data, orders_table, reasons_table
from .tables.signal_numbers import SignalNumbers, signal_numbers_data, signal_numbers_table
from .tables.summary import SummaryData, summary_data, summary_table
from .tables.worst_drawdowns import worst_drawdowns_table
from .theme import theme_of
from .types import Kpi, Mode, Phrase, ReportInput

__all__ = ["Report", "build_report"]


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is computed and drawn.

    Attributes
    ----------
    input : ReportInput
        What it was made from.
    theme : str
        Of `figures`.
    mode : {'sum', 'product'}
        Whether returns are summed or compounded.
    kpis : tuple of Kpi
        Numbers of the head.
    lead : tuple of Phrase
        The paragraph in words.
    data : mapping of str to object
        Data of each figure, by name.
    figures : dict of str to go.Figure
        In the order of the report.
    tables : dict of str to Table
    specs : tuple of FigureSpec
        Of `figures`, in their order.
    """

    input: ReportInput
    theme: str
    mode: Mode
    kpis: tuple[Kpi, ...]
    lead: tuple[Phrase, ...]
    data: Mapping[str, Any]
    figures: dict[str, go.Figure]
    tables: dict[str, Table]
    specs: tuple[FigureSpec, ...]

    @property
    def summary(self) -> str:
        """The paragraph as plain text."""
        return "".join(phrase.text for phrase in self.lead).strip()

    @property
    def has_portfolio(self) -> bool:
        """Whether there was a backtest."""
        return "cumulative" in self.data

    @property
    def has_signal(self) -> bool:
        """Whether there were predictions to look at."""
        return any(spec.section == "signal" for spec in self.specs)

    def drawn(self, theme: str) -> dict[str, go.Figure]:
        """Return the figures in `theme`, drawn from the same data."""
        if theme == self.theme:
            return self.figures
        return {spec.name: spec.draw(self.data[spec.name], theme=theme) for spec in self.specs}

    def figure_json(self) -> dict[str, str]:
        """Return each figure as Plotly JSON, by name."""
        return {name: figure.to_json() for name, figure in self.figures.items()}


def build_report(given: ReportInput, *, theme: str = "light", mode: Mode = "sum") -> Report:
    """Build the report of `given`.

    Parameters
    ----------
    given : ReportInput
        Parts may be missing; what needs them is left out.
    theme : {'light', 'dark'}
        Of the figures. The HTML page follows its reader's theme by itself.
    mode : {'sum', 'product'}
        Sum daily returns, or compound them.

    Returns
    -------
    Report

    Raises
    ------
    UnknownNameError
        For another theme.

    Examples
    --------
    >>> build_report(ReportInput("Nothing yet")).summary
    'The run left neither a backtest nor predictions.'
    """
    look = theme_of(theme)
    material = Material(given, mode=mode)
    specs, data = [], {}
    for spec in all_figures():
        value = spec.compute(material)
        if value is not None:
            specs.append(spec)
            data[spec.name] = value
    summary = None if material.returns is None else summary_data(material.returns, mode=mode)
    signal = _signal(material)
    days = None if material.returns is None else len(material.returns.dates)
    orders = None if material.orders is None else orders_data(material.orders, days=days)
    drawdown: DrawdownData | None = data.get("drawdown")
    return Report(
        input=given,
        theme=look.name,
        mode=mode,
        kpis=kpis_of(material, summary=summary, signal=signal, orders=orders),
        lead=lead_of(material, summary=summary, signal=signal, drawdown=drawdown),
        data=data,
        figures={spec.name: spec.draw(data[spec.name], theme=look) for spec in specs},
        tables={t.name: t for t in _tables(material, summary, signal, orders, drawdown)},
        specs=tuple(specs),
    )


def _signal(material: Material) -> SignalNumbers | None:
    if material.scores is None or material.ic is None or material.rank_ic is None:
        return None
    return signal_numbers_data(material.scores.dates, material.ic, rank_ic=material.rank_ic)


def _tables(
    material: Material,
    summary: SummaryData | None,
    signal: SignalNumbers | None,
    orders: OrdersData | None,
    drawdown: DrawdownData | None,
) -> list[Table]:
    given, found = material.given, []
    if summary is not None:
        found.append(summary_table(summary))
    if drawdown is not None and drawdown.worst:
        found.append(worst_drawdowns_table(drawdown))
    if signal is not None:
        found.append(signal_numbers_table(signal))
    if orders is not None:
        n_drop = given.task_summary.n_drop if given.task_summary else None
        found.append(orders_table(orders, currency=given.currency, n_drop=n_drop, file=given.orders_file))
        found.append(reasons_table(orders, currency=given.currency))
    return found
