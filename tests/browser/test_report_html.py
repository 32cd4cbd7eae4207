"""The report in a real browser: it asks for nothing, runs nothing of a run, and draws every figure."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.reports import CostTerms, ReportInput, RunFacts, TaskSummary, build_report, report_fragment, write_html

pytestmark = pytest.mark.browser
EVIL = "</script><img src=x onerror=\"window.hit=1\"><script>window.hit=2</script><b onmouseover='window.hit=3'>"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
FIGURES = 11


def given(days: int = 500) -> ReportInput:
    rng = np.random.default_rng(7)
    dates = pd.bdate_range("2018-01-02", periods=days, name="datetime")
    names = [f"SH{600000 + i}" for i in range(20)]
    index = pd.MultiIndex.from_product([dates, names], names=["datetime", "instrument"])
    score = pd.Series(rng.normal(size=len(index)), index=index, name="score")
    label = (score * 0.1 + rng.normal(size=len(index))).to_frame("LABEL0") * 0.02
    report = pd.DataFrame(
        {
            "return": rng.normal(0.001, 0.012, days), "bench": rng.normal(0.0002, 0.01, days), "cost": 0.0002,
            "turnover": 0.2, "account": 1e8, "value": rng.uniform(0.9e8, 1e8, days),
        },
        index=dates,
    )  # fmt: skip
    order = {"datetime": dates[-1], "side": "buy", "rank": 1, "score": 0.2, "requested": 10.0, "executed": 10.0,
             "price": 5.0, "value": 50.0, "cost": 5.0, "held_days": 0, "factor": 1.0, "change": 0.01}  # fmt: skip
    return ReportInput(
        "A report",
        run=RunFacts("run", "experiment", "3f9c2e", "FINISHED", None, 24.0),
        report=report,
        pred=score,
        label=label,
        positions=pd.DataFrame({"datetime": dates, "instrument": "SH600000", "amount": 1.0}),
        orders=pd.DataFrame([order | {"instrument": "SH600000", "reason": "entered"}]),
        benchmark="SH000300",
        costs=CostTerms(0.0005, 0.0015, 5.0),
        task_summary=TaskSummary(topk=50, n_drop=5),
        provenance={"Data": {"Fingerprint": "557a9ef7"}},
        command="qnb reproduce 3f9c2e",
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a chromium on the path")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


class Visit:
    """A page that notes every request, console message and error."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("console", lambda m: self.messages.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.messages.append(str(e)))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def turns(self, expression: str, value: str) -> bool:
        """Wait until `expression` has `value`; the page's own policy forbids Playwright's way, which is eval."""
        for _ in range(100):
            if self.page.evaluate(expression) == value:
                return True
            self.page.wait_for_timeout(100)
        return False

    def drawn(self) -> int:
        self.page.wait_for_selector(".qnb-report[data-drawn]", timeout=30_000)
        return int(self.page.evaluate("document.querySelectorAll('.chart.drawn .main-svg').length > 0 ? "
                                      "document.querySelectorAll('.chart.drawn').length : 0"))  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_html(build_report(given()), tmp_path_factory.mktemp("report") / "report.html")


def test_all_figures_are_drawn_without_a_request_or_a_complaint(browser: Any, page: Path) -> None:
    with Visit(browser, page, viewport={"width": 1200, "height": 900}) as visit:
        assert visit.drawn() == FIGURES
        assert visit.messages == []
        assert [u for u in visit.requests if not u.startswith(page.as_uri())] == []
        labels = visit.page.evaluate(
            "[...document.querySelectorAll('.chart')].map(c => [c.getAttribute('role'), c.getAttribute('aria-label')])"
        )
        assert len(labels) == FIGURES
        assert all(role == "img" and len(label) > 40 for role, label in labels)


def test_text_of_a_run_runs_nothing(browser: Any, tmp_path: Path) -> None:
    whole = given()
    evil = replace(
        whole,
        title=EVIL,
        run=RunFacts(EVIL, EVIL, EVIL, EVIL),
        benchmark=EVIL,
        orders=whole.orders.assign(instrument=EVIL, reason=EVIL),  # type: ignore[union-attr]
        provenance={EVIL: {EVIL: EVIL}},
        task_summary=TaskSummary(sentence=EVIL),
        command=EVIL,
    )
    report = build_report(evil)
    with Visit(browser, write_html(report, tmp_path / "evil.html"), viewport={"width": 1200, "height": 900}) as visit:
        assert visit.drawn() == FIGURES
        box = visit.page.locator("#figure-cumulative .chart").bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        visit.page.wait_for_timeout(300)
        visit.page.locator("#figure-cumulative .as-table").click()
        assert visit.page.evaluate("window.hit") is None
        assert visit.page.locator("img").count() == 0
        assert visit.messages == []
        assert visit.page.locator("h1").inner_text() == EVIL
        assert visit.page.locator("#numbers-cumulative th").nth(2).inner_text() == EVIL
    fragment = tmp_path / "fragment.html"
    fragment.write_text(f"<!doctype html><meta charset=utf-8>{report_fragment(report)}", encoding="utf-8")
    with Visit(browser, fragment) as visit:
        assert visit.page.evaluate("window.hit") is None
        assert visit.page.locator("svg.still").count() == 4


def test_the_page_follows_the_readers_theme(browser: Any, page: Path) -> None:
    colour = ("() => document.querySelector('#figure-cumulative .scatterlayer .trace:nth-child(3) path.js-line')"
              ".style.stroke")  # fmt: skip
    with Visit(browser, page, color_scheme="dark", viewport={"width": 1000, "height": 800}) as visit:
        visit.drawn()
        assert visit.page.evaluate(colour) == "rgb(108, 178, 255)"
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 20, 23)"
        visit.page.emulate_media(color_scheme="light")
        assert visit.turns(colour, "rgb(11, 98, 196)")
        visit.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        assert visit.turns(colour, "rgb(108, 178, 255)")


def test_numbers_of_a_figure_can_be_read_as_a_table(browser: Any, page: Path) -> None:
    with Visit(browser, page, viewport={"width": 1200, "height": 900}) as visit:
        visit.drawn()
        button = visit.page.locator("#figure-drawdown .as-table")
        button.focus()
        visit.page.keyboard.press("Enter")
        rows = visit.page.locator("#numbers-drawdown tbody tr")
        assert rows.count() == 500
        assert rows.nth(0).inner_text().split("\t") == ["2018-01-02", "0.0\xa0%"]
        assert button.get_attribute("aria-expanded") == "true"
        visit.page.keyboard.press("Enter")
        assert visit.page.locator("#numbers-drawdown").is_hidden()


def test_zooming_moves_the_neighbours_and_their_labels(browser: Any, page: Path) -> None:
    def end(visit: Any, name: str) -> str:
        plot = f"document.querySelector('#figure-{name} .js-plotly-plot')"
        return str(visit.page.evaluate(f"{plot}.layout.xaxis.range[1]"))

    with Visit(browser, page, viewport={"width": 1200, "height": 900}) as visit:
        visit.drawn()
        before = visit.page.locator("#figure-drawdown .annotation").last.text_content()
        visit.page.evaluate(
            "Plotly.relayout(document.querySelector('#figure-cumulative .js-plotly-plot'),"
            "{'xaxis.range[0]': '2018-06-01', 'xaxis.range[1]': '2018-12-31'})"
        )
        visit.page.wait_for_timeout(500)
        assert end(visit, "drawdown").startswith("2018-12-31")
        assert end(visit, "rolling").startswith("2018-12-31")
        assert visit.page.locator("#figure-drawdown .annotation").last.text_content() != before
        assert visit.messages == []


@pytest.mark.parametrize("width", [1200, 800, 420])
def test_no_width_scrolls_the_page_sideways(browser: Any, page: Path, width: int) -> None:
    with Visit(browser, page, viewport={"width": width, "height": 900}) as visit:
        visit.drawn()
        assert visit.page.evaluate("document.documentElement.scrollWidth") == width
        over = visit.page.evaluate(
            "[...document.querySelectorAll('.chart .annotation-text, .chart text')].filter(t => {"
            "const r = t.getBoundingClientRect(); return r.width && r.right > innerWidth + 1}).length"
        )
        assert over == 0


def test_without_a_script_the_pictures_stand_in(browser: Any, page: Path) -> None:
    with Visit(browser, page, java_script_enabled=False, viewport={"width": 1200, "height": 900}) as visit:
        assert visit.page.locator("svg.still").count() == FIGURES
        assert visit.page.locator("svg.still").first.is_visible()
        assert visit.page.locator(".as-table").first.is_hidden()


def test_on_paper_no_figure_is_cut(browser: Any, page: Path) -> None:
    with Visit(browser, page, viewport={"width": 702, "height": 1000}, color_scheme="dark") as visit:
        visit.drawn()
        pdf = visit.page.pdf(prefer_css_page_size=True, print_background=True)
        assert pdf.startswith(b"%PDF")
        assert pdf.count(b"/Type /Page\n") in range(3, 6)
        visit.page.emulate_media(media="print", color_scheme="dark")
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert visit.page.evaluate(
            "[...document.querySelectorAll('figure')].every(f => getComputedStyle(f).breakInside === 'avoid'"
            " && f.getBoundingClientRect().height < 1000)"
        )
        assert visit.page.locator("svg.still").first.is_visible()
        assert visit.page.locator(".live").first.is_hidden()
