"""What-if: the run's own backtest comes out again, sliders change it, and nothing of the run is touched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import qnb
from qnb.backtest.config import backtest_from_config
from qnb.config import Settings, current_settings, use_settings
from qnb.data.provider import open_store
from qnb.errors import BacktestError, ConfigError, UnknownNameError
from qnb.panels.whatif import WhatIfPanel
from qnb.recorder import R
from qnb.rundir import RunDir, create_run
from qnb.task.spec import Task, load_task
from qnb.whatif import WhatIf

MARKET = "demo:instruments=40,years=3,seed=5"
YAML = f"""
market: {MARKET}
model: linear
segments: {{train: [2018-01-01, 2018-12-31], valid: [2019-01-01, 2019-12-31], test: [2020-01-01, 2020-12-31]}}
strategy: {{topk: 8, n_drop: 2}}
"""


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task(YAML)


@pytest.fixture
def settings(tmp_path: Path, task: Task) -> Iterator[Settings]:
    before = current_settings()
    made = Settings().with_(
        **{**task.settings, "work_dir": str(tmp_path), "recorder_uri": f"sqlite:///{tmp_path / 'm.db'}"}
    )
    yield use_settings(made)
    use_settings(before)


def _predictions(settings: Settings) -> pd.DataFrame:
    store = open_store(settings)
    days = pd.DatetimeIndex([d for d in store.calendar if str(d) >= "2020-01-01"])
    index = pd.MultiIndex.from_product([days, store.instruments()[:30]], names=["datetime", "instrument"])
    return pd.DataFrame({"score": np.random.default_rng(2).normal(size=len(index))}, index=index)


def _portfolio(task: Task) -> Any:
    return next(r["kwargs"]["config"] for r in task.records if r["class"] == "PortAnaRecord")


@pytest.fixture
def finished(settings: Settings, task: Task) -> RunDir:
    """A run that has kept its predictions."""
    from qnb.events import RunFinished, RunStarted
    from qnb.journal import JournalWriter

    directory = create_run(task, settings, name="base")
    with R.start(experiment_name=settings.experiment, recorder_name="base"):
        R.save_objects(**{"pred.pkl": _predictions(settings)})
        recorder_id = R.get_recorder().id
    directory.write_recorder(recorder_id, settings.experiment)
    directory.write_result({"status": "finished", "recorder_id": recorder_id, "metrics": {}, "report": None})
    with JournalWriter(directory.path) as journal:
        journal.append(RunStarted(pid=1))
        journal.append(RunFinished(seconds=1.0))
    return directory


def test_the_runs_own_settings_give_the_runs_own_backtest(settings: Settings, task: Task) -> None:
    pred, config = _predictions(settings), _portfolio(task)
    own = backtest_from_config(config, signal=pred, store=open_store(settings), region=settings.region)
    what_if = WhatIf(config, pred, settings=settings)
    found = what_if.run(what_if.base)
    expected = own.report["return"] - own.report["cost"] - own.report["bench"]
    np.testing.assert_allclose(found.excess, expected.to_numpy(), atol=1e-12)
    risk = own.analysis()["risk"]["excess_return_with_cost"]
    for name in ("annualized_return", "information_ratio", "max_drawdown"):
        assert found.metrics[f"1day.excess_return_with_cost.{name}"] == pytest.approx(risk[name], rel=1e-9)


def test_every_slider_gives_what_a_run_with_it_would(settings: Settings, task: Task) -> None:
    pred, config = _predictions(settings), _portfolio(task)
    what_if = WhatIf(config, pred, settings=settings)
    base = what_if.run(what_if.base)
    for changes in (
        {"topk": 5}, {"n_drop": 4}, {"open_cost": 0.004}, {"close_cost": 0.006}, {"limit_threshold": 0.02},
        {"deal_price": "open"},
    ):  # fmt: skip
        knobs = replace(what_if.base, **changes)  # type: ignore[arg-type]
        now = what_if.run(knobs)
        fresh = backtest_from_config(
            what_if.configured(knobs), signal=pred, store=open_store(settings), region=settings.region
        )
        expected = fresh.report["return"] - fresh.report["cost"] - fresh.report["bench"]
        np.testing.assert_allclose(now.excess, expected.to_numpy(), atol=1e-12)
        assert not np.allclose(now.excess, base.excess), changes
    assert config == _portfolio(load_task(YAML))


def test_the_yaml_is_a_record_of_a_workflow(settings: Settings, task: Task) -> None:
    from qnb.task.template import Filled
    from qnb.task.yaml import read_yaml

    what_if = WhatIf(_portfolio(task), _predictions(settings), settings=settings)
    record = read_yaml(Filled(what_if.to_yaml(replace(what_if.base, topk=5, deal_price="open")))).values
    section = {**task.document["task"], "record": [*task.document["task"]["record"][:-1], record]}
    again = Task.from_document({**task.document, "task": section})
    config = _portfolio(again)
    assert config["strategy"]["kwargs"]["topk"] == 5
    assert config["backtest"]["exchange_kwargs"]["deal_price"] == "open"


def test_the_panel_moves_and_says_so(finished: RunDir) -> None:
    panel = qnb.what_if("base")
    assert [k["key"] for k in panel.knobs] == [
        "topk", "n_drop", "open_cost", "close_cost", "limit_threshold", "deal_price",
    ]  # fmt: skip
    assert panel.view["changed"] == []
    panel.move(topk=5, open_cost=25)
    assert panel.view["changed"] == ["topk 5", "open_cost 0.0025"]
    assert "1 other setting tried" in panel.view["sentence"]
    assert len(panel.view["figures"][0]["lines"]) == 2
    assert "topk: 5" in panel.to_yaml()
    assert "Excess" in repr(panel)
    assert "<script" not in panel.static_bundle()["text/html"]
    with pytest.raises(BacktestError, match="n_drop 9"):
        panel.move(topk=3, n_drop=9)
    with pytest.raises(ConfigError, match="no number"):
        panel.move(topk="many")


def test_the_newest_position_of_a_slider_wins(finished: RunDir) -> None:
    panel = qnb.what_if("base")
    for topk in range(3, 9):
        panel._received(panel, {"kind": "move", "values": {"topk": topk, "n_drop": 1}}, [])
    end = time.monotonic() + 90
    while panel._working and time.monotonic() < end:
        time.sleep(0.02)
    assert "topk: 8" in panel.view["yaml"]
    panel._received(panel, {"kind": "move", "values": {"topk": 1, "n_drop": 9}}, [])
    while panel._working and time.monotonic() < end:
        time.sleep(0.02)
    assert "n_drop 9" in panel.error


def test_runs_that_have_nothing_to_try(settings: Settings, task: Task) -> None:
    create_run(task, settings, name="waits")
    with pytest.raises(BacktestError, match="waits is waiting"):
        qnb.what_if("waits")
    with pytest.raises(UnknownNameError, match="waits"):
        qnb.what_if("wait")
    assert WhatIfPanel.__doc__
