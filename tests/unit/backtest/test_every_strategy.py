"""Every registered strategy: same run same orders, sees no future, says which dates it reads, survives a bad market."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb import registry
from qnb.backtest import Strategy
from qnb.backtest.strategies.weight import WeightStrategyBase

NEEDED = {"topk": 3, "n_drop": 1}
MEMBERS = [name for name in registry.members("strategy") if name != WeightStrategyBase.__name__]


@pytest.fixture(params=MEMBERS)
def make(request: pytest.FixtureRequest) -> Any:
    """Makes the strategy with what its constructor needs; a new required argument goes into NEEDED."""
    cls = registry.find("strategy", request.param)
    needed = {n for n, p in inspect.signature(cls).parameters.items() if p.default is p.empty}
    return lambda: cls(**{name: NEEDED[name] for name in needed})


def prices(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    close = 20 * np.exp(np.cumsum(random.normal(0, 0.03, (40, 8)), axis=0))
    close[random.random(close.shape) < 0.05] = np.nan
    return close


def scores(seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    table = random.normal(size=(40, 8))
    table[random.random(table.shape) < 0.1] = np.nan
    return table


def test_is_a_strategy_and_says_what_it_reads(make: Any) -> None:
    strategy = make()
    assert isinstance(strategy, Strategy)
    assert "reads" in (type(strategy).__doc__ or "").lower()


@pytest.mark.parametrize("mode", ["compat", "strict"])
def test_same_run_same_orders(make: Any, market: Any, mode: str) -> None:
    bench, strategy = market(prices()), make()
    first, again = (bench.run(scores(), strategy, mode=mode, trade_unit=1) for _ in range(2))
    assert len(first.orders) > 0
    pd.testing.assert_frame_equal(first.orders, again.orders)
    pd.testing.assert_frame_equal(first.report, bench.run(scores(), make(), mode=mode, trade_unit=1).report)


@pytest.mark.parametrize("mode", ["compat", "strict"])
def test_sees_no_future(make: Any, market: Any, mode: str) -> None:
    bench, table = market(prices()), scores()
    before = bench.run(table, make(), mode=mode)
    for day in (5, 20, 39):
        other = market(prices())
        for values in other.store.fields.values():
            values[day:] *= 1.5
        changed = table.copy()
        changed[day - 1 :] = -changed[day - 1 :]
        after = other.run(changed, make(), mode=mode)
        cut = bench.days[day]
        old, new = (r.orders[r.orders["datetime"] < cut] for r in (before, after))
        pd.testing.assert_frame_equal(old, new)


@pytest.mark.parametrize("mode", ["compat", "strict"])
def test_survives_nothing_to_trade(make: Any, market: Any, mode: str) -> None:
    dark = np.full((6, 3), np.nan)
    dark[0] = 10
    result = market(dark).run(np.random.default_rng(0).normal(size=(6, 3)), make(), mode=mode)
    assert result.final_account == 1000
    assert not (result.orders["executed"] > 0).any()
    alone = market(np.full((6, 1), 10.0)).run(np.ones((6, 1)), make(), mode=mode)
    assert alone.final_account == pytest.approx(1000)
    nameless = market(np.full((6, 3), 10.0)).run(np.full((6, 3), np.nan), make(), mode=mode)
    assert nameless.final_account == pytest.approx(1000)
