"""Take the pictures of runs and what-if: ``python tests/browser/take_browser_screenshots.py`` writes docs/images.

Three runs on the demo market in a real JupyterLab, so the pictures change when the browser does. A theme may be named:
``... take_browser_screenshots.py Dark /tmp/pictures``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import CHROMIUM, CHROMIUM_FLAGS, Lab, serve
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
TASKS = {
    "linear158": "model: linear\nstrategy: {topk: 30, n_drop: 3}\n",
    "lgb158": "model: {lightgbm: {learning_rate: 0.2, num_leaves: 64, num_boost_round: 80, early_stopping_rounds: 9}}\n"
    "strategy: {topk: 30, n_drop: 3}\n",
    "lgb158_lr005": "model: {lightgbm: {learning_rate: 0.05, num_leaves: 32, num_boost_round: 80, "
    "early_stopping_rounds: 40}}\nstrategy: {topk: 30, n_drop: 3}\n",
}
QUIET = (
    ".jp-cell-toolbar { display: none } .jp-Collapser { visibility: hidden }"
    " .jp-Cell { border-color: transparent !important; box-shadow: none !important }"
    " .jp-Notebook .jp-Cell::before, .jp-Notebook .jp-Cell::after { display: none !important }"
)


def fill(folder: Path) -> None:
    """Run the tasks in `folder`."""
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(f"market: demo\nfeatures: Alpha158\n{text}", encoding="utf-8")
        command = [sys.executable, "-m", "qnb.cli", "run", "-q", f"{name}.yaml", "--experiment", "alpha158"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def show(lab: Lab, name: str, cell: str, theme: str) -> None:
    """Run `cell` in a notebook of its own."""
    lab.open(name, [f"%load_ext qnb\n{cell}"])
    change = f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
    lab.page.evaluate(change)
    lab.page.add_style_tag(content=QUIET)
    lab.command("filebrowser:toggle-main")
    lab.run_cells()


def take_runs(lab: Lab, theme: str, path: Path) -> None:
    """Save the browser with two runs compared."""
    show(lab, "runs.ipynb", "%qruns", theme)
    for name in ("lgb158", "lgb158_lr005"):
        lab.page.get_by_label(f"Select {name}", exact=True).check()
    lab.page.get_by_role("button", name="Compare").click()
    lab.page.wait_for_selector(".qnb-verdict", timeout=30_000)
    time.sleep(1)
    lab.page.locator(".qnb-runs").screenshot(path=str(path), animations="disabled")


def take_what_if(lab: Lab, theme: str, path: Path) -> None:
    """Save the tab What-if with two sliders moved."""
    show(lab, "what_if.ipynb", "%qshow lgb158", theme)
    lab.page.get_by_role("tab", name="What-if").click()
    slider = lab.page.get_by_role("slider", name="Replaced a day (n_drop)")
    slider.wait_for(timeout=30_000)
    slider.focus()
    for _ in range(2):
        lab.page.keyboard.press("ArrowRight")
    lab.page.get_by_label("Deal price").select_option("open")
    time.sleep(2)
    lab.page.mouse.move(5, 5)
    lab.page.locator(".qnb-panel").screenshot(path=str(path), animations="disabled")


def main() -> None:
    """Take every picture."""
    theme = sys.argv[1] if len(sys.argv) > 1 else "Light"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGES
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name))
        with serve(Path(name)) as url, sync_playwright() as play:
            browser = play.chromium.launch(executable_path=str(CHROMIUM), args=list(CHROMIUM_FLAGS))
            page = browser.new_page(viewport={"width": 1240, "height": 1400}, device_scale_factor=1.5)
            lab = Lab(url, Path(name), page)
            take_runs(lab, theme, target / "runs.png")
            take_what_if(lab, theme, target / "what_if.png")
            browser.close()


if __name__ == "__main__":
    main()
