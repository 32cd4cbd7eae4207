"""`D`: the calls of the peer, on the settings at hand."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings, settings_of_run
from qnb.data.facade import DataFacade
from qnb.errors import ConfigError, EmptyDataError, ExpressionError


@pytest.fixture
def facade(tmp_path: Path) -> DataFacade:
    """Two instruments over thirty days."""
    path = tmp_path / "store"
    (path / "calendars").mkdir(parents=True)
    days = pd.bdate_range("2020-01-01", periods=30)
    (path / "calendars" / "day.txt").write_text("\n".join(str(d)[:10] for d in days))
    (path / "instruments").mkdir()
    (path / "instruments" / "all.txt").write_text("AAA\t2020-01-01\t2020-02-20\nBBB\t2020-01-10\t2020-01-20\n")
    for k, symbol in enumerate(("aaa", "bbb")):
        for field in ("close", "open"):
            file = path / "features" / symbol / f"{field}.day.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.append(0, np.arange(30) + 10.0 * k).astype("<f4").tofile(file)
    return DataFacade(Settings(cache_dir=tmp_path / "cache").with_(provider_uri=str(path)))


def test_the_calendar_is_cut_to_the_span(facade: DataFacade) -> None:
    days = facade.calendar(start_time="2020-01-02", end_time="2020-01-06", freq="day")
    assert [str(d)[:10] for d in days] == ["2020-01-02", "2020-01-03", "2020-01-06"]
    assert len(facade.calendar()) == 30


def test_new_days_are_seen_in_the_same_process(facade: DataFacade, tmp_path: Path) -> None:
    assert len(facade.calendar()) == 30
    store, file = facade.store(), tmp_path / "store" / "calendars" / "day.txt"
    assert facade.store() is store
    file.write_text(file.read_text() + "\n2020-02-12")
    assert len(facade.calendar()) == 31


def test_each_context_has_its_own_market(facade: DataFacade, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "store", other)
    (other / "calendars" / "day.txt").write_text("2020-01-01\n2020-01-02\n")
    shared, mine = DataFacade(), facade.settings

    def days(settings: Settings) -> list[int]:
        with settings_of_run(settings):
            return [len(shared.calendar()) for _ in range(200)]

    both = [mine, mine.with_(provider_uri=str(other))]
    with ThreadPoolExecutor(4) as pool:
        assert [set(found) for found in pool.map(days, both * 2)] == [{30}, {2}] * 2


def test_members_and_their_spans(facade: DataFacade) -> None:
    universe = facade.instruments("all", filter_pipe=[{"filter_type": "NameDFilter", "name_rule_re": "B"}])
    assert universe["market"] == "all"
    spans = facade.list_instruments(universe, start_time="2020-01-12", end_time="2020-01-31")
    assert spans == {"BBB": [(pd.Timestamp("2020-01-13"), pd.Timestamp("2020-01-20"))]}
    assert facade.list_instruments(facade.instruments(), as_list=True) == ["AAA", "BBB"]


def test_features_are_ordered_by_instrument(facade: DataFacade) -> None:
    fields = ["$close", "Ref($close,1)", "Mean($close,3)"]
    frame = facade.features(["BBB", "AAA"], fields, start_time="2020-01-02", end_time="2020-01-03", freq="day")
    assert frame.index.names == ["instrument", "datetime"]
    assert list(frame.columns) == fields
    assert (frame.dtypes == np.float32).all()
    assert frame.loc["AAA"].to_numpy().tolist() == [[1, 0, 0.5], [2, 1, 1]]
    assert frame.loc["BBB"].index[0] == pd.Timestamp("2020-01-02")
    assert frame.index.is_monotonic_increasing


def test_the_cache_is_used_and_can_be_left_alone(facade: DataFacade, tmp_path: Path) -> None:
    facade.features("all", ["$close"], disk_cache=0)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    first = facade.features("all", ["$close"])
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 1
    pd.testing.assert_frame_equal(first, facade.features("all", ["$close"]))


def test_members_only_on_their_days(facade: DataFacade) -> None:
    frame = facade.features(facade.instruments("all"), ["$close"])
    assert len(frame.loc["BBB"]) == 7
    assert len(frame.loc["AAA"]) == 30


def test_a_processor_sees_one_instrument_at_a_time(facade: DataFacade) -> None:
    class Double:
        def __call__(self, df: pd.DataFrame, instrument: str) -> pd.DataFrame:
            assert df.index.name == "datetime"
            return df * (2 if instrument == "AAA" else 1)

    plain = facade.features("all", ["$close"])
    found = facade.features("all", ["$close"], inst_processors=[Double()])
    assert (found.loc["AAA"] == plain.loc["AAA"] * 2).all(axis=None)
    assert (found.loc["BBB"] == plain.loc["BBB"]).all(axis=None)
    assert found.index.names == ["instrument", "datetime"]


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"fields": []}, ConfigError, "fields must be a list"),
        ({"fields": "$close"}, ConfigError, "fields must be a list"),
        ({"fields": ["$close"], "mode": "odd"}, ConfigError, "valid: compat, strict"),
        ({"fields": ["$close +"]}, ExpressionError, "too early"),
        ({"fields": ["$close"], "start_time": "2030-01-01"}, EmptyDataError, "no trading day"),
        ({"fields": ["$close"], "start_time": "soon"}, ConfigError, "'soon' is not a date"),
    ],
)
def test_wrong_arguments_are_named(facade: DataFacade, arguments: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        facade.features("all", **arguments)
