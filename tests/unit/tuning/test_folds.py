"""Folds: no label reaches from one side to the other, whatever the sizes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnb.errors import ConfigError
from qnb.tuning.folds import label_reach, make_folds


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["walk_forward", "purged_kfold"]), st.integers(60, 800), st.integers(2, 6), st.integers(1, 6),
    st.none() | st.integers(0, 5),
)  # fmt: skip
def test_no_training_label_meets_a_validation_day(
    kind: str, days: int, folds: int, reach: int, embargo: int | None
) -> None:
    try:
        found = make_folds(kind, days, folds, reach=reach, embargo=embargo)
    except ConfigError:
        assert days < folds * 40
        return
    assert len(found) == folds
    gap = reach + (reach if embargo is None else embargo)
    for fold in found:
        first, last = fold.valid
        for start, end in fold.train:
            assert 0 <= start <= end < days
            assert end + reach < first or start > last + gap
    seen = sorted(d for f in found for d in range(f.valid[0], f.valid[1] + 1))
    assert len(seen) == len(set(seen)), "no day is compared on twice"
    if kind == "purged_kfold":
        assert seen == list(range(days))
    else:
        assert all(end < fold.valid[0] for fold in found for _, end in fold.train), "only the past is learnt from"


def test_too_few_days_are_refused() -> None:
    with pytest.raises(ConfigError, match="too few"):
        make_folds("walk_forward", 6, 3, reach=5)


@pytest.mark.parametrize(
    ("labels", "days"),
    [
        (["Ref($close, -2)/Ref($close, -1) - 1"], 2),
        (["Ref($close, -2)/Ref($close, -1) - 1", "Ref($close, -11)/Ref($close, -1) - 1"], 11),
        (["$close/Ref($close, 5)"], 1),
    ],
)
def test_the_reach_of_a_label(labels: list[str], days: int) -> None:
    assert label_reach(labels) == days
