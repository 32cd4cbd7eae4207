"""Benchmark returns, indicators and the frames of a ledger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import BUY, SELL, Decision, Order, Quotes, benchmark_returns, indicator_analysis
from qnb.backtest.ledger import COLUMNS
from qnb.backtest.quotes import trading_days
from qnb.errors import BacktestError, DataError

CLOSE = [[10, 100], [11, 100], [np.nan, 102], [12, np.nan], [12, 105]]


def test_benchmark_of_an_instrument(market: Any) -> None:
    store = market(CLOSE).store
    found = benchmark_returns("A", store=store, first=0, last=4)
    assert found.tolist() == pytest.approx([0, 0.1, 0, 0, 0], abs=1e-7)
    later = benchmark_returns("A", store=store, first=1, last=2)
    assert later.tolist() == pytest.approx([0.1, 0], abs=1e-7)
    assert benchmark_returns("A", store=store, first=1, last=1, strict=True)[0] == 11 / 10 - 1


def test_benchmark_of_several_is_the_mean_of_those_that_have_a_return(market: Any) -> None:
    found = benchmark_returns(["A", "B"], store=market(CLOSE).store, first=0, last=4)
    assert found.tolist() == pytest.approx([0, 0.05, 0.02, 0, 0], abs=1e-7)


def test_benchmark_of_returns_is_compounded_between_days(market: Any) -> None:
    bench = market(CLOSE)
    days = bench.days
    dates = [days[1], days[2], days[2] + pd.Timedelta("1D"), days[2] + pd.Timedelta("2D"), days[4] + pd.Timedelta("9D")]
    returns = pd.Series([0.1, np.nan, 0.01, 0.02, 0.5], index=dates)
    found = benchmark_returns(returns, store=bench.store, first=1, last=3)
    assert found.tolist() == pytest.approx([0.1, 1.01 * 1.02 - 1, 0])
    assert benchmark_returns(returns.to_frame(), store=bench.store, first=1, last=3).tolist() == found.tolist()
    assert benchmark_returns(None, store=bench.store, first=0, last=4).tolist() == [0] * 5
    with pytest.raises(BacktestError, match="dates as its index"):
        benchmark_returns(pd.Series([1.0]), store=bench.store, first=0, last=4)
    with pytest.raises(BacktestError, match="or null for none"):
        benchmark_returns("SH000300", store=bench.store, first=0, last=4)


class Orders:
    """The same orders every day, and a candidate."""

    def decide(self, day: Any) -> Decision:
        return Decision(
            [Order(0, BUY, 100.0, "entered"), Order(1, BUY, 50.0, "entered"), Order(0, BUY, 0.0, "entered")],
            [Order(1, SELL, 5.0, "hold_thresh")],
        )


def test_indicators_count_the_last_order_of_an_instrument_or_in_strict_mode_all(market: Any) -> None:
    bench = market(np.full((3, 2), 10.0))
    compat = bench.run([[1, 2]], Orders()).indicators
    assert compat["count"].tolist() == [0, 2, 0]
    assert compat["deal_amount"].tolist() == [0, 0, 0]  # the last order of A asks for nothing, that of B finds no cash
    strict = bench.run([[1, 2]], Orders(), mode="strict").indicators
    assert strict["count"].tolist() == [0, 3, 0]
    assert strict["ffr"].iloc[1] == pytest.approx(0.5)
    assert strict["deal_amount"].iloc[1] == 100
    assert strict["value"].iloc[1] == 1000
    assert strict[["pa", "pos"]].isna().to_numpy().tolist() == [[True, True], [False, False], [True, True]]


def test_fill_rate_by_value_and_amount(market: Any) -> None:
    bench = market([[10, 40]] * 3)

    class Two:
        def decide(self, day: Any) -> Decision:
            return Decision([Order(0, BUY, 60.0, "entered"), Order(1, BUY, 20.0, "entered")])

    for weight, expected in (
        ("mean", (1 + 0.5) / 2),
        ("amount_weighted", (60 + 5) / 70),
        ("value_weighted", (600 + 200) / 1000),
    ):
        found = bench.run([[1, 2]], Two(), ffr_weight=weight).indicators
        assert found["ffr"].iloc[1] == pytest.approx(expected), weight


def test_indicator_analysis() -> None:
    indicators = pd.DataFrame(
        {"ffr": [1.0, np.nan, 0.5], "pa": [0.0, np.nan, 0.0], "pos": [0.0, np.nan, 0.0], "deal_amount": [10.0, 0, 30],
         "value": [100.0, 0, 100], "count": [3, 0, 1]}
    )  # fmt: skip
    assert indicator_analysis(indicators)["value"].to_dict() == pytest.approx({"ffr": 3.5 / 4, "pa": 0, "pos": 0})
    assert indicator_analysis(indicators, method="amount_weighted").loc["ffr", "value"] == pytest.approx(25 / 40)
    assert indicator_analysis(indicators, method="value_weighted").loc["ffr", "value"] == pytest.approx(0.75)
    assert indicator_analysis(indicators[1:2])["value"].isna().all()
    with pytest.raises(BacktestError, match="amount_weighted"):
        indicator_analysis(indicators, method="median")


def test_the_ledger_of_a_run_without_orders_has_its_columns(market: Any) -> None:
    class Nothing:
        def decide(self, day: Any) -> Decision:
            return Decision()

    result = market(np.full((3, 2), 10.0)).run([[1, 2]], Nothing())
    assert tuple(result.orders.columns) == COLUMNS
    assert len(result.orders) == len(result.positions) == 0
    assert result.positions["instrument"].dtype == result.orders["instrument"].dtype == "str"
    assert result.orders["datetime"].dtype.kind == "M"
    assert result.analysis()["risk"].notna().sum() == 8  # no variation: no information ratio


def test_ranks_and_scores_of_the_ledger(market: Any) -> None:
    class All:
        def decide(self, day: Any) -> Decision:
            return Decision([], [Order(code, BUY, 1.0, "limit_up") for code in (3, 1, 0, 2, 4)])

    bench = market(np.full((2, 5), 10.0))
    scores = bench.scores([[0.5, 0.7, np.nan, 0.7, 0.1]]).drop((bench.days[0], "E"))
    orders = bench.run(scores, All(), account={"cash": 1000, "E": {"amount": 1, "price": 10}}).orders
    assert orders["instrument"].tolist() == list("DBACE")
    assert orders["rank"].tolist() == [1, 1, 3, 0, 0]
    assert orders["score"].tolist() == pytest.approx([0.7, 0.7, 0.5, np.nan, np.nan], nan_ok=True)


def test_quotes_of_series_that_start_late_or_end_early(market: Any) -> None:
    bench = market([[1, 2], [3, 4], [5, 6]])
    bench.store.starts = {"B": 2}
    quotes = Quotes(bench.store, instruments=["B", "A", "Z"], first=1, last=2)
    assert quotes.instruments == ("A", "B", "Z")
    np.testing.assert_array_equal(quotes.field("$close"), np.array([[3, np.nan, np.nan], [5, 6, np.nan]], "f4"))
    assert quotes.field("$close") is quotes.field("$close")
    assert not quotes.field("$close").flags.writeable
    assert not quotes.has_values("$vwap")


def test_an_empty_calendar_is_an_error() -> None:
    with pytest.raises(DataError, match="empty calendar"):
        trading_days(np.empty(0, dtype="datetime64[ns]"), "2020-01-01", "2020-01-02")
