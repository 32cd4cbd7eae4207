"""Every operator, by existing: what is changed after a day never changes the day, unless the operator says so.

A new operator is tested without a line here. It must say which dates it may read (``reach``), keep to it, and give the
same values whatever range is asked for around them.
"""

from __future__ import annotations

import numpy as np
import pytest

from qnb.expr.catalogue import operators
from qnb.expr.evaluate import evaluate
from qnb.expr.explain import explain
from qnb.expr.memory import MemorySource
from qnb.expr.operator import Operator, Parameter

DAYS = 120
TODAY = 80
RECORD = np.dtype([("date", "<u4"), ("period", "<u4"), ("value", "<f8")])
EXAMPLES = {
    "group": "'sector'",
    "instrument": "'AA'",
    "freq": "'M'",
    "func": "'sum'",
    "qscore": "0.7",
    "period": "201802",
}
CALENDARS = {"days": 1, "bars": 4}


def text_of(operator: type[Operator], window: int = 6) -> str:
    """Return an expression that calls `operator` with an example for each argument."""
    columns = iter(["$close", "$volume", "$close/Ref($close,1)"])
    args = [_example(p, columns, window) for p in operator.signature]
    return f"{operator.__name__}({', '.join(a for a in args if a)})"


def _example(parameter: Parameter, columns: object, window: int) -> str:
    if parameter.name in EXAMPLES:
        return EXAMPLES[parameter.name]
    if parameter.kind == "figure":
        return "$$earn_q"
    if parameter.kind == "flag":
        return f"({next(columns)} > 5)"  # type: ignore[call-overload]
    if parameter.kind in ("series", "operand"):
        return next(columns)  # type: ignore[call-overload]
    if parameter.name in ("left", "right"):
        return "2" if parameter.name == "left" else "-2"
    if parameter.kind == "shift":
        return str(window)
    return str(abs(window)) if parameter.kind in ("window", "rows") else ""


def market(bars: int, *, changed_after: int | None = None, seed: int = 1) -> MemorySource:
    """Return a market whose values after position `changed_after` are others."""
    days = np.arange("2019-01-01", "2020-01-01", dtype="datetime64[D]")[: DAYS // bars]
    times = (days[:, None] + (np.arange(bars) * 30 + 570).astype("timedelta64[m]")).ravel()[:DAYS]
    calendar = (days if bars == 1 else times).astype("datetime64[ns]")
    data: dict[str, dict[str, tuple[int, np.ndarray]]] = {}
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    for symbol in ("AA", "BB", "CC", "DD"):
        data[symbol] = {}
        for name, level in (("close", 2.0), ("volume", 0.5)):
            values, later = (np.exp(level + np.cumsum(r.normal(0, 0.1, DAYS))) for r in (rng, other))
            values[rng.random(DAYS) < 0.1] = np.nan
            values[TODAY - 1 : TODAY + 1] = np.nan
            if changed_after is not None:
                values[changed_after + 1 :] = later[changed_after + 1 :] * 3
            data[symbol][name] = (0, values.astype(np.float32))
    figures = {}
    cut = None if changed_after is None else int(str(calendar[changed_after])[:10].replace("-", ""))
    for symbol in ("AA", "BB"):
        dates = [20190105, 20190110, 20190120, 20190315, 20190410]
        record = np.array([(d, 201801 + k % 4, k + 1.0) for k, d in enumerate(dates)], RECORD)
        if cut is not None:
            record["value"][record["date"] > cut] *= -7
        figures[symbol, "earn_q"] = record
    return MemorySource(calendar, data, {"sector": {"AA": "x", "BB": "x", "CC": "y", "DD": "y"}}, figures)


def cases() -> list[tuple[str, str, str]]:
    """Return every operator with a window, with all history, and with rows ahead, as far as it takes them."""
    found = []
    for name, operator in sorted(operators().items()):
        for window in (6, 0, -3):
            text = text_of(operator, window)
            if window != 6 and text in (text_of(operator, 6), text_of(operator, 3)):
                continue
            for calendar in CALENDARS:
                if name == "DayCumsum" and calendar == "days":
                    continue
                found.append((name, text, calendar))
    return found


@pytest.mark.parametrize(("name", "text", "calendar"), cases())
@pytest.mark.parametrize("mode", ["compat", "strict"])
def test_tomorrow_never_changes_today(name: str, text: str, calendar: str, mode: str) -> None:
    bars = CALENDARS[calendar]
    plain, other = market(bars), market(bars, changed_after=TODAY)
    texts = [text, "$close"]
    before = evaluate(texts, plain, plain.rows(start=20), mode=mode)  # type: ignore[arg-type]
    after = evaluate(texts, other, other.rows(start=20), mode=mode)  # type: ignore[arg-type]
    known = plain.rows(start=20).days <= TODAY
    assert np.isfinite(before[known, 0]).any(), f"{text} has no value at all"
    if explain(text).reads_future and (bars > 1 or not explain(text).days_ahead):
        assert not np.array_equal(before[known, 0], after[known, 0], equal_nan=True), f"{text} says it looks ahead"
    else:
        np.testing.assert_array_equal(before[known, 0], after[known, 0], err_msg=f"{text} looks ahead")


@pytest.mark.parametrize(("name", "text", "calendar"), [c for c in cases() if c[2] == "days"])
def test_an_operator_reads_no_further_back_than_it_says(name: str, text: str, calendar: str) -> None:
    left = explain(text).left
    if left is None:
        return
    back = left + explain(text).days_back
    plain = market(1)
    spoilt = MemorySource(
        plain.calendar,
        {s: {f: (a, np.where(np.arange(DAYS) < TODAY - back, v * 5 + 1, v)) for f, (a, v) in own.items()}
         for s, own in plain.data.items()},
        plain.groupings,
        plain.figures,
    )  # fmt: skip
    rows = plain.rows()
    a, b = (evaluate([text, "$close"], s, rows, mode="strict")[rows.days >= TODAY, 0] for s in (plain, spoilt))
    np.testing.assert_array_equal(a, b, err_msg=f"{text} reads more than {left} rows back")


@pytest.mark.parametrize(("name", "text", "calendar"), cases())
def test_a_value_does_not_depend_on_the_range_asked_for(name: str, text: str, calendar: str) -> None:
    source = market(CALENDARS[calendar])
    whole, part = source.rows(start=40), source.rows(start=60, stop=90)
    keep = np.isin(whole.days, np.arange(60, 90))
    a = evaluate([text, "$close"], source, whole, mode="strict")[keep]
    b = evaluate([text, "$close"], source, part, mode="strict")
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", sorted(operators()))
def test_an_operator_is_described(name: str) -> None:
    operator = operators()[name]
    assert operator.__doc__, f"{name} has no docstring"
    assert operator.__name__ == name
    assert operator.signature
    assert explain(text_of(operator)).nanoseconds > 0
    assert str(explain(text_of(operator)))
