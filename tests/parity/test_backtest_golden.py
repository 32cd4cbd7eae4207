"""The golden predictions through the backtest give the peer's own report, holdings, indicators and analysis."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import BacktestResult, backtest_from_config
from qnb.data.providers.qlib_bin import QlibBinStore

CONFIG: dict[str, Any] = {
    "strategy": {
        "class": "TopkDropoutStrategy",
        "module_path": "qlib.contrib.strategy",
        "kwargs": {"signal": "<PRED>", "topk": 50, "n_drop": 5},
    },
    "backtest": {
        "start_time": "2017-01-01",
        "end_time": "2020-08-01",
        "account": 100000000,
        "benchmark": "SH000300",
        "exchange_kwargs": {
            "limit_threshold": 0.095,
            "deal_price": "close",
            "open_cost": 0.0005,
            "close_cost": 0.0015,
            "min_cost": 5,
        },
    },
    "executor": {
        "class": "SimulatorExecutor",
        "module_path": "qlib.backtest.executor",
        "kwargs": {"time_per_step": "day", "generate_portfolio_metrics": True},
    },
}


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "lightgbm_alpha158_csi300"


@pytest.fixture(scope="module")
def pred(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "pred.parquet")


@pytest.fixture(scope="module")
def result(cn_data: Path, pred: pd.DataFrame) -> BacktestResult:
    return backtest_from_config(CONFIG, signal=pred, store=QlibBinStore(cn_data))


def relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest relative difference; equal values (and NaN on both sides) differ by 0."""
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.abs(ours - theirs) / np.abs(theirs)
    return float(np.where(same, 0.0, difference).max())


def test_report_is_the_golden_one(result: BacktestResult, folder: Path) -> None:
    theirs = pd.read_parquet(folder / "report_normal_1day.parquet")
    assert list(result.report.columns) == list(theirs.columns)
    assert result.report.index.name == "datetime"
    assert (result.report.index == theirs.index).all()
    for name in theirs:
        assert relative(result.report[name].to_numpy(), theirs[name].to_numpy()) < 1e-9, name


def test_holdings_are_the_golden_ones_on_every_day(result: BacktestResult, folder: Path) -> None:
    theirs = pd.read_parquet(folder / "positions_normal_1day.parquet")
    cash = theirs[theirs.instrument == "cash"].set_index("date").amount
    assert relative(result.report.cash.to_numpy(), cash.to_numpy()) < 1e-9
    theirs = theirs[~theirs.instrument.isin(["cash", "now_account_value"])]
    theirs = theirs.rename(columns={"date": "datetime"}).sort_values(["datetime", "instrument"]).reset_index(drop=True)
    ours = result.positions.sort_values(["datetime", "instrument"]).reset_index(drop=True)
    assert len(ours) == len(theirs)
    assert (ours.datetime == theirs.datetime).all()
    assert (ours.instrument == theirs.instrument).all()
    for name in ("amount", "price", "weight", "count_day"):
        assert relative(ours[name].to_numpy(dtype=float), theirs[name].to_numpy(dtype=float)) < 1e-9, name


def test_indicators_are_the_golden_ones(result: BacktestResult, folder: Path) -> None:
    theirs = pd.read_parquet(folder / "indicators_normal_1day.parquet")
    assert list(result.indicators.columns) == list(theirs.columns)
    for name in theirs:
        ours = result.indicators[name].to_numpy(dtype=float)
        assert relative(ours, theirs[name].to_numpy(dtype=float)) < 1e-9, name


def test_analysis_is_the_golden_one(result: BacktestResult, folder: Path) -> None:
    theirs = pd.read_csv(folder / "port_analysis_1day.csv", index_col=[0, 1])["risk"]
    ours = result.analysis()["risk"]
    assert list(ours.index) == list(theirs.index)
    assert relative(ours.to_numpy(), theirs.to_numpy()) < 1e-9
    assert ours["excess_return_with_cost", "information_ratio"] == pytest.approx(1.186658, abs=1e-6)


def test_the_ledger_tells_of_every_order_and_refused_candidate(result: BacktestResult) -> None:
    orders = result.orders
    sent = orders[orders.sent]
    assert len(sent) == result.indicators["count"].sum()
    assert sent.value.sum() == pytest.approx(result.report.total_turnover.iloc[-1], rel=1e-12)
    assert sent.cost.sum() == pytest.approx(result.report.total_cost.iloc[-1], rel=1e-12)
    assert set(sent.reason) == {"entered", "dropped"}
    refused = orders[~orders.sent]
    assert set(refused.reason) == {"suspended", "limit_up", "limit_down"}
    assert (refused.executed == 0).all()
    assert (refused[refused.reason == "limit_up"].change >= np.float32(0.095)).all()
    assert (orders.held_days[orders.side == "sell"] >= 1).all()
    assert (orders["rank"] > 0).any()


def test_the_whole_call_takes_less_than_a_second(
    cn_data: Path, pred: pd.DataFrame, yardstick: Callable[[], float]
) -> None:
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        backtest_from_config(CONFIG, signal=pred, store=QlibBinStore(cn_data))
        best = min(best, time.perf_counter() - began)
    assert best < 100 * yardstick()
