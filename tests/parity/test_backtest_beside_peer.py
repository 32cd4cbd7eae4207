"""Options of the backtest beside the peer's own, run in its own environment on the same data."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import BacktestResult, Quotes, exchange_spec, run_backtest, with_executor
from qnb.backtest.quotes import trading_days
from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy
from qnb.backtest.strategies.weight import WeightStrategyBase
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.task.modules import load_file

pytestmark = pytest.mark.benchmark_peer

PEER = Path(os.environ.get("QNB_PEER_PYTHON", Path.home() / ".cache" / "qnb-peer" / "bin" / "python"))
SCRIPT = Path(__file__).with_name("peer_backtest.py")
target = load_file(str(SCRIPT)).target
COSTS = {"open_cost": 0.0005, "close_cost": 0.0015, "min_cost": 5, "limit_threshold": 0.095, "deal_price": "close"}
ATOL = {"cash": 1e-6}
HOLDINGS = {
    "cash": 2e7,
    "SH600000": {"amount": 100000, "price": 6.1},
    "SH600016": {"amount": 300000, "price": 3.0},
    "SZ000002": {"amount": 50000.5, "price": 20},
}


def case(
    name: str, *, account: Any = 1e7, signal: str = "plain", codes: str = "few", start: str = "2017-01-01",
    end: str = "2017-04-30", benchmark: Any = "SH000300", executor: Mapping[str, Any] | None = None, weights: str = "",
    exchange: Mapping[str, Any] | None = None, seed: int | None = None, **strategy: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name, "account": account, "signal": signal, "codes": codes, "start": start, "end": end,
        "benchmark": benchmark, "executor": dict(executor or {}), "weights": weights, "seed": seed,
        "exchange": {**COSTS, **(exchange or {})}, "strategy": {"topk": 30, "n_drop": 4, **strategy},
    }  # fmt: skip


CASES = [
    case("lots"),
    case("all_codes", codes="all", end="2017-02-28"),
    case("only_tradable", only_tradable=True),
    case("trade_at_limit", forbid_all_trade_at_limit=False, exchange={"limit_threshold": 0.03}),
    case("tight_limit", exchange={"limit_threshold": 0.03}),
    case("only_tradable_at_tight_limit", only_tradable=True, exchange={"limit_threshold": 0.02}),
    case("hold_thresh", hold_thresh=6),
    case("n_drop_0", n_drop=0),
    case("n_drop_0_only_tradable", n_drop=0, only_tradable=True),
    case("topk_1", topk=1, n_drop=1),
    case("n_drop_above_topk", topk=5, n_drop=9),
    case("risk_degree", risk_degree=0.5),
    case("open", exchange={"deal_price": "open"}),
    case("pair", exchange={"deal_price": ["$open", "$close"]}),
    case("expression", exchange={"deal_price": ["($open+$close)/2", "($high+$low)/2"]}),
    case("missing_price", exchange={"deal_price": "$vwap"}),
    case("min_cost", exchange={"min_cost": 2000}),
    case("small_account", account=1e6),
    case("tiny_account", account=20000, topk=10, n_drop=2),
    case("no_lots", exchange={"trade_unit": None}),
    case("big_lots", exchange={"trade_unit": 5000}),
    case("limit_expressions", exchange={"limit_threshold": ["$change > 0.04", "$change < -0.05"]}),
    case("volume", account=1e9, exchange={"volume_threshold": ["current", "0.01*$volume"]}),
    case("volume_of_sides", account=1e9, exchange={
        "volume_threshold": {"all": ["cum", "0.02*$volume"], "sell": ["current", "0.005*$volume"]}}),
    case("settle_cash", executor={"settle_type": "cash"}, risk_degree=1.0),
    case("parallel", executor={"trade_type": "parallel"}, risk_degree=1.0),
    case("random_sell", method_sell="random", seed=3),
    case("random_buy", method_buy="random", seed=4),
    case("random_both_tradable", method_buy="random", method_sell="random", only_tradable=True, seed=5),
    case("holdings", account=HOLDINGS),
    case("more_holdings_than_topk", account=HOLDINGS, topk=1, n_drop=1),
    case("benchmarks", benchmark=["SH600000", "SH600016", "SZ000002"], end="2017-02-28"),
    case("nan_scores", signal="nan"),
    case("gaps", signal="gaps"),
    case("weekend", signal="weekend"),
    case("few_scores", signal="few", topk=20, n_drop=5),
    case("ffr_by_value", account=1e9, exchange={"volume_threshold": ["current", "0.01*$volume"]}, executor={
        "indicator_config": {"ffr_config": {"weight_method": "value_weighted"}}}),
    case("weights_last_close", weights="by_last_close"),
    # a suspended holding makes every amount NaN there, so only instruments that are never suspended
    case("weights_fill_price", weights="by_fill_price", signal="complete"),
    case("impact", account=1e9, exchange={"impact_cost": 0.1}),
    case("weights_without_lots", weights="by_last_close", codes="all", end="2017-02-28"),
]  # fmt: skip


class Weighted(WeightStrategyBase):
    """The strategy of the weight cases."""

    def generate_target_weight_position(
        self, score: Any, current: Any, trade_start_time: pd.Timestamp, trade_end_time: pd.Timestamp
    ) -> Mapping[str, float]:
        return target(score, current)


def make_signals(pred: pd.DataFrame, store: QlibBinStore, folder: Path) -> dict[str, pd.DataFrame]:
    plain = pred.loc["2016-12-30":"2017-04-30"]
    random = np.random.default_rng(1)
    nan = plain.copy()
    nan.loc[random.random(len(nan)) < 0.3, "score"] = np.nan
    days = plain.index.get_level_values(0)
    weekend = plain.copy()
    moved = days.where(days.day_of_week != 4, days + pd.Timedelta(days=1))
    weekend.index = pd.MultiIndex.from_arrays([moved, plain.index.get_level_values(1)], names=plain.index.names)
    extra = plain[days.day_of_week == 4].copy()
    extra["score"] = np.where(random.random(len(extra)) < 0.5, np.nan, -extra["score"])
    weekend = weekend.drop(weekend.index[weekend.index.get_level_values(0).day_of_week == 5][::3])
    first, last = trading_days(store.calendar, "2017-01-01", "2017-04-30")
    names = sorted(set(plain.index.get_level_values(1)))
    close = Quotes(store, instruments=names, first=first, last=last).field("$close")
    complete = [name for name, gaps in zip(names, np.isnan(close).any(axis=0), strict=True) if not gaps]
    signals = {
        "complete": plain[plain.index.get_level_values(1).isin(complete)],
        "plain": plain,
        "nan": nan,
        "gaps": plain[(days.day % 5 != 0) & (random.random(len(plain)) < 0.9)],
        "weekend": pd.concat([weekend, extra]).sort_index(),
        "few": plain[plain.index.get_level_values(1).isin(names[::14])],
    }
    for name, frame in signals.items():
        frame.to_parquet(folder / f"{name}.parquet")
    return signals


@pytest.fixture(scope="module")
def signals(
    golden: Path, cn_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, pd.DataFrame]]:
    folder = tmp_path_factory.mktemp("signals")
    pred = pd.read_parquet(golden / "lightgbm_alpha158_csi300" / "pred.parquet")
    return folder, make_signals(pred, QlibBinStore(cn_data), folder)


def options(one: Mapping[str, Any], signals: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    exchange = dict(one["exchange"])
    if one["codes"] == "few":
        account = one["account"]
        held = [n for n in account if n != "cash"] if isinstance(account, dict) else []
        exchange["codes"] = sorted({*signals["plain"].index.get_level_values(1), *held})
    return exchange


@pytest.fixture(scope="module")
def peer(
    signals: tuple[Path, dict[str, pd.DataFrame]], cn_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if not PEER.exists():
        pytest.skip("needs the peer's own installation (set QNB_PEER_PYTHON)")
    out = tmp_path_factory.mktemp("peer")
    cases = [{**one, "exchange": options(one, signals[1])} for one in CASES]
    (out / "cases.json").write_text(json.dumps(cases))
    command = [str(PEER), str(SCRIPT), str(out / "cases.json"), str(signals[0]), str(cn_data), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, cwd=out, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def run(one: Mapping[str, Any], signals: Mapping[str, pd.DataFrame], store: QlibBinStore) -> BacktestResult:
    seed = {} if one["seed"] is None else {"seed": one["seed"]}
    strategy: Any = (
        Weighted(order_generator_cls_or_obj=one["weights"])
        if one["weights"]
        else TopkDropoutStrategy(**one["strategy"], **seed)
    )
    spec = with_executor(
        exchange_spec(options(one, signals)), {"class": "SimulatorExecutor", "kwargs": one["executor"]}
    )
    return run_backtest(
        signals[one["signal"]]["score"], store=store, strategy=strategy, exchange=spec, account=one["account"],
        benchmark=one["benchmark"], start=one["start"], end=one["end"],
    )  # fmt: skip


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("one", CASES, ids=lambda one: one["name"])
def test_like_the_peer(
    one: dict[str, Any], peer: Path, signals: tuple[Path, dict[str, pd.DataFrame]], cn_data: Path
) -> None:
    ours = run(one, signals[1], QlibBinStore(cn_data))
    assert len(ours.positions) > 0
    failed = peer / f"{one['name']}.error"
    assert not failed.exists(), failed.read_text()
    theirs = pd.read_parquet(peer / f"{one['name']}.positions.parquet")
    order = ["datetime", "instrument"]
    theirs = theirs.astype({"datetime": "datetime64[ns]"}).sort_values(order).reset_index(drop=True)
    mine = ours.positions.sort_values(order).reset_index(drop=True)
    assert mine.instrument.tolist() == theirs.instrument.tolist()
    assert (mine.datetime.to_numpy() == theirs.datetime.to_numpy()).all()
    for name in ("amount", "price", "weight", "count_day"):
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-9, err_msg=name)
    for kind, frame in (("report", ours.report), ("indicators", ours.indicators)):
        other = pd.read_parquet(peer / f"{one['name']}.{kind}.parquet")
        for name in other:
            # a float of cash that is nearly spent carries the rounding of all the money that went through it
            np.testing.assert_allclose(frame[name], other[name], rtol=1e-9, atol=ATOL.get(name, 1e-12), err_msg=name)
