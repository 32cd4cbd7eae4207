"""Processors against the same formula written with pandas, and the errors they raise."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.data.processors.config_section_processor import ConfigSectionProcessor
from qnb.data.processors.cs_rank_norm import CSRankNorm
from qnb.data.processors.cs_z_score_norm import CSZScoreNorm
from qnb.data.processors.csz_fillna import CSZFillna
from qnb.data.processors.drop_col import DropCol
from qnb.data.processors.dropna_label import DropnaLabel
from qnb.data.processors.dropna_processor import DropnaProcessor
from qnb.data.processors.fillna import Fillna
from qnb.data.processors.filter_col import FilterCol
from qnb.data.processors.hash_stock_format import HashStockFormat
from qnb.data.processors.min_max_norm import MinMaxNorm
from qnb.data.processors.process_inf import ProcessInf
from qnb.data.processors.robust_z_score_norm import RobustZScoreNorm
from qnb.data.processors.tanh_process import TanhProcess
from qnb.data.processors.time_range_flt import TimeRangeFlt
from qnb.data.processors.z_score_norm import ZScoreNorm
from qnb.errors import ConfigError, EmptyDataError, UnknownNameError
from qnb.task.modules import load_file

FIT = ("2020-01-06", "2020-02-10")


def close(got: pd.DataFrame, want: pd.DataFrame, *, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    pd.testing.assert_frame_equal(got, want.astype(np.float32), rtol=rtol, atol=atol, check_freq=False)


def by_day(frame: pd.DataFrame) -> pd.core.groupby.DataFrameGroupBy:
    return frame.groupby(level="datetime", group_keys=False)


def test_dropna_keeps_complete_rows(toy_frame) -> None:
    frame = toy_frame()
    close(DropnaProcessor()(frame), frame.dropna())
    close(DropnaProcessor("feature")(frame), frame.dropna(subset=[c for c in frame.columns if c[0] == "feature"]))
    close(DropnaLabel()(frame), frame.dropna(subset=[("label", "LABEL0")]))


def test_dropna_label_says_when_no_label_is_left(toy_frame) -> None:
    frame = toy_frame()
    frame["label"] = np.nan
    with pytest.raises(EmptyDataError, match=r"label LABEL0 is NaN in all \d+ rows"):
        DropnaLabel()(frame)


def test_columns_are_dropped_and_kept_by_name(toy_frame, caplog) -> None:
    frame = toy_frame()
    with caplog.at_level(logging.WARNING):
        assert [n for _, n in DropCol(["F1", "F9"])(frame).columns] == ["F0", "F2", "F3", "LABEL0"]
        assert [n for _, n in FilterCol(col_list=["F1", "F9"])(frame).columns] == ["F1", "LABEL0"]
    assert "DropCol: no column 'F9'" in caplog.text
    assert "FilterCol: no column 'F9'" in caplog.text
    with pytest.raises(ConfigError, match="keeps no column of group 'feature'"):
        FilterCol(col_list=["F9"])(frame)


def test_unknown_column_group_names_the_groups(toy_frame) -> None:
    with pytest.raises(UnknownNameError, match="no column group 'features'; did you mean 'feature'"):
        Fillna("features")(toy_frame())


def test_fillna(toy_frame) -> None:
    frame = toy_frame()
    close(Fillna()(frame), frame.fillna(0))
    want = frame.copy()
    want["feature"] = want["feature"].fillna(1.5)
    close(Fillna("feature", 1.5)(frame), want)


def test_tanh_leaves_labels(toy_frame) -> None:
    frame = toy_frame()
    want = frame.copy()
    want["feature"] = np.tanh(want["feature"] - 1)
    close(TanhProcess()(frame), want)


def test_infinities_become_the_days_mean(toy_frame) -> None:
    frame = toy_frame()
    assert ProcessInf()(frame).equals(frame)
    frame.iloc[5, 0], frame.iloc[6, 0], frame.iloc[30, 2] = np.inf, -np.inf, np.inf
    finite = frame.replace([np.inf, -np.inf], np.nan)
    means = finite.groupby(level="datetime").transform("mean")
    close(ProcessInf()(frame), finite.where(~np.isinf(frame), means))


def test_a_column_that_is_all_infinite_on_a_day_becomes_nan_there(toy_frame) -> None:
    frame = toy_frame()
    day = frame.index.get_level_values("datetime")[0]
    frame.loc[day, ("feature", "F0")] = np.inf
    assert ProcessInf()(frame).loc[day]["feature"]["F0"].isna().all()


@pytest.mark.parametrize("group", ["feature", None, ["feature", "label"]])
def test_norms_of_the_fit_window(toy_frame, group) -> None:
    frame = toy_frame()
    frame[("feature", "F3")] = np.float32(2.5)
    columns = [c for c in frame.columns if group is None or c[0] in ([group] if isinstance(group, str) else group)]
    inside = frame.loc[FIT[0] : FIT[1], columns]

    def changed(values: pd.DataFrame) -> pd.DataFrame:
        want = frame.copy()
        want[columns] = values
        return want

    spread = inside.std(ddof=0).replace(0, 1)
    centre = inside.mean().where(inside.std(ddof=0) > 0, 0)
    proc = ZScoreNorm(*FIT, fields_group=group)
    proc.fit(frame)
    close(proc(frame), changed((frame[columns] - centre) / spread))

    low, high = inside.min(), inside.max()
    low, high = low.where(low != high, 0), high.where(low != high, 1)
    proc = MinMaxNorm(*FIT, fields_group=group)
    proc.fit(frame)
    close(proc(frame), changed((frame[columns] - low) / (high - low)))

    middle = inside.median()
    mad = (inside - middle).abs().median() + 1e-12
    robust = (frame[columns] - middle) / (mad * 1.4826)
    proc = RobustZScoreNorm(*FIT, fields_group=group)
    proc.fit(frame)
    close(proc(frame), changed(robust.clip(-3, 3)))
    proc = RobustZScoreNorm(*FIT, fields_group=group, clip_outlier=False)
    proc.fit(frame)
    close(proc(frame), changed(robust))


def test_an_empty_fit_window_names_what_the_data_has(toy_frame) -> None:
    with pytest.raises(EmptyDataError, match=r"2010-01-01 to 2010-12-31 of ZScoreNorm has no rows; .* 2020-01-01"):
        ZScoreNorm("2010-01-01", "2010-12-31").fit(toy_frame())


def test_columns_without_a_value_stay_nan(toy_frame) -> None:
    frame = toy_frame()
    frame[("feature", "F0")] = np.float32("nan")
    for cls in (ZScoreNorm, MinMaxNorm, RobustZScoreNorm):
        proc = cls(*FIT)
        proc.fit(frame)
        assert proc(frame)["feature"]["F0"].isna().all()


def test_cross_sectional_norms(toy_frame) -> None:
    frame = toy_frame()
    groups = by_day(frame)
    close(CSZScoreNorm()(frame), groups.apply(lambda x: (x - x.mean()) / x.std()), rtol=1e-4, atol=1e-5)
    robust = groups.apply(lambda x: ((x - x.median()) / (x - x.median()).abs().median() / 1.4826).clip(-3, 3))
    close(CSZScoreNorm(method="robust")(frame), robust)
    close(CSRankNorm()(frame), (groups.rank(pct=True) - 0.5) * 3.46)
    close(CSZFillna()(frame), groups.apply(lambda x: x.fillna(x.mean())))
    only = CSRankNorm("label")(frame)
    assert only["feature"].equals(frame["feature"])
    with pytest.raises(ConfigError, match="unknown method 'rank'"):
        CSZScoreNorm(method="rank")


def test_ranks_share_ties_and_ignore_the_sign_of_zero() -> None:
    index = pd.MultiIndex.from_product([[pd.Timestamp("2020-01-02")], list("abcde")], names=["datetime", "instrument"])
    frame = pd.DataFrame({("label", "L"): np.array([0.0, -0.0, 1, np.nan, np.inf], dtype=np.float32)}, index=index)
    got = CSRankNorm()(frame)["label"]["L"].to_numpy() / 3.46 + 0.5
    np.testing.assert_allclose(got, [1.5 / 4, 1.5 / 4, 3 / 4, np.nan, 1], rtol=1e-6)


def test_dates_side_by_side_have_the_ranks_of_each_by_itself() -> None:
    """Dates of 1 to 40 instruments, one without a value, with ties: the same bits."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 41, 100)
    days = np.repeat(np.datetime64("2020-01-01") + np.arange(100), sizes)
    names = np.concatenate([np.arange(n) for n in sizes])
    index = pd.MultiIndex.from_arrays(
        [days.astype("datetime64[ns]"), names.astype(str)], names=["datetime", "instrument"]
    )
    values = rng.integers(0, 20, (len(days), 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[days == days[len(days) // 2]] = np.nan
    frame = pd.DataFrame(values, index=index.sort_values(), columns=pd.MultiIndex.from_product([["label"], ["a", "b"]]))
    got = CSRankNorm()(frame)
    alone = pd.concat([CSRankNorm()(part) for _, part in frame.groupby(level=0)])
    pd.testing.assert_frame_equal(got, alone, check_exact=True)


def test_hash_stock_format_orders_frames_by_instrument(toy_frame) -> None:
    frame = toy_frame()
    got = HashStockFormat()(frame)
    pd.testing.assert_frame_equal(got, frame.sort_index(level="instrument", sort_remaining=True), check_freq=False)


def test_time_range_filter_keeps_instruments_that_span_it(toy_frame) -> None:
    frame = toy_frame(gaps=0)
    late = frame[(frame.index.get_level_values("instrument") != "S03") | (frame.index.get_level_values(0) >= "2020-02")]
    got = TimeRangeFlt("2020-01-10", "2020-03-01")(late)
    assert set(got.index.get_level_values("instrument")) == {f"S{i:02d}" for i in range(8)} - {"S03"}
    assert len(TimeRangeFlt()(late)) == len(late)


def test_config_section_recognises_columns_by_name() -> None:
    random = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2020-01-01", periods=3).as_unit("ns"), [f"S{i:02d}" for i in range(30)]],
        names=["datetime", "instrument"],
    )
    columns = [("feature", n) for n in ("ROC5", "STD5", "RSQR5", "RANK5")] + [("label", "LABEL0")]
    values = random.uniform(0.5, 2, (len(index), 5)).astype(np.float32)
    values[4, :] = np.nan
    frame = pd.DataFrame(values, index=index, columns=pd.MultiIndex.from_tuples(columns))
    got = ConfigSectionProcessor()(frame)
    assert got[("feature", "RANK5")].equals(frame[("feature", "RANK5")])
    for name, before in (("ROC5", frame[("feature", "ROC5")]), ("STD5", np.log(frame[("feature", "STD5")]))):
        x = before - by_day(before.to_frame()).transform("median").iloc[:, 0]
        x = x / (by_day(x.abs().to_frame()).transform("median").iloc[:, 0] * 1.4826)
        inner = x.abs() <= 3
        np.testing.assert_allclose(got[("feature", name)][inner], x[inner], rtol=1e-3, atol=1e-5)
        assert got[("feature", name)].abs().max() <= 3.5 + 1e-5
        assert not got[("feature", name)].isna().any()
    label = by_day(frame[[("label", "LABEL0")]]).apply(lambda x: (x - x.mean()) / x.std()).fillna(0)
    close(got[[("label", "LABEL0")]], label, rtol=1e-4, atol=1e-5)
    assert ConfigSectionProcessor(fillna_feature=False)(frame)[("feature", "ROC5")].isna().sum() == 1


def test_the_how_to_works(toy_frame, tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "how_to" / "add_a_processor.md"
    own, ours = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "own.py").write_text(own)
    (tmp_path / "ours.py").write_text(ours.replace("from ..", "from qnb.data."))
    frame = toy_frame()
    winsorize = load_file(str(tmp_path / "own.py")).Winsorize(*FIT, share=0.1)
    winsorize.fit(frame)
    inside = frame["feature"].loc[FIT[0] : FIT[1]]
    got = winsorize(frame.copy())["feature"]
    assert (got.max() <= inside.quantile(0.9)).all()
    assert (got.min() >= inside.quantile(0.1)).all()
    close(load_file(str(tmp_path / "ours.py")).Sign("feature")(frame)["feature"], np.sign(frame["feature"]))
