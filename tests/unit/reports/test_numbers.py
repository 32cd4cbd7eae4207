"""Every kind of number is written one way, missing ones included."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnb.reports import numbers

NAN = float("nan")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.percent(0.106159), "+10.6\xa0%"),
        (numbers.percent(-0.100053), "−10.0\xa0%"),
        (numbers.percent(0.0), "0.0\xa0%"),
        (numbers.percent(-0.00001), "0.0\xa0%"),
        (numbers.percent(12.345678), "+1,234.6\xa0%"),
        (numbers.share(0.19487), "19.5\xa0%"),
        (numbers.points(0.023), "+2.3\xa0pp"),
        (numbers.ic(0.046384), "0.0464"),
        (numbers.icir(0.377919), "0.378"),
        (numbers.ratio(1.186658), "1.19"),
        (numbers.loss(0.993751), "0.99375"),
        (numbers.loss(12.34567), "12.346"),
        (numbers.count(478007), "478,007"),
        (numbers.money(204436480.07, "CNY"), "204.4\xa0m\xa0CNY"),
        (numbers.money(4346840), "4.3\xa0m"),
        (numbers.money(999_960), "1.0\xa0m"),
        (numbers.money(11.7e9), "11.7\xa0bn"),
        (numbers.money(5, "CNY"), "5\xa0CNY"),
        (numbers.basis_points(0.0005, 0.0015), "5 / 15\xa0bp"),
        (numbers.basis_points(0.00025), "2.5\xa0bp"),
        (numbers.bytes_of(566e6), "566\xa0MB"),
        (numbers.bytes_of(2.2e9), "2.2\xa0GB"),
        (numbers.duration(4.23), "4.2s"),
        (numbers.duration(9.97), "10s"),
        (numbers.duration(38), "38s"),
        (numbers.duration(134.2), "2m 14s"),
        (numbers.duration(3 * 3600 + 12 * 60), "3h 12m"),
        (numbers.duration(3599.7), "1h 0m"),
        (numbers.day(np.datetime64("2017-01-03T00:00:00")), "2017-01-03"),
        (numbers.day(date(2017, 1, 3)), "2017-01-03"),
        (numbers.month("2017-01-03"), "2017-01"),
        (numbers.moment(datetime(2026, 11, 21, 6, 13, tzinfo=UTC)), "2026-11-21 06:13 UTC"),
        (numbers.words_of(5), "five"),
        (numbers.words_of(50), "50"),
    ],
)
def test_a_number_is_written_as_the_guide_says(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize(
    "write",
    [numbers.percent, numbers.share, numbers.ic, numbers.ratio, numbers.count, numbers.money, numbers.duration,
     numbers.loss, numbers.bytes_of, numbers.basis_points],
)  # fmt: skip
@pytest.mark.parametrize("missing", [None, NAN, math.inf, "nonsense"])
def test_what_is_missing_is_a_dash(write: object, missing: object) -> None:
    assert write(missing).startswith(numbers.MISSING)  # type: ignore[operator]


@pytest.mark.parametrize("missing", [None, pd.NaT, np.datetime64("NaT")])
def test_a_missing_day_is_a_dash(missing: object) -> None:
    assert numbers.day(missing) == numbers.MISSING


@given(st.floats(min_value=-1e9, max_value=1e9), st.integers(min_value=0, max_value=6))
def test_a_written_number_reads_back(value: float, digits: int) -> None:
    text = numbers.decimal(value, digits, sign=True, grouped=True)
    back = float(text.replace("−", "-").replace(",", ""))
    half = 0.5 * 10**-digits + math.ulp(value)  # a tie, and what a double holds
    assert back == pytest.approx(value, abs=half * (1 + 1e-9), rel=0)
    assert "-" not in text
