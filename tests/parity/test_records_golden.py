"""The records on the peer's own predictions give the peer's own numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings, use_settings
from qnb.record_templates.portfolio_analysis import PortAnaRecord
from qnb.record_templates.signal_analysis import SigAnaRecord
from qnb.recorder import Recorder
from qnb.recorder.facade import RecorderFacade

CONFIG = {
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
}


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    """The peer's results of the LightGBM workflow."""
    return golden / "lightgbm_alpha158_csi300"


@pytest.fixture(scope="module")
def run(folder: Path, cn_data: Path) -> Iterator[Recorder]:
    """A run with the peer's predictions and labels, analysed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qnb.config._current", None)
        use_settings(Settings().with_(provider_uri=str(cn_data), recorder_uri="memory:golden"))
        facade = RecorderFacade()
        with facade.start(experiment_name="golden"):
            recorder = facade.get_recorder()
            frames = {f"{n}.pkl": pd.read_parquet(folder / f"{n}.parquet") for n in ("pred", "label")}
            recorder.save_objects(**frames)
            SigAnaRecord(recorder, ana_long_short=True).generate()
            PortAnaRecord(recorder, CONFIG).generate()
            yield recorder


@pytest.mark.parametrize(
    ("name", "value"), [("IC", 0.046384), ("ICIR", 0.377919), ("Rank IC", 0.048605), ("Rank ICIR", 0.403807)]
)
def test_information_coefficients(run: Recorder, name: str, value: float) -> None:
    assert run.list_metrics()[name] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", ["ic", "ric"])
def test_daily_coefficients(run: Recorder, folder: Path, name: str) -> None:
    expected = pd.read_parquet(folder / f"{name}.parquet").iloc[:, 0]
    pd.testing.assert_series_equal(run.load_object(f"sig_analysis/{name}.pkl"), expected, rtol=1e-9, check_names=False)


def test_long_short_returns(run: Recorder) -> None:
    frame = pd.DataFrame(
        {"pred": run.load_object("pred.pkl").iloc[:, 0], "label": run.load_object("label.pkl").iloc[:, 0]}
    )

    def by_hand(day: pd.DataFrame) -> float:
        count = int(len(day) * 0.2)
        return (day.nlargest(count, "pred")["label"].mean() - day.nsmallest(count, "pred")["label"].mean()) / 2

    days = frame.astype(np.float64).groupby(level="datetime")
    both, average = days.apply(by_hand), days["label"].mean()
    pd.testing.assert_series_equal(run.load_object("sig_analysis/long_short_r.pkl"), both, rtol=1e-9, check_names=False)
    pd.testing.assert_series_equal(
        run.load_object("sig_analysis/long_avg_r.pkl"), average, rtol=1e-9, check_names=False
    )
    metrics = run.list_metrics()
    assert metrics["Long-Short Ann Return"] == pytest.approx(both.mean() * 252)
    assert metrics["Long-Avg Ann Sharpe"] == pytest.approx(average.mean() / average.std() * 252**0.5)


def test_risk_of_the_portfolio(run: Recorder, folder: Path) -> None:
    expected = pd.read_csv(folder / "port_analysis_1day.csv", index_col=[0, 1])["risk"]
    metrics = run.list_metrics()
    for (kind, measure), value in expected.items():
        assert metrics[f"1day.{kind}.{measure}"] == pytest.approx(value, rel=1e-9)
    analysis = run.load_object("portfolio_analysis/port_analysis_1day.pkl")["risk"]
    pd.testing.assert_series_equal(analysis, expected, rtol=1e-9, check_names=False)


def test_report_of_the_portfolio(run: Recorder, folder: Path) -> None:
    expected = pd.read_parquet(folder / "report_normal_1day.parquet")
    report = run.load_object("portfolio_analysis/report_normal_1day.pkl")
    assert list(report.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(
        report, expected, rtol=1e-9, check_freq=False, check_index_type=False, check_dtype=False
    )
    assert report["account"].iloc[-1] == pytest.approx(204436480.07, abs=0.01)


def test_fill_rates(run: Recorder, folder: Path) -> None:
    expected = pd.read_parquet(folder / "indicators_normal_1day.parquet")
    weight = expected["count"] / expected["count"].sum()
    for name in ("ffr", "pa", "pos"):
        assert run.list_metrics()[f"1day.{name}"] == pytest.approx((expected[name] * weight).sum(), abs=1e-12)
