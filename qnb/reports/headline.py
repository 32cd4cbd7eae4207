"""The head of a report: twelve numbers and one paragraph in words, both from numbers and without praise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from . import numbers
from .figures.drawdown import DrawdownData
from .material import Material, Returns
from .risk import Risk
from .tables.orders import OrdersData
from .tables.signal_numbers import SignalNumbers
from .tables.summary import SummaryData
from .types import Kpi, Phrase, TaskSummary

__all__ = ["kpis_of", "lead_of"]

FEW_DAYS = 60


def kpis_of(
    material: Material,
    *,
    summary: SummaryData | None,
    signal: SignalNumbers | None,
    orders: OrdersData | None,
) -> tuple[Kpi, ...]:
    """Return the numbers of the head; those of a part that is missing are left out."""
    found: list[Kpi] = []
    returns = material.returns
    performance = [] if returns is None or summary is None else _performance(returns, summary, material.mode)
    found += performance[:3]
    found += _signal(material, signal)
    if returns is not None:
        found += _turnover(returns)
        found += performance[3:]
        found += _account(material, returns)
        found += _trades(material, returns, orders)
    return tuple(found)


def lead_of(
    material: Material,
    *,
    summary: SummaryData | None,
    signal: SignalNumbers | None,
    drawdown: DrawdownData | None,
) -> tuple[Phrase, ...]:
    """Return the paragraph: what came out, over which days, the worst spell, and what was done.

    It says by how much, never how well. A difference that a coin could have made, and a test that is short, are named.
    """
    phrases: list[Phrase] = []
    if material.returns is not None and summary is not None:
        phrases += _outcome(material.returns, summary)
        phrases += _worst(drawdown)
        phrases += _doubt(material.returns)
    elif signal is not None and signal.ic.days:
        phrases += _signal_words(material, signal)
    elif material.scores is not None:
        phrases.append(Phrase("There are scores but no labels, so nothing can be said about them. "))
    else:
        phrases.append(Phrase("The run left neither a backtest nor predictions. "))
    phrases += _strategy(material.given.task_summary, traded=material.returns is not None)
    return tuple(phrases)


def _main(summary: SummaryData) -> tuple[Risk, Risk, str]:
    if summary.excess is None or summary.excess_before is None:
        return summary.strategy, summary.before, "return"
    return summary.excess, summary.excess_before, "excess"


def _performance(returns: Returns, summary: SummaryData, mode: str) -> list[Kpi]:
    risk, before, what = _main(summary)
    excess, of, n = what == "excess", f"of the {what}", returns.periods
    r = "r = return − cost − benchmark" if excess else "r = return − cost"
    annual = f"mean(r) × {n}" if mode == "sum" else f"(1 + total)^({n} / days) − 1"
    depth = "min(c − max c), c the running sum of r" if mode == "sum" else "min(c / max c) − 1, c compounded"
    spread = "std(r)" if mode == "sum" else "std(log(1 + r))"
    ratio = f"mean(r) / {spread}" if mode == "sum" else f"geometric mean of r / {spread}"
    days = f"{numbers.count(risk.days_above_count)} of {numbers.count(risk.days)}"
    rows: list[tuple[str, str, float, Callable[[float], str], str, str]] = [
        (
            "annual_return", "Excess return, after cost" if excess else "Return, after cost", risk.annual,
            numbers.percent, f"a year, {n} days", f"{annual}; {r}",
        ),
        (
            "ratio", "Information ratio" if excess else "Sharpe ratio", risk.ratio,
            numbers.ratio, f"before cost {numbers.ratio(before.ratio)}", f"{ratio} × √{n}; {r}",
        ),
        (
            "drawdown", "Max drawdown", risk.drawdown,
            numbers.percent, f"of the {what} return" if excess else of, f"{depth}; {r}",
        ),
        ("volatility", f"Volatility {of}", risk.volatility, numbers.share, "a year", f"{spread} × √{n}; {r}"),
        (
            "sortino", "Sortino", risk.sortino,
            numbers.ratio, of, f"mean(r) / √mean(min(r, 0)²) × √{n}; {r}",
        ),
        ("calmar", "Calmar", risk.calmar, numbers.ratio, of, "return a year / depth of the worst drawdown"),
        ("days_above", "Days above zero", risk.days_above, numbers.share, days, f"share of days with r > 0; {r}"),
    ]  # fmt: skip
    return [
        Kpi(key, label, write(value), caption, formula, value) for key, label, value, write, caption, formula in rows
    ]


def _signal(material: Material, signal: SignalNumbers | None) -> Iterator[Kpi]:
    metrics = material.given.metrics
    formula = "mean over the days of the {} of score and label; ICIR = mean / std"
    for key, name, ratio, how, stats in (
        ("ic", "IC", "ICIR", "correlation", signal.ic if signal else None),
        ("rank_ic", "Rank IC", "Rank ICIR", "rank correlation", signal.rank_ic if signal else None),
    ):
        value = stats.mean if stats is not None else metrics.get(name)
        stability = stats.icir if stats is not None else metrics.get(ratio)
        if value is not None:
            caption = f"{'ICIR' if key == 'ic' else 'rank ICIR'} {numbers.icir(stability)}"
            yield Kpi(key, name, numbers.ic(value), caption, formula.format(how), float(value))


def _turnover(returns: Returns) -> Iterator[Kpi]:
    if returns.turnover is None:
        return
    turnover, cost = float(returns.turnover.mean()), float(returns.cost.mean()) * returns.periods
    yield Kpi(
        "turnover",
        "Turnover",
        numbers.share(turnover),
        f"a day; cost {numbers.share(cost)} a year",
        f"mean of traded value / last account; cost × {returns.periods}",
        turnover,
    )


def _account(material: Material, returns: Returns) -> Iterator[Kpi]:
    report = material.given.report
    if report is None or "account" not in report:
        return
    account = report.sort_index()["account"].to_numpy(dtype=np.float64, na_value=np.nan)
    begin = account[0] / (1.0 + returns.before[0] - returns.cost[0])
    yield Kpi(
        "account",
        "Account at the end",
        numbers.money(account[-1]),
        f"from {numbers.money(begin, material.given.currency)}",
        "cash and holdings on the last day",
        float(account[-1]),
    )


def _trades(material: Material, returns: Returns, orders: OrdersData | None) -> Iterator[Kpi]:
    if orders is None:
        return
    caption = f"{numbers.decimal(orders.executed / len(returns.dates), 1)} a day"
    cost = float(orders.by_reason["cost"].sum())
    if cost > 0:
        caption += f"; cost {numbers.money(cost, material.given.currency)}"
    number = float(orders.executed)
    yield Kpi("trades", "Trades", numbers.count(number), caption, "orders executed at least in part", number)


def _outcome(returns: Returns, summary: SummaryData) -> list[Phrase]:
    risk, _, what = _main(summary)
    first, last = numbers.day(returns.dates[0]), numbers.day(returns.dates[-1])
    when = f" on {first}" if first == last else f" from {first} to {last}"
    ratio = "an information ratio" if what == "excess" else "a Sharpe ratio"
    short = len(returns.main) < FEW_DAYS  # a year's return of a few days would be noise times ten
    value, a_year = (float(returns.main.sum()), "") if short else (risk.annual, " a year")
    if what != "excess":
        words = [Phrase("After cost the strategy returned "), Phrase(f"{numbers.percent(value)}{a_year}", True)]
    elif value == 0:
        words = [Phrase(f"After cost the strategy returned as much as {returns.benchmark}")]
    else:
        verb = "beat" if value > 0 else "trailed"
        words = [
            Phrase(f"After cost the strategy {verb} {returns.benchmark} by "),
            Phrase(f"{numbers.share(abs(value))}{a_year}", True),
        ]
    if short:
        return [*words, Phrase(f"{when}. ")]
    if not np.isfinite(risk.ratio):
        return [*words, Phrase(f"{when}. ")]
    return [*words, Phrase(f"{when}, with {ratio} of "), Phrase(numbers.ratio(risk.ratio), True), Phrase(". ")]


def _worst(drawdown: DrawdownData | None) -> list[Phrase]:
    if drawdown is None or not drawdown.worst:
        return []
    spell = drawdown.worst[0]
    what = "worst excess drawdown" if drawdown.benchmark else "worst drawdown"
    days = numbers.counted(spell.days, "trading day")
    if spell.recovered is None:
        tail = f" and has lasted {days} without recovery. "
    else:
        tail = f" and took {days} from peak to recovery. "
    return [Phrase(f"Its {what} was "), Phrase(numbers.percent(spell.depth), True), Phrase(tail)]


def _doubt(returns: Returns) -> list[Phrase]:
    values = returns.main
    if len(values) < FEW_DAYS:
        days = "One day is" if len(values) == 1 else f"{numbers.count(len(values))} days are"
        return [Phrase(f"{days} too few to tell it from chance. ")]
    deviation = float(values.std(ddof=1))
    t = float(values.mean()) / deviation * len(values) ** 0.5 if deviation > 0 else 0.0
    if abs(t) < 2:
        return [Phrase(f"Its daily mean is within two standard errors of zero (t {numbers.decimal(t, 1)}). ")]
    return []


def _signal_words(material: Material, signal: SignalNumbers) -> list[Phrase]:
    dates = material.scores.dates if material.scores is not None else None
    when = ""
    if dates is not None:
        first, last = numbers.day(dates[0]), numbers.day(dates[-1])
        when = f" on {first}" if first == last else f" from {first} to {last}"
    phrases = [
        Phrase("The scores have a mean IC of "),
        Phrase(numbers.ic(signal.ic.mean), True),
        Phrase(" and a mean rank IC of "),
        Phrase(numbers.ic(signal.rank_ic.mean), True),
        Phrase(f"{when}. "),
    ]
    if abs(signal.ic.t) < 2:
        phrases.append(Phrase(f"That is within two standard errors of zero (t {numbers.decimal(signal.ic.t, 1)}). "))
    phrases.append(Phrase("Nothing was traded. "))
    return phrases


def _strategy(summary: TaskSummary | None, *, traded: bool) -> list[Phrase]:
    if summary is None or not traded:
        return []
    if summary.sentence:
        return [Phrase(summary.sentence)]
    if summary.topk is None:
        return []
    sentence = f"Holds the {numbers.count(summary.topk)} highest scores"
    if summary.n_drop:
        sentence += f" and replaces up to {numbers.words_of(summary.n_drop)} a day"
    return [Phrase(sentence + ".")]
