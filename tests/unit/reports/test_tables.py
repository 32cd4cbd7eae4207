"""The tables: texts, order, and the words of each reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from qnb.reports import ReportInput, build_report
from qnb.reports.table import Cell, Column, Table, table_html
from qnb.reports.tables.orders import orders_data, orders_table, reasons_table

Sample = Callable[..., ReportInput]


def order(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "datetime": pd.Timestamp("2020-07-31"), "instrument": "SH601155", "side": "sell", "rank": 254, "score": -0.0661,
        "requested": 200.0, "executed": 200.0, "price": 5.0, "value": 1000.0, "cost": 5.0, "reason": "dropped",
        "held_days": 55, "factor": 0.5, "change": 0.0996, "sent": True,
    }  # fmt: skip
    return row | changes


def reason_of(**changes: object) -> str:
    table = orders_table(orders_data(pd.DataFrame([order(**changes)])), n_drop=5)
    return str(table.to_frame()["Reason"].iloc[0])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "dropped among the 5 lowest held, after 55 days"),
        ({"held_days": 1}, "dropped among the 5 lowest held, after 1 day"),
        ({"side": "buy", "reason": "entered", "rank": 1}, "entered rank 1, fills a free place"),
        (
            {"side": "buy", "reason": "limit_up", "rank": 6, "executed": 0.0},
            "limit up rank 6, closed +9.96\xa0%; not bought",
        ),
        (
            {"reason": "limit_down", "rank": 0, "executed": 0.0, "change": -0.1},
            "limit down closed −10.00\xa0%; not sold",
        ),
        ({"side": "buy", "reason": "suspended", "rank": 9, "executed": np.nan}, "suspended rank 9; not bought"),
        ({"reason": "hold_thresh", "executed": 0.0}, "hold thresh not sold"),
        ({"reason": "a_new_reason"}, "a new reason"),
        ({"reason": None, "executed": 0.0}, "– not sold"),
    ],
)
def test_each_reason_is_put_in_words(changes: dict[str, object], words: str) -> None:
    assert reason_of(**changes) == words


def test_amounts_and_prices_are_the_real_ones() -> None:
    row = orders_table(orders_data(pd.DataFrame([order()])), currency="CNY").to_frame().iloc[0]
    assert (row["Requested"], row["Executed"]) == ("100", "100")
    assert row["Price, CNY"] == "10.00"
    assert row["Value, CNY"] == "−1,000"
    assert row["Score"] == "−0.066"
    whole = orders_table(orders_data(pd.DataFrame([order(factor=np.nan)]))).to_frame().iloc[0]
    assert whole["Requested"] == "200"


def test_a_refused_order_is_shown_without_value_and_cost() -> None:
    frame = pd.DataFrame([order(side="buy", reason="limit_up", executed=0.0, requested=np.nan, price=np.nan)])
    row = orders_table(orders_data(frame)).to_frame().iloc[0]
    assert (row["Requested"], row["Executed"], row["Price"], row["Value"], row["Cost"]) == ("–", "0", "–", "–", "–")


def test_only_the_last_day_is_listed_sells_first_and_by_rank() -> None:
    rows = [
        order(datetime=pd.Timestamp("2020-07-30"), instrument="OLD"),
        order(side="buy", rank=2, instrument="B2"),
        order(side="buy", rank=1, instrument="B1"),
        order(rank=290, instrument="S290"),
        order(rank=254, instrument="S254"),
    ]
    data = orders_data(pd.DataFrame(rows), days=7)
    table = orders_table(data, file="orders.parquet")
    assert table.to_frame()["Instrument"].tolist() == ["S254", "S290", "B1", "B2"]
    assert table.note == (
        "4 requested, 4 executed · 5 executed on 7 days, all in orders.parquet · rank and score are of the day before"
    )


def test_many_orders_are_cut_and_it_is_said() -> None:
    table = orders_table(orders_data(pd.DataFrame([order(rank=k) for k in range(1, 151)])))
    assert len(table.rows) == 100
    assert "the first 100 are shown" in table.note


def test_reasons_are_counted_over_all_days(sample: Sample) -> None:
    orders = sample(days=10).orders
    assert orders is not None
    frame = reasons_table(orders_data(orders), currency="CNY").to_frame()
    assert frame[["Reason", "Side", "Orders", "Executed"]].to_numpy().tolist() == [
        ["dropped", "Sell", "10", "10"],
        ["entered", "Buy", "10", "10"],
        ["limit up", "Buy", "10", "0"],
    ]


def test_the_ledger_may_come_indexed_or_thin(sample: Sample) -> None:
    orders = sample(days=3).orders
    assert orders is not None
    indexed = build_report(sample(days=3, orders=orders.set_index(["datetime", "instrument"])))
    assert indexed.tables["orders"].to_frame().equals(build_report(sample(days=3)).tables["orders"].to_frame())
    thin = orders[["datetime", "instrument", "side", "requested", "executed", "price", "value"]]
    row = build_report(sample(days=3, orders=thin)).tables["orders"].to_frame().iloc[0]
    assert (row["Rank"], row["Score"], row["Cost, CNY"]) == ("–", "–", "–")


def test_columns_of_the_summary_without_a_benchmark(sample: Sample) -> None:
    frame = sample().report
    assert frame is not None
    report = build_report(sample(report=frame.drop(columns="bench"), benchmark=""))
    assert [c.head for c in report.tables["summary"].columns] == ["", "Strategy", "before cost"]
    assert all("benchmark" not in c.head for c in report.tables["worst_drawdowns"].columns)


def test_paths_of_the_worst_drawdowns_share_one_scale(sample: Sample) -> None:
    table = build_report(sample()).tables["worst_drawdowns"]
    spans = {cell.span for row in table.rows for cell in row if cell.spark is not None}
    assert len(spans) == 1
    assert min(table.rows[0][-1].spark) == pytest.approx(spans.pop()[0])  # type: ignore[arg-type]


def test_html_of_a_table_escapes_and_marks_heads() -> None:
    table = Table(
        "t", "<T>", "", (Column("", right=False), Column("<i>", strong=True)),
        ((Cell("<row>"), Cell("1", "<more>", strong=True)),),
    )  # fmt: skip
    html = table_html(table)
    assert "<i>" not in html
    assert "<row>" not in html
    assert "<more>" not in html
    assert '<th scope="row">&lt;row&gt;</th>' in html
    assert html.count('scope="col"') == 2
