"""A small market with a backtest in it, made from a seed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from qnb.reports.types import CostTerms, ReportInput, RunFacts, TaskSummary

STARTED = datetime(2026, 11, 21, 6, 12, tzinfo=UTC)


def make_report(days: int, *, seed: int = 0, bench: bool = True) -> pd.DataFrame:
    """A report_normal frame of business days from 2017-01-03 on."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2017-01-03", periods=days, name="datetime")
    ret = rng.normal(0.0008, 0.012, days)
    cost = np.full(days, 0.0002)
    account = 1e8 * np.cumprod(1 + ret - cost)
    frame = pd.DataFrame(
        {
            "account": account,
            "return": ret,
            "total_turnover": 0.0,
            "turnover": np.full(days, 0.2),
            "total_cost": 0.0,
            "cost": cost,
            "value": account * 0.95,
            "cash": account * 0.05,
        },
        index=index,
    )
    if bench:
        frame["bench"] = rng.normal(0.0003, 0.01, days)
    return frame


def make_scores(days: int, instruments: int, *, seed: int = 0) -> tuple[pd.Series, pd.DataFrame]:
    """Scores that foretell their labels a little, with a few labels missing."""
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2017-01-03", periods=days)
    names = [f"SH{600000 + i}" for i in range(instruments)]
    index = pd.MultiIndex.from_product([dates, names], names=["datetime", "instrument"])
    score = rng.normal(size=len(index))
    label = 0.1 * score + rng.normal(size=len(index))
    label[rng.random(len(index)) < 0.05] = np.nan
    return pd.Series(score, index=index, name="score"), pd.DataFrame({"LABEL0": label * 0.02}, index=index)


def make_orders(days: int) -> pd.DataFrame:
    """Three orders a day: one sold, one bought, one refused."""
    dates = pd.bdate_range("2017-01-03", periods=days)
    rows = []
    for day in dates:
        common = {"datetime": day, "score": -0.066, "price": 5.0, "factor": 0.5, "change": 0.0996}
        rows += [
            common | {"instrument": "SH601155", "side": "sell", "rank": 254, "requested": 200.0, "executed": 200.0,
                      "value": 1000.0, "cost": 5.0, "reason": "dropped", "held_days": 55},
            common | {"instrument": "SZ300124", "side": "buy", "rank": 1, "requested": 300.0, "executed": 300.0,
                      "value": 1500.0, "cost": 5.0, "reason": "entered", "held_days": np.nan},
            common | {"instrument": "SZ002202", "side": "buy", "rank": 6, "requested": 100.0, "executed": 0.0,
                      "value": 0.0, "cost": 0.0, "reason": "limit_up", "held_days": np.nan},
        ]  # fmt: skip
    return pd.DataFrame(rows)


def make_positions(days: int, names: int) -> pd.DataFrame:
    """A long frame of holdings, with the rows for cash that are no names."""
    dates = pd.bdate_range("2017-01-03", periods=days)
    held = [f"SH{600000 + i}" for i in range(names)]
    rows = [(day, name, 100.0, 1.0, 1.0 / names, 3.0) for day in dates for name in held]
    rows += [(day, "cash", 1e6, np.nan, np.nan, np.nan) for day in dates]
    return pd.DataFrame(rows, columns=["datetime", "instrument", "amount", "price", "weight", "count_day"])


@pytest.fixture
def sample() -> Callable[..., ReportInput]:
    """Return a maker of whole inputs: ``sample(days=300, **changes)``."""

    def make(days: int = 300, **changes: object) -> ReportInput:
        score, label = make_scores(days, 20)
        values: dict[str, object] = {
            "title": "LightGBM on Alpha158, CSI 300",
            "run": RunFacts(
                "lgb158", "workflow", "3f9c2e", "FINISHED", datetime(2026, 11, 21, 6, 12, tzinfo=UTC), 24.2
            ),
            "segments": {"train": ("2008-01-01", "2014-12-31"), "test": ("2017-01-01", "2020-08-01")},
            "report": make_report(days),
            "positions": make_positions(days, 5),
            "orders": make_orders(days),
            "pred": score,
            "label": label,
            "benchmark": "SH000300",
            "costs": CostTerms(0.0005, 0.0015, 5.0),
            "provenance": {"Data": {"Fingerprint": "557a9ef7a12fbefb"}, "Task": {"Seed": "none set"}},
            "task_summary": TaskSummary(universe="csi300", topk=50, n_drop=5),
            "command": "qnb reproduce 3f9c2e",
        }
        return ReportInput(**(values | changes))  # type: ignore[arg-type]

    return make
