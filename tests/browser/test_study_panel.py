"""The panel of a study in a real browser: every tab draws, buttons say what they do, nothing of a study is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qnb.panels.scripts import script, style
from qnb.panels.study_view import study_view
from qnb.tuning import events as ev
from qnb.tuning.objectives import Objective
from qnb.tuning.spec import StudySpec, Validation
from qnb.tuning.state import StudyState
from qnb.tuning.verdict import Verdict

pytestmark = pytest.mark.browser
EVIL = '<img src=x onerror="window.hit=1"><script>window.hit=2</script>'
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def _state(*, test: bool = False, several: bool = False, ended: bool = True) -> StudyState:
    objectives = (Objective("IC", "maximize"), *((Objective("turnover", "minimize"),) if several else ()))
    spec = StudySpec(
        name=EVIL, trials=20, jobs=2, objectives=objectives, validation=Validation(segment="test" if test else "valid")
    )
    space = [
        {"name": f"lr{EVIL}", "kind": "float", "low": 0.01, "high": 1.0, "log": True, "labels": []},
        {"name": "kind", "kind": "choice", "low": 0, "high": 0, "log": False, "labels": ["a", EVIL]},
    ]
    state = StudyState()
    state.apply(ev.StudyStarted(time=0.0, study_id="abcdef123", name=EVIL, spec=spec.to_json(), space=space))
    for number in range(12):
        params = {space[0]["name"]: 0.01 * (number + 1), "kind": EVIL if number % 2 else "a"}
        kind = "failed" if number == 5 else "pruned" if number % 4 == 3 else "complete"
        state.apply(ev.TrialStarted(time=float(number), trial=number, params=params))
        state.apply(ev.JobStarted(time=float(number), trial=number, fold=0, worker=1 + number % 2))
        for step in (5, 10, 15):
            value = 0.01 + step / 1000 + number / 5000
            state.apply(ev.TrialValue(time=number + 0.2, trial=number, fold=0, step=step, value=value))
        values = [0.03 + number / 1000, 0.3 - number / 100][: len(objectives)] if kind == "complete" else []
        state.apply(ev.JobEnded(time=number + 0.9, trial=number, fold=0, worker=1 + number % 2, state=kind))
        state.apply(
            ev.TrialEnded(
                time=number + 0.9, trial=number, state=kind, values=values, metrics={"IC": 0.02}, seconds=0.9, steps=15,
                of=60, message=EVIL if kind == "failed" else "",
            )
        )  # fmt: skip
    state.apply(ev.StudyLog(text=EVIL, level="warning"))
    verdict = Verdict(
        "doubt", "Real signal, arbitrary winner", EVIL, "Take any.", "All.", 0.99, 0.4, 2.0, 1.1, "x", 12, 8
    )
    state.apply(ev.StudyVerdict(verdict=verdict.to_json(), importances={space[0]["name"]: 0.7, "kind": 0.3}))
    if ended:
        state.apply(ev.StudyEnded(time=20.0, status="finished"))
    return state


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield chromium
        chromium.close()


def _open(browser: Any, tmp_path: Path, view: dict[str, Any], *, width: int = 1100) -> tuple[Any, list[str]]:
    js = script("study.js").replace("export default { render };", "window.render = render;")
    css = style("live.css", "study.css")
    data = json.dumps({"view": view, "config": EVIL, "static_class": "q", "promoted": {}}).replace("</", "<\\/")
    page_text = (
        f"<!doctype html><meta charset=utf-8><style>{css}</style><div id=a></div><script>{js}\n"
        f"window.data = {data}; window.sent = []; window.hooks = {{}};\n"
        "window.model = {get: k => data[k], on: (e, f) => { hooks[e] = f; }, send: m => sent.push(m)};\n"
        "render({model, el: document.getElementById('a')});</script>"
    )
    file = tmp_path / "panel.html"
    file.write_text(page_text, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector(".qnb-kpis")
    return page, errors


def test_every_part_is_drawn_and_nothing_of_the_study_runs(browser: Any, tmp_path: Path) -> None:
    page, errors = _open(browser, tmp_path, study_view(_state(), status="finished", now=30.0))
    titles = page.locator(".qnb-fig > .qnb-row > b").all_inner_texts()
    assert titles == ["Optimisation history", "Importance", "Parallel coordinates", "Intermediate values", "Workers"]
    assert page.locator(".qnb-verdict-head b").inner_text() == "Real signal, arbitrary winner"
    assert page.locator(".qnb-trials tbody tr").count() == 12
    assert page.locator(".qnb-trials tbody tr").first.locator("td").first.inner_text() == "10", "the best comes first"
    page.get_by_role("button", name="Promote trial 10 to a cell").click()
    assert page.evaluate("sent") == [{"kind": "promote", "trial": 10}]
    page.evaluate("data.promoted = {trial: 10, text: '%%qtask x\\nmarket: demo'}; hooks['change:promoted']()")
    assert "market: demo" in page.locator(".qnb-cell").inner_text()
    for tab in ("Trials", "Slices", "Log", "Config"):
        page.get_by_role("tab", name=tab).click()
        assert page.get_by_role("tabpanel").count() == 1
    page.get_by_role("tab", name="Trials").click()
    page.get_by_role("searchbox", name="Filter trials").fill("trial > 8 and trial != 10")
    assert page.locator("[role=tabpanel]:visible .qnb-trials tbody tr").count() == 2
    page.get_by_role("tab", name="Trials").press("ArrowRight")
    assert page.locator("[aria-selected=true]").inner_text() == "Slices"
    assert page.locator(".qnb-slices svg").count() == 2
    page.wait_for_timeout(200)
    assert page.evaluate("window.hit") is None
    assert errors == []
    page.close()


@pytest.mark.parametrize("width", [800, 1600])
def test_nothing_is_cut_off_where_a_notebook_is_narrow(browser: Any, tmp_path: Path, width: int) -> None:
    page, errors = _open(browser, tmp_path, study_view(_state(), status="finished", now=30.0), width=width)
    boxes = [b.bounding_box() for b in page.locator(".qnb-act button").all()]
    assert len(boxes) == 8
    assert all(b is not None and b["x"] + b["width"] <= width for b in boxes), "each can be clicked without a scroll"
    assert all(
        b is not None and b["height"] < 34 for b in (k.bounding_box() for k in page.locator(".qnb-kpis b").all())
    )
    tops = {
        round(b["y"])
        for b in (n.bounding_box() for n in page.locator(".qnb-verdict-body > div:not(.qnb-verdict-words)").all())
        if b
    }
    assert len(tops) == 1, "the three figures of the verdict stand side by side"
    path = page.locator(".qnb-fig").first.locator("path.qnb-line").get_attribute("d")
    heights = [float(y) for y in re.findall(r",(-?[\d.]+)", path or "")]
    assert heights
    assert all(0 <= y <= 190 for y in heights), "the line of the best stays within its picture"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert errors == []
    page.close()


def test_a_study_on_the_test_segment_is_red_and_a_running_one_can_be_stopped(browser: Any, tmp_path: Path) -> None:
    view = study_view(_state(test=True, several=True, ended=False), status="running", now=30.0)
    page, errors = _open(browser, tmp_path, view, width=420)
    assert "TEST" in page.get_by_role("alert").inner_text()
    for name in ("Pause", "Stop"):
        page.get_by_role("button", name=f"{name} study").click()
    assert [m["kind"] for m in page.evaluate("sent")] == ["pause", "stop"]
    assert page.locator("text=Pareto front").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert errors == []
    page.close()
