"""Operators that know the clock."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qnb.errors import ExpressionError
from qnb.expr import MemorySource
from qnb.expr.evaluate import evaluate


@pytest.fixture
def minutes() -> MemorySource:
    """Three days of half-hourly bars."""
    days = pd.date_range("2020-01-06", periods=3)
    times = np.array([d + pd.Timedelta(minutes=m) for d in days for m in range(570, 690, 30)], "datetime64[ns]")
    x = np.arange(12, dtype=np.float32) + 1
    x[5] = np.nan
    x[11] = np.nan
    return MemorySource(times, {"A": {"x": (0, x)}})


def column(source: MemorySource, text: str, start: int = 0) -> list[float]:
    return evaluate([text], source, source.rows(start=start))[:, 0].tolist()


def test_parts_of_a_day(minutes: MemorySource) -> None:
    nan = float("nan")
    np.testing.assert_array_equal(column(minutes, "DayLast($x)"), [4] * 4 + [8] * 4 + [11] * 4)
    summed = column(minutes, "DayCumsum($x,'10:00','10:30',30)")
    np.testing.assert_array_equal(summed, [0, 2, 5, 0, 0, nan, 7, 0, 0, 10, 21, 0])
    dates = column(minutes, "Date($x)")
    assert dates == [18267.0] * 4 + [18268.0] * 4 + [18269.0] * 4


def test_a_day_is_whole_though_it_is_asked_for_in_part(minutes: MemorySource) -> None:
    for text in ("DayLast($x)", "DayCumsum($x)"):
        np.testing.assert_array_equal(column(minutes, text, start=6), column(minutes, text)[6:])


def test_a_sum_over_bars_needs_bars(market: MemorySource) -> None:
    with pytest.raises(ExpressionError, match="needs intraday data") as caught:
        evaluate(["Mean(DayCumsum($close),5)"], market, market.rows())
    assert caught.value.column == 6
    np.testing.assert_array_equal(column(market, "DayLast($close)"), column(market, "$close"))


@pytest.mark.parametrize("freq", ["D", "W", "M", "Q", "Y"])
@pytest.mark.parametrize("func", ["sum", "mean", "first", "last", "max", "min", "count"])
def test_a_period_so_far(market: MemorySource, freq: str, func: str) -> None:
    rows = market.rows(start=60)
    found = evaluate([f"TResample($volume,'{freq}','{func}')"], market, rows)[:, 0]
    start, values = market.data["BB"]["volume"]
    series = pd.Series(values.astype(float), index=pd.DatetimeIndex(market.calendar[start : start + len(values)]))
    own = np.flatnonzero(rows.codes == rows.instruments.index("BB"))
    for row in own[::7]:
        day = pd.Timestamp(market.calendar[rows.days[row]])
        period = "D" if freq == "D" else "W-SUN" if freq == "W" else freq
        seen = series[(series.index.to_period(period) == day.to_period(period)) & (series.index <= day)].dropna()
        if func == "count" or not len(seen):
            reduced = float(len(seen)) if func == "count" else np.nan
        else:
            reduced = seen.iloc[{"first": 0, "last": -1}[func]] if func in ("first", "last") else getattr(seen, func)()
        np.testing.assert_allclose(found[row], reduced, rtol=1e-6)
