"""The page: one file, nothing from outside, nothing of a run can act in it, and whole without a script."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from qnb.reports import ReportInput, RunFacts, TaskSummary, build_report, report_fragment, report_html, write_html
from qnb.reports.build import Report

Sample = Callable[..., ReportInput]
EVIL = "</script><img src=x onerror=alert(1)><script>alert(2)</script>\"'&{{7*7}}%{y}"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and the text of scripts; checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture
def report(sample: Sample) -> Report:
    return build_report(sample(days=90))


@pytest.fixture
def hostile(sample: Sample) -> Report:
    given = sample(days=90)
    assert given.orders is not None
    orders = given.orders.assign(instrument=EVIL, reason=EVIL, side=EVIL)
    return build_report(
        replace(
            given,
            title=EVIL,
            run=RunFacts(EVIL, EVIL, EVIL, EVIL, None, 1.0),
            segments={EVIL: ("2008-01-01", EVIL)},
            orders=orders,
            benchmark=EVIL,
            currency=EVIL,
            provenance={EVIL: {EVIL: EVIL}},
            task_summary=TaskSummary(sentence=EVIL),
            command=EVIL,
            orders_file=EVIL,
        )
    )


def own_part(page: str) -> str:
    """The page without Plotly's own script, which nothing of a run is part of."""
    return re.sub(r"<script>/\*\*.*?plotly\.js.*?</script>", "<script></script>", page, count=1, flags=re.DOTALL)


def test_the_page_is_well_formed_and_closed(report: Report) -> None:
    page = Page(own_part(report_html(report)))
    assert page.open == []
    assert page.tags["h1"] == 1
    assert page.tags["section"] == 5
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    anchors = [h[1:] for h in page.values("href")]
    assert anchors == ["performance", "signal", "portfolio", "trades", "provenance"]
    assert set(anchors) <= set(ids)
    assert set(page.values("aria-controls")) <= set(ids)
    assert set(page.values("aria-labelledby")) <= set(ids)


def test_nothing_is_loaded_from_elsewhere(report: Report) -> None:
    text = own_part(report_html(report))
    page = Page(text)
    assert not page.values("src")
    assert page.tags["link"] == 0
    assert all(h.startswith("#") for h in page.values("href"))
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_plotly_is_in_the_page_once_and_the_page_is_not_too_large(report: Report) -> None:
    text = report_html(report)
    assert text.count("plotly.js v") == 1
    assert len(text.encode()) < 6_000_000


def test_every_figure_says_what_it_shows(report: Report) -> None:
    text = own_part(report_html(report))
    charts = re.findall(r'<div class="chart" role="img" aria-label="([^"]+)">', text)
    assert len(charts) == len(report.figures) - 1  # the months are a table of their own
    assert all(len(label) > 40 for label in charts)
    assert text.count('class="as-table"') == len(charts)


def test_the_figures_of_the_page_are_readable_json_without_a_tag(report: Report) -> None:
    text = own_part(report_html(report))
    data = re.search(r'class="qnb-figures">(.*?)</script>', text, flags=re.DOTALL)
    assert data is not None
    assert "<" not in data[1]
    specs = json.loads(data[1])
    assert set(specs) == set(report.figures) - {"months"}
    assert len(specs["cumulative"]["data"]) == 4


def test_nothing_of_a_run_becomes_a_tag_or_an_attribute(hostile: Report) -> None:
    for text in (own_part(report_html(hostile)), report_fragment(hostile)):
        page = Page(text)
        assert page.open == []
        assert page.tags["img"] == 0
        assert not [a for a in page.attributes if a[1].startswith("on")]
        assert page.tags["script"] in (0, 4)
        assert EVIL in page.text
        assert "<img" not in text
        assert "onerror=alert(1)>" not in text


def test_nothing_of_a_run_becomes_a_tag_or_a_template_in_a_figure(hostile: Report) -> None:
    for figure in hostile.figures.values():
        text = figure.to_json()
        spec = json.loads(text)
        drawn = [t.get(key, "") for t in spec["data"] for key in ("name", "hovertemplate")]
        drawn += [a["text"] for a in spec["layout"].get("annotations", ())]
        drawn.append(spec["layout"]["title"]["text"])
        for words in drawn:
            assert "<script" not in words
            assert "<img" not in words
            assert words.count("%{y}") <= 1


def test_a_report_is_written_whole_or_not_at_all(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_html(report, tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    before = path.stat().st_size

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_html(report, path)
    assert path.stat().st_size == before
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_the_reader_decides_on_the_theme_unless_the_writer_does(report: Report) -> None:
    assert "data-theme" not in report_html(report).split("<head>")[0]
    assert '<html lang="en" data-theme="dark">' in report_html(report, theme="dark")
    with pytest.raises(Exception, match="no theme 'blue'"):
        report_html(report, theme="blue")


def test_a_report_built_dark_makes_the_same_page(sample: Sample) -> None:
    given = sample(days=30)
    assert report_html(build_report(given, theme="dark")) == report_html(build_report(given))


def test_missing_parts_say_what_to_add(sample: Sample) -> None:
    page = Page(own_part(report_html(build_report(sample(days=40, report=None, orders=None, positions=None)))))
    assert "No backtest: the task has no portfolio record." in page.text
    assert "PortAnaRecord" in page.text
    assert page.tags["section"] == 3
    bare = Page(own_part(report_html(build_report(ReportInput("Nothing yet")))))
    assert "No predictions: the task has no signal record." in bare.text
    assert bare.tags["figure"] == 0


def test_the_fragment_needs_neither_script_nor_network(report: Report) -> None:
    text = report_fragment(report)
    page = Page(text)
    assert page.open == []
    assert page.tags["script"] == 0
    assert not page.values("src")
    assert page.tags["svg"] > 4
    assert page.tags["button"] == 0
    assert "@page" not in text  # it stands in somebody else's page
    assert "+1" in page.text or "−" in page.text
    assert len(text) < 400_000


def test_minus_is_read_aloud(report: Report) -> None:
    page = Page(own_part(report_html(report)))
    assert any(label.startswith("minus ") for label in page.values("aria-label"))


def test_segments_end_where_the_data_ends(sample: Sample) -> None:
    text = own_part(report_html(build_report(sample(days=90))))
    assert "2017-01 to 2017-05" in text
    assert "2008-01 to 2014-12" in text
