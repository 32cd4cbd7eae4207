"""The store: read in place, frequencies apart, broken files named, and a fingerprint that sees every change."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from qnb.config import Settings
from qnb.data.provider import open_cache, open_store
from qnb.data.providers.qlib_bin import PERIOD_RECORD, QlibBinStore
from qnb.data.universe import rows_for
from qnb.errors import DataError, UnknownNameError
from qnb.expr.evaluate import evaluate


def write(path: Path, start: int, values: list[float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.array([start, *values], "<f4").tofile(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of days and minutes."""
    path = tmp_path / "store"
    (path / "calendars").mkdir(parents=True)
    (path / "calendars" / "day.txt").write_text("\n".join(f"2020-01-{d:02d}" for d in range(1, 11)))
    (path / "calendars" / "1min.txt").write_text("\n".join(f"2020-01-01 09:{m:02d}:00" for m in range(30, 60)))
    (path / "instruments").mkdir()
    (path / "instruments" / "all.txt").write_text("AAA\t2020-01-01\t2020-01-10\nCON\t2020-01-01\t2020-01-10\n")
    write(path / "features" / "aaa" / "close.day.bin", 2, [1, 2, 3, float("nan")])
    write(path / "features" / "aaa" / "open.day.bin", 1, [5, 6])
    write(path / "features" / "aaa" / "close.1min.bin", 0, list(range(30)))
    write(path / "features" / "_qlib_con" / "close.day.bin", 0, [7] * 10)
    (path / "groups").mkdir()
    (path / "groups" / "sector.txt").write_text("AAA\tbank\n")
    (path / "financial" / "aaa").mkdir(parents=True)
    np.array([(20200102, 201904, 1.5, 0)], PERIOD_RECORD).tofile(path / "financial" / "aaa" / "roe_q.data")
    return path


def test_what_is_in_a_store(folder: Path) -> None:
    store = QlibBinStore(folder)
    assert store.instruments() == ["AAA", "CON"]
    assert store.fields() == ["close", "open"]
    assert store.universes() == ["all"]
    assert store.group("sector") == {"AAA": "bank"}
    assert store.group("other") == {}
    assert len(store.calendar) == 10
    found = store.series("AAA", "close")
    assert found is not None
    np.testing.assert_array_equal(found[1], np.array([1, 2, 3, np.nan], np.float32))
    assert found[0] == 2
    assert store.series("AAA", "vwap") is None
    assert store.series("ZZZ", "close") is None
    assert store.extent("AAA") == (1, 6)
    assert store.extent("AAA", ["open"]) == (1, 3)
    assert store.extent("ZZZ") == store.extent("AAA", ["vwap"]) == (0, 0)
    assert store.series("con", "CLOSE") is not None
    records = store.periods("AAA", "roe_q")
    assert records is not None
    assert records["value"].tolist() == [1.5]
    assert store.periods("AAA", "none_q") is None


def test_frequencies_are_apart(folder: Path) -> None:
    bars = QlibBinStore(folder, "1min")
    assert len(bars.calendar) == 30
    assert bars.fields() == ["close"]
    assert len(evaluate(["Mean($close,5)"], bars, rows_for(["AAA"], bars))) == 30
    with pytest.raises(DataError, match=r"no calendar for frequency '5min'.*1min, day"):
        QlibBinStore(folder, "5min")


def test_a_long_file_is_mapped(folder: Path) -> None:
    days = np.arange("1700-01-01", "2100-01-01", dtype="datetime64[D]")
    (folder / "calendars" / "day.txt").write_text("\n".join(map(str, days)))
    values = np.arange(len(days), dtype=np.float32)
    write(folder / "features" / "aaa" / "close.day.bin", 0, values.tolist())
    found = QlibBinStore(folder).series("AAA", "close")
    assert found is not None
    np.testing.assert_array_equal(found[1], values)
    assert not found[1].flags.writeable


def test_values_beyond_the_calendar_are_not_read(folder: Path) -> None:
    write(folder / "features" / "aaa" / "close.day.bin", 8, [1, 2, 3, 4])
    store = QlibBinStore(folder)
    assert store.extent("AAA", ["close"]) == (8, 10)
    found = store.series("AAA", "close")
    assert found is not None
    assert found[1].tolist() == [1, 2]


def raw_values(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "truncated: 0 bytes"),
        (b"12345", "truncated: 5 bytes"),
        (raw_values(1.5, 2), "1.5"),
        (raw_values(np.nan, 2), "position in the calendar"),
        (raw_values(-1, 2), "-1.0"),
    ],
)
def test_a_broken_file_is_named(folder: Path, raw: bytes, words: str) -> None:
    path = folder / "features" / "aaa" / "close.day.bin"
    path.write_bytes(raw)
    store = QlibBinStore(folder)
    for call in (lambda: store.series("AAA", "close"), lambda: store.extent("AAA"), lambda: rows_for("all", store)):
        with pytest.raises(DataError, match=words) as caught:
            call()
        assert str(path) in str(caught.value)


def test_a_missing_file_is_nan(folder: Path) -> None:
    (folder / "features" / "_qlib_con" / "close.day.bin").unlink()
    store = QlibBinStore(folder)
    rows = rows_for("all", store)
    assert rows.instruments == ("AAA",)
    values = evaluate(["$close", "$open"], store, rows)
    np.testing.assert_array_equal(values[0], [np.nan, 5])


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_no_store_says_what_to_do(tmp_path: Path, what: str) -> None:
    path = tmp_path / "nowhere" if what == "missing" else tmp_path
    with pytest.raises(DataError, match=r"no market data at .*'demo'"):
        QlibBinStore(path)


def test_a_held_store_looks_at_its_files_once(folder: Path) -> None:
    store = QlibBinStore(folder)
    symbol = store.instruments()[0]
    path = next((folder / "features" / symbol.lower()).glob("*.day.bin"))
    field = path.name.split(".")[0]
    before, extent = store.fingerprint, store.extent(symbol, [field])
    with store.held():
        assert store.fingerprint == before
        path.write_bytes(path.read_bytes()[:-4])
        with store.held():
            assert store.extent(symbol, [field]) == extent
        assert store.fingerprint == before
    assert store.fingerprint != before
    assert store.extent(symbol, [field]) == (extent[0], extent[1] - 1)


def test_the_fingerprint_sees_every_change(folder: Path) -> None:
    store = QlibBinStore(folder)
    seen = {store.fingerprint}
    assert store.fingerprint in seen
    assert QlibBinStore(folder).fingerprint in seen

    def changed() -> bool:
        now = store.fingerprint
        fresh = now not in seen
        seen.add(now)
        return fresh

    file = folder / "features" / "aaa" / "close.day.bin"
    with open(file, "ab") as out:  # a new day
        out.write(np.float32(9).tobytes())
    assert changed()
    stat = file.stat()
    raw = bytearray(file.read_bytes())
    raw[5] ^= 1
    file.write_bytes(raw)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert changed()
    write(folder / "features" / "aaa" / "vwap.day.bin", 0, [1])
    assert changed()
    write(folder / "features" / "ddd" / "close.day.bin", 0, [1])
    assert changed()
    (folder / "groups" / "sector.txt").write_text("AAA\tother\n")
    assert changed()
    write(folder / "features" / "aaa" / "close.5min.bin", 0, [1])  # another frequency is other data
    assert not changed()
    assert QlibBinStore(folder, "1min").fingerprint not in seen


def test_settings_name_the_store(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    settings = Settings(cache_dir=tmp_path / "cache").with_(provider_uri="~/store")
    assert open_store(settings).path == folder
    both = settings.with_(provider_uri={"day": "~/store", "1min": str(folder), "__default__": "/nowhere"})
    assert len(open_store(both, "1m").calendar) == 30
    assert len(open_store(both).calendar) == 10
    with pytest.raises(DataError, match="/nowhere"):
        open_store(both, "week")
    assert open_cache(settings).root == tmp_path / "cache" / "arrays"


def test_a_broken_grouping_is_named(folder: Path) -> None:
    (folder / "groups" / "sector.txt").write_text("AAA bank\n")
    with pytest.raises(DataError, match="line 1: expected SYMBOL<TAB>group"):
        QlibBinStore(folder).group("sector")
    with pytest.raises(UnknownNameError, match="no universe 'alll'; did you mean 'all'"):
        QlibBinStore(folder).universe("alll")
