"""Options of exchange and executor as workflows write them, and what wrong ones are answered with."""

from __future__ import annotations

from typing import Any

import pytest

from qnb.backtest import ExchangeSpec, VolumeLimit, exchange_spec, with_executor
from qnb.config import REGIONS
from qnb.errors import BacktestError


def test_defaults_come_from_the_region() -> None:
    assert exchange_spec() == ExchangeSpec(limit_threshold=0.095, trade_unit=100, deal_price="close")
    us = exchange_spec({}, region=REGIONS["us"])
    assert (us.limit_threshold, us.trade_unit) == (None, 1)
    assert exchange_spec({"limit_threshold": None}).limit_threshold == 0.095
    assert exchange_spec({"limit_threshold": None}, mode="strict").limit_threshold is None
    assert exchange_spec({"trade_unit": None}).trade_unit is None
    assert exchange_spec({"deal_price": None}).deal_price == "close"


def test_a_full_set_of_options() -> None:
    spec = exchange_spec(
        {
            "freq": "day", "start_time": "2017-01-01", "subscribe_fields": ["$vwap"], "codes": ["A", "B"],
            "deal_price": ["open", "($high+$low)/2"], "limit_threshold": ["$up", "$down"],
            "volume_threshold": {"all": ["cum", "0.2*$volume"], "buy": ("current", "$volume")},
            "open_cost": "0.001", "close_cost": 0, "min_cost": 1, "impact_cost": 0.1, "trade_unit": 10,
            "trade_type": "parallel", "settle_type": None, "pos_type": "Position",
        }
    )  # fmt: skip
    assert spec.buy_price == "$open"
    assert spec.sell_price == "($high+$low)/2"
    assert spec.limits == ("$up", "$down")
    assert spec.volume_threshold == (VolumeLimit("all", "cum", "0.2*$volume"), VolumeLimit("buy", "current", "$volume"))
    assert (spec.open_cost, spec.close_cost, spec.codes, spec.settle_type) == (0.001, 0.0, ("A", "B"), "none")


def test_short_forms() -> None:
    assert exchange_spec({"deal_price": "$close"}).sell_price == "$close"
    assert exchange_spec({"volume_threshold": ("current", "$volume")}).volume_threshold[0].side == "all"
    assert exchange_spec({"codes": []}).codes == "all"
    assert exchange_spec({"codes": {"market": "csi300"}}).codes == "csi300"
    assert exchange_spec({"limit_threshold": "0.1"}).limit_threshold == 0.1
    limit = (VolumeLimit("buy", "cum", "$volume"),)
    assert exchange_spec({"volume_threshold": limit}).volume_threshold == limit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"open_costs": 1}, "unknown exchange option 'open_costs'; did you mean 'open_cost'"),
        ({"open_cost": "much"}, "open_cost must be a number, received 'much'"),
        ({"open_cost": -0.1}, "open_cost must be a number >= 0"),
        ({"trade_unit": 0}, "trade_unit"),
        ({"limit_threshold": -0.1}, "limit_threshold must be above 0"),
        ({"limit_threshold": ["a", 1]}, "pair of expressions"),
        ({"limit_threshold": {"a": 1}}, "pair of expressions"),
        ({"deal_price": 3}, "deal_price is a field"),
        ({"deal_price": ["a", "b", "c"]}, "deal_price is a field"),
        ({"volume_threshold": "0.1*$volume"}, "volume_threshold is"),
        ({"volume_threshold": {"al": ["cum", "$volume"]}}, "did you mean 'all'"),
        ({"volume_threshold": ["curent", "$volume"]}, "did you mean 'current'"),
        ({"trade_type": "paralell"}, "did you mean 'parallel'"),
        ({"settle_type": "csh"}, "did you mean 'cash'"),
        ({"pos_type": "InfPosition"}, "pos_type 'InfPosition' is not supported"),
        ({"freq": "1min"}, "freq '1min' is not supported: backtests run on daily bars"),
        ({"exchange": object()}, "exchange is not supported"),
        ({"extra_quote": object()}, "extra_quote is not supported"),
    ],
)
def test_wrong_options_are_answered_with_the_remedy(options: dict[str, Any], message: str) -> None:
    with pytest.raises(BacktestError) as caught:
        exchange_spec(options)
    assert message in str(caught.value)


def test_executors() -> None:
    spec = exchange_spec()
    assert with_executor(spec, None) is spec
    plain = {
        "class": "SimulatorExecutor", "module_path": "qlib.backtest.executor",
        "kwargs": {"time_per_step": "day", "generate_portfolio_metrics": True, "verbose": False},
    }  # fmt: skip
    assert with_executor(spec, plain) == spec
    assert with_executor(spec, "qlib.backtest.executor.SimulatorExecutor") == spec
    config = {"ffr_config": {"weight_method": "value_weighted"}}
    changed = with_executor(
        spec, {**plain, "kwargs": {"trade_type": "parallel", "settle_type": "cash", "indicator_config": config}}
    )
    assert (changed.trade_type, changed.settle_type, changed.ffr_weight) == ("parallel", "cash", "value_weighted")


@pytest.mark.parametrize(
    ("executor", "message"),
    [
        ({"class": "NestedExecutor", "kwargs": {"time_per_step": "day"}}, "executor 'NestedExecutor' is not supported"),
        (
            {"class": "SimulatorExecutor", "kwargs": {"time_per_step": "30min"}},
            "time_per_step '30min' is not supported",
        ),
        ({"kwargs": {"generate_portfolio_metrics": False}}, "nothing to report"),
        ({"kwargs": {"time_per_stp": "day"}}, "did you mean 'time_per_step'"),
        ({"kwargs": {"indicator_config": {"ffr_config": {"weight_method": "median"}}}}, "weight_method"),
        (3, "class and kwargs"),
    ],
)
def test_wrong_executors_are_refused(executor: Any, message: str) -> None:
    with pytest.raises(BacktestError) as caught:
        with_executor(exchange_spec(), executor)
    assert message in str(caught.value)
