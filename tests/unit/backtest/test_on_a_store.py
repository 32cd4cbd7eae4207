"""A backtest on a store on disk: universes with spans, expressions as prices and limits, a missing factor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import BacktestResult, Quotes, exchange_spec, run_backtest
from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.data.writer import feature_file, write_calendar, write_series, write_universe
from qnb.errors import ExpressionError, UnknownNameError

DAYS = pd.bdate_range("2020-01-01", periods=6)
CLOSE = {"AA": [10.0, 10, 10, 10, 10, 10], "BB": [10.0, 11, 12, 13, 14, 15], "CC": [5.0, 5, 5, 5, 5, 5]}


@pytest.fixture
def store(tmp_path: Path) -> QlibBinStore:
    write_calendar(tmp_path, DAYS.to_numpy())
    text = [str(day.date()) for day in DAYS]
    write_universe(tmp_path, "all", [(name, text[0], text[-1]) for name in CLOSE])
    write_universe(tmp_path, "some", [("AA", text[0], text[1]), ("AA", text[4], text[5]), ("BB", text[0], text[5])])
    for name, close in CLOSE.items():
        fields = {"close": close, "open": np.array(close) - 1, "volume": np.full(6, 1e6), "change": np.zeros(6)}
        if name != "CC":
            fields["factor"] = np.full(6, 0.5)
        feature_file(tmp_path, name, "close").parent.mkdir(parents=True)
        for field, values in fields.items():
            write_series(feature_file(tmp_path, name, field), 0, np.asarray(values))
    return QlibBinStore(tmp_path)


def run(store: QlibBinStore, table: Any, **options: Any) -> BacktestResult:
    index = pd.MultiIndex.from_product([DAYS, ["AA", "BB"]], names=["datetime", "instrument"])
    given = {"trade_unit": None, "limit_threshold": 0.5, "min_cost": 0, "open_cost": 0, "close_cost": 0}
    return run_backtest(
        pd.Series(np.ravel(table).astype(float), index=index),
        store=store,
        strategy=TopkDropoutStrategy(topk=1, n_drop=1, risk_degree=1.0),
        exchange=exchange_spec({**given, **options}),
        account=1e4,
        benchmark="CC",
        start=DAYS[0],
        end=DAYS[-1],
    )


A_FIRST, B_FIRST = [2, 1], [1, 2]


def test_who_is_not_in_the_universe_is_suspended(store: QlibBinStore) -> None:
    orders = run(store, [A_FIRST, A_FIRST, B_FIRST, B_FIRST, B_FIRST, B_FIRST], codes="some").orders
    parts = zip(orders["datetime"], orders["instrument"], orders["side"], orders["reason"], strict=True)
    rows = [f"{day.day} {side} {name} {reason}" for day, name, side, reason in parts]
    assert rows[0] == "2 buy AA entered"
    assert [row for row in rows if "sell" in row] == ["6 sell AA suspended", "7 sell AA dropped"]
    with pytest.raises(UnknownNameError, match="universe"):
        run(store, [A_FIRST] * 6, codes="sume")


def test_expressions_are_prices_and_limits(store: QlibBinStore) -> None:
    result = run(store, [B_FIRST] * 6, deal_price=["($open + $close) / 2", "$close"])
    assert result.orders["price"].iloc[0] == 10.5
    limited = run(store, [B_FIRST] * 6, limit_threshold=["$close > 10.5", "$close < 0"])
    assert set(limited.orders["reason"]) == {"limit_up"}
    clipped = run(store, [B_FIRST] * 6, volume_threshold=["current", "0.0001 * $volume"])
    assert clipped.orders["executed"].iloc[0] == pytest.approx(100)
    assert clipped.orders["reason"].iloc[0] == "volume"
    with pytest.raises(ExpressionError):
        run(store, [B_FIRST] * 6, deal_price="($open + ")


def test_lots_need_a_factor_of_every_code(store: QlibBinStore) -> None:
    off = run(store, [B_FIRST] * 6, trade_unit=100)
    assert "CC has days with a close and no factor" in off.notes[0]
    assert off.positions["amount"].iloc[0] == pytest.approx(1e4 / 11)
    on = run(store, [B_FIRST] * 6, trade_unit=100, codes=["AA", "BB"])
    assert on.notes == ()
    assert on.positions["amount"].iloc[0] == 800  # 400 shares as traded
    within = run(store, [B_FIRST] * 6, trade_unit=100, codes="some")
    assert within.notes == ()


def test_an_expression_is_evaluated_once(store: QlibBinStore) -> None:
    quotes = Quotes(store, instruments=["BB", "AA"], first=1, last=4)
    values = quotes.field("$close - Ref($close, 1)")
    np.testing.assert_allclose(values, [[0, 1]] * 4)
    assert quotes.field("$close - Ref($close, 1)") is values
