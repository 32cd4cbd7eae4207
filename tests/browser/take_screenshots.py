"""Take the pictures of the documentation: ``python tests/browser/take_screenshots.py`` writes docs/images/panel.png
and backtest.png beside it.

They show the demo market in a real JupyterLab, so they change when the panel does.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from conftest import CHROMIUM, CHROMIUM_FLAGS, Lab, serve, until
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
CELL = """\
%%qtask first
market: demo
model:
  class: LGBModel
  kwargs: {learning_rate: 0.1, num_leaves: 64, num_boost_round: 200, early_stopping_rounds: 30}
features: Alpha158
strategy: {topk: 30, n_drop: 3}"""
ITERATIONS = 26
"""Iterations to wait for before the picture is taken."""
HEIGHT = 1120
"""Of the picture of the backtest, in pixels of the page."""


def take_panel(lab: Lab, theme: str, path: Path) -> None:
    """Save the cell and its panel while the model trains, about 860 px wide."""
    lab.open("panel.ipynb", ["%load_ext qnb", CELL])
    lab.page.evaluate(
        f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
    )
    lab.command("filebrowser:toggle-main")
    lab.run_cells()
    points = "() => (document.querySelector('.qnb-line')?.getAttribute('d') || '').split(/[ML]/).length - 1"
    until(lambda: lab.page.evaluate(points) >= ITERATIONS, seconds=240, what=f"{ITERATIONS} iterations")
    lab.page.add_style_tag(
        content=".jp-cell-toolbar { display: none } .jp-Collapser { visibility: hidden }"
        " .jp-Cell { border-color: transparent !important; outline: none !important; box-shadow: none !important }"
        " .jp-Notebook .jp-Cell::before, .jp-Notebook .jp-Cell::after { display: none !important }"
    )
    lab.page.mouse.move(5, 5)
    cell = lab.page.locator(".jp-CodeCell").nth(1)
    cell.screenshot(path=str(path), animations="disabled")
    lab.page.get_by_role("button", name="Stop run first").click()
    time.sleep(1)
    sys.stdout.write(f"{path} {path.stat().st_size // 1024} KB\n")


def take_backtest(lab: Lab, path: Path) -> None:
    """Save the upper part of the panel once the run has finished, with its live figures."""
    short = CELL.replace("num_boost_round: 200", "num_boost_round: 40").replace("first", "finished")
    lab.open("backtest.ipynb", ["%load_ext qnb", short])
    lab.page.set_viewport_size({"width": 1160, "height": 2400})
    lab.run_cells()
    drawn = lab.page.locator(".qnb-report[data-drawn]")
    until(drawn.count, seconds=240, what="the live figures")
    time.sleep(1)
    lab.page.mouse.move(5, 5)
    box = lab.page.locator(".qnb-panel").bounding_box() or {}
    clip = {**box, "height": min(HEIGHT, box["height"])}
    lab.page.screenshot(path=str(path), clip=clip, animations="disabled")
    sys.stdout.write(f"{path} {path.stat().st_size // 1024} KB\n")


def main() -> None:
    """Take every picture."""
    theme = sys.argv[1] if len(sys.argv) > 1 else "Light"
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGES / "panel.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=list(CHROMIUM_FLAGS))
        page = browser.new_page(viewport={"width": 972, "height": 1100}, device_scale_factor=1.5)
        lab = Lab(url, Path(folder), page)
        take_panel(lab, theme, target)
        take_backtest(lab, target.with_name("backtest.png"))
        browser.close()


if __name__ == "__main__":
    main()
