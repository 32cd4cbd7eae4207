"""Runs in this very process: they leave it as it was, and several at once do not see each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qnb
from qnb import config
from qnb.data.facade import DataFacade
from qnb.session import current_session

RUN = """
qnb_init:
  provider_uri: "demo:instruments=30,years=3"
  region: cn
  exp_manager: {kwargs: {uri: "sqlite:///other.db"}}
task:
  model: {class: LinearModel}
  dataset:
    class: DatasetH
    kwargs:
      handler:
        class: DataHandlerLP
        kwargs:
          instruments: demo
          data_loader: {class: QlibDataLoader, kwargs: {config: {feature: [["$close/Ref($close, 1) - 1"], [r]],
            label: [["Ref($close, -2)/Ref($close, -1) - 1"], [LABEL0]]}}}
          infer_processors: [{class: Fillna, kwargs: {fields_group: feature}}]
          learn_processors: [DropnaLabel]
      segments: {train: [2018-03-01, 2019-06-30], test: [2020-01-01, 2020-12-31]}
  record:
    - class: SignalRecord
    - class: PortAnaRecord
      kwargs: {config: {strategy: {class: TopkDropoutStrategy, kwargs: {signal: <PRED>, topk: 5, n_drop: 1}},
        backtest: {account: 1.0e+6, benchmark: DMINDEX}}}
"""


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[config.Settings]:
    """A session of its own in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "_current", None)
    yield qnb.init("demo:instruments=12,years=2", region="us", recorder_uri="sqlite:///mine.db")
    qnb.R.end_exp()


def test_after_a_run_the_session_is_as_before(session: config.Settings) -> None:
    days = len(qnb.D.calendar())
    handle = qnb.run(RUN, progress=False)
    assert handle.status == "finished", handle.error
    assert handle.recorder.uri.endswith("other.db")
    assert config.session_settings() is session
    assert config.current_settings() is session
    assert current_session().settings is session
    assert qnb.R.get_uri() == session.tracking_uri
    assert len(qnb.D.calendar()) == days
    assert qnb.R.list_experiments().keys() <= {"Default"}


def test_a_run_asks_no_facade_where_its_data_is(session: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_: DataFacade) -> None:
        raise AssertionError("settings are looked up in a run")

    monkeypatch.setattr(DataFacade, "settings", property(asked))
    handle = qnb.run(RUN, progress=False)
    assert handle.status == "finished", handle.error


def test_a_strategy_of_the_tasks_folder_is_found_again_afterwards(session: config.Settings) -> None:
    from qnb.whatif.source import what_if_of

    folder = Path("lib")
    folder.mkdir()
    (folder / "base.py").write_text("from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy as Base\n")
    (folder / "mine.py").write_text("from base import Base\nclass Mine(Base): ...\n")
    text = RUN.replace("class: TopkDropoutStrategy,", "class: Mine, module_path: mine,")
    handle = qnb.run(f"sys: {{path: lib}}\n{text}", progress=False)
    assert handle.status == "finished", handle.error
    what_if = what_if_of(handle)
    outcome = what_if.run(what_if.base)
    assert outcome.metrics["turnover"] > 0
    assert "mine" not in sys.modules


ROUNDS = int(os.environ.get("QNB_INLINE_ROUNDS", "2"))


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_eight_runs_at_once_each_give_what_they_give_alone(tmp_path: Path) -> None:
    script = Path(__file__).with_name("inline_runs.py")
    with (tmp_path / "errors.txt").open("w") as errors:
        done = subprocess.run(
            [sys.executable, str(script), str(ROUNDS)], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=tmp_path
        )
    told = (tmp_path / "errors.txt").read_text(encoding="utf-8")
    assert done.returncode == 0, told[-3000:]
    found = json.loads(done.stdout)
    print(f"{ROUNDS} rounds of eight runs: {found['seconds']} s")
    for number, run in enumerate(found["alone"]):
        mark, quarter = f"run{number}", number % 4
        lines = [f"{mark} {what} {how}" for what in ("qnb", "other") for how in ("at once", "by a helper")]
        warned = ["all warn", *(f"{mark} warns {how}" for how in ("at once", "by a helper"))]
        assert run["status"] == "finished", run["error"]
        assert run["told"] == sorted([*lines, *(f"UserWarning: {w}" for w in warned)])
        assert (run["store"], run["mark"]) == (f"store{quarter}.db", mark)
        assert run["model"] == [mark, f"quarter{quarter}"]
        assert (run["metrics"]["quarter"], run["metrics"]["lot"]) == (quarter, [100, 1, 1000, 1][quarter])
    numbers = [tuple(run["metrics"].values()) for run in found["alone"]]
    assert len(set(numbers)) == 8, "markets and models that differ"
    for runs in found["rounds"]:
        assert runs == found["alone"]
    assert found["after"] == found["before"]
    assert "run3 other astray" in told, "what lost its run is told by the process"
