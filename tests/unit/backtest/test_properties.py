"""What holds on any market and for any scores: books balance, cash is there, lots are whole, the future is unseen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnb.backtest import BUY, SELL, BacktestResult, Decision, Order
from qnb.backtest.spec import VolumeLimit
from qnb.backtest.strategies.soft_topk import SoftTopkStrategy
from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy
from qnb.backtest.strategies.weight import WeightStrategyBase

DAYS, SIZE = 12, 6
CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "kind": st.sampled_from(["topk", "random_topk", "soft", "weights", "orders"]),
        "suspended": st.sampled_from([0.0, 0.1, 0.4]),
        "missing": st.sampled_from([0.0, 0.2, 0.9]),
        "mode": st.sampled_from(["compat", "strict"]),
        "account": st.sampled_from([1e3, 1e5, 1e7]),
        "options": st.fixed_dictionaries(
            {
                "open_cost": st.sampled_from([0.0, 0.0005, 0.02]),
                "close_cost": st.sampled_from([0.0, 0.0015, 0.02]),
                "min_cost": st.sampled_from([0.0, 5.0, 300.0]),
                "impact_cost": st.sampled_from([0.0, 0.1]),
                "trade_unit": st.sampled_from([None, 100]),
                "limit_threshold": st.sampled_from([None, 0.05]),
                "settle_type": st.sampled_from(["none", "cash"]),
                "trade_type": st.sampled_from(["serial", "parallel"]),
                "volume_threshold": st.sampled_from(
                    [(), (VolumeLimit("all", "cum", "$volume"),), (VolumeLimit("sell", "current", "$volume"),)]
                ),
            }
        ),
    }
)  # fmt: skip


class RandomWeights(WeightStrategyBase):
    """Weights out of nowhere, different each day."""

    def __init__(self, seed: int) -> None:
        super().__init__(order_generator_cls_or_obj="by_last_close" if seed % 2 else "by_fill_price")
        self.seed = seed

    def weights(self, day: Any) -> np.ndarray:
        random = np.random.default_rng([self.seed, day.index])
        weights = np.where(random.random(len(day.instruments)) < 0.5, random.random(len(day.instruments)), 0)
        return weights / max(weights.sum(), 1)


class RandomOrders:
    """Orders out of nowhere, too large ones and repeated ones among them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def decide(self, day: Any) -> Decision:
        random = np.random.default_rng([self.seed, day.index])
        codes = random.integers(0, len(day.instruments), 8)
        sides = random.choice([BUY, SELL], 8)
        amounts = random.choice([0.0, 50.0, 100.0, 1234.5, 1e6], 8)
        orders = [Order(int(c), int(s), float(a), "entered") for c, s, a in zip(codes, sides, amounts, strict=True)]
        return Decision(orders)


def strategy_of(kind: str, seed: int) -> Any:
    random = np.random.default_rng(seed)
    topk, n_drop = int(random.integers(1, 5)), int(random.integers(0, 4))
    flags = {"only_tradable": bool(seed % 2), "forbid_all_trade_at_limit": bool(seed % 3)}
    if kind == "topk":
        return TopkDropoutStrategy(topk=topk, n_drop=n_drop, hold_thresh=seed % 4, risk_degree=1.0, **flags)
    if kind == "random_topk":
        return TopkDropoutStrategy(
            topk=topk, n_drop=n_drop, method_buy="random", method_sell="random", seed=seed, **flags
        )
    if kind == "soft":
        return SoftTopkStrategy(topk=topk, max_sold_weight=0.4, buy_method=["first_fill", "average_fill"][seed % 2])
    return RandomWeights(seed) if kind == "weights" else RandomOrders(seed)


def make_market(market: Any, seed: int, suspended: float) -> Any:
    random = np.random.default_rng(seed)
    close = 20 * np.exp(np.cumsum(random.normal(0, 0.04, (DAYS, SIZE)), axis=0))
    close[random.random(close.shape) < suspended] = np.nan
    if seed % 5 == 0:
        close[-1] = np.nan  # everything is suspended on the last day
    volume = np.where(random.random(close.shape) < 0.1, np.nan, random.integers(0, 5000, close.shape))
    return market(close, factor=random.choice([0.3, 1.0, 2.5], (1, SIZE)) * np.ones((DAYS, 1)), volume=volume)


def run(market: Any, case: dict[str, Any]) -> BacktestResult:
    bench = make_market(market, case["seed"], case["suspended"])
    random = np.random.default_rng(case["seed"] + 1)
    scores = random.normal(size=(DAYS, SIZE)).round(1)
    scores[random.random(scores.shape) < case["missing"]] = np.nan
    return bench.run(
        scores, strategy_of(case["kind"], case["seed"]), account=case["account"], mode=case["mode"], benchmark="A",
        **case["options"],
    )  # fmt: skip


@given(CASES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_books_balance(market: Any, case: dict[str, Any]) -> None:
    result = run(market, case)
    report, orders, positions = result.report, result.orders, result.positions
    close = 1e-9 * case["account"]

    # cash + holdings (+ what is not settled yet) = account
    worth = (positions["amount"] * positions["price"]).groupby(positions["datetime"]).sum()
    worth = worth.reindex(report.index, fill_value=0.0)
    np.testing.assert_allclose(report["value"], worth, rtol=1e-9, atol=close)
    sells = orders[orders["side"] == "sell"]
    proceeds = (sells["value"] - sells["cost"]).groupby(sells["datetime"]).sum().reindex(report.index, fill_value=0.0)
    delayed = proceeds if case["options"]["settle_type"] == "cash" else 0.0
    if case["mode"] == "strict" and case["options"]["settle_type"] == "cash":
        gains = (sells["value"] - sells["cost"]).clip(lower=0)  # a loss is due at once
        delayed = gains.groupby(sells["datetime"]).sum().reindex(report.index, fill_value=0.0)
    np.testing.assert_allclose(report["account"], report["cash"] + delayed + worth, rtol=1e-9, atol=close)

    # every change of cash is in the ledger
    booked = orders[orders["value"] > 1e-5]
    flow = np.where(booked["side"] == "sell", booked["value"], -booked["value"]) - booked["cost"]
    cash = report["cash"].iloc[-1] + (delayed.iloc[-1] if isinstance(delayed, pd.Series) else 0.0)
    assert cash == pytest.approx(case["account"] + flow.sum(), abs=1e-6 * case["account"])
    assert report["total_cost"].iloc[-1] == pytest.approx(booked["cost"].sum())
    assert report["total_turnover"].iloc[-1] == pytest.approx(booked["value"].sum())

    # holdings are what was bought less what was sold
    signed = np.where(booked["side"] == "buy", booked["executed"], -booked["executed"])
    left = pd.Series(signed, index=booked["instrument"].to_numpy()).groupby(level=0).sum()
    final = positions[positions["datetime"] == report.index[-1]].set_index("instrument")["amount"]
    bought = booked[booked["side"] == "buy"].groupby("instrument")["executed"].sum()
    for name, amount in left.items():
        assert final.get(name, 0.0) == pytest.approx(amount, abs=3e-5 * bought.get(name, 0.0) + 1e-6)
    assert set(final.index) <= set(left.index)

    # returns and costs follow from the account
    before = np.append(case["account"], report["account"].iloc[:-1])
    cost = booked["cost"].groupby(booked["datetime"]).sum().reindex(report.index, fill_value=0.0)
    np.testing.assert_allclose(report["return"], (report["account"] - before + cost) / before, rtol=1e-7, atol=1e-10)


@given(CASES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_orders_stay_within_cash_lots_volume_and_limits(market: Any, case: dict[str, Any]) -> None:
    result = run(market, case)
    orders, options = result.orders, case["options"]
    bench = make_market(market, case["seed"], case["suspended"])
    lot = options["trade_unit"]
    # a lot rounded up by a tenth of a share may overdraw the account by the price of that tenth
    slack = 1e-9 * case["account"]
    if case["mode"] == "compat" and lot:
        slack += 0.1 * np.nanmax(bench.store.fields["close"]) / 0.3 * 10 * 1.1
    # a sell that costs more than it brings is settled a day late there, when the cash may be spent
    loss = (orders["cost"] - orders["value"])[orders["side"] == "sell"].clip(lower=0)
    if case["mode"] == "compat" and options["settle_type"] == "cash":
        slack += loss.sum()
    assert (result.report["cash"] >= -slack).all()
    assert (result.positions["amount"] > -1e-5).all()
    assert (orders["executed"] >= 0).all()
    asked = (
        orders["requested"].fillna(0).clip(lower=0)
    )  # an overdrawn account asks for less than nothing, like the peer
    assert (orders["executed"] <= asked * (1 + 1e-9) + 0.34 * (lot is not None)).all()
    assert case["mode"] == "compat" or not (orders["requested"] < 0).any()

    place = {name: i for i, name in enumerate(bench.store.names)}
    day = bench.days.get_indexer(orders["datetime"])
    column = orders["instrument"].map(place).to_numpy()
    closes = bench.store.fields["close"][day, column]
    traded = orders["executed"].to_numpy() > 0
    assert not np.isnan(closes[traded]).any()
    if options["limit_threshold"]:
        change, buys = orders["change"].to_numpy(), (orders["side"] == "buy").to_numpy()
        limit = float(np.float32(options["limit_threshold"]))
        assert not (change[traded & buys] >= limit).any()
        assert not (change[traded & ~buys] <= -limit).any()
    if lot:
        shares = (orders["executed"] * orders["factor"] / lot).to_numpy()[traded & (orders["side"] == "buy").to_numpy()]
        np.testing.assert_allclose(shares, np.round(shares), atol=1e-6)
    if options["volume_threshold"]:
        volume = np.nan_to_num(bench.store.fields["volume"][day, column])
        limited = options["volume_threshold"][0]
        counted = orders if limited.side == "all" else orders[orders["side"] == "sell"]
        if limited.kind == "cum":
            taken = counted.groupby(["datetime", "instrument"])["executed"].sum()
            room = pd.Series(volume, index=pd.MultiIndex.from_frame(orders[["datetime", "instrument"]]))
            room = room.groupby(level=[0, 1]).first().reindex(taken.index)
            assert (taken <= room * (1 + 1e-9) + 0.34).all()
        else:
            assert (counted["executed"] <= volume[counted.index] * (1 + 1e-9) + 0.34).all()


@given(CASES, st.integers(2, DAYS - 1))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tomorrow_changes_nothing_of_today(market: Any, case: dict[str, Any], day: int) -> None:
    bench = make_market(market, case["seed"], case["suspended"])
    random = np.random.default_rng(case["seed"] + 1)
    scores = random.normal(size=(DAYS, SIZE))
    options = {"account": case["account"], "mode": case["mode"], "benchmark": "A", **case["options"]}
    before = bench.run(scores, strategy_of(case["kind"], case["seed"]), **options)
    for values in bench.store.fields.values():
        values[day:] = values[day:] * random.uniform(0.5, 2, values[day:].shape)
    scores[day - 1 :] = random.normal(
        size=scores[day - 1 :].shape
    )  # what is traded on that day is known the day before
    after = bench.run(scores, strategy_of(case["kind"], case["seed"]), **options)
    cut = bench.days[day]
    for name in ("orders", "positions"):
        old, new = (getattr(r, name) for r in (before, after))
        old, new = old[old["datetime"] < cut], new[new["datetime"] < cut]
        pd.testing.assert_frame_equal(old, new, check_dtype=False)
    pd.testing.assert_frame_equal(before.report[:day], after.report[:day])


def test_one_missing_factor_tomorrow_is_the_one_thing_compat_mode_knows_ahead(market: Any) -> None:
    """Lots are on or off for a whole run there; strict mode asks of each day."""
    close = np.full((6, 2), 7.0)
    factor = np.ones((6, 2))
    scores = [[2, 1]] * 6
    options = {"trade_unit": 100, "account": 1e4}
    whole = market(close, factor=factor).run(scores, **options)
    factor[5, 1] = np.nan
    gap = market(close, factor=factor).run(scores, **options)
    assert whole.positions["amount"].iloc[0] == 1400
    assert gap.positions["amount"].iloc[0] == pytest.approx(1e4 / 7)
    assert any("B has days with a close and no factor" in note for note in gap.notes)
    strict = market(close, factor=factor).run(scores, **options, mode="strict")
    assert strict.positions["amount"].iloc[0] == 1400
    assert strict.notes == ()
