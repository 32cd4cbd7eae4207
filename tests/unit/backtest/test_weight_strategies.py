"""Strategies that say weights: how weights become orders, and what qlib-style strategies are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import Decision
from qnb.backtest.rebalance import by_fill_price, by_last_close, rebalancer
from qnb.backtest.strategies.soft_topk import SoftTopkStrategy
from qnb.backtest.strategies.weight import WeightStrategyBase
from qnb.errors import BacktestError

CALENDAR = pd.bdate_range("2020-01-01", periods=10).to_numpy()


class Fixed(WeightStrategyBase):
    """The weights of each day of the calendar: mappings, or None for no orders."""

    def __init__(self, *days: Mapping[str, float] | None, **options: Any) -> None:
        super().__init__(**options)
        self.days = days

    def generate_target_weight_position(
        self, score: Any, current: Any, trade_start_time: Any, trade_end_time: Any
    ) -> Mapping[str, float] | None:
        number = int(np.searchsorted(CALENDAR, trade_start_time.to_datetime64()))
        return self.days[number] if number < len(self.days) else None


ONES = np.ones((6, 3))


def table(result: Any) -> dict[int, dict[str, float]]:
    """Amounts by number of the day and instrument."""
    held = result.positions.assign(day=np.searchsorted(CALENDAR, result.positions["datetime"].to_numpy()))
    return {int(day): dict(zip(f["instrument"], f["amount"].round(6), strict=True)) for day, f in held.groupby("day")}


def test_sized_with_the_close_of_the_day_before(market: Any) -> None:
    bench = market([[10, 10, 10], [10, 10, 10], [12, 10, 10], [12, 12, 10]])
    strategy = Fixed(None, None, {"A": 0.5, "B": 0.5}, None, risk_degree=0.9)
    result = bench.run(ONES, strategy)
    # day 2: 0.9 * 1000 * 0.5 / 10 = 45 shares each, of which A at 12 costs 540; 460 are left for B
    assert table(result) == {2: {"A": 45, "B": 45}, 3: {"A": 45, "B": 45}}
    assert result.orders["reason"].tolist() == ["entered", "entered"]


def test_sized_with_todays_prices(market: Any) -> None:
    bench = market([[10, 10, 10], [10, 10, 10], [12, 10, 10], [12, 12, 10]])
    strategy = Fixed(None, None, {"A": 0.5, "B": 0.25}, risk_degree=0.9, order_generator_cls_or_obj="OrderGenWInteract")
    # 900 over the weights there are: two thirds and one third, in whole shares
    assert table(bench.run(ONES, strategy)) == {2: {"A": 50, "B": 30}, 3: {"A": 50, "B": 30}}


def test_on_the_first_day_nothing_is_known_but_in_strict_mode_todays_price(market: Any) -> None:
    bench = market(np.full((4, 3), 10.0))
    scores = bench.scores(ONES[:4])
    start = bench.days[1]
    assert len(bench.run(scores, Fixed(None, {"A": 0.5}), start=start).positions) == 0
    strict = bench.run(scores, Fixed(None, {"A": 0.5}, risk_degree=1.0), start=start, mode="strict")
    assert strict.positions["amount"].iloc[0] == 50


def test_holdings_are_reduced_increased_and_dropped(market: Any) -> None:
    bench = market(np.full((6, 3), 10.0))
    days = (None, None, {"A": 0.4, "B": 0.4}, {"A": 0.2, "B": 0.6}, {"C": 0.3})
    result = bench.run(ONES, Fixed(*days, risk_degree=1.0))
    assert table(result) == {2: {"A": 40, "B": 40}, 3: {"A": 20, "B": 60}, 4: {"C": 30}, 5: {"C": 30}}
    assert result.orders["reason"].tolist() == [
        "entered", "entered", "reduced", "increased", "dropped", "dropped", "entered",
    ]  # fmt: skip


def test_what_cannot_be_traded_stays_and_is_told(market: Any) -> None:
    close = np.full((5, 3), 10.0)
    close[2, 1] = np.nan
    close[3, 0] = np.nan
    result = market(close).run(ONES, Fixed(None, None, {"A": 0.4, "B": 0.4}, {"C": 0.4}, risk_degree=1.0))
    assert table(result)[2] == {"A": 40}
    assert table(result)[3] == {"A": 40, "C": 40}
    skipped = result.orders[~result.orders["sent"]]
    assert skipped[["instrument", "side", "reason"]].to_numpy().tolist() == [
        ["B", "buy", "suspended"], ["A", "sell", "suspended"],
    ]  # fmt: skip


def test_a_suspended_holding_counts_at_its_last_price(market: Any) -> None:
    close = np.full((5, 3), 10.0)
    close[3, 0] = np.nan
    strategy = Fixed(None, None, {"A": 0.5}, {"B": 0.5}, risk_degree=1.0, order_generator_cls_or_obj=by_fill_price)
    assert table(market(close).run(ONES, strategy))[3] == {"A": 100}  # no cash: A took all of the weights there were
    assert market(close).run(ONES, strategy).report["account"].tolist() == [1000] * 5


def test_less_than_what_is_kept_back_sells_everything_tradable(market: Any) -> None:
    bench = market(np.full((3, 2), 10.0))
    account = {"cash": 0, "A": {"amount": 10, "price": 10}, "B": {"amount": 90, "price": 10}}
    close = np.full((3, 2), 10.0)
    close[1, 1] = np.nan
    strategy = Fixed(None, {"A": 1.0}, {"A": 1.0}, risk_degree=0.5, order_generator_cls_or_obj="by_fill_price")
    result = market(close).run(ONES[:, :2], strategy, account=account, start=bench.days[1])
    assert table(result)[1] == {"B": 90}


def test_instruments_are_dealt_in_a_fixed_shuffle(market: Any) -> None:
    bench = market(np.full((3, 10), 10.0))
    result = bench.run(np.ones((3, 10)), Fixed(None, None, dict.fromkeys("ABCDEFGHIJ", 0.1)))
    assert "".join(result.orders["instrument"]) == "HIBFDECAJG"


def test_lots(market: Any) -> None:
    result = market(np.full((3, 3), 10.0)).run(
        ONES, Fixed(None, None, {"A": 0.5, "B": 0.08}, risk_degree=1.0), trade_unit=10
    )
    assert table(result)[2] == {"A": 50}
    assert result.orders["reason"].tolist() == ["entered", "lot"]


def test_what_qlib_style_strategies_see(market: Any) -> None:
    seen: list[Any] = []

    class Look(WeightStrategyBase):
        def generate_target_weight_position(
            self, score: Any, current: Any, trade_start_time: Any, trade_end_time: Any
        ) -> dict[str, float]:
            seen.append((score, current, trade_start_time, trade_end_time))
            held = current.get_stock_list()
            assert current.get_stock_amount_dict() == {n: current.get_stock_amount(n) for n in held}
            total = sum(current.get_stock_weight_dict().values())
            assert total == pytest.approx(current.calculate_stock_value() / current.calculate_value())
            if held:
                assert sum(current.get_stock_weight_dict(only_stock=True).values()) == pytest.approx(1)
                assert current.check_stock("A")
                assert not current.check_stock("C")
                assert current.get_stock_count("A") == len(seen) - 1
                assert current.get_stock_price("A") == 10
                assert current.get_stock_weight("A") == pytest.approx(0.5)
                assert set(current.position) == {"A", "B", "cash", "now_account_value"}
                assert current.position["A"]["amount"] == 50
            assert current.get_stock_amount("Z") == 0
            assert current.get_cash() + current.calculate_stock_value() == pytest.approx(current.calculate_value())
            return {"A": 0.5, "B": 0.25}

    bench = market(np.full((4, 3), 10.0))
    scores = bench.scores([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    bench.run(scores, Look(risk_degree=1.0))
    score, _, begin, end = seen[1]
    assert isinstance(score, pd.Series)
    assert score.to_dict() == {"A": 4, "B": 5, "C": 6}
    assert begin == bench.days[2]
    assert end == bench.days[2] + pd.Timedelta("23:59:59")
    seen.clear()
    bench.run(scores.to_frame(), Look(risk_degree=1.0))
    assert seen[0][0]["score"].to_dict() == {"A": 1, "B": 2, "C": 3}


def test_arrays_of_weights(market: Any) -> None:
    class Top(WeightStrategyBase):
        def weights(self, day: Any) -> np.ndarray:
            return np.where(day.score == np.nanmax(day.score), 1.0, np.nan)

    result = market(np.full((4, 3), 10.0)).run([[1, 2, 3], [1, 2, 3], [3, 2, 1]], Top(risk_degree=1.0))
    assert table(result) == {1: {"C": 100}, 2: {"C": 100}, 3: {"A": 100}}


def test_instruments_without_a_score_can_be_named(market: Any) -> None:
    class Hedge(Fixed):
        extra_instruments = ("C",)

    bench = market(np.full((4, 3), 10.0))
    days = (None, None, {"A": 0.5, "C": 0.5})
    scores = ONES[:3, :2]
    assert table(bench.run(scores, Hedge(*days, risk_degree=1.0)))[2] == {"A": 50, "C": 50}
    with pytest.raises(BacktestError, match=r"'C', which has neither score nor holding; .*extra_instruments"):
        bench.run(scores, Fixed(*days))


def test_a_strategy_of_the_bare_protocol(market: Any) -> None:
    class Equal:
        def decide(self, day: Any) -> Decision:
            return day.rebalance(np.full(len(day.instruments), 1 / len(day.instruments)), risk_degree=0.9)

    assert table(market(np.full((3, 3), 10.0)).run(ONES, Equal()))[2] == dict.fromkeys("ABC", 30)


@pytest.mark.parametrize(
    ("weights", "way", "message"),
    [
        ({"A": -0.1}, "by_last_close", "short positions"),
        ({"A": 0.8, "B": 0.4}, "by_fill_price", "more than 1"),
        (np.ones(2), "by_last_close", "array of 3 values"),
    ],
)
def test_wrong_weights_are_errors(market: Any, weights: Any, way: str, message: str) -> None:
    with pytest.raises(BacktestError, match=message):
        market(np.full((4, 3), 10.0)).run(ONES, Fixed(None, None, weights, order_generator_cls_or_obj=way))


def test_ways_to_orders_have_names() -> None:
    class OrderGenWOInteract: ...

    assert rebalancer(OrderGenWOInteract) is by_last_close
    assert rebalancer("qlib.contrib.strategy.order_generator.OrderGenWInteract") is by_fill_price
    assert rebalancer(by_fill_price) is by_fill_price
    own = lambda day, weights, risk_degree: Decision()  # noqa: E731
    assert rebalancer(own) is own
    with pytest.raises(BacktestError, match="by_last_close"):
        rebalancer("by_close")


def test_a_base_without_weights_says_what_to_override(market: Any) -> None:
    with pytest.raises(BacktestError, match=r"override weights\(day\) or generate_target_weight_position"):
        market(np.full((3, 3), 10.0)).run(ONES, WeightStrategyBase())


def test_risk_degree_can_depend_on_the_day(market: Any) -> None:
    class Timed(Fixed):
        def get_risk_degree(self, trade_step: int | None = None) -> float:
            return 1.0 if trade_step == 2 else 0.5

    days = (None, None, {"A": 0.5}, {"A": 0.5})
    assert table(market(np.full((4, 3), 10.0)).run(ONES, Timed(*days))) == {2: {"A": 50}, 3: {"A": 25}}


@pytest.mark.parametrize(
    ("method", "second"), [("first_fill", {"A": 30, "C": 50, "B": 20}), ("average_fill", {"A": 30, "B": 35, "C": 35})]
)
def test_soft_topk_moves_gradually(market: Any, method: str, second: dict[str, float]) -> None:
    bench = market(np.full((3, 3), 10.0))
    strategy = SoftTopkStrategy(topk=2, max_sold_weight=0.2, buy_method=method, risk_degree=1.0)
    account = {"cash": 0, "A": {"amount": 50, "price": 10}, "C": {"amount": 50, "price": 10}}
    if method == "average_fill":
        account = {"cash": 0, "A": {"amount": 50, "price": 10}, "B": {"amount": 25, "price": 10},
                   "C": {"amount": 25, "price": 10}}  # fmt: skip
    result = bench.run([[1, 2, 3]], strategy, account=account, start=bench.days[1])
    assert table(result)[1] == second
    fresh = bench.run([[1, 2, 3]], SoftTopkStrategy(topk=2, buy_method=method, risk_degree=1.0))
    assert table(fresh)[1] == {"B": 50, "C": 50}
    with pytest.raises(BacktestError, match="buy_method"):
        SoftTopkStrategy(topk=2, buy_method="last_fill")
    with pytest.raises(BacktestError, match="topk"):
        SoftTopkStrategy(topk=0)
