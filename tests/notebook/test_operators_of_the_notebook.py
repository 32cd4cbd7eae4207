"""Operators of a notebook's cell reach the worker as models do; the next run in that worker sees its own alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import qnb
from qnb import config
from qnb.expr import catalogue
from qnb.session import current_session

MARKET = "demo:instruments=30,years=3"
MODEL = """
import pandas as pd
from qnb.events import MetricLogged

class Looks:
    "Tells the mean of the features, and whether two operators are known where it is fitted."

    def fit(self, dataset, context=None):
        from qnb.expr.catalogue import operators
        frame = dataset.prepare("train", col_set="feature")
        context.emit(MetricLogged(name="mean", value=float(frame.mean().mean())))
        context.emit(MetricLogged(name="known", value=float(sum(n in operators() for n in ("Level", "OfModule")))))

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")
"""
LEVEL = """
from qnb.expr import Element, Parameter
def level(x):
    return 0 * x + {level}

class Level(Element):
    signature = (Parameter("x", "series"),)
    def compute(self, x):
        return level(x)
"""
CELL = """\
market: {market}
model: {{class: Looks, module_path: __main__}}
records: []
processors: {{infer: [], learn: []}}
features:
  A: {feature}
"""
OF_MODULE = """
from qnb.data.handler import DataHandlerLP
from qnb.expr import Element, Parameter, register_operator

@register_operator
class OfModule(Element):
    signature = (Parameter("x", "series"),)
    def compute(self, x):
        return 0 * x + 9
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell with the extension, a pool of one worker, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("QNB_WORKERS", "1")
    monkeypatch.setenv("QNB_RECORDER_URI", "memory:operators")
    before = config.current_settings()
    config.use_settings(config.Settings(work_dir=tmp_path, recorder_uri="memory:operators"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "qnb")
    yield shell
    shell.run_line_magic("unload_ext", "qnb")
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()
    config.use_settings(before)
    catalogue.forget_operators({})
    catalogue._of_settings.clear()


def metrics(shell: InteractiveShell, feature: str, line: str = "one", **changes: str) -> tuple[float, float]:
    with capture_output():
        shell.run_cell_magic("qtask", line, CELL.format(market=MARKET, feature=feature, **changes))
    run = shell.user_ns[line].wait(200)
    assert run.status == "finished", run.error
    return run.metrics["mean"], run.metrics["known"]


@pytest.mark.slow
def test_operators_of_cells_in_a_warm_worker(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.run_cell(MODEL)
    shell.run_cell(LEVEL.format(level=2) + "from qnb.expr import register_operator\nregister_operator(Level)")
    assert metrics(shell, "Level($close)") == (2.0, 1.0)
    # another level, in a function that it calls: not what the cache has of the first
    shell.run_cell(LEVEL.format(level=3) + "register_operator(Level)")
    assert metrics(shell, "Level($close)") == (3.0, 1.0)
    assert shell.user_ns["one"].state.worker == "worker 1"

    catalogue.forget_operators({})
    assert metrics(shell, "0 * $close") == (0.0, 0.0), "the operator of the run before is not seen"
    with pytest.raises(UsageError, match="unknown operator 'Level'"):
        metrics(shell, "Level($close)")

    shell.run_cell(LEVEL.format(level=5))
    qnb.init(MARKET, custom_ops=[shell.user_ns["Level"]], work_dir=tmp_path)
    assert qnb.D.features(["DM000001"], ["Level($close)"]).max().item() == 5.0
    assert metrics(shell, "Level($close)") == (5.0, 1.0)
    qnb.init(MARKET, work_dir=tmp_path)
    assert metrics(shell, "0 * $close") == (0.0, 0.0), "nor that of the settings of the run before"

    # of a module that the worker does not find
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "levels.py").write_text(LEVEL.format(level=6))
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    catalogue.register_operator(importlib.import_module("levels").Level)
    assert metrics(shell, "Level($close)") == (6.0, 1.0)
    catalogue.forget_operators({})

    # one that a module of the user's makes known when it is imported: each run that imports it, no other
    (tmp_path / "of_module.py").write_text(OF_MODULE)
    model = MODEL.replace(
        "def fit(self, dataset, context=None):", "def fit(self, dataset, context=None):\n        import of_module"
    )
    shell.run_cell(model)
    assert [metrics(shell, "0 * $close")[1] for _ in range(2)] == [1.0, 1.0]
    shell.run_cell(MODEL)
    assert metrics(shell, "0 * $close")[1] == 0.0
    pool = current_session().pool()
    current_session().close()
    assert pool.wait_gone(60)


def test_only_what_the_task_needs_must_be_able_to_travel(shell: InteractiveShell) -> None:
    from qnb.check.by_value import objects_of_the_notebook

    shell.run_cell("import threading\nlock = threading.Lock()")
    shell.run_cell(LEVEL.format(level=2).replace("return 0", "with lock: return 0") + "\nqnb_ops = Level")
    catalogue.register_operator(shell.user_ns["Level"])

    def objects(feature: str) -> Any:
        text = CELL.format(market=MARKET, feature=feature).replace("{class: Looks, module_path: __main__}", "lightgbm")
        task, settings, _ = current_session().load(text, source="cell")
        return objects_of_the_notebook(task, settings, shell.user_ns)

    assert objects("$close") is None
    with pytest.raises(qnb.errors.ConfigError, match="Level cannot be sent to a worker"):
        objects("Level($close)")
