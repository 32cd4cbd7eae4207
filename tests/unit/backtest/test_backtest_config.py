"""A workflow's portfolio section: strategies by name, placeholders, defaults, and what wrong keys are answered with."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import backtest_from_config
from qnb.config import REGIONS
from qnb.errors import BacktestError, UnknownNameError

STRATEGY = {"class": "TopkDropoutStrategy", "module_path": "qlib.contrib.strategy", "kwargs": {"topk": 1, "n_drop": 1}}
EXCHANGE = {"limit_threshold": 0.2, "trade_unit": None, "min_cost": 0}


@pytest.fixture
def bench(market: Any) -> Any:
    return market(20 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, (8, 4)), axis=0)))


@pytest.fixture
def pred(bench: Any) -> pd.DataFrame:
    return bench.scores(np.random.default_rng(1).normal(size=(7, 4))).to_frame()


def config(bench: Any, **backtest: Any) -> dict[str, Any]:
    strategy = {**STRATEGY, "kwargs": {**STRATEGY["kwargs"], "signal": "<PRED>"}}  # type: ignore[dict-item]
    section = {"start_time": str(bench.days[0].date()), "end_time": str(bench.days[-1].date()), "account": 1000,
               "benchmark": "A", "exchange_kwargs": EXCHANGE}  # fmt: skip
    return {"strategy": strategy, "backtest": {**section, **backtest}}


def test_a_config_runs_and_is_not_changed(bench: Any, pred: pd.DataFrame) -> None:
    given = config(bench)
    before = copy.deepcopy(given)
    result = backtest_from_config(given, signal=pred, store=bench.store, region=REGIONS["cn"])
    assert given == before
    direct = bench.run(pred, _strategy(), open_cost=0.0015, close_cost=0.0025, limit_threshold=0.2, benchmark="A")
    pd.testing.assert_frame_equal(result.report, direct.report)


def _strategy() -> Any:
    from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy

    return TopkDropoutStrategy(topk=1, n_drop=1)


def test_the_span_defaults_to_the_predictions(bench: Any, pred: pd.DataFrame) -> None:
    result = backtest_from_config(config(bench, start_time=None, end_time=None), signal=pred, store=bench.store)
    assert result.report.index[[0, -1]].tolist() == [bench.days[0], bench.days[7]]


def test_account_and_benchmark_default_to_the_peers(bench: Any, pred: pd.DataFrame) -> None:
    given = config(bench)
    del given["backtest"]["account"], given["backtest"]["benchmark"]
    with pytest.raises(BacktestError, match="no benchmark 'SH000300'"):
        backtest_from_config(given, signal=pred, store=bench.store)
    given["backtest"]["benchmark"] = None
    assert backtest_from_config(given, signal=pred, store=bench.store).initial_account == 1e9


def test_mode_and_executor(bench: Any, pred: pd.DataFrame) -> None:
    given = config(bench, mode="strict")
    given["strategy"]["kwargs"]["n_drop"] = 0
    assert (backtest_from_config(given, signal=pred, store=bench.store).orders["side"] == "buy").all()
    given["executor"] = {"class": "NestedExecutor"}
    with pytest.raises(BacktestError, match="NestedExecutor"):
        backtest_from_config(given, signal=pred, store=bench.store)


def test_a_ready_strategy_and_a_signal_of_its_own(bench: Any, pred: pd.DataFrame) -> None:
    given = config(bench)
    named = backtest_from_config(given, signal=pred, store=bench.store)
    given["strategy"] = _strategy()
    ready = backtest_from_config(given, signal=pred, store=bench.store)
    pd.testing.assert_frame_equal(named.report, ready.report)
    given["strategy"].signal = -pred["score"]
    other = backtest_from_config(given, signal=pred, store=bench.store)
    assert other.final_account != ready.final_account


def test_a_strategy_out_of_a_file_and_the_builder_that_is_passed(
    bench: Any, pred: pd.DataFrame, tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from qnb.backtest.strategies.weight import WeightStrategyBase\n"
        "class Mine(WeightStrategyBase):\n"
        "    def generate_target_weight_position(self, score, current, trade_start_time, trade_end_time):\n"
        "        return {score['score'].idxmax(): 1.0}\n"
    )
    given = config(bench)
    given["strategy"] = {"class": "Mine", "module_path": str(file), "kwargs": {"signal": "<PRED>"}}
    assert len(backtest_from_config(given, signal=pred, store=bench.store).positions) > 0
    seen: list[Any] = []

    def build(description: Any, family: str) -> Any:
        assert family == "strategy"
        seen.append(description)
        return _strategy()

    backtest_from_config(given, signal=pred, store=bench.store, build=build)
    assert seen[0]["kwargs"]["signal"] is pred


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backtests": {}}, "unknown key 'backtests' in the portfolio's config; did you mean 'backtest'"),
        ({"backtest": {"start": 1}}, "unknown key 'start' in backtest; did you mean 'start_time'"),
        ({"backtest": 3}, "backtest must be a mapping"),
        ({"strategy": object()}, "object is no strategy"),
    ],
)
def test_wrong_configs_are_answered_with_the_remedy(
    bench: Any, pred: pd.DataFrame, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BacktestError) as caught:
        backtest_from_config({**config(bench), **change}, signal=pred, store=bench.store)
    assert message in str(caught.value)


def test_names_that_are_not_there(bench: Any, pred: pd.DataFrame) -> None:
    given = config(bench)
    with pytest.raises(BacktestError, match="asks for <PRED>"):
        backtest_from_config(given, store=bench.store)
    given["strategy"] = {"class": "TopkDropStrategy"}
    with pytest.raises(UnknownNameError, match="did you mean 'TopkDropoutStrategy'"):
        backtest_from_config(given, signal=pred, store=bench.store)
    del given["strategy"]
    with pytest.raises(BacktestError, match="no strategy"):
        backtest_from_config(given, signal=pred, store=bench.store)


def test_a_described_signal_is_built(bench: Any, pred: pd.DataFrame, tmp_path: Path) -> None:
    pred["score"].to_frame().to_parquet(tmp_path / "scores.parquet")
    given = config(bench)
    given["strategy"]["kwargs"]["signal"] = {
        "func": "read_parquet", "module_path": "pandas", "kwargs": {"path": str(tmp_path / "scores.parquet")},
    }  # fmt: skip
    expected = backtest_from_config(config(bench), signal=pred, store=bench.store)
    pd.testing.assert_frame_equal(backtest_from_config(given, store=bench.store).report, expected.report)
