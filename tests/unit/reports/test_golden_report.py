"""The peer's own backtest on the real market gives the numbers of the published pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.reports import CostTerms, ReportInput, TaskSummary, build_report
from qnb.reports.build import Report

SPACE = "\xa0"


@pytest.fixture(scope="module")
def report(golden: Path) -> Report:
    folder = golden / "lightgbm_alpha158_csi300"
    return build_report(
        ReportInput(
            "LightGBM on Alpha158, CSI 300",
            report=pd.read_parquet(folder / "report_normal_1day.parquet"),
            positions=pd.read_parquet(folder / "positions_normal_1day.parquet"),
            pred=pd.read_parquet(folder / "pred.parquet"),
            label=pd.read_parquet(folder / "label.parquet"),
            benchmark="SH000300",
            costs=CostTerms(0.0005, 0.0015, 5),
            task_summary=TaskSummary(topk=50, n_drop=5),
        )
    )


def test_the_head(report: Report) -> None:
    assert {k.key: k.value for k in report.kpis} == {
        "annual_return": f"+10.6{SPACE}%",
        "ratio": "1.19",
        "drawdown": f"−10.0{SPACE}%",
        "ic": "0.0464",
        "rank_ic": "0.0486",
        "turnover": f"19.5{SPACE}%",
        "volatility": f"8.9{SPACE}%",
        "sortino": "1.76",
        "calmar": "1.06",
        "days_above": f"53.3{SPACE}%",
        "account": f"204.4{SPACE}m",
    }
    captions = {k.key: k.caption for k in report.kpis}
    assert captions["ratio"] == "before cost 1.70"
    assert captions["ic"] == "ICIR 0.378"
    assert captions["rank_ic"] == "rank ICIR 0.404"
    assert captions["turnover"] == f"a day; cost 4.6{SPACE}% a year"
    assert captions["days_above"] == "464 of 871"
    assert captions["account"] == f"from 100.0{SPACE}m{SPACE}CNY"


def test_the_paragraph(report: Report) -> None:
    assert report.summary == (
        f"After cost the strategy beat SH000300 by 10.6{SPACE}% a year from 2017-01-03 to 2020-07-31, "
        f"with an information ratio of 1.19. Its worst excess drawdown was −10.0{SPACE}% and took 152 trading days "
        "from peak to recovery. Holds the 50 highest scores and replaces up to five a day."
    )


def test_daily_ic_is_the_peers(report: Report, golden: Path) -> None:
    folder = golden / "lightgbm_alpha158_csi300"
    ic, data = pd.read_parquet(folder / "ic.parquet")["ic"].to_numpy(), report.data["ic"]
    ric = pd.read_parquet(folder / "ric.parquet")["ric"].to_numpy()
    np.testing.assert_allclose(data.ic, ic, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(data.rank_ic, ric, rtol=1e-9, atol=1e-12)


def test_the_summary(report: Report) -> None:
    frame = report.tables["summary"].to_frame()
    rows = [[cell.replace(SPACE, " ") for cell in row] for row in frame.to_numpy().tolist()]
    assert rows[:10] == [
        ["Return, a year", "+22.0 %", "+11.4 %", "+10.6 %", "+15.2 %"],
        ["Volatility, a year", "22.0 %", "19.0 %", "8.9 %", "8.9 %"],
        ["Sharpe / information ratio", "1.00", "0.60", "1.19", "1.70"],
        ["Sortino", "1.43", "0.84", "1.76", "2.59"],
        ["Max drawdown", "−27.6 %", "−37.0 %", "−10.0 %", "−8.6 %"],
        ["Calmar", "0.80", "0.31", "1.06", "1.77"],
        ["Days above zero", "54 %", "53 %", "53 %", "55 %"],
        ["Months above zero", "63 %", "65 %", "58 %", "65 %"],
        ["Best month", "+23.3 %", "+14.0 %", "+9.3 %", "+9.6 %"],
        ["Worst month", "−10.1 %", "−8.1 %", "−5.4 %", "−5.0 %"],
    ]


def test_the_worst_drawdowns(report: Report) -> None:
    rows = report.tables["worst_drawdowns"].to_frame().to_numpy().tolist()
    assert [[cell.replace(SPACE, " ") for cell in row] for row in rows] == [
        ["1", "−10.0 %", "2018-07-17", "2019-01-31", "2019-03-05", "134", "18", "152", "+11.8 %"],
        ["2", "−9.6 %", "2019-04-03", "2019-08-09", "2020-02-18", "87", "124", "211", "+2.5 %"],
        ["3", "−5.1 %", "2017-05-17", "2017-06-01", "2017-08-15", "9", "53", "62", "+8.5 %"],
        ["4", "−4.7 %", "2020-03-19", "2020-03-31", "2020-04-16", "8", "11", "19", "+6.0 %"],
        ["5", "−4.4 %", "2020-05-11", "2020-05-25", "2020-06-30", "10", "24", "34", "+5.2 %"],
    ]


def test_the_months(report: Report) -> None:
    data = report.data["months"]
    assert (data.values[0] * 100).round(1).tolist() == [-1.1, 1.8, 1.1, 4.5, -2.4, 1.1, 1.4, 0.8, 0.1, -0.9, 0.8, 5.4]
    assert (data.totals * 100).round(1).tolist() == [12.7, 11.6, 2.6, 12.0]
    assert data.sentence == (
        f"25 of 43 months above zero. Best 2019-02 with +9.3{SPACE}%, worst 2019-01 with −5.4{SPACE}%."
    )


def test_the_signal_in_numbers(report: Report) -> None:
    rows = report.tables["signal_numbers"].to_frame().to_numpy().tolist()
    assert [[cell.replace(SPACE, " ") for cell in row] for row in rows] == [
        ["Mean", "0.0464", "0.0486", "2017", "0.0730", "0.0689"],
        ["Standard deviation", "0.1227", "0.1204", "2018", "0.0471", "0.0496"],
        ["ICIR", "0.378", "0.404", "2019", "0.0265", "0.0320"],
        ["t", "11.1", "11.9", "2020", "0.0330", "0.0400"],
        ["Days above zero", "66 %", "66 %", "", "", ""],
    ]


def test_labels_at_the_ends(report: Report) -> None:
    def labels(name: str) -> dict[str, str]:
        return {n: v.replace(SPACE, " ") for n, v, _ in report.figures[name].layout.meta["labels"]}

    assert labels("cumulative") == {
        "before cost": "+97.3 %", "after cost": "+80.4 %", "SH000300": "+41.6 %", "excess, after cost": "+38.9 %",
    }  # fmt: skip
    assert labels("drawdown") == {"now": "−1.1 %"}
    assert labels("rolling") == {"Sharpe": "1.69", "information ratio": "1.54"}
    assert labels("ic") == {"rank IC": "0.039", "IC": "0.025"}
    assert labels("long_short") == {"long-short": "+199 %"}
    assert labels("turnover") == {"turnover": "19.0 %", "cost": "16.9 %"}
    assert labels("holdings") == {"invested": "95 %", "names": "48"}
    assert report.data["autocorrelation"].values[[0, 4, 9, 19]].round(2).tolist() == [0.44, 0.13, 0.10, 0.07]
