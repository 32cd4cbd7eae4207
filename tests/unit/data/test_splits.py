"""Folds never let the training see the test, and cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnb.data.splits import Fold, Span, purged_k_fold, walk_forward
from qnb.errors import ConfigError

DAYS = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]").astype("datetime64[ns]")


def positions(span: Span, days: np.ndarray) -> range:
    first, last = np.searchsorted(days, [span.start, span.end])
    return range(int(first), int(last) + 1)


def test_walk_forward_moves_by_the_test() -> None:
    folds = list(walk_forward(DAYS[:20], train=6, valid=2, test=4, horizon=1))
    days = [{n: (a[8:], b[8:]) for n, (a, b) in f.as_segments().items()} for f in folds]
    assert days == [
        {"train": ("01", "06"), "valid": ("08", "09"), "test": ("11", "14")},
        {"train": ("05", "10"), "valid": ("12", "13"), "test": ("15", "18")},
        {"train": ("09", "14"), "valid": ("16", "17"), "test": ("19", "20")},
    ]


def test_an_expanding_fold_starts_on_the_first_day() -> None:
    folds = list(walk_forward(DAYS[:20], train=6, test=4, expanding=True))
    assert {f.train[0].start for f in folds} == {DAYS[0]}
    assert [len(positions(f.train[0], DAYS)) for f in folds] == [6, 10, 14, 18]


def test_a_short_calendar_gives_no_fold() -> None:
    assert list(walk_forward(DAYS[:5], train=5, test=2)) == []


@given(
    days=st.integers(10, 200),
    train=st.integers(1, 60),
    valid=st.integers(0, 20),
    test=st.integers(1, 30),
    horizon=st.integers(0, 5),
)
def test_walk_forward_tests_each_day_once_and_keeps_the_horizon(
    days: int, train: int, valid: int, test: int, horizon: int
) -> None:
    calendar = DAYS[:days]
    tested: list[int] = []
    for fold in walk_forward(calendar, train=train, valid=valid, test=test, horizon=horizon):
        fit, out = positions(fold.train[0], calendar), positions(fold.test, calendar)
        assert len(fit) == train
        if fold.valid is None:
            assert fit[-1] + horizon < out[0]
        else:
            check = positions(fold.valid, calendar)
            assert len(check) == valid
            assert fit[-1] + horizon < check[0] <= check[-1]
            assert check[-1] + horizon < out[0]
        tested += out
    assert tested == sorted(set(tested))
    assert not tested or tested[-1] == days - 1


@given(days=st.integers(30, 300), folds=st.integers(2, 6), horizon=st.integers(0, 3), embargo=st.integers(0, 3))
def test_purged_folds_test_each_day_once_and_leave_out_what_leaks(
    days: int, folds: int, horizon: int, embargo: int
) -> None:
    calendar = DAYS[:days]
    tested: list[int] = []
    for fold in purged_k_fold(calendar, folds=folds, horizon=horizon, embargo=embargo):
        out = positions(fold.test, calendar)
        fit = {p for span in fold.train for p in positions(span, calendar)}
        assert fit.isdisjoint(range(out[0] - horizon, out[-1] + 1 + horizon + embargo))
        assert len(fit) >= days - len(out) - 2 * horizon - embargo
        tested += out
    assert tested == list(range(days))


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="train must be at least one day"):
        list(walk_forward(DAYS, train=0, test=1))
    with pytest.raises(ConfigError, match="not ascending"):
        list(walk_forward(DAYS[::-1], train=1, test=1))
    with pytest.raises(ConfigError, match="1 folds of 366 days"):
        list(purged_k_fold(DAYS, folds=1))
    with pytest.raises(ConfigError, match="nothing to train on"):
        list(purged_k_fold(DAYS[:4], folds=2, horizon=3))
    with pytest.raises(ConfigError, match="horizon must not be negative"):
        list(purged_k_fold(DAYS, folds=2, horizon=-1))
    two = Fold((Span(DAYS[0], DAYS[1]), Span(DAYS[5], DAYS[6])), Span(DAYS[3], DAYS[3]))
    with pytest.raises(ConfigError, match="trains on 2 spans"):
        two.as_segments()
