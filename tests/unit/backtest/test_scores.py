"""Which score a strategy sees on which day."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnb.backtest.scores import Scores, signal_dates
from qnb.errors import BacktestError

CALENDAR = np.array(["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"], dtype="datetime64[ns]")


def signal(*rows: tuple[str, str, float]) -> pd.Series:
    index = pd.MultiIndex.from_tuples([(pd.Timestamp(d), n) for d, n, _ in rows], names=["datetime", "instrument"])
    return pd.Series([v for _, _, v in rows], index=index)


def seen(scores: Scores) -> list[dict[str, float]]:
    """Scores by day of the run."""
    return [
        {scores.instruments[c]: v for c, v in zip(scores.codes[a:b], scores.values[a:b], strict=True)}
        for a, b in zip(scores.starts[:-1], scores.starts[1:], strict=True)
    ]


def of(series: Any, first: int = 0, last: int = 3) -> list[dict[str, float]]:
    return seen(Scores.from_signal(series, calendar=CALENDAR, first=first, last=last))


def test_scores_are_seen_on_the_next_trading_day() -> None:
    series = signal(("2020-01-02", "B", 1), ("2020-01-02", "A", 2), ("2020-01-03", "A", 3), ("2020-01-07", "A", 9))
    assert of(series) == [{}, {"A": 2, "B": 1}, {"A": 3}, {}]
    assert of(series, first=1, last=2) == [{"A": 2, "B": 1}, {"A": 3}]


def test_scores_between_trading_days_belong_to_the_day_before() -> None:
    series = signal(
        ("2020-01-03", "A", 1), ("2020-01-03", "B", 2), ("2020-01-04", "A", 3), ("2020-01-05", "B", np.nan),
        ("2020-01-05", "C", np.nan),
    )  # fmt: skip
    days = of(series)
    assert days[2] == pytest.approx({"A": 3, "B": 2, "C": np.nan}, nan_ok=True)


def test_scores_before_the_calendar_or_after_the_run_are_not_used() -> None:
    series = signal(("2019-12-30", "A", 1), ("2020-01-03", "A", 2), ("2020-01-07", "B", 3))
    scores = Scores.from_signal(series, calendar=CALENDAR, first=0, last=2)
    assert seen(scores) == [{}, {}, {"A": 2}]
    assert scores.instruments == ("A",)


def test_levels_types_and_frames() -> None:
    series = signal(("2020-01-02", "B", 1), ("2020-01-02", "A", 2))
    assert of(series.swaplevel()) == of(series)
    assert of(pd.DataFrame({"score": series, "other": -series})) == of(series)
    assert of(series.astype("float32").sort_index()) == of(series)
    categories = series.reset_index()
    categories["instrument"] = pd.Categorical(categories["instrument"], categories=["B", "A", "Z"])
    assert of(categories.set_index(["datetime", "instrument"])[0]) == of(series)
    assert signal_dates(series) == (CALENDAR[0], CALENDAR[0])


def test_codes_move_to_other_instruments() -> None:
    scores = Scores.from_signal(
        signal(("2020-01-02", "B", 1), ("2020-01-02", "D", 2)), calendar=CALENDAR, first=0, last=1
    )
    moved = scores.on(("A", "B", "C", "D"))
    assert seen(moved) == seen(scores)
    assert moved.codes.tolist() == [1, 3]


def test_a_text_index_is_answered_with_the_remedy() -> None:
    index = pd.MultiIndex.from_tuples([("2020-01-02", "A")], names=["datetime", "instrument"])
    with pytest.raises(BacktestError, match="to_datetime"):
        of(pd.Series([1.0], index=index))
    broken = pd.MultiIndex.from_arrays([pd.DatetimeIndex(["2020-01-02", None]), ["A", "B"]])
    with pytest.raises(BacktestError, match="missing dates"):
        of(pd.Series([1.0, 2.0], index=broken))


ROWS = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from("ABC"), st.sampled_from([np.nan, 1.0, 2.0, 3.0])),
    min_size=1,
    max_size=25,
)


@given(ROWS)
@settings(max_examples=200, deadline=None)
def test_like_a_groupby_in_pandas(rows: list[tuple[int, str, float]]) -> None:
    start = pd.Timestamp("2019-12-31")
    unique = {(d, n): v for d, n, v in rows}
    series = signal(*[(str(start + pd.Timedelta(days=d)), n, v) for (d, n), v in unique.items()])
    frame = series.rename("v").reset_index().sort_values("datetime")
    frame["slot"] = np.searchsorted(CALENDAR, frame["datetime"].to_numpy(), side="right") - 1
    expected = []
    for day in range(4):
        part = frame[(frame["slot"] == day - 1) & (day > 0)]
        expected.append(part.groupby("instrument")["v"].last().to_dict())
    if not any(expected):
        with pytest.raises(BacktestError, match="no score can be used"):
            of(series)
        return
    for mine, theirs in zip(of(series), expected, strict=True):
        assert mine == pytest.approx(theirs, nan_ok=True)
