"""A JupyterLab server of its own and one chromium a module; a tiny model trains, no market data is needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

CHROMIUM = Path(os.environ.get("QNB_CHROMIUM", "/usr/bin/chromium"))
CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
LAB_FLAGS = (
    "--no-browser", "--allow-root", "--ip=127.0.0.1", "--LabApp.news_url=", "--LabApp.extension_manager=readonly",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.expose_app_in_browser=True",
)  # fmt: skip
TOKEN = "test"
FIXED_WORK = """() => {
  const seconds = [];
  for (let turn = 0; turn < 5; turn++) {
    const began = performance.now();
    const rows = Array.from({length: 200}, (_, k) => ({name: `run ${k}`, value: Math.sin(k)}));
    rows.sort((a, b) => a.value - b.value);
    const table = document.createElement("table");
    table.style.position = "absolute";
    const cells = (row) => `<td>${row.name}</td><td>${row.value}</td>`.repeat(4);
    table.innerHTML = rows.map((row) => `<tr>${cells(row)}</tr>`).join("");
    document.body.append(table);
    table.getBoundingClientRect();
    table.remove();
    seconds.push((performance.now() - began) / 1000);
  }
  return seconds.sort((a, b) => a - b)[2];
}"""
CONTEXT = "window.jupyterapp.shell.currentWidget?.sessionContext"

MODEL = '''
import time
import numpy as np
import pandas as pd
from qnb.errors import RunStopped
from qnb.events import LogLine, MetricLogged, Progress


HOSTILE = "<script>window.hostile = 1</script><img src=x onerror=window.hostile=1>"


class Slow:
    """Counts and logs a falling loss."""

    def __init__(self, n: int = 100, wait: float = 0.1) -> None:
        self.n, self.wait = n, wait

    def fit(self, dataset, context=None):
        best, at = 1e9, 0
        for i in range(1, self.n + 1):
            time.sleep(self.wait)
            valid = 0.99 + 0.006 * np.exp(-i / 8) + 0.00005 * ((i * 7) % 13)
            if valid < best:
                best, at = valid, i
            context.emit(MetricLogged(name="l2.train", value=0.97 + 0.03 * np.exp(-i / 30), step=i))
            context.emit(MetricLogged(name="l2.valid", value=valid, step=i))
            context.emit(Progress(stage="fit", step=i, total=1000, unit="iteration", best_step=at, stop_at=at + 50))
            if i % 5 == 1:
                context.emit(LogLine(text=f"[{i}] {HOSTILE}", stage="fit"))
            if context.should_stop():
                raise RunStopped(f"at iteration {i}")

    def predict(self, dataset, segment="test"):
        return pd.Series(dtype="float32")


class Data:
    """No rows at all."""

    def __init__(self, handler=None) -> None:
        self.segments = {}

    def prepare(self, segments, **kwargs): ...
'''


def task(name: str, n: int, wait: float) -> str:
    """Return a cell that trains the tiny model for `n` steps of `wait` seconds."""
    return (
        f"%%qtask {name}\nqlib_init: {{provider_uri: demo, recorder_uri: 'memory:x'}}\ntask:\n"
        f"  model: {{class: Slow, module_path: tiny_model.py, kwargs: {{n: {n}, wait: {wait}}}}}\n"
        "  dataset: {class: Data, module_path: tiny_model.py}\n  record: []\n"
    )


@dataclass(frozen=True, slots=True)
class Lab:
    """A running server and a browser page."""

    url: str
    folder: Path
    page: Any

    def open(self, name: str, cells: list[str]) -> None:
        """Write a notebook of `cells` and show it with a kernel of its own."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)
        self.show(name)

    def show(self, name: str) -> None:
        """Load the page of notebook `name` anew and wait for its kernel."""
        self.page.goto(f"{self.url}/lab/tree/{name}?token={TOKEN}&reset", timeout=120_000)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120_000)
        self._kernel_ready()

    def command(self, name: str) -> None:
        """Run a command of JupyterLab."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def run_cells(self) -> None:
        """Run all cells without waiting for them."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def wait_idle(self) -> None:
        """Wait until the kernel has done all that it was given."""
        self._kernel_ready()

    def compute(self) -> tuple[str, Path]:
        """Return a cell that computes until the file which is returned, too, is there (five minutes at most)."""
        go_on = self.folder / f"go_on_{time.monotonic_ns()}"
        wait = f"not os.path.exists({str(go_on)!r}) and time.time() < end"
        return f"import os, time\nend = time.time() + 300\nwhile {wait}:\n    sum(range(10_000))", go_on

    def yardstick(self) -> float:
        """Return the seconds that a fixed piece of work takes in the page here and now; 0.01 on an idle machine."""
        return float(self.page.evaluate(FIXED_WORK))

    def restart_kernel(self) -> None:
        """Restart the notebook's kernel and wait until it is idle."""
        self.page.evaluate(f"async () => {{ await {CONTEXT}.session.kernel.restart(); }}")
        self._kernel_ready()

    def _kernel_ready(self) -> None:
        ready = f"() => window.jupyterapp && {CONTEXT}?.isReady && {CONTEXT}.session?.kernel?.status === 'idle'"
        self.page.wait_for_function(ready, timeout=120_000)


def until(condition: Callable[[], Any], *, what: str, seconds: float = 60) -> Any:
    """Return the first true value of `condition`; fail with `what` after `seconds`, which no sound run ever takes."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"after {seconds:g}s still not: {what}")
        time.sleep(0.05)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab in a fresh folder with the tiny model, seen through one chromium page."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    pytest.importorskip("jupyterlab", reason="needs jupyterlab (pip install qnb[lab])")
    if not CHROMIUM.exists():
        pytest.skip(f"needs chromium at {CHROMIUM} (set QNB_CHROMIUM)")
    folder = tmp_path_factory.mktemp("lab")
    with serve(folder) as url, playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=list(CHROMIUM_FLAGS))
        try:
            yield Lab(url, folder, browser.new_page(viewport={"width": 1100, "height": 1300}))
        finally:
            browser.close()


class serve:
    """Run a JupyterLab server in `folder`; its address is what ``with`` gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
        (self._folder / "tiny_model.py").write_text(MODEL, encoding="utf-8")
        home = self._folder / "home"
        home.mkdir()
        quiet = home / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
        quiet.parent.mkdir(parents=True)
        quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8")
        env = os.environ | {
            "QNB_WORKERS": "1", "JUPYTER_CONFIG_DIR": str(home), "JUPYTER_DATA_DIR": str(home),
            "JUPYTER_RUNTIME_DIR": str(home), "IPYTHONDIR": str(home), "JUPYTERLAB_SETTINGS_DIR": str(home),
            "JUPYTERLAB_WORKSPACES_DIR": str(home),
        }  # fmt: skip
        self._log = (self._folder / "server.log").open("wb")
        for _ in range(3):  # another process may take the free port first
            port = self._start(env)
            until(lambda port=port: _listens(port) or self._process.poll() is not None, seconds=120, what="a server")
            if self._process.poll() is None:
                return f"http://127.0.0.1:{port}"
        pytest.fail((self._folder / "server.log").read_text()[-4000:])

    def _start(self, env: dict[str, str]) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "jupyter", "lab", *LAB_FLAGS, f"--port={port}", "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={self._folder}",
            ],
            cwd=self._folder, env=env, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return port

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
