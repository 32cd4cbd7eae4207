"""Universes: files, spans, what a user may mean by instruments, filters, and the rows they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnb.data.filters import ExpressionDFilter, NameDFilter, filter_from_config
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.data.universe import Universe, read_universe, rows_for, universe_of
from qnb.errors import ConfigError, DataError, EmptyDataError, UnknownNameError

DAYS = [f"2020-01-{d:02d}" for d in range(1, 21)]


@pytest.fixture
def store(tmp_path: Path) -> QlibBinStore:
    """Three instruments over twenty days; CCC begins on the fifth and DDD has no data."""
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "day.txt").write_text("\n".join(DAYS))
    (tmp_path / "instruments").mkdir()
    (tmp_path / "instruments" / "all.txt").write_text(
        "".join(f"{s}\t2019-01-01\t2030-01-01\n" for s in ("AAA", "BBB", "CCC", "DDD"))
    )
    (tmp_path / "instruments" / "some.txt").write_text(
        "BBB\t2020-01-03\t2020-01-05\nAAA\t2020-01-01\t2020-01-04\nBBB\t2020-01-10\t2020-01-12\n"
    )
    for k, (symbol, start) in enumerate([("aaa", 0), ("bbb", 0), ("ccc", 4)]):
        folder = tmp_path / "features" / symbol
        folder.mkdir(parents=True)
        values = np.arange(start, 20, dtype=np.float32) + 100 * k
        np.append(np.float32(start), values).astype("<f4").tofile(folder / "close.day.bin")
    return QlibBinStore(tmp_path)


def shape(rows: Any) -> list[tuple[str, str]]:
    return [(str(d)[:10], rows.instruments[c]) for d, c in zip(rows.dates, rows.codes, strict=True)]


def test_a_file_is_read_with_several_spans(store: QlibBinStore) -> None:
    some = store.universe("some")
    assert some.instruments == ("AAA", "BBB")
    assert [tuple(str(d)[:10] for d in span) for span in some.spans["BBB"]] == [
        ("2020-01-03", "2020-01-05"), ("2020-01-10", "2020-01-12"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", EmptyDataError, "is empty"),
        ("AAA 2020-01-01 2020-01-02\n", DataError, "line 1: expected SYMBOL"),
        ("AAA\t2020-01-01\t2020-01-02\nBBB\t2020-02-01\t2020-01-02\n", DataError, "line 2: BBB ends"),
        ("AAA\tfirst\t2020-01-02\n", DataError, "dates are written as"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, kind: type[Exception], words: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(kind, match=words):
        read_universe(path)


def test_rows_are_the_days_of_membership_with_data(store: QlibBinStore) -> None:
    rows = rows_for("some", store, start="2020-01-02", end="2020-01-10")
    assert shape(rows) == [
        ("2020-01-02", "AAA"), ("2020-01-03", "AAA"), ("2020-01-03", "BBB"), ("2020-01-04", "AAA"),
        ("2020-01-04", "BBB"), ("2020-01-05", "BBB"), ("2020-01-10", "BBB"),
    ]  # fmt: skip
    assert rows.start == 1
    assert rows.members["BBB"] == ((2, 5), (9, 12))  # not cut to the span asked for
    index = rows.index()
    assert index.names == ["datetime", "instrument"]
    assert [(str(d)[:10], s) for d, s in index] == shape(rows)
    assert rows.fingerprint == rows_for("some", store, start="2020-01-02", end="2020-01-10").fingerprint
    assert rows.fingerprint != rows_for("some", store, start="2020-01-03", end="2020-01-10").fingerprint


def test_instruments_without_data_and_days_before_it_are_left_out(store: QlibBinStore) -> None:
    rows = rows_for("all", store)
    assert rows.instruments == ("AAA", "BBB", "CCC")
    assert len(rows) == 20 + 20 + 16
    assert len(rows_for(None, store, end="2020-01-05")) == 5 + 5 + 1
    assert len(rows_for("all", store, fields=["close"])) == 56


def test_a_user_may_mean_many_things(store: QlibBinStore, caplog: pytest.LogCaptureFixture) -> None:
    span = {"AAA": ("2020-01-02", "2020-01-03"), "BBB": [("2020-01-05", "2020-01-05"), ["20200107", "20200108"]]}
    assert len(rows_for(span, store)) == 2 + 1 + 2
    assert len(rows_for(["aaa", "CCC"], store)) == 36
    assert len(rows_for({"market": "some", "filter_pipe": []}, store)) == 10
    assert len(rows_for(store.universe("some"), store)) == 10
    assert len(rows_for(["AAA", "ZZZ"], store)) == 20
    assert "no data for 1 of 2 instruments: ZZZ" in caplog.text


def test_what_is_not_there_is_named(store: QlibBinStore) -> None:
    with pytest.raises(UnknownNameError, match="no universe 'sone'; did you mean 'some'"):
        rows_for("sone", store)
    with pytest.raises(UnknownNameError, match="no instrument 'AAB'; did you mean 'AAA'"):
        rows_for(["AAB"], store)
    with pytest.raises(ConfigError, match="is no universe"):
        rows_for(5, store)


@pytest.mark.parametrize(
    ("instruments", "start", "words"),
    [
        ("some", "2021-01-01", "no trading day between 2021-01-01 and None; the calendar has 2020-01-01 to 2020-01-20"),
        ("some", "2020-01-15", "no instrument is a member between 2020-01-15"),
        (["CCC"], None, "none of its 1 instruments has data between 2020-01-01 and 2020-01-03"),
    ],
)
def test_no_rows_say_why(store: QlibBinStore, instruments: Any, start: Any, words: str) -> None:
    with pytest.raises(EmptyDataError, match=words):
        rows_for(instruments, store, start=start, end=None if start else "2020-01-03")


def test_names_are_filtered(store: QlibBinStore) -> None:
    config = {"filter_type": "NameDFilter", "name_rule_re": "A|C", "filter_start_time": None, "filter_end_time": None}
    assert universe_of("all", store, filters=[config]).instruments == ("AAA", "CCC")
    part = universe_of("all", store, filters=[NameDFilter("A", "2020-01-05", "2020-01-10")])
    spans = [tuple(str(d)[:10] for d in s) for s in part.spans["BBB"]]
    assert spans == [("2020-01-01", "2020-01-04"), ("2020-01-11", "2020-01-20")]  # elsewhere the filter is silent


def test_a_condition_filters_day_by_day(store: QlibBinStore) -> None:
    config = {"filter_type": "ExpressionDFilter", "rule_expression": "$close>110", "keep": False}
    rows = rows_for({"market": "all", "filter_pipe": [config]}, store, start="2020-01-05", end="2020-01-15")
    assert rows.instruments == ("BBB", "CCC")
    assert [d for d, s in shape(rows) if s == "BBB"] == [f"2020-01-{d}" for d in range(12, 16)]
    kept = universe_of("all", store, filters=[ExpressionDFilter("$close>110", keep=True)])
    assert "DDD" in kept.instruments
    assert "AAA" not in kept.instruments


def test_filters_work_one_after_the_other(store: QlibBinStore) -> None:
    filters = [NameDFilter("B|C"), ExpressionDFilter("$close>150")]
    assert universe_of("all", store, filters=filters).instruments == ("CCC",)
    assert [filter_from_config(f.to_config()) for f in filters] == filters


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"filter_type": "NamesDFilter"}, "did you mean 'NameDFilter'"),
        ({"filter_type": "NameDFilter"}, "lacks 'name_rule_re'"),
        ({"filter_type": "NameDFilter", "name_rule_re": "(", "x": 1}, "has no key 'x'"),
        ({"filter_type": "NameDFilter", "name_rule_re": "("}, "no regular expression"),
        ("NameDFilter", "is no filter"),
    ],
)
def test_a_wrong_filter_is_refused(store: QlibBinStore, config: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        universe_of("all", store, filters=[config])


def test_a_universe_is_cut_to_a_span() -> None:
    a, b, c = (np.datetime64(f"2020-01-{d:02d}", "ns") for d in (1, 10, 20))
    universe = Universe("u", {"X": ((a, b),), "Y": ((b, c),)})
    cut = universe.between("2020-01-11", "2020-01-15")
    assert cut.instruments == ("Y",)
    assert str(cut.spans["Y"][0][0])[:10] == "2020-01-11"
