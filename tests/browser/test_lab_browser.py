"""The experiment browser, what-if and the help in cells, in a real JupyterLab."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Lab, until

pytestmark = pytest.mark.browser

HOSTILE = "<script>window.hostile = 1</script><img src=x onerror=window.hostile=1>"
FILL = f"""
import sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[1] / "unit" / "panels")!r})
import conftest
from qnb.config import Settings, use_settings
from qnb.recorder import R
use_settings(Settings().with_(recorder_uri="sqlite:///browse.db"))
for k, name in enumerate(("alpha", "beta", "gamma"), start=1):
    conftest.finished_run(name, seed=k, like=0.5)
with R.start(experiment_name={HOSTILE!r}, recorder_name={HOSTILE!r}):
    R.log_params(**{{"model.class": {HOSTILE!r}, "lr": {HOSTILE!r}}})
    R.set_tags(note={HOSTILE!r})
"""
OPEN = "%load_ext qnb\n%qruns --uri sqlite:///browse.db"


@pytest.fixture(scope="module", autouse=True)
def store(lab: Lab) -> Iterator[None]:
    """Four runs in a store of the server's folder, one with markup wherever text can be."""
    import subprocess

    subprocess.run([sys.executable, "-W", "ignore", "-c", FILL], cwd=lab.folder, check=True, timeout=250)
    shutil.copy(lab.folder / "browse.db", lab.folder / "change.db")
    yield
    shutil.rmtree(lab.folder / "mlruns", ignore_errors=True)


@pytest.fixture
def browser(lab: Lab) -> Lab:
    """A notebook that shows the browser anew."""
    return _browse(lab)


def _browse(lab: Lab, store: str = "browse.db") -> Lab:
    lab.open("browse.ipynb", [OPEN.replace("browse.db", store)])
    lab.run_cells()
    lab.page.wait_for_selector(".qnb-runs-table tbody tr[data-i]", timeout=60_000)
    return lab


def _names(lab: Lab) -> list[str]:
    return [n.strip() for n in lab.page.locator(".qnb-runs-table .qnb-name").all_inner_texts()]


def _focused(lab: Lab) -> str:
    return lab.page.evaluate("() => document.activeElement.querySelector?.('.qnb-name')?.textContent || ''")


def test_typing_filters_and_a_bad_filter_says_where(browser: Lab) -> None:
    box = browser.page.get_by_label("Filter runs")
    box.fill("gam")
    until(lambda: _names(browser) == ["gamma"], what="only gamma")
    box.fill("metrics.IC >= 0.02")
    until(lambda: _names(browser) == ["gamma", "beta"], what="two runs by a metric")
    box.fill("metrics.IC >")
    until(lambda: browser.page.locator(".qnb-error").is_visible(), what="the error")
    assert "column 13" in browser.page.locator(".qnb-error").inner_text()
    box.fill("")
    until(lambda: len(_names(browser)) == 4, what="all runs again")
    assert not browser.page.locator(".qnb-error").is_visible()
    browser.page.get_by_role("button", name="IC", exact=True).click()
    until(lambda: _names(browser)[:3] == ["gamma", "beta", "alpha"], what="sorted by IC")


def test_by_keyboard_from_the_filter_to_a_comparison(browser: Lab) -> None:
    page = browser.page
    page.get_by_label("Filter runs").fill("study")
    until(lambda: len(_names(browser)) == 3, what="three runs")
    page.get_by_label("Filter runs").press("ArrowDown")
    until(lambda: _focused(browser) == "gamma", what="the focus on the first run")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    until(lambda: _focused(browser) == "beta", what="the focus on the second run")
    page.keyboard.press("c")
    until(lambda: page.locator(".qnb-compare .qnb-day-line").count() >= 6, what="three figures of two lines")
    text = page.locator(".qnb-compare").inner_text()
    assert "Predictions correlate" in text
    assert "their difference is" in text
    assert page.locator(".qnb-best-value").count() >= 1
    page.get_by_role("button", name="Show as table").first.click()
    assert page.locator(".qnb-numbers table").first.is_visible()
    page.keyboard.press("Escape")
    until(lambda: not page.locator(".qnb-compare").is_visible(), what="Escape closes the comparison")


def test_nothing_hostile_runs_and_all_of_it_is_shown_as_text(browser: Lab) -> None:
    page = browser.page
    hostile = page.locator("tr", has=page.locator(".qnb-name", has_text="window.hostile"))
    until(lambda: HOSTILE in hostile.inner_text(), what="its name as text")
    hostile.locator(".qnb-name").click()
    until(lambda: "Written by plain MLflow" in page.locator(".qnb-opened").inner_text(), what="its details")
    page.locator(".qnb-opened summary", has_text="Params").click()
    until(lambda: HOSTILE in page.locator(".qnb-opened").inner_text(), what="its params as text")
    for name in ("window.hostile", "alpha"):
        page.locator("tr", has=page.locator(".qnb-name", has_text=name)).locator("input").check()
    page.get_by_role("button", name="Compare").click()
    until(lambda: page.locator(".qnb-verdict").count(), what="the comparison")
    page.get_by_role("button", name="Delete…").click()
    until(lambda: page.get_by_role("alertdialog").count(), what="the question")
    assert HOSTILE in page.get_by_role("alertdialog").inner_text()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="+ Add").click()
    page.wait_for_selector(".qnb-picker-list button")
    assert page.evaluate("() => window.hostile === undefined")
    assert page.locator(".qnb-runs img").count() == 0


def test_tag_rename_and_delete_with_confirmation(lab: Lab) -> None:
    browser = _browse(lab, "change.db")  # a store of its own: other tests count the runs of theirs
    page = browser.page
    row = page.locator("tr", has=page.locator(".qnb-name", has_text="alpha"))
    row.locator("input").check()
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_label("Tag", exact=True).fill("baseline")
    page.get_by_role("button", name="Set tag").click()
    until(lambda: "baseline" in row.inner_text(), what="the tag")
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill("omega")
    page.get_by_label("New name").press("Enter")
    until(lambda: "omega" in _names(browser), what="the new name")
    page.get_by_role("button", name="Delete…").click()
    until(lambda: page.get_by_role("alertdialog").count(), what="the question")
    assert "Delete run: omega?" in page.get_by_role("alertdialog").inner_text()
    assert page.evaluate("() => document.activeElement.textContent") == "Cancel"
    page.keyboard.press("Escape")
    time.sleep(0.3)
    assert "omega" in _names(browser)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete run").click()
    until(lambda: "omega" not in _names(browser), what="the run is gone")
    assert len(_names(browser)) == 3


def test_browsing_goes_on_while_a_cell_computes(lab: Lab) -> None:
    computing, go_on = lab.compute()
    lab.open("busy.ipynb", [OPEN, computing])
    lab.run_cells()
    lab.page.wait_for_selector(".qnb-runs-table tbody tr[data-i]", timeout=60_000)
    prompt = lab.page.locator(".jp-CodeCell .jp-InputPrompt").nth(1)
    until(lambda: prompt.inner_text().strip() == "[*]:", what="the second cell computes")
    lab.page.get_by_label("Filter runs").fill("beta")
    until(lambda: _names(lab) == ["beta"], what="the filter works meanwhile")
    assert prompt.inner_text().strip() == "[*]:"
    go_on.touch()


def test_a_reload_shows_the_static_table(browser: Lab) -> None:
    browser.command("docmanager:save")
    browser.restart_kernel()
    browser.show("browse.ipynb")
    static = browser.page.locator(".qnb-static")
    static.wait_for(timeout=60_000)
    assert "gamma" in static.inner_text()
    assert HOSTILE in static.inner_text()
    assert browser.page.locator(".qnb-runs").count() == 0
    assert browser.page.evaluate("() => window.hostile === undefined")


def test_completion_and_help_in_a_cell(lab: Lab) -> None:
    lab.open("complete.ipynb", ["%load_ext qnb", "%%qtask a --check\nmodel:\n  class: LGB"])
    page = lab.page
    lab.run_cells()
    until(lambda: page.locator(".jp-InputPrompt").nth(1).inner_text().strip() == "[2]:", what="both cells have run")
    lab.wait_idle()
    editor = page.locator(".jp-CodeCell .cm-content").nth(1)
    editor.click()

    def completed() -> bool:  # JupyterLab waits a second for the kernel, then completes without it
        page.keyboard.press("Escape")
        editor.click()
        page.keyboard.press("Control+End")
        page.keyboard.press("Tab")
        page.wait_for_timeout(1500)
        shown = page.locator(".jp-Completer:visible")
        return shown.count() > 0 and "LGBModel" in shown.inner_text()

    until(completed, what="the class is offered")
    page.keyboard.press("Enter")
    until(lambda: "LGBModel" in editor.inner_text(), what="the class is completed")
    page.keyboard.press("Shift+Tab")
    page.wait_for_selector(".jp-Tooltip", timeout=60_000)
    assert "model LGBModel (short: lightgbm)" in page.locator(".jp-Tooltip").inner_text()
