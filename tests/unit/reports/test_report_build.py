"""A report of whatever there is: whole, in parts, of one day, of nothing; and the words of its paragraph."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from qnb.reports import ReportInput, TaskSummary, build_report, report_fragment, report_html
from qnb.reports.build import Report

Sample = Callable[..., ReportInput]
PERFORMANCE = ["cumulative", "drawdown", "months", "excess", "rolling"]
SIGNAL = ["ic", "ic_months", "groups", "long_short", "autocorrelation"]


def built(sample: Sample, **changes: object) -> Report:
    return build_report(sample(**changes))  # type: ignore[arg-type]


def kpi(report: Report, key: str) -> str:
    return next(k.value for k in report.kpis if k.key == key)


def test_a_whole_report_has_twelve_numbers_twelve_figures_and_five_tables(sample: Sample) -> None:
    report = built(sample)
    assert [k.key for k in report.kpis] == [
        "annual_return", "ratio", "drawdown", "ic", "rank_ic", "turnover",
        "volatility", "sortino", "calmar", "days_above", "account", "trades",
    ]  # fmt: skip
    assert len(report.figures) == 12
    assert list(report.tables) == ["summary", "worst_drawdowns", "signal_numbers", "orders", "reasons"]
    assert all(k.formula for k in report.kpis)


def test_numbers_of_the_head_are_those_of_the_returns(sample: Sample) -> None:
    report = built(sample)
    frame = report.input.report
    assert frame is not None
    excess = frame["return"] - frame["cost"] - frame["bench"]
    found = {k.key: k.number for k in report.kpis}
    assert found["annual_return"] == pytest.approx(excess.mean() * 238)
    assert found["ratio"] == pytest.approx(excess.mean() / excess.std() * 238**0.5)
    assert found["drawdown"] == pytest.approx((excess.cumsum() - excess.cumsum().cummax()).min())
    assert found["calmar"] == pytest.approx(found["annual_return"] / -found["drawdown"])
    down = np.sqrt((np.minimum(excess, 0) ** 2).mean())
    assert found["sortino"] == pytest.approx(excess.mean() / down * 238**0.5)
    assert kpi(report, "trades") == "600"


def test_compounding_changes_the_numbers(sample: Sample) -> None:
    given = sample()
    report = build_report(given, mode="product")
    frame = given.report
    assert frame is not None
    excess = frame["return"] - frame["cost"] - frame["bench"]
    found = {k.key: k.number for k in report.kpis}
    assert found["annual_return"] == pytest.approx((1 + excess).prod() ** (238 / 300) - 1)
    assert "compounded" in report.figures["cumulative"].layout.meta["note"]


@pytest.mark.parametrize(
    ("missing", "figures"),
    [
        (("report", "positions", "orders"), SIGNAL),
        (("pred", "label"), ["cumulative", "drawdown", "months", "excess", "rolling", "turnover", "holdings"]),
        (
            ("label",),
            ["cumulative", "drawdown", "months", "excess", "rolling", "autocorrelation", "turnover", "holdings"],
        ),
        (("report", "positions", "orders", "pred", "label"), []),
    ],
)
def test_what_a_missing_part_needs_is_left_out(sample: Sample, missing: tuple[str, ...], figures: list[str]) -> None:
    report = built(sample, **dict.fromkeys(missing))
    assert list(report.figures) == figures
    assert "<html" in report_html(report)
    assert "<h1>" in report_fragment(report)


def _nan_days(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[frame.index[3:6], ["return", "bench", "turnover"]] = np.nan
    return frame


def _still(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{"return": 0.0, "cost": 0.0, "bench": 0.0, "turnover": 0.0})


def _ruin(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{"return": -1.0})


def _bare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["return"]]


@pytest.mark.parametrize("days", [1, 3, 70])
@pytest.mark.parametrize("mode", ["sum", "product"])
@pytest.mark.parametrize("change", [None, _nan_days, _still, _ruin, _bare])
def test_odd_returns_make_a_report_all_the_same(
    sample: Sample, days: int, mode: str, change: Callable[[pd.DataFrame], pd.DataFrame] | None
) -> None:
    given = sample(days=days)
    if change is not None:
        given = sample(days=days, report=change(given.report))  # type: ignore[arg-type]
    report = build_report(given, mode=mode)  # type: ignore[arg-type]
    page = report_html(report)
    assert ">nan<" not in page.lower()
    for text in report.figure_json().values():
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in a figure"))


@pytest.mark.parametrize("change", ["constant", "missing", "one instrument"])
def test_odd_scores_make_a_report_all_the_same(sample: Sample, change: str) -> None:
    given = sample(days=40)
    pred = given.pred
    assert isinstance(pred, pd.Series)
    if change == "constant":
        pred = pred * 0
    elif change == "missing":
        pred = pred * np.nan
    else:
        pred = pred[pred.index.get_level_values("instrument") == "SH600000"]
    report = built(sample, days=40, pred=pred)
    assert "cumulative" in report.figures
    assert not {"ic", "ic_months"} & set(report.figures)


def test_an_empty_frame_is_as_good_as_none(sample: Sample) -> None:
    given = sample()
    report = built(sample, report=given.report[:0], orders=given.orders[:0])  # type: ignore[index]
    assert list(report.figures) == SIGNAL
    assert "orders" not in report.tables


def test_without_a_benchmark_the_return_itself_is_judged(sample: Sample) -> None:
    frame = sample().report
    assert frame is not None
    report = built(sample, report=frame.drop(columns="bench"), benchmark="")
    assert "excess" not in report.figures
    assert report.kpis[0].label == "Return, after cost"
    assert report.kpis[1].label == "Sharpe ratio"
    assert "benchmark" not in report.summary
    assert report.summary.startswith("After cost the strategy returned ")


def test_the_paragraph_says_by_how_much_and_names_doubt(sample: Sample) -> None:
    frame = sample().report
    assert frame is not None
    noise = np.tile([0.01, -0.01], 150)
    weak = built(sample, report=frame.assign(**{"return": frame["bench"] + frame["cost"] + noise + 0.0001}))
    assert "beat SH000300 by 2.4\xa0% a year" in weak.summary
    assert "within two standard errors of zero (t 0.2)" in weak.summary
    strong = built(sample, report=frame.assign(**{"return": frame["bench"] + frame["cost"] + noise + 0.005}))
    assert "standard errors" not in strong.summary
    losing = built(sample, report=frame.assign(**{"return": frame["bench"] + frame["cost"] + noise - 0.005}))
    assert "trailed SH000300 by 119.0\xa0% a year" in losing.summary
    assert "has lasted 299 trading days without recovery" in losing.summary
    for word in ("good", "great", "excellent", "strong", "impressive", "solid"):
        assert word not in strong.summary.lower()


def test_a_few_days_are_not_blown_up_to_a_year(sample: Sample) -> None:
    one = built(sample, days=1).summary
    assert "on 2017-01-03. One day is too few to tell it from chance." in one
    assert "a year" not in one
    assert "20 days are too few" in built(sample, days=20).summary


def test_the_paragraph_tells_what_was_done(sample: Sample) -> None:
    assert built(sample).summary.endswith("Holds the 50 highest scores and replaces up to five a day.")
    own = built(sample, task_summary=TaskSummary(sentence="Holds everything, always."))
    assert own.summary.endswith("Holds everything, always.")
    assert "Holds" not in built(sample, task_summary=None).summary


def test_a_signal_alone_is_described_by_its_ic(sample: Sample) -> None:
    report = built(sample, report=None, orders=None, positions=None)
    assert report.summary.startswith("The scores have a mean IC of 0.1")
    assert report.summary.endswith("Nothing was traded.")
    assert [k.key for k in report.kpis] == ["ic", "rank_ic"]


def test_metrics_of_the_recorder_stand_in_for_missing_predictions(sample: Sample) -> None:
    report = built(sample, pred=None, label=None, metrics={"IC": 0.0464, "ICIR": 0.378, "Rank IC": 0.0486})
    assert kpi(report, "ic") == "0.0464"
    captions = {k.key: k.caption for k in report.kpis}
    assert captions["ic"] == "ICIR 0.378"
    assert captions["rank_ic"] == "rank ICIR –"


def test_the_input_is_left_as_it_was(sample: Sample) -> None:
    given = sample()
    before = {name: getattr(given, name).copy() for name in ("report", "positions", "orders", "pred", "label")}
    build_report(given)
    for name, frame in before.items():
        assert getattr(given, name).equals(frame), name


def test_dark_figures_are_drawn_from_the_same_data(sample: Sample) -> None:
    report = built(sample)
    dark = report.drawn("dark")
    assert dark["cumulative"].layout.template.layout.paper_bgcolor == "#111417"
    assert report.drawn("light") is report.figures
    assert build_report(sample(), theme="dark").figures["ic"].to_json() == dark["ic"].to_json()


def test_an_unknown_theme_is_refused(sample: Sample) -> None:
    with pytest.raises(Exception, match="no theme 'sepia'"):
        build_report(sample(days=3), theme="sepia")
