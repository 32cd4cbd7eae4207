"""Information coefficients, groups and persistence, against pandas and values computed by hand."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qnb.errors import ConfigError
from qnb.metrics import rows
from qnb.metrics.signal import (
    group_returns,
    ic_by_day,
    ic_summary,
    long_short,
    rank_ic_by_day,
    score_autocorrelation,
)


def series(matrix: list[list[float]], name: str = "score") -> pd.Series:
    """A Series out of rows of days; the columns are instruments A, B, ..."""
    table = np.array(matrix, dtype=float)
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2020-01-01", periods=len(table)), list("ABCDEFGHIJ"[: table.shape[1]])],
        names=["datetime", "instrument"],
    )
    return pd.Series(table.ravel(), index=index, name=name)


SCORE = series([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [1, 1, 2, 2, np.nan]])
LABEL = series([[0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5], [1, 2, 4, np.nan, 9]])


def test_ic_by_hand() -> None:
    ic = ic_by_day(SCORE, LABEL)
    assert ic.index.name == "datetime"
    assert ic.tolist()[:2] == pytest.approx([1, -1])
    assert ic.iloc[2] == pytest.approx(np.corrcoef([1, 1, 2], [1, 2, 4])[0, 1])


def test_rank_ic_averages_ties_among_the_pairs() -> None:
    assert rank_ic_by_day(SCORE, LABEL).tolist() == pytest.approx([1, -1, np.corrcoef([1.5, 1.5, 3], [1, 2, 3])[0, 1]])


def test_days_without_enough_or_without_variation_are_nan() -> None:
    score = series([[1, np.nan, np.nan], [2, 2, 2], [1, 2, 3], [0.1 + 0.2, 0.3, 0.3]])
    label = series([[1, 2, 3], [1, 2, 3], [np.nan, np.nan, np.nan], [1, 2, 3]])
    found = ic_by_day(score, label)
    assert found.isna().tolist() == [True, True, True, False]
    assert rank_ic_by_day(score, label).isna().tolist() == [True, True, True, False]
    big = series([[1e16, 1e16, 1e16]])
    assert ic_by_day(big, series([[1, 2, 3]])).isna().all()


def test_order_of_rows_and_levels_does_not_matter() -> None:
    shuffled = SCORE.sample(frac=1, random_state=3)
    pd.testing.assert_series_equal(ic_by_day(shuffled, LABEL), ic_by_day(SCORE, LABEL), check_freq=False)
    swapped = SCORE.swaplevel().sort_index()
    pd.testing.assert_series_equal(rank_ic_by_day(swapped, LABEL.swaplevel()), rank_ic_by_day(SCORE, LABEL))
    pd.testing.assert_series_equal(ic_by_day(SCORE.to_frame(), LABEL.to_frame()), ic_by_day(SCORE, LABEL))


def test_different_rows_are_joined() -> None:
    part = LABEL[LABEL.index.get_level_values("instrument") != "A"]
    expected = SCORE.to_frame("x").join(part.to_frame("y"), how="outer")
    for day, frame in expected.groupby(level=0):
        assert ic_by_day(SCORE, part)[day] == pytest.approx(frame.x.corr(frame.y))


def test_a_wrong_index_is_an_error() -> None:
    with pytest.raises(ConfigError, match="datetime, instrument"):
        ic_by_day(pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0]))


def test_summary() -> None:
    found = ic_summary(pd.Series([0.1, 0.3, np.nan]), pd.Series([0.2, 0.2]))
    assert found["IC"] == pytest.approx(0.2)
    assert found["ICIR"] == pytest.approx(0.2 / np.std([0.1, 0.3], ddof=1))
    assert np.isnan(found["Rank ICIR"])


def test_long_short_is_half_the_difference_and_the_average_of_all() -> None:
    score = series([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
    label = series([[1, 2, 3, 4, 5, 6, 7, 8, np.nan, 10]]) / 100
    both, everyone = long_short(score, label)
    assert both.iloc[0] == pytest.approx((0.10 - 0.015) / 2)  # two a side; the missing label adds nothing
    assert everyone.iloc[0] == pytest.approx(0.46 / 9)
    one, _ = long_short(score, label, quantile=0.1)
    assert one.iloc[0] == pytest.approx((0.10 - 0.01) / 2)
    none, _ = long_short(SCORE, LABEL, quantile=0.1)
    assert none.isna().all()
    with pytest.raises(ConfigError, match="quantile"):
        long_short(SCORE, LABEL, quantile=0)


def test_group_returns() -> None:
    score = series([[6, 5, 4, 3, 2, 1], [1, 2, np.nan, 3, 4, 5]])
    label = series([[1, 2, 3, 4, 5, 6], [1, 2, 9, 3, np.nan, 5]])
    table = group_returns(score, label, groups=3)
    assert list(table.columns) == [1, 2, 3]
    assert table.to_numpy().tolist() == [[1.5, 3.5, 5.5], [4, 2, 1]]  # 5 and 3, then 2, then 1 of the four pairs
    assert group_returns(series([[1, 2]]), series([[1, 2]]), groups=3).isna().to_numpy().tolist() == [
        [False, False, True]
    ]
    with pytest.raises(ConfigError, match="groups"):
        group_returns(score, label, groups=0)


def test_autocorrelation_takes_what_is_scored_on_both_days() -> None:
    score = series([[1, 2, 3, 4], [4, 3, 2, 1], [1, 2, 9, np.nan]])
    found = score_autocorrelation(score)
    assert np.isnan(found.iloc[0])
    assert found.iloc[1] == pytest.approx(-1)
    assert found.iloc[2] == pytest.approx(-1)
    assert score_autocorrelation(score, lag=2).iloc[2] == pytest.approx(1)
    matrix = score.unstack().to_numpy()
    assert rows.autocorrelation(matrix, [1, 2, 9])[:2] == pytest.approx([-1, 1])
    assert np.isnan(rows.autocorrelation(matrix, [9])).all()


MATRIX = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(0, 9)),
    elements=st.sampled_from([np.nan, -1.5, 0.0, 0.25, 1, 2]),
)


@given(MATRIX)
@settings(max_examples=100, deadline=None)
def test_ranks_are_those_of_pandas(matrix: np.ndarray) -> None:
    np.testing.assert_array_equal(
        rows.ranks(matrix), pd.DataFrame(matrix).rank(axis=1).to_numpy().reshape(matrix.shape)
    )


@given(MATRIX, st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_correlation_is_that_of_pandas(matrix: np.ndarray, seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=matrix.shape).round(1)
    found = rows.row_correlation(matrix, other)
    for mine, a, b in zip(found, matrix, other, strict=True):
        both = ~np.isnan(a)
        if both.sum() < 2 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
            assert np.isnan(mine)
        else:
            assert mine == pytest.approx(np.corrcoef(a[both], b[both])[0, 1], abs=1e-12)


def test_rank_ic_of_four_years_takes_a_moment(yardstick: Callable[[], float]) -> None:
    random = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [pd.bdate_range("2017-01-01", periods=871), [f"S{i:03}" for i in range(300)]], names=["datetime", "instrument"]
    )
    score = pd.Series(random.normal(size=len(index)), index=index)
    label = pd.Series(random.normal(size=len(index)), index=index)
    best = np.inf
    for _ in range(5):
        began = time.process_time()
        rank_ic_by_day(score, label)
        best = min(best, time.process_time() - began)
    assert best < 15 * yardstick()  # 4 on an idle machine
