"""The magics in a real IPython shell, with the inline backend and a model that needs no market data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from qnb import config
from qnb.handle import RunHandle
from qnb.pool.place import Place, Wake
from qnb.session import current_session
from tests.benchmarks.runs_store import make_runs

MODEL = """
import pandas as pd
from qnb.events import MetricLogged


class Tiny:
    def __init__(self, n: int = 3, fail: str = "") -> None:
        self.n, self.fail = n, fail

    def fit(self, dataset, context=None):
        if self.fail:
            raise ValueError(self.fail)
        for i in range(1, self.n + 1):
            context.emit(MetricLogged(name="l2.train", value=1 / i, step=i))

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")


class Data:
    def __init__(self, handler=None) -> None:
        self.segments = {}

    def prepare(self, segments, **kwargs): ...
"""
NET = """
import pandas as pd
from qnb.events import MetricLogged

def halved(value):
    return value / 2

class MyNet:
    def __init__(self, start=8.0):
        self.start = start

    def fit(self, dataset, context=None):
        context.emit(MetricLogged(name="l2.train", value=halved(self.start), step=1))

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")
"""
CELL = """\
qlib_init: {provider_uri: demo, recorder_uri: 'memory:magics'}
task:
  model: {class: Tiny, module_path: tiny.py, kwargs: {n: 3}}
  dataset: {class: Data, module_path: tiny.py}
  record: []
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell with the extension, in a folder of its own."""
    (tmp_path / "tiny.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    before = config.current_settings()
    config.use_settings(config.Settings(work_dir=tmp_path, recorder_uri="memory:magics"))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "qnb")
    yield shell
    shell.run_line_magic("unload_ext", "qnb")
    shell.history_manager.end_session()
    InteractiveShell.clear_instance()
    config.use_settings(before)


def run(shell: InteractiveShell, line: str, cell: str = CELL) -> Any:
    with capture_output() as captured:
        shell.run_cell_magic("qtask", line, cell)
    return captured


def test_qtask_leaves_a_handle_and_waits_when_asked(shell: InteractiveShell) -> None:
    captured = run(shell, "tiny --backend inline --wait --experiment trials")
    handle = shell.user_ns["tiny"]
    assert isinstance(handle, RunHandle)
    assert handle.status == "finished", handle.error
    assert list(handle.state.curves["l2.train"].steps) == [1, 2, 3]
    assert handle.state.experiment == "trials"
    shown = [o.data for o in captured.outputs]
    assert any("qnb-static" in data.get("text/html", "") for data in shown)
    assert any(data.get("text/plain", "").startswith("tiny") for data in shown)


def test_set_overrides_and_variables_of_the_notebook(shell: InteractiveShell) -> None:
    run(shell, "more --backend inline --wait --set task.model.kwargs.n=5")
    assert len(shell.user_ns["more"].state.curves["l2.train"].steps) == 5


def test_failure_of_the_users_model_is_in_the_handle(shell: InteractiveShell) -> None:
    run(shell, "bad --backend inline --wait", CELL.replace("{n: 3}", "{fail: too few rows}"))
    assert shell.user_ns["bad"].status == "failed"
    assert shell.user_ns["bad"].error == "ValueError: too few rows"


def test_check_runs_nothing(shell: InteractiveShell, tmp_path: Path) -> None:
    captured = run(shell, "tiny --check")
    assert captured.stdout == "no mistakes found\n"
    assert "tiny" not in shell.user_ns
    assert not list((tmp_path / ".qnb").rglob("request.json"))


def test_every_mistake_is_told_with_its_line_in_the_cell(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError) as raised:
        run(shell, "tiny --check", "market: demo\nmodel:\n  class: LGBModle\nfeatures: Alpha157\n")
    text = str(raised.value)
    assert "line 4: no model 'LGBModle'; did you mean 'LGBModel'" in text
    assert "line 5:" in text
    assert "Alpha158" in text


def test_qdata_takes_what_qnb_data_takes(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path.cwd() / "cache"
    config.use_settings(config.current_settings().with_(cache_dir=folder))
    with capture_output() as captured:
        shell.run_line_magic("qdata", "demo --instruments 12 --years 4")
        shell.run_line_magic("qdata", "cache --limit 3GB")
        shell.run_line_magic("qdata", "cache")
    assert "12 instruments" in captured.stdout
    assert captured.stdout.endswith(2 * f"{folder / 'arrays'}: 0 entries, 0.0 MB of at most 3.0 GB\n")
    with pytest.raises(UsageError, match="invalid choice: 'cash'"):
        shell.run_line_magic("qdata", "cash")


@pytest.mark.parametrize(
    ("magic", "line", "words"),
    [
        ("qshow", "nowhere", "nowhere"),
        ("qstop", "nowhere", "nowhere"),
        ("qruns", "--max many", "--max"),
    ],
)
def test_wrong_use_is_one_message(shell: InteractiveShell, magic: str, line: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        shell.run_line_magic(magic, line)


def test_wrong_option_of_qtask_is_one_message(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="--wiat"):
        run(shell, "tiny --wiat")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="stands in for the owner with a pipe")
def test_qshow_and_qstop_of_a_long_queue(shell: InteractiveShell, tmp_path: Path) -> None:
    make_runs(tmp_path, waiting=30, finished=2, points=4)
    place = Place(tmp_path)
    with Wake(place):  # somebody listens, so no owner is started, who would run what waits
        with capture_output() as shown:
            shell.run_line_magic("qshow", "")
        assert "10 more are going: %qpool lists them" in shown.stdout
        text = " ".join(str(output.data.get("text/plain", "")) for output in shown.outputs)
        assert "waits 0" in text, "the oldest wait in front"
        assert "waits 20" not in text
        with capture_output() as said:
            shell.run_line_magic("qstop", "--all")
        assert said.stdout.count("asked waits") == 30
        assert all(ticket.run.stop_asked() for ticket in place.tickets)
        for name in place.tickets.names():
            place.tickets.remove(name)


def test_qshow_qstop_and_qruns_of_a_run_that_is_over(shell: InteractiveShell) -> None:
    run(shell, "tiny --backend inline --wait")
    run_id = shell.user_ns["tiny"].run_id
    for ref in ("tiny", run_id[:6], ""):
        with capture_output() as shown:
            shell.run_line_magic("qshow", ref)
        assert run_id[:6] in shown.outputs[0].data["text/html"]
    with capture_output() as told:
        shell.run_line_magic("qstop", "tiny")
    assert told.stdout == "tiny is finished already\n"
    with capture_output() as listed:
        shell.run_line_magic("qruns", "")
    assert listed.outputs


def test_variables_of_the_notebook_fill_the_yaml(shell: InteractiveShell) -> None:
    shell.user_ns["steps"] = 4
    run(shell, "filled --backend inline --wait", CELL.replace("n: 3", "n: {{ steps }}"))
    assert len(shell.user_ns["filled"].state.curves["l2.train"].steps) == 4


def test_file_runs_under_its_own_name(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(CELL, encoding="utf-8")
    with capture_output():
        shell.run_line_magic("qtask", "flow.yaml --backend inline --wait")
    assert shell.user_ns["flow"].status == "finished", shell.user_ns["flow"].error
    with pytest.raises(UsageError, match=r"no file 'flw\.yaml'"):
        shell.run_line_magic("qtask", "flw.yaml")


def test_dry_run_says_what_would_run_and_starts_nothing(shell: InteractiveShell, tmp_path: Path) -> None:
    with capture_output() as shown:
        shell.run_cell_magic("qtask", "lgb --dry-run", "market: demo\nmodel: lightgbm\nfeatures: Alpha158\n")
    text = shown.outputs[0].data["text/plain"]
    assert text.startswith("lgb would run; nothing was started.")
    for word in ("LGBModel", "Alpha158", "158", "Data, Fit, Predict", "no like run yet"):
        assert word in text
    assert "lgb" not in shell.user_ns
    assert not list((tmp_path / ".qnb").rglob("request.json"))


def test_class_of_the_notebook_is_told_when_it_is_not_there(shell: InteractiveShell) -> None:
    shell.run_cell(NET)
    with pytest.raises(UsageError, match=r"line \d+: no class 'MyNut' in the notebook; did you mean 'MyNet'"):
        run(shell, "net", CELL.replace("Tiny", "MyNut").replace("tiny.py", "__main__", 1))


@pytest.mark.slow
def test_class_of_the_notebook_runs_in_a_worker(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the pool: by value, with the function it uses, handle awaited, pool shown, run again and stopped."""
    monkeypatch.setenv("QNB_WORKERS", "1")
    shell.run_cell(NET)
    cell = CELL.replace("{class: Tiny, module_path: tiny.py, kwargs: {n: 3}}", "{class: MyNet, module_path: __main__}")
    run(shell, "net", cell)
    shell.run_cell("done = await net")
    handle = shell.user_ns["done"]
    assert handle.status == "finished", handle.error
    assert handle.metrics["l2.train"] == 4.0
    assert handle.state.worker == "worker 1"

    again = current_session().retry(handle).wait(60)
    assert again.run_id != handle.run_id
    assert again.metrics == handle.metrics
    assert again.state.retry_of == handle.run_id

    shell.run_line_magic("qpool", "--workers 2 --memory 3GB")
    deadline = time.monotonic() + 60  # a worker is idle a moment after its run ended
    text = ""
    while "worker 1  Idle" not in text and time.monotonic() < deadline:
        with capture_output() as shown:
            shell.run_line_magic("qpool", "")
        text = shown.outputs[0].data["text/plain"]
    assert text.startswith("Pool: 2 runs at a time, ")
    assert "3.0 GB a worker" in text
    assert "worker 1  Idle" in text
    with capture_output() as told:
        shell.run_line_magic("qstop", "--all")
    assert told.stdout == "nothing is going\n"
    with pytest.raises(UsageError, match="only a waiting run can go next"):
        shell.run_line_magic("qpool", "--next net")
    with pytest.raises(UsageError, match="net is finished; run its cell again"):
        shell.run_line_magic("qresume", "net")
    pool = current_session().pool()
    current_session().close()
    assert pool.wait_gone(30)


def test_overlay_of_several_runs(shell: InteractiveShell) -> None:
    for name in ("one", "two"):
        run(shell, f"{name} --backend inline --wait")
    with capture_output() as shown:
        shell.run_line_magic("qshow", "one two --overlay")
    html = shown.outputs[0].data["text/html"]
    assert "<svg" in html
    assert "one" in html
    assert "two" in html


def test_pool_without_an_owner_and_market_data(shell: InteractiveShell) -> None:
    with capture_output() as shown:
        shell.run_line_magic("qpool", "")
    assert "No worker yet: the pool starts with the first run." in shown.outputs[0].data["text/plain"]
    with pytest.raises(UsageError, match="workers must be 1 or more"):
        shell.run_line_magic("qpool", "--workers 0")
    with pytest.raises(UsageError, match="no duration"):
        run(shell, "tiny --timeout soon")


def test_help_says_what_a_cell_looks_like(shell: InteractiveShell) -> None:
    help_text = shell.find_cell_magic("qtask").__doc__
    assert help_text is not None
    assert "%%qtask lgb" in help_text
    for option in ("--wait", "--dry-run", "--priority", "--retries", "--resume", "{{ name }}", "__main__"):
        assert option in help_text
    assert "--workers" in shell.find_line_magic("qpool").__doc__  # type: ignore[operator]


def test_loading_the_extension_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, json\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_line_magic('load_ext', 'qnb')\n"
        "heavy = ('torch', 'lightgbm', 'mlflow', 'optuna', 'numba', 'jsonschema')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1]) == []
