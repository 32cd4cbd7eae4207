"""The tabs of a finished run in a real JupyterLab: live figures, files, configuration, surroundings, what is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CELL = """\
%%qtask small
market: "demo:instruments=60,years=12"
model: {lightgbm: {num_leaves: 8, num_boost_round: 10, num_threads: 1}}
features:
  MOM5: $close/Ref($close, 5) - 1
  STD10: Std($close/Ref($close, 1), 10)
strategy: {topk: 10, n_drop: 2}"""


MOVED = """async ([root, value]) => {
  const slider = root.querySelector("input[type=range]");
  const sentence = root.querySelector(".qnb-verdict");
  const before = sentence.textContent + root.querySelector("table").textContent;
  const began = performance.now();
  const redrawn = new Promise((done) => {
    const look = () => {
      const now = sentence.textContent + root.querySelector("table").textContent;
      const lines = root.querySelectorAll(".qnb-figures svg:first-of-type .qnb-day-line").length;
      if (now !== before && lines >= 2 && !root.hasAttribute("aria-busy")) done(performance.now() - began);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  slider.value = value;
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  return await redrawn;
}"""


@pytest.fixture(scope="module")
def panel(lab: Lab) -> Any:
    """The panel of a run with a backtest that has finished."""
    lab.open("tabs.ipynb", ["%load_ext qnb", CELL])
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.run_cells()
    found = lab.page.locator(".qnb-panel")
    until(lambda: found.count() and "Finished" in found.inner_text(), seconds=300, what="the run has finished")
    return found


def test_figures_of_the_backtest_are_live(lab: Lab, panel: Any) -> None:
    chosen = panel.get_by_role("tab", name="Backtest")
    until(lambda: chosen.get_attribute("aria-selected") == "true", what="the report, which follows the end by a moment")
    until(lambda: panel.locator(".qnb-report[data-drawn]").count(), what="live figures")
    assert int(panel.locator(".qnb-report").get_attribute("data-drawn")) >= 9
    assert panel.locator("#figure-cumulative .js-plotly-plot .scatterlayer path.js-line").count() >= 4
    cut = (
        "report => [...report.querySelectorAll('figure.wide table')].filter((t) => !t.closest('[hidden]')"
        " && t.scrollWidth > t.closest('figure').clientWidth + 1).map((t) => t.closest('figure').id)"
    )
    assert panel.locator(".qnb-report").evaluate(cut) == [], "no table is cut off"
    button = panel.locator("#figure-cumulative .as-table")
    button.click()
    assert panel.locator("#figure-cumulative .as-numbers tbody tr").count() > 500
    drawn = "() => document.querySelector('#figure-cumulative .js-line').style.stroke"
    light = lab.page.evaluate(drawn)
    change = "name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})"
    lab.page.evaluate(change, "JupyterLab Dark")
    until(lambda: lab.page.evaluate(drawn) != light, what="figures follow the theme")
    lab.page.evaluate(change, "JupyterLab Light")


def test_files_are_listed_and_looked_into(lab: Lab, panel: Any) -> None:
    panel.get_by_role("tab", name="Artifacts").click()
    files = panel.locator(".qnb-files")
    until(lambda: "pred.parquet" in files.inner_text(), what="the list of files")
    files.locator("[data-path='pred.parquet']").click()
    until(lambda: panel.locator(".qnb-look table").count(), what="a look into the table")
    assert panel.locator(".qnb-look thead").inner_text().split() == ["datetime", "instrument", "score"]
    files.locator("[data-path='report/cumulative.json']").click()
    until(lambda: panel.locator(".qnb-look .js-plotly-plot").count(), what="the figure")
    files.locator("[data-path='task.yaml']").click()
    until(lambda: "num_boost_round: 10" in panel.locator(".qnb-look").inner_text(), what="the text")
    lab.page.set_viewport_size({"width": 1000, "height": 1300})  # the panel is drawn anew, and what was read stays
    until(lambda: panel.evaluate("node => node.clientWidth") < 900, what="the narrower panel")
    lab.page.wait_for_timeout(200)
    assert "pred.parquet" in files.inner_text()
    lab.page.set_viewport_size({"width": 1100, "height": 1300})
    with lab.page.expect_download() as download:
        panel.get_by_role("button", name="Save task.yaml").click()
    assert "num_boost_round: 10" in Path(download.value.path()).read_text(encoding="utf-8")


def test_configuration_and_surroundings(panel: Any) -> None:
    panel.get_by_role("tab", name="Config").click()
    until(lambda: panel.locator(".qnb-differences").count(), what="differences to defaults")
    rows = [" ".join(text.split()) for text in panel.locator(".qnb-differences tbody tr").all_inner_texts()]
    assert "LGBModel num_boost_round 10 1000" in rows
    panel.get_by_role("tab", name="Environment").click()
    until(lambda: "lightgbm" in panel.inner_text(), what="packages")


def test_report_is_saved_and_the_cell_copied(lab: Lab, panel: Any) -> None:
    with lab.page.expect_download() as download:
        panel.get_by_role("button", name="Save the report of run small").click()
    assert download.value.suggested_filename.startswith("small-")
    assert "<!DOCTYPE html>" in Path(download.value.path()).read_text(encoding="utf-8")[:100]
    panel.get_by_role("button", name="Copy as a cell").click()
    until(lambda: "paste it into a new cell" in panel.inner_text(), what="the cell is copied")
    assert lab.page.evaluate("() => navigator.clipboard.readText()").strip() == CELL.strip()


def test_numbers_of_the_curves(panel: Any) -> None:
    panel.get_by_role("tab", name="Progress").click()
    panel.get_by_role("button", name="Show as table").click()
    table = panel.locator(".qnb-below table")
    assert table.locator("tbody tr").count() == 10
    assert table.locator("thead").inner_text().split("\t")[0].strip() == "iteration"


def test_sliders_trade_the_same_predictions_otherwise(lab: Lab, panel: Any, yardstick: Callable[[], float]) -> None:
    panel.get_by_role("tab", name="What-if").click()
    sliders = panel.locator(".qnb-whatif")
    until(
        lambda: sliders.count() and sliders.locator(".qnb-day-line").count(), what="the sliders and the run's figures"
    )
    topk = sliders.get_by_label("Names held (topk)", exact=True)
    assert topk.input_value() == "10"
    one = sliders.locator(".qnb-day-line").count()
    seconds = [
        lab.page.evaluate(MOVED, [sliders.element_handle(), str(names)]) / 1000  # another backtest each time
        for names in (5, 20, 7)
    ]
    print("redrawn in", *(f"{s:.3f}s" for s in seconds))
    assert min(seconds) < 50 * (yardstick() + lab.yardstick())
    assert topk.input_value() == sliders.get_by_label("Names held (topk), number").input_value() == "7"
    assert sliders.locator(".qnb-day-line").count() == 2 * one
    head = sliders.locator("table thead").inner_text()
    assert "this run" in head
    assert "what if" in head
    rows = [r.split("\t") for r in sliders.locator("table tbody tr").all_inner_texts()]
    assert any(len(r) == 4 and r[1] != r[2] and r[3].strip() for r in rows), rows
    assert "3 other settings tried on the days of the test" in sliders.inner_text()
    sliders.get_by_role("button", name="Copy as YAML").click()
    shown = sliders.get_by_label("YAML of these settings")
    until(lambda: "topk: 7" in shown.input_value(), what="the YAML with the new value")
    assert "n_drop: 2" in shown.input_value()
    assert lab.page.evaluate("() => navigator.clipboard.readText()").strip() == shown.input_value().strip()
    sliders.get_by_role("button", name="As in the run").click()
    until(lambda: "As the run traded." in sliders.inner_text(), what="the run's own settings again")
    assert sliders.locator(".qnb-day-line").count() == one
