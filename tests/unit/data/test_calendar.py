"""Calendars: reading, dates as users write them, spans."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.data.calendar import calendar_slice, read_calendar, standard_freq, to_time
from qnb.errors import ConfigError, DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_days_and_minutes_are_read(tmp_path: Path) -> None:
    days = read_calendar(write(tmp_path / "day.txt", "2020-01-02\n2020-01-03\r\n\n2020-01-06\n"))
    assert days.tolist() == np.array(["2020-01-02", "2020-01-03", "2020-01-06"], "datetime64[ns]").tolist()
    assert not days.flags.writeable
    bars = read_calendar(write(tmp_path / "1min.txt", "2020-01-02 09:30:00\n2020-01-02 09:31:00\n"))
    assert bars[1] - bars[0] == np.timedelta64(1, "m")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("2020-01-02\nyesterday\n", "line 2: 'yesterday' is not a date"),
        ("2020-01-03\n2020-01-02\n", "out of order: 2020-01-02 comes after 2020-01-03"),
        ("2020-01-02\n2020-01-02\n", "2020-01-02 appears twice"),
    ],
)
def test_a_broken_calendar_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_calendar(write(tmp_path / "day.txt", text))


def test_a_missing_calendar_names_those_there_are(tmp_path: Path) -> None:
    write(tmp_path / "day.txt", "2020-01-02\n")
    with pytest.raises(DataError, match=r"no calendar for frequency '1min'.*the store has day"):
        read_calendar(tmp_path / "1min.txt")


@pytest.mark.parametrize(
    "value",
    ["2020-01-31", "20200131", 20200131, "2020/01/31", "2020-1-31", dt.date(2020, 1, 31), dt.datetime(2020, 1, 31),
     pd.Timestamp("2020-01-31"), np.datetime64("2020-01-31"), " 2020-01-31 00:00:00 "],
)  # fmt: skip
def test_a_date_may_be_written_in_many_ways(value: Any) -> None:
    assert to_time(value) == np.datetime64("2020-01-31", "ns")


def test_no_date_is_no_date() -> None:
    assert to_time(None) is None
    assert to_time(pd.NaT) is None
    with pytest.raises(ConfigError, match="start_time: 'soon' is not a date"):
        to_time("soon", "start_time")


def test_both_ends_belong_to_a_span() -> None:
    days = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], "datetime64[ns]")
    assert calendar_slice(days, "2020-01-02", "2020-01-06") == (0, 3)
    assert calendar_slice(days, "2020-01-03", "2020-01-05") == (1, 2)
    assert calendar_slice(days) == (0, 3)
    assert calendar_slice(days, "2021-01-01", "2019-01-01") == (3, 3)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("day", "day"),
        ("1d", "day"),
        ("D", "day"),
        ("1min", "1min"),
        ("min", "1min"),
        ("5Minutes", "5min"),
        ("60m", "60min"),
        ("week", "week"),
    ],
)
def test_a_frequency_has_one_name(text: str, name: str) -> None:
    assert standard_freq(text) == name


def test_what_is_no_frequency_is_refused() -> None:
    with pytest.raises(ConfigError, match="'often' is not a frequency"):
        standard_freq("often")
