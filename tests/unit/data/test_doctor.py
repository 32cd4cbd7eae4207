"""The data doctor: every planted fault is found, a clean store has none, and the report says what to do."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from qnb.data.demo import INDEX, ensure_demo
from qnb.data.doctor import CHECKS, SEVERITIES, DoctorReport, Finding, Limits, check_store
from qnb.data.writer import feature_file, read_series, write_series
from qnb.errors import DataError

Plant = Callable[[Path], None]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_demo(instruments=30, years=2, seed=5, cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def store(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "store"))


def whole_symbols(store: Path) -> list[str]:
    """Instruments that have a price on every day."""
    found = []
    days = len((store / "calendars" / "day.txt").read_text().split())
    for folder in sorted((store / "features").iterdir()):
        start, close = read_series(folder / "close.day.bin")
        if start == 0 and len(close) == days and np.isfinite(close).all() and folder.name != INDEX.lower():
            found.append(folder.name.upper())
    return found


def change(store: Path, symbol: str, field: str, where: int | slice, value: float) -> None:
    path = feature_file(store, symbol, field)
    start, values = read_series(path)
    values = values.copy()
    values[where] = value
    write_series(path, start, values)


def scale(store: Path, symbol: str, fields: tuple[str, ...], where: slice, factor: float) -> None:
    for field in fields:
        path = feature_file(store, symbol, field)
        start, values = read_series(path)
        values = values.copy()
        values[where] *= factor
        write_series(path, start, values)


PRICES = ("open", "high", "low", "close", "vwap")


def test_clean_store_has_nothing(clean: Path) -> None:
    report = check_store(clean)
    assert report.findings == ()
    assert report.exit_status == 0
    assert "Nothing to complain about" in str(report)
    assert report.facts["instruments"] == "31"


def test_default_demo_market_has_nothing(tmp_path: Path) -> None:
    assert check_store(ensure_demo(years=4, cache_dir=tmp_path)).findings == ()


def plant_zero(s: Path) -> None:
    change(s, whole_symbols(s)[0], "low", 50, 0.0)


def plant_infinite(s: Path) -> None:
    change(s, whole_symbols(s)[0], "volume", 50, np.inf)


def plant_high_below_low(s: Path) -> None:
    change(s, whole_symbols(s)[0], "high", slice(50, 53), 0.01)


def plant_outside(s: Path) -> None:
    scale(s, whole_symbols(s)[0], ("open",), slice(50, 52), 1.4)


def plant_negative_volume(s: Path) -> None:
    change(s, whole_symbols(s)[0], "volume", 50, -5.0)


def plant_bad_factor(s: Path) -> None:
    change(s, whole_symbols(s)[0], "factor", 50, 0.0)


def plant_split(s: Path) -> None:
    scale(s, whole_symbols(s)[0], PRICES, slice(0, 100), 2.0)


def plant_factor_jump(s: Path) -> None:
    scale(s, whole_symbols(s)[0], (*PRICES, "factor"), slice(0, 100), 3.0)


def plant_jump(s: Path) -> None:
    scale(s, whole_symbols(s)[0], PRICES, slice(0, 100), 1 / 1.77)


def plant_jump_after_gap(s: Path) -> None:
    symbol = whole_symbols(s)[0]
    scale(s, symbol, PRICES, slice(0, 100), 1 / 2.6)
    for field in (*PRICES, "volume", "amount", "factor", "change", "oracle"):
        change(s, symbol, field, slice(100, 120), np.nan)


def plant_change(s: Path) -> None:
    change(s, whole_symbols(s)[0], "change", slice(50, 60), 0.09)


def plant_factor_unknown(s: Path) -> None:
    change(s, whole_symbols(s)[0], "factor", slice(50, 60), np.nan)


def plant_partial(s: Path) -> None:
    change(s, whole_symbols(s)[0], "volume", slice(50, 60), np.nan)


def plant_no_trade(s: Path) -> None:
    change(s, whole_symbols(s)[0], "volume", slice(50, 60), 0.0)


def plant_stale(s: Path) -> None:
    symbol = whole_symbols(s)[0]
    close = read_series(feature_file(s, symbol, "close"))[1][50]
    for field in PRICES:
        change(s, symbol, field, slice(50, 80), float(close))
    change(s, symbol, "change", slice(51, 80), 0.0)


def plant_idle(s: Path) -> None:
    plant_stale(s)
    change(s, whole_symbols(s)[0], "volume", slice(50, 80), 0.0)


def plant_gap(s: Path) -> None:
    symbol = whole_symbols(s)[0]
    for field in (*PRICES, "volume", "amount", "factor", "change", "oracle"):
        change(s, symbol, field, slice(50, 250), np.nan)


def plant_all_nan(s: Path) -> None:
    change(s, whole_symbols(s)[0], "amount", slice(None), np.nan)


def plant_missing_field(s: Path) -> None:
    feature_file(s, whole_symbols(s)[0], "vwap").unlink()


def plant_truncated(s: Path) -> None:
    path = feature_file(s, whole_symbols(s)[0], "close")
    path.write_bytes(path.read_bytes()[:-3])


def plant_empty_file(s: Path) -> None:
    feature_file(s, whole_symbols(s)[0], "close").write_bytes(b"")


def plant_bad_start(s: Path) -> None:
    path = feature_file(s, whole_symbols(s)[0], "close")
    write_series(path, 100_000, read_series(path)[1])


def plant_negative_start(s: Path) -> None:
    path = feature_file(s, whole_symbols(s)[0], "close")
    write_series(path, -1, read_series(path)[1])


def plant_too_long(s: Path) -> None:
    folder = feature_file(s, whole_symbols(s)[0], "close").parent
    for path in folder.iterdir():
        start, values = read_series(path)
        write_series(path, start, np.append(values, values[-1:]))


def plant_misaligned(s: Path) -> None:
    path = feature_file(s, whole_symbols(s)[0], "volume")
    start, values = read_series(path)
    write_series(path, start + 1, values[1:])


def plant_no_data(s: Path) -> None:
    (s / "features" / "empty").mkdir()


def plant_upper_case(s: Path) -> None:
    symbol = whole_symbols(s)[0]
    (s / "features" / symbol.lower()).rename(s / "features" / symbol)


def plant_twins(s: Path) -> None:
    one, other = whole_symbols(s)[:2]
    for field in (*PRICES, "change"):
        shutil.copy(feature_file(s, one, field), feature_file(s, other, field))


def plant_dead_day(s: Path) -> None:
    for folder in (s / "features").iterdir():
        for path in folder.iterdir():
            start, values = read_series(path)
            if start <= 70 < start + len(values):
                values = values.copy()
                values[70 - start] = np.nan
                write_series(path, start, values)


def edit_lines(path: Path, edit: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(f"{line}\n" for line in edit(path.read_text().splitlines())))


def plant_duplicate_day(s: Path) -> None:
    edit_lines(s / "calendars" / "day.txt", lambda lines: [*lines[:41], *lines[40:-1]])


def plant_unsorted(s: Path) -> None:
    edit_lines(s / "calendars" / "day.txt", lambda x: [*x[:40], x[41], x[40], *x[42:]])


def plant_unreadable_day(s: Path) -> None:
    edit_lines(s / "calendars" / "day.txt", lambda x: [*x[:40], "soon", *x[41:]])


def plant_weekend(s: Path) -> None:
    edit_lines(s / "calendars" / "day.txt", lambda x: [*x[:4], "2019-01-12", *x[5:]])


def plant_no_calendar(s: Path) -> None:
    (s / "calendars" / "day.txt").unlink()


def plant_empty_calendar(s: Path) -> None:
    (s / "calendars" / "day.txt").write_text("\n")


def plant_calendar_gap(s: Path) -> None:
    edit_lines(s / "calendars" / "day.txt", lambda x: [f"{int(d[:4]) + 5}{d[4:]}" if d > "2020-06" else d for d in x])


def append(s: Path, file: str, line: str) -> None:
    with (s / file).open("a") as out:
        out.write(line)


def plant_ghost(s: Path) -> None:
    append(s, "instruments/demo.txt", "GHOST\t2019-01-04\t2020-01-03\n")


def plant_reversed(s: Path) -> None:
    append(s, "instruments/demo.txt", f"{whole_symbols(s)[0]}\t2020-01-04\t2019-01-03\n")


def plant_unreadable_line(s: Path) -> None:
    append(s, "instruments/demo.txt", "DM000001 2019-01-04 2019-02-01\n")


def plant_overlap(s: Path) -> None:
    append(s, "instruments/mine.txt", "DM000001\t2019-01-04\t2019-02-01\nDM000001\t2019-01-30\t2019-03-01\n")


def plant_empty_universe(s: Path) -> None:
    (s / "instruments" / "none.txt").write_text("")


def plant_span_without_data(s: Path) -> None:
    append(s, "instruments/demo.txt", f"{whole_symbols(s)[0]}\t2001-01-04\t2002-01-03\n")


def plant_span_outside(s: Path) -> None:
    append(s, "instruments/mine.txt", f"{whole_symbols(s)[0]}\t2001-01-04\t2020-01-03\n")


def plant_not_in_all(s: Path) -> None:
    edit_lines(s / "instruments" / "all.txt", lambda lines: lines[:-1])


def plant_unknown_group(s: Path) -> None:
    append(s, "groups/sector.txt", "GHOST\tEnergy\n")


def plant_ungrouped(s: Path) -> None:
    edit_lines(s / "groups" / "sector.txt", lambda lines: lines[:-5])


PLANTS: list[tuple[Plant, str]] = [
    (plant_zero, "not_positive"), (plant_infinite, "infinite"), (plant_high_below_low, "high_below_low"),
    (plant_outside, "outside_range"), (plant_negative_volume, "negative_volume"), (plant_bad_factor, "bad_factor"),
    (plant_split, "split"), (plant_factor_jump, "factor_jump"), (plant_jump, "jump"),
    (plant_jump_after_gap, "jump_after_gap"), (plant_change, "change_differs"),
    (plant_factor_unknown, "factor_unknown"), (plant_partial, "partial_row"), (plant_no_trade, "no_trade"),
    (plant_stale, "stale"), (plant_idle, "idle"), (plant_gap, "gap"), (plant_all_nan, "all_nan"),
    (plant_missing_field, "missing_field"), (plant_truncated, "truncated"), (plant_empty_file, "truncated"),
    (plant_bad_start, "bad_start"), (plant_negative_start, "bad_start"), (plant_too_long, "too_long"),
    (plant_misaligned, "misaligned"), (plant_no_data, "no_data"), (plant_upper_case, "upper_case"),
    (plant_twins, "twins"), (plant_dead_day, "dead_day"), (plant_duplicate_day, "calendar_duplicate"),
    (plant_unsorted, "calendar_unsorted"), (plant_unreadable_day, "calendar_unreadable"),
    (plant_weekend, "calendar_weekend"), (plant_no_calendar, "calendar_missing"),
    (plant_empty_calendar, "calendar_missing"), (plant_calendar_gap, "calendar_gap"),
    (plant_ghost, "universe_no_data"), (plant_reversed, "span_reversed"),
    (plant_unreadable_line, "universe_unreadable"), (plant_overlap, "span_overlap"),
    (plant_empty_universe, "universe_empty"), (plant_span_without_data, "span_no_data"),
    (plant_span_outside, "span_outside"), (plant_not_in_all, "no_universe_all"),
    (plant_unknown_group, "group_unknown"), (plant_ungrouped, "ungrouped"),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "check"), PLANTS, ids=[p.__name__.removeprefix("plant_") for p, _ in PLANTS])
def test_planted_fault_is_found(store: Path, plant: Plant, check: str) -> None:
    plant(store)
    report = check_store(store)
    assert report.of(check), str(report)
    assert report.exit_status == (CHECKS[check].severity == "error" or report.count("error") > 0)
    text = str(report)
    assert CHECKS[check].title in text
    assert f"[{check}]" in text


def test_every_check_has_a_planted_fault() -> None:
    assert {check for _, check in PLANTS} == set(CHECKS)
    assert {c.severity for c in CHECKS.values()} == set(SEVERITIES)


@pytest.mark.parametrize(
    ("plant", "alone"),
    [
        (plant_high_below_low, {"high_below_low"}),
        (plant_outside, {"outside_range"}),
        (plant_gap, {"gap", "change_differs"}),
        (plant_missing_field, {"missing_field"}),
        (plant_dead_day, {"dead_day", "change_differs"}),
        (plant_twins, {"twins"}),
    ],
)
def test_one_fault_is_not_reported_as_many(store: Path, plant: Plant, alone: set[str]) -> None:
    plant(store)
    assert {f.check for f in check_store(store).findings} - {"partial_row"} <= alone


def test_findings_say_when_and_how_much(store: Path) -> None:
    days = (store / "calendars" / "day.txt").read_text().split()
    symbol = whole_symbols(store)[0]
    plant_high_below_low(store)
    plant_split(store)
    report = check_store(store)
    [finding] = report.of("high_below_low")
    assert (finding.subject, finding.days, finding.first, finding.last) == (symbol, 3, days[50], days[52])
    assert finding.value.startswith("high 0.0")
    [split] = report.of("split")
    assert split.first == days[100]
    assert 0.45 < float(split.value.removeprefix("close x ")) < 0.55


def test_report_is_ordered_counted_and_cut(store: Path) -> None:
    for symbol in whole_symbols(store)[:6]:
        change(store, symbol, "high", 300, 0.01)
    plant_gap(store)
    plant_ghost(store)
    report = check_store(store)
    severities = [SEVERITIES.index(f.severity) for f in report.findings]
    assert severities == sorted(severities)
    text = report.render()
    assert "6 errors of 1 kind" in text
    assert "ERROR   High below low: 6 affected, 6 days  [high_below_low]" in text
    assert "... and 3 more" in text
    assert "6 of 6 are on" in text
    assert "> One of the two is wrong" in text
    assert "... and" not in report.render(limit=None)
    assert text.index("ERROR") < text.index("WARNING") < text.index("NOTE")


def test_frame_holds_every_finding(store: Path) -> None:
    plant_split(store)
    plant_ghost(store)
    report = check_store(store)
    frame = report.to_frame()
    assert len(frame) == len(report.findings)
    assert list(frame.columns) == ["severity", "check", "subject", "days", "first", "last", "value", "remedy"]
    assert set(frame["check"]) >= {"split", "universe_no_data"}
    empty = DoctorReport(store="s", freq="day", findings=())
    assert list(empty.to_frame().columns) == list(frame.columns)


def test_limits_are_arguments(store: Path) -> None:
    plant_gap(store)
    assert check_store(store).of("gap")
    assert not check_store(store, limits=Limits(gap=500)).of("gap")
    assert len(check_store(store, limits=Limits(gap=3)).of("gap")) > 1


def test_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no market data at"):
        check_store(tmp_path)


def test_progress_reaches_the_end(clean: Path) -> None:
    seen: list[tuple[int, int]] = []
    check_store(clean, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (31, 31)


def test_finding_knows_its_severity() -> None:
    assert Finding("split", "A").severity == "warning"


def test_real_data_in_seconds_and_not_drowned(cn_data: Path, yardstick: Callable[[], float]) -> None:
    began = time.perf_counter()
    report = check_store(cn_data)
    assert time.perf_counter() - began < 1000 * yardstick()
    assert report.ok
    assert {f.check for f in report.findings} >= {"dead_day", "calendar_gap", "missing_field", "universe_no_data"}
    [dead] = report.of("dead_day")
    assert (dead.first, dead.last) == ("2019-04-29", "2019-04-30")
    assert [f.subject for f in report.of("missing_field")] == ["SH000905"]
    assert len(report.of("jump")) < 40
    assert len(str(report).splitlines()) < 120
    assert "are on 2019-01-07: look at that day first" in str(report)
