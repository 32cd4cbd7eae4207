"""Alpha158 and Alpha360: the declared fields, their handlers on the demo market, what is recalled and what is not."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.data.dataset import DatasetH
from qnb.data.feature_sets import alpha158, alpha360
from qnb.data.handler import DataHandlerLP
from qnb.data.handlers.alpha158 import Alpha158, Alpha158DL, Alpha158vwap
from qnb.data.handlers.alpha360 import Alpha360, Alpha360DL, Alpha360vwap
from qnb.data.loader import QlibDataLoader
from qnb.data.processors.time_range_flt import TimeRangeFlt
from qnb.data.provider import open_store
from qnb.errors import ConfigError, DataError, EmptyDataError, ExpressionError, UnknownNameError
from qnb.expr.evaluate import evaluate

FIT = {"fit_start_time": "2020-02-01", "fit_end_time": "2020-06-30"}
SPAN = {"instruments": "all", "start_time": "2020-03-01", "end_time": "2020-10-31"}
FIELDS = {
    "feature": [["$close/Ref($close, 5)", "Mean($volume, 3)"], ["ROC5", "V3"]],
    "label": ["Ref($close, -2)/$close"],
}


@pytest.fixture
def fresh(small_market: Settings, tmp_path: Path) -> Settings:
    """The demo market with an empty cache, in a folder that may be changed."""
    shutil.copytree(open_store(small_market).path, tmp_path / "store")
    return small_market.with_(provider_uri=str(tmp_path / "store"), cache_dir=tmp_path / "cache")


def inline(settings: Settings, fields: Any = None, **kwargs: Any) -> DataHandlerLP:
    options = {k: kwargs.pop(k) for k in ("freq", "inst_processors", "filter_pipe") if k in kwargs}
    loader = QlibDataLoader(fields or FIELDS, **options)
    return DataHandlerLP(data_loader=loader, settings=settings, **{**SPAN, **kwargs})


def test_the_declared_fields() -> None:
    expressions, names = alpha158.fields()
    assert (len(expressions), len(names), len(set(names))) == (158, 158, 158)
    assert names[:4] == ["KMID", "KLEN", "KMID2", "KUP"]
    assert names[9:13] == ["OPEN0", "HIGH0", "LOW0", "VWAP0"]
    assert names[-1] == "VSUMD60"
    expressions, names = alpha360.fields()
    assert (len(expressions), len(set(names))) == (360, 360)
    assert names[0] == "CLOSE59"
    assert names[-1] == "VOLUME0"


def test_parts_of_alpha158_can_be_chosen() -> None:
    config = {
        "price": {"windows": [0, 1], "feature": ["OPEN"]},
        "volume": {"windows": [1]},
        "rolling": {"windows": [5], "include": ["MA", "STD", "ROC"], "exclude": ["STD"]},
    }
    expressions, names = Alpha158DL.get_feature_config(config)
    assert names == ["OPEN0", "OPEN1", "VOLUME1", "ROC5", "MA5"]
    assert expressions[:2] == ["$open/$close", "Ref($open, 1)/$close"]
    assert Alpha158DL({"label": ["$close"]}).fields["label"] == (("$close",), ("$close",))
    assert Alpha360DL().fields["feature"][1][0] == "CLOSE59"


def test_alpha158_on_the_demo_market(small_market: Settings) -> None:
    handler = Alpha158(**SPAN, settings=small_market)
    raw = handler.fetch(col_set="__raw", data_key="raw")
    assert raw.shape[1] == 159
    assert raw.index.get_level_values(0).min() >= pd.Timestamp("2020-03-01")
    assert handler.fetch(col_set="__raw").equals(raw)
    learn = handler.fetch(col_set="label", data_key="learn")["LABEL0"]
    assert learn.notna().all()
    np.testing.assert_allclose(learn.groupby(level=0).mean(), 0, atol=1e-5)
    np.testing.assert_allclose(learn.groupby(level=0).std(), 1, atol=1e-5)


def test_alpha360_is_standardised_and_filled(small_market: Settings) -> None:
    handler = Alpha360(**SPAN, **FIT, settings=small_market)
    features = handler.fetch(col_set="feature")
    assert features.shape[1] == 360
    assert np.isfinite(features.to_numpy()).all()
    inside = features.loc["2020-03-01":"2020-06-30"]
    assert abs(inside["CLOSE10"].mean()) < 0.05
    with pytest.raises(ConfigError, match="ZScoreNorm has no fit window; give fit_start_time and fit_end_time"):
        Alpha360(**SPAN, settings=small_market).fetch()


def test_labels(small_market: Settings) -> None:
    vwap = Alpha158vwap(**SPAN, settings=small_market)
    assert vwap.data_loader.fields["label"][0] == ("Ref($vwap, -2)/Ref($vwap, -1) - 1",)
    assert Alpha360vwap(**SPAN, **FIT, settings=small_market).data_loader.fields["label"][1] == ("LABEL0",)
    own = Alpha158(**SPAN, label=["Ref($close, -5)/$close - 1"], settings=small_market)
    assert own.get_cols("label") == ["Ref($close, -5)/$close - 1"]


def test_a_set_of_ones_own(small_market: Settings) -> None:
    class Two(Alpha158):
        def get_feature_config(self) -> tuple[list[str], list[str]]:
            return ["$close/$open", "Std($close, 5)"], ["A", "B"]

    handler = Two(**SPAN, infer_processors=["Fillna"], learn_processors=[], settings=small_market)
    assert handler.get_cols() == ["A", "B", "LABEL0"]
    assert handler.fetch().notna().all().all()


def test_inline_fields_match_the_engine(small_market: Settings) -> None:
    from qnb.data.universe import rows_for

    store = open_store(small_market)
    rows = rows_for("all", store, start="2020-03-01", end="2020-10-31")
    want = evaluate(FIELDS["feature"][0], store, rows, threads=1)
    sample = DatasetH(inline(small_market), {"all": ("2020-03-01", "2020-10-31")}).sample("all")
    np.testing.assert_array_equal(sample.x, want)
    np.testing.assert_array_equal(sample.index.dates, rows.dates)
    assert sample.feature_names == ("ROC5", "V3")


def test_a_load_is_recalled_without_the_engine(fresh: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = inline(fresh).fetch(col_set="__raw")
    calls = []

    def counted(*args: Any, **kwargs: Any) -> np.ndarray:
        calls.append(args[0])
        return evaluate(*args, **kwargs)

    monkeypatch.setattr("qnb.expr.evaluate.evaluate", counted)
    second = inline(fresh)
    assert second.fetch(col_set="__raw").equals(first)
    assert isinstance(second.table("raw").blocks[0].values, np.memmap)
    again = inline(fresh, start_time=dt.date(2020, 3, 1), end_time=pd.Timestamp("2020-10-31"))
    assert again.fetch(col_set="__raw").equals(first)
    assert calls == []
    other = inline(fresh, start_time="2020-03-02")
    other.fetch()
    assert len(calls) == 2
    assert other.fingerprint != second.fingerprint == again.fingerprint


def test_changed_data_is_loaded_anew(fresh: Settings) -> None:
    before = inline(fresh).fetch(col_set="__raw")
    path = next(Path(fresh.uri_for("day"), "features").glob("*/close.day.bin"))
    values = np.fromfile(path, dtype="<f4")
    values[1:] *= np.linspace(1, 2, len(values) - 1, dtype=np.float32)
    values.tofile(path)
    after = inline(fresh).fetch(col_set="__raw")
    assert after.index.equals(before.index)
    assert not after.equals(before)


def test_a_broken_cache_is_repaired(fresh: Settings, caplog: pytest.LogCaptureFixture) -> None:
    want = inline(fresh).fetch(col_set="__raw").copy()
    for path in (fresh.cache_dir / "arrays").glob("*.npy"):
        content = bytearray(path.read_bytes())
        content[-64:] = b"\1" * 64
        path.write_bytes(content)
    assert inline(fresh).fetch(col_set="__raw").equals(want)
    assert "corrupted" in caplog.text


def test_tomorrows_prices_never_change_what_is_prepared_for_today(fresh: Settings) -> None:
    processors = {
        "infer_processors": [
            {"class": "RobustZScoreNorm", "kwargs": {"fields_group": "feature"}},
            "ProcessInf",
            "Fillna",
        ],
        "learn_processors": [],
    }
    today = pd.Timestamp("2020-09-01")
    before = Alpha158(**SPAN, **FIT, **processors, settings=fresh).fetch(col_set="feature").copy()
    store = open_store(fresh)
    last = int(np.searchsorted(store.calendar, today.to_datetime64()))
    for path in Path(store.path, "features").glob("*/*.day.bin"):
        values = np.fromfile(path, dtype="<f4")
        values[1 + max(0, last + 1 - int(values[0])) :] *= 3
        values.tofile(path)
    after = Alpha158(**SPAN, **FIT, **processors, settings=fresh).fetch(col_set="feature")
    assert not after.loc[today + pd.Timedelta(days=1) :].equals(before.loc[today + pd.Timedelta(days=1) :])
    pd.testing.assert_frame_equal(after.loc[:today], before.loc[:today])


def test_instruments_as_list_and_with_filters(small_market: Settings) -> None:
    store = open_store(small_market)
    some = store.instruments()[:3]
    handler = inline(small_market, instruments=some)
    assert set(handler.fetch().index.get_level_values(1)) <= set(some)
    named = [{"filter_type": "NameDFilter", "name_rule_re": some[0]}]
    assert set(inline(small_market, filter_pipe=named).fetch().index.get_level_values(1)) == {some[0]}
    market = {"market": "all", "filter_pipe": named}
    assert set(inline(small_market, instruments=market).fetch().index.get_level_values(1)) == {some[0]}


def test_processors_of_instruments(small_market: Settings) -> None:
    class Halve:
        def __call__(self, df: pd.DataFrame, instrument: str) -> pd.DataFrame:
            assert df.index.name == "datetime"
            assert instrument
            assert "Mean($volume, 3)" in df.columns or "Ref($close, -2)/$close" in df.columns
            return df.iloc[::2]

    whole = inline(small_market).fetch(col_set="__raw")
    half = inline(small_market, inst_processors=[Halve()]).fetch(col_set="__raw")
    symbol = whole.index.get_level_values(1)[0]
    one = whole.loc[pd.IndexSlice[:, symbol], :]
    assert half.loc[pd.IndexSlice[:, symbol], :].equals(one.iloc[::2])
    features = inline(small_market, inst_processors={"feature": [Halve()]}).fetch(col_set="__raw")
    assert features.index.equals(whole.index)
    assert features["feature"].isna().all(axis=1).mean() > 0.4
    assert features["label"].equals(whole["label"])

    kept = inline(small_market, inst_processors=[TimeRangeFlt("2020-03-01", "2020-10-31")]).fetch()
    spans = whole.index.to_frame(index=False).groupby("instrument")["datetime"].agg(["min", "max"])
    days = open_store(small_market).calendar
    first = days[days >= np.datetime64("2020-03-01")][0]
    last = days[days <= np.datetime64("2020-10-31")][-1]
    want = spans[(spans["min"] <= first) & (spans["max"] >= last)].index
    assert set(kept.index.get_level_values(1)) == set(want)
    described = [{"class": "TimeRangeFlt", "kwargs": {"start_time": "2020-03-01"}}]
    assert set(inline(small_market, inst_processors=described).fetch().index.get_level_values(1)) >= set(want)

    class Narrow:
        def __call__(self, df: pd.DataFrame, instrument: str) -> pd.DataFrame:
            return df.iloc[:, :0]

    with pytest.raises(DataError, match="Narrow returned 0 columns for the 2 of group 'feature'"):
        inline(small_market, inst_processors=[Narrow()]).fetch()


def test_groups_may_name_their_frequency(small_market: Settings) -> None:
    handler = inline(small_market, freq={"feature": "day", "label": "1d"})
    assert handler.fetch(col_set="__raw").equals(inline(small_market).fetch(col_set="__raw"))


def test_progress_reaches_the_end(fresh: Settings) -> None:
    events: list[Any] = []
    inline(fresh).setup_data(emit=events.append)
    steps = [e for e in events if type(e).__name__ == "Progress"]
    assert steps
    assert steps[-1].step == steps[-1].total > 0
    assert {e.stage for e in events} == {"data"}


def test_what_cannot_be_loaded_says_why(small_market: Settings) -> None:
    with pytest.raises(UnknownNameError, match="no universe 'csi30'"):
        inline(small_market, instruments="csi30").fetch()
    with pytest.raises(UnknownNameError, match=r"\$clsoe"):
        inline(small_market, {"feature": ["Mean($clsoe, 5)"]}).fetch()
    with pytest.raises(ExpressionError, match="column"):
        inline(small_market, {"feature": ["Mean($close, 5"]}).fetch()
    with pytest.raises(EmptyDataError, match="2031"):
        inline(small_market, start_time="2031-01-01", end_time="2031-02-01").fetch()


def test_a_loader_by_itself(small_market: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnb.config._current", small_market)
    frame = QlibDataLoader(FIELDS).load("all", "2020-03-01", "2020-03-31")
    assert frame.columns.tolist() == [("feature", "ROC5"), ("feature", "V3"), ("label", "Ref($close, -2)/$close")]
    swapped = QlibDataLoader(FIELDS, swap_level=False).load("all", "2020-03-01", "2020-03-31")
    assert swapped.index.names == ["instrument", "datetime"]
    flat = QlibDataLoader(["$close", "$open"]).load("all", "2020-03-01", "2020-03-31")
    assert flat.columns.tolist() == ["$close", "$open"]
