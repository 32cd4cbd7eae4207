"""The options of TopkDropoutStrategy, in both modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qnb.backtest import BacktestResult
from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy
from qnb.backtest.strategy import best, descending
from qnb.errors import BacktestError


def strategy(topk: int = 2, n_drop: int = 1, **options: Any) -> TopkDropoutStrategy:
    return TopkDropoutStrategy(topk=topk, n_drop=n_drop, **options)


def held(result: BacktestResult) -> list[str]:
    """Holdings by day, as words."""
    days = result.report.index
    by_day = result.positions.groupby("datetime")["instrument"].apply(lambda names: "".join(sorted(names)))
    return [by_day.get(day, "") for day in days]


def trades(result: BacktestResult) -> list[str]:
    """Orders and candidates as day, side, instrument, reason."""
    orders = result.orders
    day = orders["datetime"].map({d: i for i, d in enumerate(result.report.index)})
    return [
        f"{d} {s[0]} {i} {r}" for d, s, i, r in zip(day, orders.side, orders.instrument, orders.reason, strict=True)
    ]


FLAT = np.full((6, 4), 10.0)
TURN = [[4, 3, 2, 1], [4, 3, 2, 1], [1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]]


def test_at_most_n_drop_holdings_are_replaced_by_better_ones(market: Any) -> None:
    assert held(market(FLAT).run(TURN, strategy())) == ["", "AB", "AB", "BD", "CD", "CD"]
    assert held(market(FLAT).run(TURN, strategy(n_drop=2))) == ["", "AB", "AB", "CD", "CD", "CD"]


def test_nothing_is_sold_for_something_worse(market: Any) -> None:
    result = market(FLAT).run([[4, 3, 2, 1]] * 5, strategy())
    assert len(result.orders) == 2


def test_hold_thresh(market: Any) -> None:
    result = market(FLAT).run(TURN, strategy(hold_thresh=3))
    assert held(result)[3] == "ABD"  # D was bought against the planned sell of A
    assert "3 s A hold_thresh" in trades(result)


def test_n_drop_0_sells_everything_or_in_strict_mode_nothing(market: Any) -> None:
    result = market(FLAT).run([[4, 3, 2, 1]] * 5, strategy(n_drop=0))
    assert held(result) == ["", "AB", "", "AB", "", "AB"]
    strict = market(FLAT).run([[4, 3, 2, 1]] * 5, strategy(n_drop=0), mode="strict")
    assert held(strict) == ["", "AB", "AB", "AB", "AB", "AB"]


def test_buys_count_planned_sells_or_in_strict_mode_those_that_can_be_done(market: Any) -> None:
    close = FLAT.copy()
    close[3, 0] = np.nan
    assert held(market(close).run(TURN, strategy()))[3] == "ABD"
    strict = market(close).run(TURN, strategy(), mode="strict")
    assert held(strict)[3] == "AB"
    assert "3 s A suspended" in trades(strict)


def test_the_budget_of_what_cannot_be_bought_is_lost_or_in_strict_mode_used(market: Any) -> None:
    close = FLAT.copy()
    close[1, 0] = np.nan
    result = market(close).run(TURN, strategy(risk_degree=0.8))
    assert result.report["value"].iloc[1] == pytest.approx(400)
    assert trades(result)[:2] == ["1 b B entered", "1 b A suspended"]
    assert market(close).run(TURN, strategy(risk_degree=0.8), mode="strict").report["value"].iloc[1] == pytest.approx(
        800
    )


def test_only_tradable_chooses_among_what_can_be_traded(market: Any) -> None:
    close = FLAT.copy()
    close[1, 0] = np.nan
    assert held(market(close).run(TURN, strategy(only_tradable=True)))[1] == "BC"
    close = FLAT.copy()
    close[3, 0] = np.nan  # the worst holding cannot be sold: the next worse one is
    assert held(market(close).run(TURN, strategy(only_tradable=True)))[3] == "AD"


def test_limits_forbid_all_trades_or_only_the_direction(market: Any) -> None:
    change = np.zeros((6, 4))
    change[1, 0] = -0.1  # A at limit down on the day it is to be bought
    change[3, 0] = 0.1  # and at limit up on the day it is to be sold
    bench = market(FLAT, change=change)
    forbidden = bench.run(TURN, strategy(), limit_threshold=0.1)
    assert held(forbidden)[1] == "B"
    assert trades(forbidden)[1] == "1 b A limit_down"
    allowed = bench.run(TURN, strategy(forbid_all_trade_at_limit=False), limit_threshold=0.1)
    assert held(allowed)[:4] == ["", "AB", "AB", "BD"]
    change[3, 0] = -0.1
    stuck = market(FLAT, change=change).run(TURN, strategy(forbid_all_trade_at_limit=False), limit_threshold=0.1)
    assert held(stuck)[3] == "ABD"
    assert "3 s A limit_down" in trades(stuck)


def test_random_methods_repeat_with_their_seed(market: Any) -> None:
    random = np.random.default_rng(0)
    bench = market(random.uniform(9, 11, (40, 8)))
    scores = random.normal(size=(40, 8))
    options = {"topk": 4, "n_drop": 2, "method_buy": "random", "method_sell": "random"}
    one = strategy(**options, seed=1)
    first, again = bench.run(scores, one), bench.run(scores, one)
    assert trades(first) == trades(again)
    assert trades(first) == trades(bench.run(scores, strategy(**options, seed=1)))
    assert trades(first) != trades(bench.run(scores, strategy(**options, seed=2)))
    assert trades(bench.run(scores, strategy(**options))) == trades(bench.run(scores, strategy(**options, seed=0)))


def test_scores_that_are_missing_come_last(market: Any) -> None:
    scores = [[np.nan, 1, np.nan, 2]] * 3 + [[3, np.nan, np.nan, np.nan]] * 2
    result = market(FLAT).run(scores, strategy())
    assert held(result) == ["", "BD", "BD", "BD", "AB", "AB"]  # D comes after B: equal ones as they come, the last goes


def test_cost_of_buying_is_set_aside_in_strict_mode(market: Any) -> None:
    bench = market(FLAT)
    assert bench.run(TURN, strategy(risk_degree=1.0), open_cost=0.1).orders["reason"].tolist()[1] == "no_cash"
    strict = bench.run(TURN, strategy(risk_degree=1.0), open_cost=0.1, mode="strict")
    assert set(strict.orders["reason"]) == {"entered", "dropped"}
    assert strict.report["cash"].iloc[1] == pytest.approx(0, abs=1e-9)


def test_orders_of_nothing_are_sent_or_in_strict_mode_left_out(market: Any) -> None:
    bench = market(FLAT)
    result = bench.run(TURN, strategy(), trade_unit=100)
    assert result.indicators["count"].iloc[1] == 2
    assert np.isnan(result.indicators["ffr"].iloc[1])
    assert set(result.orders["reason"]) == {"lot"}
    strict = bench.run(TURN, strategy(), trade_unit=100, mode="strict")
    assert strict.indicators["count"].iloc[1] == 0
    assert not strict.orders["sent"].any()
    assert (strict.orders["requested"] > 0).all()


def test_holdings_above_topk_are_brought_down(market: Any) -> None:
    account = {"cash": 1000, **{name: {"amount": 1, "price": 10} for name in "ABCD"}}
    scores = [[4, 3, 2, 1]] * 5
    assert held(market(FLAT).run(scores, strategy(topk=1), account=account, mode="strict")) == [
        "ABCD", "ABC", "AB", "A", "A", "A",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topk": 0}, "topk must be a whole number of at least 1"),
        ({"topk": 1.5}, "topk"),
        ({"n_drop": -1}, "n_drop"),
        ({"method_sell": "botom"}, "did you mean 'bottom'"),
        ({"method_buy": "worst"}, "method_buy"),
        ({"risk_degree": 0}, "risk_degree"),
    ],
)
def test_wrong_options_are_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BacktestError, match=message):
        strategy(**options)


@pytest.mark.parametrize("count", [-2, 0, 1, 3, 7, 20])
def test_best_is_the_head_of_descending(count: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        values = random.choice([np.nan, 0.0, 1.0, 2.0, -1.0], size=random.integers(0, 12))
        np.testing.assert_array_equal(best(values, count), descending(values)[:count])
