"""Runs of a few days, followed by hand: account, report, holdings, settlement, progress, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import BUY, SELL, Decision, Order, Quotes, load_quotes
from qnb.backtest.portfolio import Portfolio
from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy
from qnb.errors import BacktestError, RunStopped


class Script:
    """Sends what it is told: {day: [(instrument, side, amount), ...]}."""

    def __init__(self, orders: dict[int, list[tuple[str, int, float]]]) -> None:
        self.orders = orders
        self.seen: list[Any] = []

    def decide(self, day: Any) -> Decision:
        self.seen.append((day.index, day.signal_date, day.scores.tolist(), day.cash))
        wanted = self.orders.get(day.index, [])
        return Decision([Order(day.code_of(name), side, amount, "entered") for name, side, amount in wanted])


def test_a_run_by_hand(market: Any) -> None:
    bench = market([[10, 20], [11, 20], [12, 20], [12, 25]])
    result = bench.run(
        [[2, 1], [2, 1], [1, 2], [1, 2]], account=1000.0, open_cost=0.01, close_cost=0.02,
        strategy=TopkDropoutStrategy(topk=1, n_drop=1, risk_degree=0.9),
    )  # fmt: skip
    report = result.report
    # day 1: 900 of 1000 buy 81.8181 A at 11, cost 9; day 2: nothing; day 3: A is sold at 12, B bought at 25
    amount = 900 / 11
    assert report["account"].tolist()[:3] == pytest.approx([1000, 991, 91 + amount * 12])
    assert report["cash"].iloc[1] == pytest.approx(91)
    assert report["return"].tolist()[:3] == pytest.approx([0, 0, (91 + amount * 12 - 991) / 991])
    assert report["turnover"].tolist()[:3] == pytest.approx([0, 0.9, 0])
    assert report["total_cost"].iloc[2] == pytest.approx(9)
    proceeds = amount * 12
    cash = 91 + proceeds * 0.98
    spent = cash * 0.9
    last = report["account"].iloc[2]
    assert report["total_turnover"].iloc[3] == pytest.approx(900 + proceeds + spent)
    assert report["turnover"].iloc[3] == pytest.approx((proceeds + spent) / last)
    assert report["cost"].iloc[3] == pytest.approx((proceeds * 0.02 + spent * 0.01) / last)
    assert report["account"].iloc[3] == pytest.approx(cash - spent * 0.01)
    assert result.final_account == report["account"].iloc[3]
    assert result.initial_account == 1000
    held = result.positions
    assert held["instrument"].tolist() == ["A", "A", "B"]
    assert held["count_day"].tolist() == [1, 2, 1]
    assert held["price"].tolist() == [11, 12, 25]
    assert held["weight"].iloc[0] == pytest.approx(900 / 991)


def test_the_ledger_of_that_run(market: Any) -> None:
    bench = market([[10, 20], [11, 20], [12, 20], [12, 25]])
    orders = bench.run([[2, 1], [2, 1], [1, 2], [1, 2]]).orders
    assert orders["side"].tolist() == ["buy", "sell", "buy"]
    assert orders["reason"].tolist() == ["entered", "dropped", "entered"]
    assert orders["rank"].tolist() == [1, 2, 1]
    assert orders["score"].tolist() == [2, 1, 2]
    assert orders["held_days"].tolist() == [0, 2, 0]
    assert orders["price"].tolist() == [11, 12, 25]
    assert orders["sent"].all()
    assert (orders["requested"] == orders["executed"]).all()


def test_a_score_is_traded_on_the_next_day_and_only_there(market: Any) -> None:
    bench = market(np.full((6, 2), 10.0))
    scores = bench.scores([[1, 2], [3, 4], [5, 6], [7, 8]])
    scores = scores.drop(bench.days[1])
    script = Script({})
    bench.run(scores, script)
    assert [(i, d) for i, d, _, _ in script.seen] == [(1, bench.days[0]), (3, bench.days[2]), (4, bench.days[3])]
    assert [s for _, _, s, _ in script.seen] == [[1, 2], [5, 6], [7, 8]]


def test_suspended_holdings_keep_their_price_and_cannot_be_sold(market: Any) -> None:
    close = [[10, 10], [10, 10], [np.nan, 10], [12, 10]]
    result = market(close).run([[2, 1], [1, 2], [1, 2], [1, 2]])
    held = result.positions[result.positions["instrument"] == "A"]
    assert held["price"].tolist() == [10, 10]
    assert held["count_day"].tolist() == [1, 2]
    skipped = result.orders[~result.orders["sent"]]
    assert skipped[["instrument", "side", "reason"]].to_numpy().tolist() == [["A", "sell", "suspended"]]
    assert result.orders.iloc[-1][["instrument", "side"]].tolist() == ["B", "buy"]


def test_proceeds_settle_on_the_next_day(market: Any) -> None:
    bench = market(np.full((4, 2), 10.0))
    scores = np.ones((4, 2))
    orders = {1: [("A", BUY, 100.0)], 2: [("A", SELL, 100.0), ("B", BUY, 100.0)]}
    at_once = bench.run(scores, Script(orders))
    assert at_once.positions["instrument"].tolist() == ["A", "B", "B"]
    later = bench.run(scores, Script(orders), settle_type="cash")
    assert later.positions["instrument"].tolist() == ["A"]
    assert later.report["cash"].tolist() == [1000, 0, 0, 1000]
    assert later.report["account"].tolist() == [1000] * 4
    assert later.orders["reason"].tolist() == ["entered", "entered", "no_cash"]


@pytest.mark.parametrize(("mode", "bought", "cash"), [("strict", 49.9, [1, 1]), ("compat", 50.0, [0, -1])])
def test_a_sell_that_costs_more_than_it_brings_is_paid_at_once(
    market: Any, mode: str, bought: float, cash: list[float]
) -> None:
    """Its proceeds of 4 less the least cost of 5; were they settled a day late, that money could be spent meanwhile."""
    bench = market(np.full((3, 2), 10.0), names="AB")
    orders = {1: [("A", SELL, 0.4), ("B", BUY, bought)]}
    account = {"cash": 505 if mode == "compat" else 506, "A": {"amount": 0.4, "price": 10}}
    result = bench.run(np.ones((3, 2)), Script(orders), account=account, settle_type="cash", min_cost=5.0, mode=mode)
    sold, got = result.orders.iloc[0], result.orders.iloc[1]
    assert (sold["value"], sold["cost"]) == pytest.approx((4, 5))
    assert got["executed"] == pytest.approx(bought)
    assert result.report["cash"].tolist()[1:] == pytest.approx(cash)


def test_in_parallel_buys_come_before_sells(market: Any) -> None:
    bench = market(np.full((3, 2), 10.0))
    orders = {1: [("A", BUY, 100.0)], 2: [("A", SELL, 100.0), ("B", BUY, 100.0)]}
    result = bench.run(np.ones((3, 2)), Script(orders), trade_type="parallel")
    assert result.orders["side"].tolist() == ["buy", "buy", "sell"]
    assert len(result.positions) == 1


def test_buying_more_of_a_holding_and_selling_a_part(market: Any) -> None:
    bench = market([[10.0], [10], [11], [12]])
    orders = {1: [("A", BUY, 10.0)], 2: [("A", BUY, 5.0)], 3: [("A", SELL, 6.0)]}
    result = bench.run(np.ones((4, 1)), Script(orders))
    assert result.positions["amount"].tolist() == pytest.approx([10, 15, 9])
    assert result.positions["count_day"].tolist() == [1, 2, 3]
    assert result.report["cash"].tolist() == pytest.approx([1000, 900, 845, 917])


def test_a_second_buy_leaves_the_last_price_seen_and_the_days_held() -> None:
    portfolio = Portfolio(100.0, 2)
    portfolio.put(1, 10.0, 5.0)
    portfolio.end_of_day(np.array([1.0, 6.0]))
    portfolio.put(1, 10.0, 7.0)
    assert (portfolio.amount[1], portfolio.price[1], portfolio.count[1]) == (20.0, 6.0, 1)
    assert portfolio.value() == 220.0


def test_initial_holdings(market: Any) -> None:
    bench = market([[10.0, 20], [11, 20], [12, 21]])
    account = {"cash": 500, "A": {"amount": 10, "price": 9}, "B": 5}
    result = bench.run(np.full((3, 2), np.nan), Script({}), account=account, start=bench.days[1])
    assert result.initial_account == pytest.approx(500 + 90 + 100)
    assert result.report["account"].tolist() == pytest.approx([500 + 110 + 100, 500 + 120 + 105])
    assert result.report["return"].iloc[0] == pytest.approx((710 - 500) / 500)  # like the peer, against the cash alone
    strict = bench.run(np.full((3, 2), np.nan), Script({}), account=account, start=bench.days[1], mode="strict")
    assert strict.report["return"].iloc[0] == pytest.approx((710 - 690) / 690)
    assert result.positions["count_day"].tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("account", "message"),
    [
        (0, "cash above 0"),
        (True, "number or a mapping"),
        ({"A": 3}, "'cash'"),
        ({"cash": 1, "A": -3}, "above 0"),
        ({"cash": 1, "A": {"price": 3}}, "amount"),
        ({"cash": 1, "AA": 3}, "did you mean 'A'"),
        ({"cash": 1, "B": 3}, "no close in the 30 days before"),
    ],
)
def test_a_wrong_account_is_an_error(market: Any, account: Any, message: str) -> None:
    bench = market([[10.0, np.nan], [11, 20], [12, 21]])
    with pytest.raises(BacktestError, match=message):
        bench.run(np.ones((3, 2)), account=account, start=bench.days[1])


def test_the_last_day_of_the_data_can_be_traded(market: Any) -> None:
    bench = market([[10.0], [10], [10]])
    result = bench.run([[1], [1]], Script({2: [("A", BUY, 10.0)]}))
    assert result.positions["datetime"].tolist() == [bench.days[2]]


def test_the_span_comes_from_the_signal_when_not_given(market: Any) -> None:
    bench = market(np.full((6, 1), 10.0))
    scores = bench.scores(np.ones((4, 1))).drop(bench.days[0])
    result = bench.run(scores, start=None, end=None)
    assert result.report.index.tolist() == bench.days[1:5].tolist()


def test_progress_and_stop(market: Any) -> None:
    bench = market(np.full((45, 1), 10.0))
    seen: list[tuple[int, int]] = []
    bench.run(np.ones((45, 1)), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 45), (20, 45), (40, 45), (45, 45)]
    with pytest.raises(RunStopped, match="after 20 of 45 days"):
        bench.run(np.ones((45, 1)), should_stop=iter([False, True]).__next__)


def test_quotes_are_read_once_for_many_runs(market: Any) -> None:
    bench = market(np.random.default_rng(0).uniform(5, 20, (30, 5)))
    scores = bench.scores(np.random.default_rng(1).normal(size=(30, 5)))
    read: list[tuple[str, str]] = []
    series = bench.store.series
    bench.store.series = lambda name, field: (read.append((name, field)), series(name, field))[1]
    quotes = load_quotes(scores, store=bench.store, start=bench.days[0], end=bench.days[-1])
    first = bench.run(scores, quotes=quotes)
    count = len(read)
    assert count
    again = bench.run(scores, quotes=quotes, open_cost=0.01, strategy=TopkDropoutStrategy(topk=2, n_drop=1))
    assert len(read) == count
    alone = bench.run(scores, open_cost=0.01, strategy=TopkDropoutStrategy(topk=2, n_drop=1))
    pd.testing.assert_frame_equal(again.report, alone.report)
    assert first.final_account != again.final_account
    other = Quotes(bench.store, instruments="A", first=0, last=29)
    pd.testing.assert_frame_equal(bench.run(scores, quotes=other).report, first.report)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "2030-01-01", "end": "2031-01-01"}, "no trading day from 2030-01-01"),
        ({"mode": "fast"}, "compat, strict"),
        ({"freq": "1min"}, "daily bars"),
        ({"benchmark": "AA"}, "did you mean 'A'"),
        ({"benchmark": 3}, "benchmark is an instrument"),
        ({"open_cost": -1.0}, "open_cost"),
    ],
)
def test_a_run_that_cannot_be_done_says_why(market: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BacktestError, match=message):
        market(np.full((3, 2), 10.0)).run(np.ones((3, 2)), **options)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (None, "no signal"),
        ("<PRED>", "not replaced"),
        (pd.Series([1.0, 2.0]), "datetime, instrument"),
        (pd.DataFrame(index=pd.MultiIndex.from_tuples([], names=["datetime", "instrument"])), "without a column"),
        (7, "received int"),
    ],
)
def test_a_wrong_signal_is_an_error(market: Any, signal: Any, message: str) -> None:
    bench = market(np.full((3, 2), 10.0))
    strategy = TopkDropoutStrategy(topk=1, n_drop=1, signal=signal)
    with pytest.raises(BacktestError, match=message):
        bench.run(None, strategy)


def test_a_signal_without_rows_or_outside_the_span_is_an_error(market: Any) -> None:
    bench = market(np.full((5, 2), 10.0))
    scores = bench.scores(np.ones((2, 2)))
    with pytest.raises(BacktestError, match="no row"):
        bench.run(scores[:0])
    with pytest.raises(BacktestError, match=r"no score can be used.*the signal runs from 2020-01-01 to 2020-01-02"):
        bench.run(scores, start=bench.days[3])


def test_a_strategy_must_answer_with_a_decision(market: Any) -> None:
    class Wrong:
        def decide(self, day: Any) -> list[Any]:
            return []

    with pytest.raises(BacktestError, match=r"Wrong.decide must return a Decision"):
        market(np.full((3, 1), 10.0)).run(np.ones((3, 1)), Wrong())


def test_model_and_dataset_are_a_signal(market: Any) -> None:
    bench = market(np.full((4, 2), 10.0))
    scores = bench.scores([[1, 2], [1, 2], [2, 1]])

    class Model:
        def predict(self, dataset: Any) -> pd.DataFrame:
            return dataset.to_frame()

    plain = bench.run(scores)
    for strategy in (
        TopkDropoutStrategy(topk=1, n_drop=1, risk_degree=1.0, signal=(Model(), scores)),
        TopkDropoutStrategy(topk=1, n_drop=1, risk_degree=1.0, model=Model(), dataset=scores),
    ):
        pd.testing.assert_frame_equal(bench.run(None, strategy).report, plain.report)


def test_one_instrument(market: Any) -> None:
    bench = market([[10.0], [11], [12.1]])
    result = bench.run([[1], [1]])
    assert result.report["account"].tolist() == pytest.approx([1000, 1000, 1100])
    assert result.report["cash"].tolist() == pytest.approx([1000, 0, 1100])  # the worst of one is sold for nothing
    strict = bench.run([[1], [1]], mode="strict")
    assert strict.report["cash"].tolist() == pytest.approx([1000, 0, 0])


def test_frames_by_name(market: Any) -> None:
    bench = market(np.random.default_rng(0).uniform(9, 11, (12, 3)))
    result = bench.run(np.random.default_rng(1).normal(size=(12, 3)), benchmark="A")
    frames = result.to_frames()
    assert set(frames) == {
        "report_normal_1day", "positions_normal_1day", "indicators_normal_1day", "port_analysis_1day",
        "indicator_analysis_1day", "orders_1day",
    }  # fmt: skip
    excess = result.report["return"] - result.report["bench"] - result.report["cost"]
    analysis = frames["port_analysis_1day"]["risk"]
    assert analysis["excess_return_with_cost", "mean"] == pytest.approx(excess.mean())
    assert frames["indicator_analysis_1day"].loc["ffr", "value"] == pytest.approx(1)
