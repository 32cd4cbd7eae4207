"""Reading files: what dates, numbers, columns and encodings look like in the wild, and what the store gives back."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qnb.data.importers import import_market
from qnb.data.importers.columns import ColumnRequest, resolve_columns
from qnb.data.importers.convert import change_of, convert
from qnb.data.importers.read import stem_of
from qnb.data.importers.times import numbers_to_times, text_to_times
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.data.writer import (
    check_symbol,
    feature_file,
    format_times,
    read_series,
    write_calendar,
    write_series,
    write_universe,
)
from qnb.errors import DataError


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-31", "20200131", "2020/01/31", "2020/1/31", "2020.01.31", "2020-01-31 00:00:00",
        "2020-01-31T00:00:00Z", "2020-01-31 00:00:00-05:00", " 2020-01-31 ", "31/01/2020", "01/31/2020", "31.01.2020",
        "1580428800", "1580428800000",
    ],
)  # fmt: skip
def test_dates_in_the_wild(text: str) -> None:
    assert text_to_times([text])[0] == np.datetime64("2020-01-31")


@pytest.mark.parametrize("text", ["", None, "soon", "2020-13-01", "2020-02-30", "20201", "01/02/2020", "0001-01-01"])
def test_no_dates(text: str | None) -> None:
    assert np.isnat(text_to_times([text])[0])


def test_day_or_month_first_is_seen_in_the_whole_column() -> None:
    assert text_to_times(["01/02/2020", "13/02/2020"])[0] == np.datetime64("2020-02-01")
    assert text_to_times(["01/02/2020", "02/13/2020"])[0] == np.datetime64("2020-01-02")
    assert np.isnat(text_to_times(["13/02/2020", "02/13/2020"])).all()
    assert text_to_times(["01/02/2020"], "%d/%m/%Y")[0] == np.datetime64("2020-02-01")
    assert text_to_times(["2020-01-31 09:31:05.25+08:00"])[0] == np.datetime64("2020-01-31T09:31:05")


def test_numbers_as_dates() -> None:
    found = numbers_to_times(np.array([20200131, 1580428800, 1580428800000, 1580428800000000000, 5, np.nan, 20201399]))
    assert (found[:4] == np.datetime64("2020-01-31")).all()
    assert np.isnat(found[4:]).all()


@given(st.dates(dt.date(1801, 1, 1), dt.date(2199, 12, 31)))
def test_every_date_survives_its_forms(day: dt.date) -> None:
    expected = np.datetime64(day)
    forms = [day.isoformat(), day.strftime("%Y%m%d"), f"{day.year}/{day.month}/{day.day}"]
    assert (text_to_times(forms) == expected).all()
    if day.day > 12:
        assert (text_to_times([day.strftime("%d/%m/%Y"), day.strftime("%d.%m.%Y")]) == expected).all()
        assert text_to_times([day.strftime("%m/%d/%Y")])[0] == expected


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"], "open high low close adjclose volume"),
        (["ts_code", "trade_date", "open", "close", "pct_chg", "vol", "amount"], "open close volume amount"),
        (["timestamp", "o", "h", "l", "c", "v"], "open high low close volume"),
        (["日期", "股票代码", "开盘", "收盘", "成交量", "成交额"], "open close volume amount"),
        (["", "CLOSE_PRICE", "$factor"], "close factor"),
        (["date", "adj_close"], "close"),
    ],
)
def test_usual_column_names(header: list[str], fields: str) -> None:
    assert set(resolve_columns(header, ColumnRequest()).fields) == set(fields.split())


def test_missing_columns_are_named() -> None:
    with pytest.raises(DataError, match=r"no column for the date .*--date-column"):
        resolve_columns(["when", "close"], ColumnRequest())
    with pytest.raises(DataError, match="no column for the close"):
        resolve_columns(["date", "open"], ColumnRequest())
    columns = resolve_columns(["when", "px", "x"], ColumnRequest({"date": "when", "$Close": "PX"}))
    assert (columns.time, columns.fields, columns.ignored) == ("when", {"close": "px"}, ("x",))


def frame() -> pd.DataFrame:
    return pd.DataFrame({"date": ["2020-01-02", "2020-01-03"], "close": [10.5, 11.0], "volume": [1000, 2000]})


@pytest.mark.parametrize(
    "kind",
    ["gz", "semicolon", "tab", "bom", "gb18030", "crlf", "quoted", "index", "parquet index", "zoned", "thousands"],
)
def test_files_in_the_wild(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "in"
    source.mkdir()
    data = frame()
    match kind:
        case "gz":
            (source / "A.csv.gz").write_bytes(gzip.compress(data.to_csv(index=False).encode()))
        case "semicolon":
            data.to_csv(source / "A.csv", index=False, sep=";")
        case "tab":
            data.to_csv(source / "A.tsv", index=False, sep="\t")
        case "bom":
            (source / "A.csv").write_bytes(data.to_csv(index=False).encode("utf-8-sig"))
        case "gb18030":
            named = data.set_axis(["日期", "收盘", "成交量"], axis=1).assign(名称="浦发银行")
            (source / "A.csv").write_bytes(named.to_csv(index=False).encode("gb18030"))
        case "crlf":
            data.to_csv(source / "A.csv", index=False, lineterminator="\r\n")
        case "quoted":
            data.to_csv(source / "A.csv", index=False, quoting=1)
        case "index":
            data.set_index(pd.to_datetime(data.pop("date"))).rename_axis(None).to_csv(source / "A.csv")
        case "parquet index":
            data.set_index(pd.to_datetime(data.pop("date"))).rename_axis("Date").to_parquet(source / "A.parquet")
        case "zoned":
            times = pd.to_datetime(data["date"]).dt.tz_localize("America/New_York")
            data.assign(date=times).to_parquet(source / "A.parquet", index=False)
        case "thousands":
            data.assign(volume=["1,000", "2,000"]).to_csv(source / "A.csv", index=False)
    import_market(source, tmp_path / "store")
    store = QlibBinStore(tmp_path / "store")
    assert store.calendar.astype("datetime64[D]").astype(str).tolist() == ["2020-01-02", "2020-01-03"]
    start, values = store.series("A", "close")  # type: ignore[misc]
    assert (start, values.tolist()) == (0, [10.5, 11.0])
    assert store.series("A", "volume")[1].tolist() == [1000, 2000]  # type: ignore[index]


def test_day_and_month_that_cannot_be_told_apart(tmp_path: Path) -> None:
    source = tmp_path / "A.csv"
    source.write_text("date,close\n01/02/2020,1\n02/02/2020,2\n")
    with pytest.raises(DataError, match=r"row 1, column 'date': '01/02/2020' is no date, or day and month .*--date-fo"):
        import_market(source, tmp_path / "store")
    import_market(source, tmp_path / "store", date_format="%d/%m/%Y")
    assert QlibBinStore(tmp_path / "store").calendar.astype("datetime64[D]").astype(str).tolist() == [
        "2020-02-01",
        "2020-02-02",
    ]


@pytest.mark.parametrize("fault", ["", "late number", "late date", "torn"])
def test_long_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Blocks and chunks made small: the same rows, and faults that show only in a late block."""
    monkeypatch.setattr("qnb.data.importers.read._BLOCK", 500)
    monkeypatch.setattr("qnb.data.importers.partition.CHUNK_ROWS", 70)
    days = pd.bdate_range("2020-01-01", periods=60).strftime("%Y-%m-%d")
    rows = [(d, s, 10 + n + i / 10, 100) for i, d in enumerate(days) for n, s in enumerate("ABC")]
    lines = [f"{d},{s},{c:.1f},{v}" for d, s, c, v in rows]
    if fault == "late number":
        lines[151] = f"{days[50]},B,what,100"
    elif fault == "late date":
        lines[151] = "whenever,B,15.0,100"
    elif fault == "torn":
        lines[151] = "2020-03"
    source = tmp_path / "long.csv"
    source.write_text("\n".join(["date,symbol,close,volume", *lines]) + "\n")
    if fault == "torn":
        with pytest.raises(DataError, match="expected 4 columns, got 1"):
            import_market(source, tmp_path / "store")
        return
    report = import_market(source, tmp_path / "store")
    store = QlibBinStore(tmp_path / "store")
    assert store.instruments() == (["A", "C"] if fault else ["A", "B", "C"])
    assert [b.reason for b in report.bad] == {
        "": [],
        "late number": ["row 152, column 'close': 'what' is not a number"],
        "late date": ["row 152, column 'date': 'whenever' is no date that can be read"],
    }[fault]
    np.testing.assert_allclose(store.series("C", "close")[1], 12 + np.arange(60) / 10, rtol=1e-6)  # type: ignore[index]


def test_stems_and_symbols() -> None:
    assert [stem_of(Path(n)) for n in ("BRK.B.csv", "a.CSV.GZ", "600000.SH.parquet")] == ["BRK.B", "a", "600000.SH"]
    assert check_symbol(" sh600000 ") == "SH600000"
    for wrong in ("", "..", "a/b", "a\\b", "x\ty", "nul\0"):
        with pytest.raises(DataError, match="cannot name a f"):
            check_symbol(wrong)


def test_rows_in_any_order_become_ascending() -> None:
    times = np.array(["2020-01-03", "2020-01-02"], dtype="datetime64[s]")
    bars = convert("A", times, {"close": np.array([3.0, 2.0])})
    assert bars.fields["close"].tolist() == [2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("close", 0.0, "close 0 on 2020-01-03 is not positive"),
        ("open", -2.0, "open -2 on 2020-01-03 is not positive"),
        ("volume", -1.0, "volume -1 on 2020-01-03 is negative"),
        ("close", np.inf, "close inf on 2020-01-03 is infinite"),
        ("factor", 0.0, "factor 0 on 2020-01-03 is not positive"),
    ],
)
def test_values_that_no_store_should_hold(name: str, value: float, says: str) -> None:
    times = np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[s]")
    fields = {n: np.ones(2) for n in ("open", "close", "volume", "factor")}
    fields[name][1] = value
    with pytest.raises(DataError, match=says):
        convert("A", times, fields)


def test_change_in_per_cent_or_money_is_not_believed() -> None:
    times = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[s]")
    close = np.array([10.0, 11.0, 12.1])
    right = convert("A", times, {"close": close, "factor": np.ones(3), "change": np.array([0.02, 0.1, 0.1])})
    assert right.fields["change"].tolist() == pytest.approx([0.02, 0.1, 0.1])
    wrong = convert("A", times, {"close": close, "factor": np.ones(3), "change": np.array([2.0, 10.0, 10.0])})
    assert "change" not in wrong.fields
    assert any("computed instead" in note for note in wrong.notes)


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0.01, 1e6) | st.just(np.nan)))
def test_change_skips_gaps(close: np.ndarray) -> None:
    expected = pd.Series(close).ffill().pct_change().where(~np.isnan(close)).to_numpy(copy=True)
    known = np.flatnonzero(~np.isnan(close))
    if len(known):
        expected[: known[0] + 1] = np.nan
    np.testing.assert_allclose(change_of(close), expected, rtol=1e-9, atol=1e-12)


@st.composite
def markets(draw: st.DrawFn) -> tuple[int, dict[str, tuple[int, np.ndarray]]]:
    days = draw(st.integers(1, 20))
    market = {}
    for symbol in draw(st.lists(st.sampled_from(["A", "B.C", "SH600000", "CON", "X-1"]), min_size=1, unique=True)):
        start = draw(st.integers(0, days - 1))
        values = draw(hnp.arrays(np.float32, st.integers(1, days - start), elements=st.floats(width=32)))
        market[symbol] = start, values
    return days, market


@settings(max_examples=60, deadline=None)
@given(markets())
def test_writer_and_reader_agree(
    tmp_path_factory: pytest.TempPathFactory, given_market: tuple[int, dict[str, tuple[int, np.ndarray]]]
) -> None:
    days, market = given_market
    root = tmp_path_factory.mktemp("store")
    calendar = np.datetime64("2020-01-01") + np.arange(days)
    write_calendar(root, calendar)
    text = format_times(calendar)
    write_universe(root, "all", [(s, text[a], text[a + len(v) - 1]) for s, (a, v) in sorted(market.items())])
    for symbol, (start, values) in market.items():
        path = feature_file(root, symbol, "close")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_series(path, start, values)
    store = QlibBinStore(root)
    np.testing.assert_array_equal(store.calendar, calendar.astype("datetime64[ns]"))
    assert store.instruments() == sorted(market)
    spans = store.universe("all").day_spans(store.calendar)
    for symbol, (start, values) in market.items():
        found = store.series(symbol, "close")
        assert found is not None
        assert found[0] == start
        np.testing.assert_array_equal(found[1], values)
        assert spans[symbol] == [(start, start + len(values))]


@pytest.mark.parametrize(("content", "says"), [(b"", "0 bytes"), (b"abcde", "5 bytes")])
def test_torn_series_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_series(tmp_path / "x.bin")
    np.array([np.nan, 1], dtype="<f4").tofile(tmp_path / "y.bin")
    with pytest.raises(DataError, match="starts at calendar index nan"):
        read_series(tmp_path / "y.bin")
