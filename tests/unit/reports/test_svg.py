"""The static pictures: inside their frame, in the page's colours, with the same words as the live figures."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from qnb.reports import ReportInput, build_report
from qnb.reports.svg import figure_svg, sparkline

Sample = Callable[..., ReportInput]
DRAWN = ("cumulative", "drawdown", "excess", "rolling", "ic", "ic_months", "groups", "long_short", "autocorrelation",
         "turnover", "holdings")  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("days", [1, 45, 700])
def test_a_picture_is_xml_with_its_marks_inside(name: str, days: int, sample: Sample) -> None:
    figures = build_report(sample(days=days)).figures
    if name not in figures:  # too few days for it
        assert (name, days) in {("rolling", 1), ("rolling", 45), ("autocorrelation", 1)}
        return
    root = ET.fromstring(figure_svg(figures[name], width=440))
    assert root.get("aria-hidden") == "true"
    height = float(root.get("height", "0"))
    assert height == figures[name].layout.height - 34
    texts = [t for t in root.iter() if t.tag == "text"]
    assert texts
    for text in texts:
        assert -5 <= float(text.get("x", "0")) <= 445
        assert 0 <= float(text.get("y", "0")) <= height + 2
    for path in root.iter("path"):
        for x in re.findall(r"[ML](-?[\d.]+),", path.get("d", "")):
            assert -1 <= float(x) <= 441


def test_colours_are_variables_of_the_page(sample: Sample) -> None:
    svg = figure_svg(build_report(sample()).figures["cumulative"], width=880)
    for variable in ("--qnb-run", "--qnb-excess", "--qnb-before", "--qnb-benchmark", "--qnb-text", "--qnb-muted"):
        assert f"var({variable}," in svg
    assert re.search(r'(fill|stroke)="#', svg) is None


def test_labels_say_what_the_live_figure_says(sample: Sample) -> None:
    figure = build_report(sample()).figures["cumulative"]
    words = "".join(ET.fromstring(figure_svg(figure, width=880)).itertext())
    for name, value, _ in figure.layout.meta["labels"]:
        assert f"{name} {value}" in words


@pytest.mark.parametrize(
    ("days", "some"),
    [(20, "Jan 02"), (150, "Mar 2017"), (700, "2018"), (3000, "2022")],
)
def test_dates_are_marked_by_days_months_or_years(days: int, some: str, sample: Sample) -> None:
    figure = build_report(sample(days=days, pred=None, label=None)).figures["cumulative"]
    words = list(ET.fromstring(figure_svg(figure, width=880)).itertext())
    assert some in words


def test_a_sparkline_is_as_deep_as_its_value_on_the_common_scale() -> None:
    shallow, deep = (ET.fromstring(sparkline([0.0, v, 0.0], low=-0.1, high=0.0, height=20)) for v in (-0.05, -0.1))
    bottoms = []
    for root in (shallow, deep):
        line = root.findall("path")[1].get("d", "")
        bottoms.append(max(float(y) for y in re.findall(r",([\d.]+)", line)))
    assert bottoms == [10.0, 18.0]
    assert sparkline([]) == ""
    assert sparkline([float("nan")]) == ""
