"""The outline of a market that checks look at: fields without a look into every instrument's folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from qnb.check.subject import open_market
from qnb.config import Settings
from qnb.data.demo import ensure_demo
from qnb.data.providers.qlib_bin import QlibBinStore


def test_field_that_any_instrument_has_is_there(tmp_path: Path) -> None:
    path = ensure_demo(instruments=12, years=1, cache_dir=tmp_path)
    store = QlibBinStore(path)
    last = sorted(path.joinpath("features").iterdir())[-1]
    shutil.copy(last / "close.day.bin", last / "mine.day.bin")
    market = open_market(Settings().with_(provider_uri=str(path)))
    for name in ("close", "mine"):
        assert market.has_field(name)
        assert store.has_field(name)
    for name in ("clos", "shut"):
        assert not market.has_field(name)
    assert market.fields == tuple(store.fields())
    assert "mine" in market.fields
