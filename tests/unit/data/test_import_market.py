"""Import into a store: good files in, bad ones named, nothing half-written, new days added."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.data.importers import ImportReport, import_market
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.data.writer import feature_file, lock_store, new_version, read_series
from qnb.errors import ConfigError, DataError

DAYS = pd.bdate_range("2020-01-01", "2020-12-31")


def bars(seed: int, days: pd.DatetimeIndex = DAYS, *, split: bool = False) -> pd.DataFrame:
    """Raw bars with an adjusted close, as data vendors give them."""
    rng = np.random.default_rng(seed)
    adjusted = 10 * np.exp(np.cumsum(0.02 * rng.standard_normal(len(days))))
    factor = np.where(np.arange(len(days)) < len(days) // 2, 0.5, 1.0) if split else np.ones(len(days))
    close = adjusted / factor
    open_ = close * (1 + 0.005 * rng.standard_normal(len(days)))
    return pd.DataFrame(
        {
            "Date": days.strftime("%Y-%m-%d"),
            "Open": open_,
            "High": np.maximum(open_, close) * 1.01,
            "Low": np.minimum(open_, close) * 0.99,
            "Close": close,
            "Adj Close": adjusted,
            "Volume": rng.integers(1, 1000, len(days)) * 100,
        }
    )


def write(folder: Path, symbols: Iterable[str], **options: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, symbol in enumerate(symbols):
        bars(number, **options).to_csv(folder / f"{symbol}.csv", index=False)  # type: ignore[arg-type]
    return folder


def digest(store: Path) -> str:
    total = hashlib.sha256()
    for file in sorted(p for p in store.rglob("*") if p.is_file()):
        total.update(str(file.relative_to(store)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def field(store: Path, symbol: str, name: str, freq: str = "day") -> pd.Series:
    start, values = read_series(feature_file(store, symbol, name, freq))
    text = (store / "calendars" / f"{freq}.txt").read_text().splitlines()
    return pd.Series(values, index=pd.to_datetime(text[start : start + len(values)]))


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith(".") and not p.name.endswith(".lock"))


@pytest.fixture(scope="module")
def five_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five hundred files of which nine are bad, each in another way."""
    folder = tmp_path_factory.mktemp("five_hundred")
    days = DAYS[:60]
    for i in range(500):
        bars(i, days, split=i % 3 == 0).to_csv(folder / f"S{i:03d}.csv", index=False)
    (folder / "S007.csv").write_text("")
    bars(1, days).drop(columns="Volume").to_csv(folder / "S017.csv", index=False)
    bars(1, days).assign(Date="soon").to_csv(folder / "S027.csv", index=False)
    pd.concat([bars(1, days), bars(1, days)[5:6]]).to_csv(folder / "S037.csv", index=False)
    frame = bars(1, days)
    frame.loc[3, "Low"] = -1.0
    frame.to_csv(folder / "S047.csv", index=False)
    frame = bars(1, days).astype({"Close": object})
    frame.loc[4, "Close"] = "n.a.!"
    frame.to_csv(folder / "S057.csv", index=False)
    bars(1, days)[:0].to_csv(folder / "S067.csv", index=False)
    text = bars(1, days).to_csv(index=False)
    (folder / "S077.csv").write_text(text[: len(text) // 2].rsplit(",", 3)[0])
    frame = bars(1, days)
    frame.loc[:, "Close"] = np.nan
    frame.to_csv(folder / "S087.csv", index=False)
    (folder / "notes.md").write_text("not data")
    return folder


BAD = {
    "S007.csv": "the file is empty",
    "S017.csv": "no column for volume, which the other files have",
    "S027.csv": "row 1, column 'Date': 'soon' is no date that can be read (and 59 more)",
    "S037.csv": "two rows for 2020-01-08",
    "S047.csv": "low -1 on 2020-01-06 is not positive",
    "S057.csv": "row 5, column 'Close': 'n.a.!' is not a number",
    "S067.csv": "the file has no rows",
    "S077.csv": "expected 7 columns, got",
    "S087.csv": "not one row has a close",
}


def test_good_files_are_imported_and_bad_ones_named(five_hundred: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = import_market(five_hundred, tmp_path / "store", progress=lambda done, total: seen.append((done, total)))
    assert {b.name for b in report.bad} == set(BAD)
    for bad in report.bad:
        assert BAD[bad.name] in bad.reason
    assert (report.new, report.changed, report.unchanged) == (491, 0, 0)
    assert report.rows == 491 * 60
    assert report.days == 60
    store = QlibBinStore(tmp_path / "store")
    assert len(store.instruments()) == 491
    assert store.fields() == ["change", "close", "factor", "high", "low", "open", "volume"]
    assert len(store.universe("all").instruments) == 491
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (500 + 491, 500 + 491)
    assert leftovers(tmp_path) == []
    assert not (tmp_path / "store" / ".scratch").exists()
    text = str(report)
    assert "Imported 491 instruments (491 new), 29,460 rows" in text
    assert "calendar  2020-01-01 to 2020-03-24, 60 days" in text
    assert "Not imported: 9" in text
    for name, reason in BAD.items():
        assert any(name in line and reason in line for line in text.splitlines())


def test_long_lists_are_cut_in_text_but_not_in_data() -> None:
    from qnb.data.importers import BadFile

    report = ImportReport(
        source="s", store="t", freq="day", layout="files", new=1, changed=0, unchanged=0, rows=1, days=1, added_days=1,
        first="2020-01-01", last="2020-01-01", fields=("close",), universes={"all": 1},
        notes={"a note": tuple(f"S{i}" for i in range(9))}, bad=tuple(BadFile(f"f{i}", "why") for i in range(30)),
    )  # fmt: skip
    assert "... and 10 more" in report.render()
    assert "S4, ... 9 in all" in report.render()
    assert "f29" in report.render(limit=None)


def test_strict_stops_before_anything_is_written(five_hundred: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"9 bad in .* --strict is set; nothing was written\n.*S007.csv: the file"):
        import_market(five_hundred, tmp_path / "store", strict=True)
    assert not (tmp_path / "store").exists()
    assert leftovers(tmp_path) == []


def test_nothing_good_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "A.csv").write_text("")
    (tmp_path / "in" / "B.csv").write_text("date,price of eggs\n2020-01-01,5\n")
    with pytest.raises(DataError, match=r"2 bad .* none is good(.|\n)*B.csv: no column for the close \(has 'date'"):
        import_market(tmp_path / "in", tmp_path / "store", layout="files")
    assert not (tmp_path / "store").exists()


def test_adjusted_close_becomes_factor(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ["AAA"], split=True)
    store = tmp_path / "store"
    report = import_market(source, store)
    raw = pd.read_csv(source / "AAA.csv", index_col="Date", parse_dates=True)
    factor = raw["Adj Close"] / raw["Close"]
    assert set(np.round(factor, 6)) == {0.5, 1.0}
    for name in ("Open", "High", "Low", "Close"):
        np.testing.assert_allclose(field(store, "AAA", name.lower()), raw[name] * factor, rtol=1e-6)
    np.testing.assert_allclose(field(store, "AAA", "volume"), raw["Volume"] / factor, rtol=1e-6)
    np.testing.assert_allclose(field(store, "AAA", "factor"), factor, rtol=1e-6)
    change = raw["Adj Close"].pct_change()
    np.testing.assert_allclose(field(store, "AAA", "change"), change, rtol=1e-4, atol=1e-6)
    assert abs(change).max() < 0.1  # the split leaves no jump
    assert report.notes == {}


def test_factor_column_raw_or_adjusted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": ["2020-01-02", "2020-01-03"], "close": [10.0, 5.0], "volume": [100, 200]})
    frame = frame.assign(factor=[1.0, 2.0])
    (tmp_path / "in").mkdir()
    frame.to_csv(tmp_path / "in" / "A.csv", index=False)
    import_market(tmp_path / "in", tmp_path / "raw")
    import_market(tmp_path / "in", tmp_path / "adjusted", prices="adjusted")
    assert field(tmp_path / "raw", "A", "close").tolist() == [10.0, 10.0]
    assert field(tmp_path / "raw", "A", "volume").tolist() == [100.0, 100.0]
    assert field(tmp_path / "adjusted", "A", "close").tolist() == [10.0, 5.0]
    assert field(tmp_path / "adjusted", "A", "change").tolist()[1:] == [-0.5]


def test_without_factor_it_is_one_and_said(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    bars(0).drop(columns="Adj Close").to_csv(source / "A.csv", index=False)
    report = import_market(source, tmp_path / "store")
    assert list(report.notes) == ["no adjusted close and no factor: prices are stored as they are, with factor 1"]
    assert (field(tmp_path / "store", "A", "factor") == 1).all()


def test_suspended_rows_stay_as_gaps(tmp_path: Path) -> None:
    frame = bars(0, DAYS[:10])
    frame.loc[4, ["Open", "High", "Low", "Close", "Adj Close", "Volume"]] = 0
    frame = frame.drop(index=6)
    (tmp_path / "in").mkdir()
    frame.to_csv(tmp_path / "in" / "A.csv", index=False)
    bars(1, DAYS[:10]).to_csv(tmp_path / "in" / "B.csv", index=False)
    report = import_market(tmp_path / "in", tmp_path / "store")
    close, change = field(tmp_path / "store", "A", "close"), field(tmp_path / "store", "A", "change")
    assert np.flatnonzero(np.isnan(close)).tolist() == [4, 6]
    assert np.flatnonzero(np.isnan(change)).tolist() == [0, 4, 6]
    assert change.iloc[5] == pytest.approx(close.iloc[5] / close.iloc[3] - 1, rel=1e-4)
    assert report.notes == {"rows of zeros are taken as suspended days": ("A",)}


def test_any_column_names_through_a_mapping(tmp_path: Path) -> None:
    frame = bars(0)[["Date", "Close", "Volume"]].assign(PE=15.0, comment="x")
    frame.columns = ["Tag", "Schluss", "Stück", "KGV", "comment"]
    (tmp_path / "in").mkdir()
    frame.to_csv(tmp_path / "in" / "SAP.csv", index=False)
    mapping = {"close": "schluss", "volume": "Stück", "pe": "KGV"}
    report = import_market(tmp_path / "in", tmp_path / "store", mapping=mapping, date_column="Tag")
    assert report.fields == ("change", "close", "factor", "pe", "volume")
    assert (field(tmp_path / "store", "SAP", "pe") == 15).all()
    assert any("comment" in note for note in report.notes)
    with pytest.raises(DataError, match=r"no column 'Schlus' for close .*did you mean 'Schluss'"):
        import_market(tmp_path / "in", tmp_path / "s2", mapping={"close": "Schlus"}, date_column="Tag", layout="files")
    with pytest.raises(ConfigError, match="cannot be a field"):
        import_market(tmp_path / "in", tmp_path / "s2", mapping={"a/b": "KGV"}, date_column="Tag", layout="files")


@pytest.mark.parametrize("kind", ["csv", "parquet", "shuffled csv", "folder"])
def test_long_table_gives_the_same_store(tmp_path: Path, kind: str) -> None:
    files = write(tmp_path / "in", ["A", "B", "C"], split=True)
    import_market(files, tmp_path / "one")
    frame = pd.concat([pd.read_csv(p).assign(ticker=p.stem) for p in sorted(files.iterdir())])
    source = tmp_path / "long"
    source.mkdir()
    if kind == "csv":
        frame.to_csv(source / "all.csv", index=False)
    elif kind == "shuffled csv":
        frame.sample(frac=1, random_state=1).to_csv(source / "all.csv", index=False)
    elif kind == "parquet":
        frame.assign(Date=pd.to_datetime(frame["Date"])).to_parquet(source / "all.parquet", index=False)
    else:
        for month, part in frame.groupby(frame["Date"].str[:7]):
            part.to_csv(source / f"{month}.csv", index=False)
    report = import_market(source, tmp_path / "two")
    assert report.layout == "long"
    assert digest(tmp_path / "two") == digest(tmp_path / "one")


def test_long_table_with_bad_symbols_and_a_torn_shard(tmp_path: Path) -> None:
    good = pd.concat([bars(i, DAYS[:30]).assign(symbol=f"{i:06d}") for i in range(5)]).astype({"Close": object})
    good.iloc[31, good.columns.get_loc("Close")] = "oops"
    good.iloc[62, good.columns.get_loc("Date")] = "never"
    source = tmp_path / "in"
    source.mkdir()
    good.to_csv(source / "a.csv", index=False)
    more = pd.concat([bars(i, DAYS[30:40]).assign(symbol=f"{i:06d}") for i in range(5)])
    text = more.to_csv(index=False)
    (source / "b.csv").write_text(text + "000000,torn")
    report = import_market(source, tmp_path / "store")
    reasons = {b.name: b.reason for b in report.bad}
    assert set(reasons) == {"b.csv", "000001", "000002"}
    assert "expected 8 columns" in reasons["b.csv"]
    assert reasons["000001"] == "row 32, column 'Close': 'oops' is not a number"
    assert reasons["000002"] == "row 63, column 'Date': 'never' is no date that can be read"
    assert QlibBinStore(tmp_path / "store").instruments() == ["000000", "000003", "000004"]
    assert report.days == 30  # nothing of the torn file


def test_new_days_are_added(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", ["A", "B"], split=True)
    import_market(whole, tmp_path / "expected")
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for path in whole.iterdir():
        frame = pd.read_csv(path)
        frame[:200].to_csv(tmp_path / "old" / path.name, index=False)
        frame[195:].to_csv(tmp_path / "new" / path.name, index=False)
    store = tmp_path / "store"
    import_market(tmp_path / "old", store)
    report = import_market(tmp_path / "new", store, mode="update")
    assert (report.new, report.changed, report.unchanged) == (0, 2, 0)
    assert report.added_days == len(DAYS) - 200
    assert "(62 new)" in str(report)
    assert digest(store) == digest(tmp_path / "expected")


def test_days_between_and_before_old_ones_move_every_file(tmp_path: Path) -> None:
    a, b = bars(0), bars(1)
    for name, frame in (("A", a[100:200:2]), ("B", b[110:150:2])):
        (tmp_path / "old").mkdir(exist_ok=True)
        frame.to_csv(tmp_path / "old" / f"{name}.csv", index=False)
    (tmp_path / "new").mkdir()
    a[50:201].to_csv(tmp_path / "new" / "A.csv", index=False)
    store = tmp_path / "store"
    import_market(tmp_path / "old", store)
    before = field(store, "B", "close").dropna()
    report = import_market(tmp_path / "new", store, mode="update")
    assert report.days == 151
    np.testing.assert_allclose(field(store, "A", "close"), a["Adj Close"][50:201], rtol=1e-6)
    pd.testing.assert_series_equal(field(store, "B", "close").dropna(), before)
    change = field(store, "A", "change")
    np.testing.assert_allclose(change[1:], a["Adj Close"][50:201].pct_change()[1:], rtol=2e-3, atol=2e-6)


def test_update_leaves_what_is_the_same_alone(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ["A", "B", "C"])
    store = tmp_path / "store"
    import_market(source, store)
    stamps = {p: p.stat().st_mtime_ns for p in (store / "features").rglob("*.bin")}
    frame = pd.read_csv(source / "B.csv")
    frame.loc[10, "Volume"] += 100
    frame.to_csv(source / "B.csv", index=False)
    report = import_market(source, store, mode="update")
    assert (report.new, report.changed, report.unchanged) == (0, 1, 2)
    touched = {p for p, stamp in stamps.items() if p.stat().st_mtime_ns != stamp}
    assert touched == {feature_file(store, "B", "volume")}


def test_update_keeps_other_fields_symbols_universes_and_frequencies(tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_market(write(tmp_path / "in", ["A", "B"]), store)
    (store / "instruments" / "mine.txt").write_text("A\t2020-01-01\t2020-06-30\n")
    (store / "calendars" / "1min.txt").write_text("2020-01-01 09:31:00\n")
    np.array([0, 1], dtype="<f4").tofile(store / "features" / "a" / "close.1min.bin")
    np.array([0, 7, 8], dtype="<f4").tofile(store / "features" / "a" / "pe.day.bin")
    report = import_market(write(tmp_path / "more", ["C"]), store, mode="update")
    assert report.new == 1
    assert QlibBinStore(store).universes() == ["all", "mine"]
    assert QlibBinStore(store).instruments() == ["A", "B", "C"]
    assert read_series(feature_file(store, "A", "pe"))[1].tolist() == [7, 8]
    assert (store / "features" / "a" / "close.1min.bin").exists()
    assert [line.split("\t")[0] for line in (store / "instruments" / "all.txt").read_text().splitlines()] == list("ABC")


def test_another_adjustment_base_is_noticed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_market(write(tmp_path / "in", ["A"]), store)
    frame = bars(0)[200:]
    frame["Adj Close"] *= 0.9
    (tmp_path / "new").mkdir()
    frame.to_csv(tmp_path / "new" / "A.csv", index=False)
    report = import_market(tmp_path / "new", store, mode="update")
    assert any("another adjustment base" in note for note in report.notes)


def test_mapped_arrays_survive_an_update(tmp_path: Path) -> None:
    store = tmp_path / "store"
    source = write(tmp_path / "in", ["A"])
    import_market(source, store)
    path = feature_file(store, "A", "close")
    mapped = np.memmap(path, dtype="<f4", mode="r")
    kept = np.array(mapped)
    frame = pd.read_csv(source / "A.csv")
    frame["Close"] *= 2
    frame["Adj Close"] *= 2
    frame.to_csv(source / "A.csv", index=False)
    import_market(source, store, mode="update")
    np.testing.assert_array_equal(mapped, kept)
    np.testing.assert_allclose(read_series(path)[1], kept[1:] * 2, rtol=1e-6)


def test_a_store_is_not_overwritten_by_mistake(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ["A"])
    store = tmp_path / "store"
    import_market(source, store)
    before = digest(store)
    with pytest.raises(DataError, match=r"there is a store in .*--update"):
        import_market(source, store)
    assert digest(store) == before
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="other things than a market data store"):
        import_market(source, tmp_path / "home", mode="update")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        import_market(source, tmp_path / "file")
    for wrong in ({"layout": "wide"}, {"mode": "append"}, {"prices": "net"}, {"freq": "sometimes"}):
        with pytest.raises(ConfigError):
            import_market(source, tmp_path / "s2", **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no file or folder"):
        import_market(tmp_path / "nowhere", tmp_path / "s2")


@pytest.mark.parametrize("at", [5, 35, 55, 79])
def test_killed_import_leaves_the_old_store(tmp_path: Path, at: int) -> None:
    """Killed while reading, while writing, at the last instrument: the old store stays, and the next import works."""
    symbols = [f"S{i}" for i in range(40)]
    source = write(tmp_path / "in", symbols, days=DAYS[:50])
    store = tmp_path / "store"
    import_market(source, store)
    before = digest(store)
    write(tmp_path / "in", symbols)
    code = (
        "import sys, time\nfrom qnb.data.importers import import_market\n"
        "def show(done, total):\n"
        f"    if done == {at}:\n"
        "        print('there', flush=True)\n"
        "        time.sleep(60)\n"
        f"import_market({str(source)!r}, {str(store)!r}, mode='update', progress=show)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        os.kill(process.pid, signal.SIGKILL)
    assert digest(store) == before
    assert len(leftovers(tmp_path)) == 1
    report = import_market(source, store, mode="update")
    assert (report.changed, report.added_days) == (40, len(DAYS) - 50)
    assert leftovers(tmp_path) == []


def test_killed_between_two_renames_is_put_right(tmp_path: Path) -> None:
    """Systems without an exchange of folders rename twice; a store that lies under its old name is brought back."""
    store = tmp_path / "store [1]"
    import_market(write(tmp_path / "in", ["A"]), store)
    before = digest(store)
    store.rename(tmp_path / ".store [1].old")
    (tmp_path / ".store [1].build-1-ab").mkdir()
    with lock_store(store):
        assert digest(store) == before
    assert leftovers(tmp_path) == []


def test_exchange_without_the_system_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnb.data.writer.sys.platform", "win32")
    store = tmp_path / "store"
    import_market(write(tmp_path / "in", ["A"]), store)
    report = import_market(write(tmp_path / "more", ["B"]), store, mode="update")
    assert report.new == 1
    assert QlibBinStore(store).instruments() == ["A", "B"]
    assert leftovers(tmp_path) == []


def test_failure_while_building_changes_nothing(tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_market(write(tmp_path / "in", ["A"]), store)
    before = digest(store)
    with pytest.raises(DataError, match="which is as it was: no space"), new_version(store, keep=True) as build:
        _run_out_of_space(build)
    assert digest(store) == before
    assert leftovers(tmp_path) == []


def _run_out_of_space(build: Path) -> None:
    (build / "calendars" / "day.txt").unlink()
    raise OSError(28, "No space left on device")


def test_second_writer_waits_or_says_so(tmp_path: Path) -> None:
    store = tmp_path / "store"
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock_store(store):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    try:
        with pytest.raises(DataError, match="another process has been writing"), lock_store(store, timeout=0.2):
            pass
    finally:
        leave.set()
        thread.join()
    with lock_store(store, timeout=5):
        pass


def test_universe_files(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ["A", "B"])
    lines = ["symbol,start,end", "a,2020-01-01,20200331", "B,2020/2/3,2020-12-31", "ZZ,2020-01-01,2020-02-01"]
    (tmp_path / "big.csv").write_text("\n".join(lines))
    (tmp_path / "plain.txt").write_text("# mine\nB\n")
    universes = {"big": tmp_path / "big.csv", "plain": tmp_path / "plain.txt"}
    report = import_market(source, tmp_path / "store", universes=universes)
    assert report.universes == {"all": 2, "big": 3, "plain": 1}
    assert (tmp_path / "store" / "instruments" / "big.txt").read_text().splitlines() == [
        "A\t2020-01-01\t2020-03-31",
        "B\t2020-02-03\t2020-12-31",
        "ZZ\t2020-01-01\t2020-02-01",
    ]
    assert (tmp_path / "store" / "instruments" / "plain.txt").read_text() == "B\t2020-01-01\t2020-12-31\n"
    assert report.notes == {"universe big names symbols without data": ("ZZ",)}
    for text, says in (
        ("A\t2020-02-01\t2020-01-01", "ends"),
        ("A,2020-01-01\nB,x", "line 2"),
        ("", "no line"),
        ("Q", "no dates"),
    ):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(DataError, match=says):
            import_market(source, tmp_path / "s2", universes={"bad": tmp_path / "bad.txt"})
        assert not (tmp_path / "s2").exists()


def test_intraday_bars_beside_daily_ones(tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_market(write(tmp_path / "in", ["A"]), store)
    times = pd.date_range("2020-03-02 09:31", periods=30, freq="min")
    frame = pd.DataFrame(
        {"date": times.strftime("%Y%m%d"), "time": times.strftime("%H:%M:%S"), "close": np.arange(30) + 5.0}
    )
    (tmp_path / "minutes").mkdir()
    frame.to_csv(tmp_path / "minutes" / "A.csv", index=False)
    report = import_market(tmp_path / "minutes", store, freq="1m", mode="update")
    assert report.freq == "1min"
    assert (report.first, report.last) == ("2020-03-02 09:31:00", "2020-03-02 10:00:00")
    minutes = QlibBinStore(store, "1min")
    assert minutes.series("A", "close")[1].tolist() == (np.arange(30) + 5.0).tolist()  # type: ignore[index]
    assert minutes.universe("all").day_spans(minutes.calendar) == {"A": [(0, 30)]}
    days = QlibBinStore(store)
    assert days.universe("all").day_spans(days.calendar) == {"A": [(0, len(DAYS))]}
    with pytest.raises(DataError, match="shorter than a day"):
        import_market(tmp_path / "minutes", tmp_path / "s2")


def test_symbols_that_are_awkward(tmp_path: Path) -> None:
    source = write(tmp_path / "in", ["BRK.B", "000001", "con", "^GSPC"], days=DAYS[:5])
    bars(9, DAYS[:5]).to_csv(source / "brk.b.csv", index=False)
    report = import_market(source, tmp_path / "store")
    assert [b.name for b in report.bad] == ["brk.b.csv"]
    assert "BRK.B.csv has the symbol BRK.B already" in report.bad[0].reason
    store = QlibBinStore(tmp_path / "store")
    assert store.instruments() == ["000001", "BRK.B", "CON", "^GSPC"]
    assert store.series("CON", "close") is not None
    frame = bars(0, DAYS[:5]).assign(symbol="A/B")
    frame.to_csv(tmp_path / "slash.csv", index=False)
    with pytest.raises(DataError, match="cannot name a f"):
        import_market(tmp_path / "slash.csv", tmp_path / "s2")


def test_symbol_column_in_files_of_one_symbol(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    bars(0, DAYS[:5]).assign(code="600000.SH").to_csv(tmp_path / "in" / "bank.csv", index=False)
    import_market(tmp_path / "in", tmp_path / "store", layout="files", symbol_column="code")
    assert QlibBinStore(tmp_path / "store").instruments() == ["600000.SH"]
