"""``%%qtune`` in a real IPython shell: it returns at once, its study outlives the notebook, its panel shows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from qnb import config
from qnb.expr.catalogue import forget_operators
from qnb.panels.study import StudyPanel
from qnb.panels.study_view import study_view
from qnb.rundir import create_run
from qnb.task.spec import load_task
from qnb.tuning.handle import StudyHandle
from qnb.tuning.studydir import list_studies

CELL = """\
market: demo:instruments=40,years=4
model:
  lightgbm:
    learning_rate: !loguniform [0.02, 0.3]
    num_leaves: !int [4, 32]
    num_boost_round: 30
strategy: {topk: 8, n_drop: 1}
features: {MOM: $close/Ref($close\\, 5) - 1}
""".replace(
    "features: {MOM: $close/Ref($close\\, 5) - 1}", "features:\n  MOM: $close/Ref($close, 5) - 1\n  VR: $volume"
)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell with the extension, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    before = config.current_settings()
    config.use_settings(config.Settings(work_dir=tmp_path))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "qnb")
    yield shell
    shell.run_line_magic("unload_ext", "qnb")
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()
    config.use_settings(before)


def _tune(shell: InteractiveShell, line: str, cell: str = CELL) -> Any:
    with capture_output() as captured:
        shell.run_cell_magic("qtune", line, cell)
    return captured


OF_THE_NOTEBOOK = """
import numpy as np
import pandas as pd
from qnb.expr import Element, Parameter, register_operator

@register_operator
class Level(Element):
    signature = (Parameter("x", "series"),)
    def compute(self, x):
        return 0 * x + 7

class Mine:
    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, dataset):
        assert float(dataset.prepare("train", col_set="feature").max().max()) == 7.0

    def predict(self, dataset, segment="test"):
        index = dataset.prepare(segment, col_set="label").index
        return pd.Series(self.scale * np.random.default_rng(0).normal(size=len(index)), index=index, name="score")
"""
STUDY_OF_THE_NOTEBOOK = """\
market: demo:instruments=40,years=4
model: {class: Mine, module_path: __main__, kwargs: {scale: !uniform [1, 2]}}
processors: {infer: [], learn: []}
strategy: {topk: 8, n_drop: 1}
features:
  L: Level($close)
"""


def test_classes_and_operators_of_cells_reach_the_workers_of_a_study(shell: InteractiveShell) -> None:
    shell.run_cell(OF_THE_NOTEBOOK)
    try:
        _tune(shell, "own --trials 2 --jobs 1 --metric rank_ic", STUDY_OF_THE_NOTEBOOK)
    finally:
        forget_operators({})
    handle = shell.user_ns["own"]
    handle.wait(timeout=200)
    assert (handle.status, handle.state.count("failed")) == ("finished", 0), handle.state.trials


def test_a_study_in_a_cell(shell: InteractiveShell, yardstick: Callable[[], float]) -> None:
    began = time.monotonic()
    captured = _tune(shell, "s --trials 6 --jobs 1 --threads 1 --metric rank_ic")
    assert time.monotonic() - began < 500 * yardstick()
    handle = shell.user_ns["s"]
    assert isinstance(handle, StudyHandle)
    assert handle.status in ("waiting", "running")
    assert captured.outputs, "the panel, or its static form"
    handle.wait(timeout=200)
    assert handle.status == "finished", handle.state.message
    assert len(handle.trials) == 6
    assert handle.best_params.keys() == {"learning_rate", "num_leaves"}
    assert handle.verdict["trials"] == 6

    panel = StudyPanel(handle)
    html = panel.static_bundle()["text/html"]
    assert handle.verdict["headline"] in html
    assert "<script" not in html
    view = panel.view
    assert [r["trial"] for r in view["trials"]] == list(range(6))
    assert view["axes"]["axes"][-1]["name"] == "Rank IC"
    assert view["goal"].startswith("Maximise Rank IC on the validation segment 2019-")
    best = handle.state.best.number
    panel._received(None, {"kind": "promote", "trial": best}, None)
    assert panel.promoted["text"].startswith(f"%%qtask s_{best} --seed 7\nmarket: demo")
    panel._received(None, {"kind": "promote", "trial": 77}, None)
    assert "no trial 77" in panel.promoted["text"]
    load_task(handle.task_text(best))
    handle.promote()
    assert shell.rl_next_input == handle.cell_of(best)

    with capture_output() as shown:
        shell.run_line_magic("qtune", "s")
    assert "Finished" in str(shown.outputs[0].data["text/html"])
    _tune(shell, "s --trials 8 --jobs 1 --threads 1 --metric rank_ic --resume")
    assert shell.user_ns["s"].wait(timeout=200).state.done == 8
    assert len(list_studies(config.current_settings())) == 1


def test_mistakes_are_told_with_their_line_in_the_cell(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match=r"line 5: an inverted range: 0\.3 to 0\.02"):
        _tune(shell, "s", CELL.replace("[0.02, 0.3]", "[0.3, 0.02]"))
    misspelt = CELL.replace("!loguniform", "!loguniformm")
    for line in ("s", "s --check"):
        magic = "qtask" if "--check" in line else "qtune"
        with pytest.raises(UsageError, match=r"line 5: .*!loguniformm is not allowed; did you mean !loguniform\?"):
            shell.run_cell_magic(magic, line, misspelt)
    with pytest.raises(UsageError, match=r"--trials: 0 trials; at least 1"):
        _tune(shell, "s --trials 0")
    with pytest.raises(UsageError, match="no study 's'"):
        _tune(shell, "s --resume")
    with pytest.raises(UsageError, match="no study 'nosuch'; write its workflow in a cell that begins with %%qtune"):
        shell.run_line_magic("qtune", "nosuch")
    with pytest.raises(UsageError, match="%qtune needs a name"):
        shell.run_line_magic("qtune", "")
    assert not list_studies(config.current_settings())


def test_a_task_that_was_defined_before_is_searched_by_its_models_space(shell: InteractiveShell) -> None:
    text = CELL.replace("!loguniform [0.02, 0.3]", "0.1").replace("!int [4, 32]", "8")
    settings = config.current_settings()
    task = load_task(text)
    create_run(task, settings.with_(**task.settings), name="lgb")
    with capture_output():
        shell.run_line_magic("qtune", "lgb --trials 1 --jobs 1 --threads 1")
    study = shell.user_ns["lgb_tune"]
    assert "lambda_l1" in {d["name"] for d in study.wait(timeout=200).state.space}
    assert study.status == "finished"


def test_pause_and_go_on(shell: InteractiveShell) -> None:
    _tune(shell, "p --trials 2000 --jobs 1 --threads 1")
    handle = shell.user_ns["p"]
    _until(lambda: handle.state.done >= 1)
    again = _tune(shell, "p --trials 2000 --jobs 1 --threads 1 --resume")
    assert "is going on, as it was started" in again.stderr
    assert shell.user_ns["p"].directory == handle.directory, "one that goes on is shown, not started again"
    handle.pause()
    _until(lambda: handle.status == "paused")
    done = handle.state.done
    time.sleep(0.7)
    assert handle.state.done <= done + 1, "what ran ended, nothing new began"
    view = study_view(handle.state, status=handle.status)
    assert (view["status_text"], view["over"], view["message"]) == ("Paused", False, "paused on request")
    handle.resume()
    _until(lambda: handle.state.done > done + 1)
    handle.stop()
    handle.wait(timeout=120)
    assert handle.status == "stopped"
    assert 0 < handle.state.done < 2000


def test_a_study_outlives_the_notebooks_kernel(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "qnb")
        assert not {{"optuna", "lightgbm", "mlflow", "torch"}} & set(sys.modules), "a light extension"
        shell.run_cell_magic("qtune", "k --trials 5 --jobs 1 --threads 1", {CELL!r})
        assert not {{"optuna", "lightgbm", "mlflow", "torch"}} & set(sys.modules), "a light magic"
        print("started", flush=True)
        time.sleep(60)
        """
    )
    env = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "QNB_WORK_DIR": str(tmp_path)}
    kernel = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=env, stdout=subprocess.PIPE)
    assert kernel.stdout is not None
    for line in kernel.stdout:
        if line.strip() == b"started":
            break
    kernel.send_signal(signal.SIGKILL)
    kernel.wait()
    kernel.stdout.close()
    (directory,) = list_studies(config.Settings(work_dir=tmp_path))
    handle = StudyHandle(directory).wait(timeout=200)
    assert (handle.status, handle.state.done) == ("finished", 5)


def _until(condition: Any, seconds: float = 150.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
