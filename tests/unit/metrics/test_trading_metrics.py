"""Turnover, exposure, fills and holding periods, by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from qnb.metrics.trading import (
    annual_cost,
    annual_turnover,
    concentration,
    exposure,
    fill_rate,
    holding_counts,
    holding_periods,
    order_reasons,
    trading_summary,
)

DAYS = pd.DatetimeIndex(pd.bdate_range("2020-01-01", periods=3), name="datetime")
REPORT = pd.DataFrame(
    {"turnover": [0.5, 0.1, 0.3], "cost": [0.001, 0.0, 0.002], "value": [50.0, 60, 0], "account": [100.0, 120, 120]},
    index=DAYS,
)
POSITIONS = pd.DataFrame(
    {"datetime": [DAYS[0], DAYS[0], DAYS[1]], "instrument": ["A", "B", "A"], "weight": [0.3, 0.1, 0.5]}
)
ORDERS = pd.DataFrame(
    {
        "side": ["buy", "buy", "buy", "sell", "sell"],
        "requested": [100.0, 50, 0, 100, math.nan],
        "executed": [100.0, 10, 0, 100, 0],
        "price": [2.0, 1, 3, 2.5, math.nan],
        "reason": ["entered", "volume", "lot", "dropped", "suspended"],
        "held_days": [0, 0, 0, 4, 7],
        "sent": [True, True, True, True, False],
    }
)


def test_turnover_cost_and_exposure() -> None:
    assert annual_turnover(REPORT, 10) == pytest.approx(3.0)
    assert annual_cost(REPORT, 10) == pytest.approx(0.01)
    assert exposure(REPORT).tolist() == pytest.approx([0.5, 0.5, 0])


def test_holdings() -> None:
    assert holding_counts(POSITIONS, DAYS).tolist() == [2, 1, 0]
    assert concentration(POSITIONS).tolist() == pytest.approx([(0.09 + 0.01) / 0.16, 1])


def test_fills() -> None:
    assert fill_rate(ORDERS) == pytest.approx((1 + 0.2 + 1) / 3)
    assert fill_rate(ORDERS, by_value=True) == pytest.approx((200 + 10 + 250) / (200 + 50 + 250))
    assert math.isnan(fill_rate(ORDERS[:0]))
    assert holding_periods(ORDERS).tolist() == [4]
    reasons = order_reasons(ORDERS)
    assert reasons.loc["dropped"].tolist() == [0, 1]
    assert reasons.to_numpy().sum() == 5


def test_summary() -> None:
    found = trading_summary(REPORT, POSITIONS, ORDERS, N=10)
    assert found["mean_holdings"] == pytest.approx(1)
    assert found["mean_holding_period"] == pytest.approx(4)
    assert found["mean_exposure"] == pytest.approx(1 / 3)
