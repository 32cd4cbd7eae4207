"""Finished runs with artifacts, made without training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings, current_settings, use_settings
from qnb.recorder import R

DAYS = 120


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings of a folder of its own, in force."""
    before = current_settings()
    made = use_settings(Settings().with_(work_dir=str(tmp_path), recorder_uri=f"sqlite:///{tmp_path / 'm.db'}"))
    yield made
    use_settings(before)


def finished_run(name: str, *, seed: int, drift: float = 0.0, like: float = 0.0, **params: object) -> str:
    """Record a run with predictions, labels and a backtest; return its id.

    The daily excess is noise of that seed plus `drift`; the share `like` of predictions and noise is common to all.
    """
    common, own = np.random.default_rng(0), np.random.default_rng(seed)
    days = pd.bdate_range("2019-01-01", periods=DAYS, name="datetime")
    index = pd.MultiIndex.from_product([days, [f"S{k}" for k in range(20)]], names=["datetime", "instrument"])
    label = common.normal(size=len(index))
    score = like * common.normal(size=len(index)) + (1 - like) * own.normal(size=len(index)) + 0.1 * label
    excess = like * common.normal(size=DAYS) + (1 - like) * own.normal(size=DAYS)
    report = pd.DataFrame({"return": 0.01 * excess + drift + 0.0002, "cost": 0.0002, "bench": 1e-5}, index=days)
    report["turnover"] = 0.1
    with R.start(experiment_name="study", recorder_name=name):
        R.log_params(**{"model.class": "LGBModel", "model.kwargs.seed": seed, **params})
        R.log_metrics(IC=float(seed) / 100, **{"1day.excess_return_with_cost.max_drawdown": -0.1 - seed / 100})
        R.save_objects(
            **{"pred.pkl": pd.DataFrame({"score": score}, index=index), "label.pkl": pd.DataFrame({"l": label}, index)}
        )
        R.save_objects(artifact_path="portfolio_analysis", **{"report_normal_1day.pkl": report})
        return str(R.get_recorder().id)
