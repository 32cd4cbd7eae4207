"""What `store_info` says about a store."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from qnb.data.demo import ensure_demo
from qnb.data.info import store_info
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.errors import DataError


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_demo(instruments=20, years=1, seed=2, cache_dir=tmp_path_factory.mktemp("cache"))


def test_demo_market(demo: Path) -> None:
    info = store_info(demo)
    [day] = info.frequencies
    assert (day.freq, day.first, day.last, day.instruments) == ("day", "2020-01-03", "2020-12-31", 21)
    assert set(day.fields.values()) == {21}
    assert day.bytes == sum(p.stat().st_size for p in demo.rglob("*.bin"))
    assert day.fingerprint == QlibBinStore(demo).fingerprint
    assert [u.name for u in info.universes] == ["all", "demo"]
    assert info.universes[0].symbols == 21
    assert info.groups == {"sector": (10, 20)}
    text = str(info)
    assert "demo market (instruments=20,years=1,seed=2), theoretical IC of $oracle 0.080" in text
    assert f"day: 2020-01-03 to 2020-12-31, {day.bars} bars, 21 instruments" in text
    assert "amount change close" in text


def test_frequencies_partial_fields_and_broken_universes(demo: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(demo, tmp_path / "store"))
    (store / "demo.json").unlink()
    (store / "calendars" / "1min.txt").write_text("2020-01-02 09:31:00\n2020-01-02 09:32:00\n")
    (store / "calendars" / "day_future.txt").write_text("2021-01-04\n")
    np.array([0, 1, 2], dtype="<f4").tofile(store / "features" / "dm000001" / "close.1min.bin")
    (store / "features" / "dm000002" / "vwap.day.bin").unlink()
    (store / "instruments" / "bad.txt").write_text("A\t2020-02-01\t2020-01-01\n")
    info = store_info(store)
    assert [f.freq for f in info.frequencies] == ["day", "1min"]
    assert info.frequencies[0].fields["vwap"] == 20
    assert (info.frequencies[1].instruments, info.frequencies[1].fields) == (1, {"close": 1})
    assert info.demo == ""
    assert "vwap (20)" in str(info)
    assert "2020-01-02 09:31:00 to 2020-01-02 09:32:00" in str(info)
    assert len(info.problems) == 1
    assert "ends (2020-01-01) before it starts" in str(info)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it has no calendar"):
        store_info(tmp_path)


def test_real_data(cn_data: Path) -> None:
    info = store_info(cn_data)
    assert info.frequencies[0].instruments == 686
    assert {u.name: u.members for u in info.universes} == {"all": 686, "csi100": 100, "csi300": 300}
