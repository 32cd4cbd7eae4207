"""What is filled of one order: prices, costs, lots, limits of cash and volume; by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from qnb.backtest import ExchangeSpec, Quotes, Reason
from qnb.backtest.exchange import BUY, SELL, Exchange, Fill
from qnb.backtest.market import market_of
from qnb.backtest.spec import VolumeLimit

SPEC: dict[str, Any] = {
    "open_cost": 0.001,
    "close_cost": 0.002,
    "min_cost": 5.0,
    "trade_unit": 100,
    "limit_threshold": None,
}


@pytest.fixture
def deal(market: Any) -> Any:
    def run(side: int, amount: float, *, price: float = 10.0, factor: float = 1.0, cash: float = 1e6,
            holding: float = 0.0, taken: float = 0.0, strict: bool = False, volume: float = 1e6,
            change: float = 0.0, **spec: Any) -> Fill:  # fmt: skip
        bench = market([[price]], factor=[[factor]], change=[[change]], volume=[[volume]])
        quotes = Quotes(bench.store, instruments=["A"], first=0, last=0)
        described = ExchangeSpec(**{**SPEC, **spec})
        exchange = Exchange(market_of(quotes, described, strict=strict), described, strict=strict)
        return exchange.deal(side, amount, 0, 0, cash=cash, holding=holding, taken=taken)

    return run


def test_a_buy_within_cash(deal: Any) -> None:
    assert deal(BUY, 1000) == pytest.approx((1000, 10, 10000, 10, ""))


def test_least_cost(deal: Any) -> None:
    assert deal(BUY, 100).cost == 5
    assert deal(SELL, 100, holding=100).cost == 5


def test_lots_are_of_shares_as_traded(deal: Any) -> None:
    fill = deal(BUY, 1050)
    assert (fill.amount, fill.reason) == (1000, Reason.LOT)
    assert deal(BUY, 1050, factor=2).amount == pytest.approx(1050)  # 2100 shares as traded
    assert deal(BUY, 1070, factor=2).amount == pytest.approx(1050)
    assert deal(BUY, 1070, trade_unit=None).amount == 1070
    assert deal(BUY, 99.95).amount == pytest.approx(100)  # the tenth of a share that saves lots from noise
    assert deal(BUY, 99.95, strict=True).amount == 0
    assert deal(BUY, 99.9999999, strict=True).amount == pytest.approx(100)


def test_one_unknown_factor_switches_lots_off_or_in_strict_mode_only_there(deal: Any) -> None:
    assert deal(BUY, 1050, factor=np.nan).amount == 1050
    assert deal(BUY, 1050, factor=np.nan, strict=True).amount == 1050


def test_a_buy_takes_what_cash_allows(deal: Any) -> None:
    fill = deal(BUY, 1000, cash=5000)
    assert fill.amount == 400  # 5000 / 1.001 / 10 = 499.5, four lots
    assert fill.reason == Reason.NO_CASH
    assert fill.value + fill.cost <= 5000
    whole = deal(BUY, 1000, cash=10010)
    assert (whole.amount, whole.reason) == (1000, "")
    fraction = deal(BUY, 1000, cash=10005, trade_unit=None)
    assert fraction.value + fraction.cost == pytest.approx(10005)


def test_a_buy_with_hardly_any_cash(deal: Any) -> None:
    assert deal(BUY, 1000, cash=3) == pytest.approx((0, 10, 0, 0, Reason.NO_CASH))
    small = deal(BUY, 1000, cash=1000, trade_unit=None)  # below 5 / 0.001 + 5 the least cost counts
    assert small.amount == pytest.approx(99.5)
    assert small.cost == 5
    free = deal(BUY, 1000, cash=1000, trade_unit=None, open_cost=0.0)
    assert free.value + free.cost == pytest.approx(1000)


@pytest.mark.parametrize(
    ("cash", "amount"),
    [
        (9.99, 0),  # less than the cost of what was asked for: nothing, though a part could be paid
        (10.01, 0.501),  # the least cost counts
        (5001, 499.6),  # in between the share would be less than the least cost, that of the whole is more
        (5009, 5009 / 10.01),  # from 5 / 0.001 + 5 on the share is the cost
    ],
)
def test_what_cash_affords_at_the_thresholds(deal: Any, cash: float, amount: float) -> None:
    fill = deal(BUY, 1000, cash=cash, trade_unit=None)
    assert fill.amount == pytest.approx(amount, rel=1e-9)
    assert fill.value + fill.cost == pytest.approx(cash if amount else 0, rel=1e-9)


def test_a_whole_holding_is_sold_without_rounding(deal: Any) -> None:
    fill = deal(SELL, 1234.5, holding=1234.5)
    assert (fill.amount, fill.reason) == (1234.5, "")
    part = deal(SELL, 350, holding=1234.5)
    assert (part.amount, part.reason) == (300, Reason.LOT)
    more = deal(SELL, 5000, holding=1234.5)
    assert more.amount == 1200
    assert deal(SELL, 100, holding=0).amount == 0


def test_a_sell_that_does_not_earn_its_cost_needs_cash(deal: Any) -> None:
    assert deal(SELL, 0.3, holding=0.3, cash=1).reason == Reason.NO_CASH
    assert deal(SELL, 0.3, holding=0.3, cash=2).value == pytest.approx(3)


def test_volume_limits_clip(deal: Any) -> None:
    tenth = (VolumeLimit("all", "current", "$volume"),)
    fill = deal(BUY, 1000, volume=550, volume_threshold=tenth)
    assert (fill.amount, fill.reason) == (500, Reason.VOLUME)
    assert deal(SELL, 1000, holding=1000, volume=550, volume_threshold=tenth).amount == 500
    assert deal(BUY, 1000, volume=np.nan, volume_threshold=tenth).amount == 0
    daily = (VolumeLimit("buy", "cum", "$volume"), VolumeLimit("sell", "current", "$volume"))
    assert deal(BUY, 1000, volume=550, taken=200, volume_threshold=daily).amount == 300
    assert deal(BUY, 1000, volume=550, taken=900, volume_threshold=daily).amount == 0
    assert deal(SELL, 1000, holding=1000, volume=550, taken=200, volume_threshold=daily).amount == 500


def test_market_impact_raises_the_rate(deal: Any) -> None:
    plain = deal(BUY, 1000, impact_cost=0.1, volume=2000)
    assert plain.cost == pytest.approx(10000 * (0.001 + 0.1 * 0.25))
    assert deal(BUY, 1000, impact_cost=0.1, volume=0).cost == pytest.approx(10000 * 0.101)


def test_price_limits_and_suspension_refuse(deal: Any) -> None:
    assert deal(BUY, 100, change=0.1, limit_threshold=0.1) == pytest.approx(
        (0, math.nan, 0, 0, "limit_up"), nan_ok=True
    )
    assert deal(SELL, 100, holding=100, change=0.1, limit_threshold=0.1).amount == 100
    assert deal(SELL, 100, holding=100, change=-0.1, limit_threshold=0.1).reason == Reason.LIMIT_DOWN
    assert deal(BUY, 100, change=-0.1, limit_threshold=0.1).amount == 100
    assert deal(BUY, 100, price=np.nan).reason == Reason.SUSPENDED
    assert deal(SELL, 100, price=np.nan, holding=100).reason == Reason.SUSPENDED
    assert deal(BUY, 100, price=0.0).amount == 0


def test_limit_expressions_forbid_where_they_are_not_zero(market: Any) -> None:
    bench = market([[10, 10, 10]], up=[[0, 1, np.nan]], down=[[1, 0, 0]])
    spec = ExchangeSpec(**{**SPEC, "limit_threshold": ("$up", "$down")})
    exchange = Exchange(market_of(Quotes(bench.store, instruments="ABC", first=0, last=0), spec), spec)
    assert [exchange.refusal(0, code, BUY) for code in range(3)] == ["", "limit_up", "limit_up"]
    assert [exchange.refusal(0, code, SELL) for code in range(3)] == ["limit_down", "", ""]
    assert [exchange.refusal(0, code, None) for code in range(3)] == ["limit_down", "limit_up", "limit_up"]


def test_a_missing_price_of_fills_is_the_close(market: Any) -> None:
    bench = market([[10, 11, 12]], open=[[9, np.nan, 1e-9]])
    spec = ExchangeSpec(**{**SPEC, "deal_price": ("open", "close")})
    exchange = Exchange(market_of(Quotes(bench.store, instruments="ABC", first=0, last=0), spec), spec)
    assert [exchange.price(BUY, 0, code) for code in range(3)] == [9, 11, 12]
    assert [exchange.price(SELL, 0, code) for code in range(3)] == [10, 11, 12]


def test_only_codes_are_traded(market: Any) -> None:
    bench = market([[10, 11]])
    spec = ExchangeSpec(**{**SPEC, "codes": ("B",)})
    exchange = Exchange(market_of(Quotes(bench.store, instruments="AB", first=0, last=0), spec), spec)
    assert exchange.refusal(0, 0, BUY) == Reason.SUSPENDED
    assert exchange.refusal(0, 1, BUY) == ""


def test_a_store_without_change_says_that_limits_are_off_or_takes_the_closes(market: Any) -> None:
    bench = market([[10, 10], [11, np.nan], [11, 12.5]], change=None)
    spec = ExchangeSpec(**{**SPEC, "limit_threshold": 0.09})
    quotes = Quotes(bench.store, instruments="AB", first=0, last=2)
    compat, strict = market_of(quotes, spec), market_of(quotes, spec, strict=True)
    assert any("no $change" in note for note in compat.notes)
    assert not compat.limit_buy[1, 0]
    assert strict.limit_buy.tolist() == [[False, False], [True, True], [False, True]]
    assert strict.notes == ()
