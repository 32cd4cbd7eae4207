"""The head of a report: twelve numbers and one paragraph in words, both from numbers and without praise."""

from __future__ import annotations

from collections.abc import Iterator

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
    found = []
    returns = material.returns
    if returns is not None and summary is not None:
        found += list(_performance(returns, summary, material.mode))[:3]
    found += list(_signal(material, signal))
    if returns is not None and summary is not None:
        found.append(_turnover(returns))
        found += list(_performance(returns, summary, material.mode))[3:]
        found += list(_account(material, returns))
    found += list(_trades(material, orders))
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


def _performance(returns: Returns, summary: SummaryData, mode: str) -> Iterator[Kpi]:
    risk, before, what = _main(summary)
    excess = what == "excess"
    r = "r = return − cost − benchmark" if excess else "r = return − cost"
    n = returns.periods
    annual = f"mean(r) × {n}" if mode == "sum" else f"(1 + total)^({n} / days) − 1"
    yield Kpi(
        "annual_return",
        "Excess return, after cost" if excess else "Return, after cost",
        numbers.percent(risk.annual),
        f"a year, {n} days",
        f"{annual}; {r}",
        risk.annual,
    )
    yield Kpi(
        "ratio",
        "Information ratio" if excess else "Sharpe ratio",
        numbers.ratio(risk.ratio),
        f"before cost {numbers.ratio(before.ratio)}",
        f"mean(r) / std(r) × √{n}; {r}",
        risk.ratio,
    )
    depth = "min(c − max c), c the running sum of r" if mode == "sum" else "min(c / max c) − 1, c compounded"
    yield Kpi(
        "drawdown", "Max drawdown", numbers.percent(risk.drawdown), f"of the {what} return" if excess else "of the return",
        f"{depth}; {r}", risk.drawdown,
    )  # fmt: skip
    of = f"of the {what}"
    yield Kpi(
        "volatility",
        f"Volatility {of}",
        numbers.share(risk.volatility),
        "a year",
        f"std(r) × √{n}; {r}",
        risk.volatility,
    )
    yield Kpi(
        "sortino", "Sortino", numbers.ratio(risk.sortino), of,
        f"return a year / (√mean(min(r, 0)²) × √{n}); {r}", risk.sortino,
    )  # fmt: skip
    yield Kpi(
        "calmar", "Calmar", numbers.ratio(risk.calmar), of, "return a year / depth of the worst drawdown", risk.calmar
    )
    yield Kpi(
        "days_above", "Days above zero", numbers.share(risk.days_above),
        f"{numbers.count(risk.days_above_count)} of {numbers.count(risk.days)}", f"share of days with r > 0; {r}",
        risk.days_above,
    )  # fmt: skip


def _signal(material: Material, signal: SignalNumbers | None) -> Iterator[Kpi]:
    metrics = material.given.metrics
    formula = "mean over the days of the correlation of score and label; ICIR = mean / std"
    for key, name, stats in (
        ("ic", "IC", signal.ic if signal else None),
        ("rank_ic", "Rank IC", signal.rank_ic if signal else None),
    ):
        value = stats.mean if stats is not None else metrics.get(name)
        stability = stats.icir if stats is not None else metrics.get(f"{name}IR".replace("ICIR", "ICIR"))
        if value is not None:
            short = "ICIR" if key == "ic" else "rank ICIR"
            yield Kpi(key, name, numbers.ic(value), f"{short} {numbers.icir(stability)}", formula, float(value))


def _turnover(returns: Returns) -> Kpi:
    turnover, cost = float(returns.turnover.mean()), float(returns.cost.mean()) * returns.periods
    return Kpi(
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


def _trades(material: Material, orders: OrdersData | None) -> Iterator[Kpi]:
    given, returns = material.given, material.returns
    if orders is None or returns is None:
        return
    caption = f"{numbers.decimal(orders.executed / len(returns.dates), 1)} a day"
    cost = float(np.nansum(given.orders["cost"])) if given.orders is not None and "cost" in given.orders else None
    if cost is not None:
        caption += f"; cost {numbers.money(cost, given.currency)}"
    yield Kpi(
        "trades", "Trades", numbers.count(orders.executed), caption, "orders executed at least in part", orders.executed
    )


def _outcome(returns: Returns, summary: SummaryData) -> list[Phrase]:
    risk, _, what = _main(summary)
    size = numbers.percent(risk.annual)
    first, last = numbers.day(returns.dates[0]), numbers.day(returns.dates[-1])
    when = f" on {first}" if first == last else f" from {first} to {last}"
    if what == "excess":
        verb = "beat" if risk.annual > 0 else "trailed" if risk.annual < 0 else "matched"
        start = f"After cost the strategy {verb} {returns.benchmark}"
        size = numbers.share(abs(risk.annual))
        middle = [
            Phrase(start + ("" if verb == "matched" else " by ")),
            Phrase("" if verb == "matched" else f"{size} a year", True),
        ]
        ratio = "an information ratio"
    else:
        middle = [Phrase("After cost the strategy returned "), Phrase(f"{size} a year", True)]
        ratio = "a Sharpe ratio"
    if not np.isfinite(risk.ratio):
        return [*middle, Phrase(f"{when}. ")]
    return [*middle, Phrase(f"{when}, with {ratio} of "), Phrase(numbers.ratio(risk.ratio), True), Phrase(". ")]


def _worst(drawdown: DrawdownData | None) -> list[Phrase]:
    if drawdown is None or not drawdown.worst:
        return []
    spell = drawdown.worst[0]
    what = "worst excess drawdown" if drawdown.benchmark else "worst drawdown"
    days = f"{numbers.count(spell.days)} trading {'day' if spell.days == 1 else 'days'}"
    if spell.recovered is None:
        tail = f" and has lasted {days} without recovery. "
    else:
        tail = f" and took {days} from peak to recovery. "
    return [Phrase(f"Its {what} was "), Phrase(numbers.percent(spell.depth), True), Phrase(tail)]


def _doubt(returns: Returns) -> list[Phrase]:
    values = returns.main
    if len(values) < FEW_DAYS:
        days = f"{numbers.count(len(values))} {'day is' if len(values) == 1 else 'days are'}"
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
