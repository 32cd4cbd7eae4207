"""Thinning, ticks, labels and escaping: the grammar that all figures share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qnb.reports.axes import padded, ticks_between
from qnb.reports.labels import GAP, Label, end_labels, plain, spread
from qnb.reports.theme import DARK, LIGHT, colour_map, theme_of
from qnb.reports.thin import thin

FINITE = st.floats(min_value=-1e6, max_value=1e6)


@given(
    arrays(np.float64, st.integers(1, 3000), elements=st.one_of(FINITE, st.just(float("nan")))),
    st.integers(10, 400),
)
def test_thinning_keeps_the_extremes_and_the_ends(values: np.ndarray, points: int) -> None:
    kept = thin([values, values[::-1]], points=points)
    assert len(kept) <= max(points, 6)
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert (np.diff(kept) > 0).all()
    if np.isfinite(values).any():
        for series in (values, values[::-1]):
            assert np.nanmax(series[kept]) == np.nanmax(series)
            assert np.nanmin(series[kept]) == np.nanmin(series)


def test_a_short_series_is_not_thinned() -> None:
    assert thin([np.arange(900.0)]).tolist() == list(range(900))
    assert thin([]).tolist() == []


@given(st.lists(st.floats(0, 200), min_size=1, max_size=12))
def test_labels_are_pushed_apart_and_keep_their_order(wanted: list[float]) -> None:
    placed = spread(wanted, gap=GAP, low=0.0, high=200.0)
    order = np.argsort(wanted, kind="stable")
    gaps = np.diff(np.array(placed)[order])
    assert (gaps >= GAP - 1e-6).all()
    assert min(placed) >= -1e-6
    assert max(placed) <= 200 + 1e-6


def test_labels_with_room_stay_where_they_belong() -> None:
    assert spread([10.0, 60.0, 120.0], gap=14, low=0, high=200) == [10.0, 60.0, 120.0]


def test_more_labels_than_room_start_at_the_foot() -> None:
    placed = spread([5.0] * 20, gap=14, low=0, high=100)
    assert placed[0] == pytest.approx(0.0)
    assert np.diff(placed) == pytest.approx(np.full(19, 14.0))


@given(FINITE, st.floats(min_value=1e-6, max_value=1e6), st.integers(2, 7))
def test_ticks_are_round_ascending_and_inside(low: float, span: float, count: int) -> None:
    high = low + span
    ticks = ticks_between(low, high, count)
    assert len(ticks) <= count + 2
    room = 1e-6 * max(span, abs(low), 1.0)
    assert all(low - room <= t <= high + room for t in ticks)
    assert ticks == sorted(ticks)


def test_an_axis_around_nothing_still_has_two_ends() -> None:
    for values in (np.array([]), np.array([np.nan]), np.zeros(3), np.full(3, 2.5)):
        low, high = padded(values, zero=False)
        assert low < high


def test_text_of_a_run_stays_text() -> None:
    assert plain("<b onclick=x>&amp;") == "&lt;b onclick=x&gt;&amp;amp;"
    assert "%{" not in plain("%{y}")
    label = Label(1.0, "<script>alert(1)</script>", "1", LIGHT.run)
    text = end_labels([label], span=(0, 2), pixels=100, theme=LIGHT)[0]["text"]
    assert "<script" not in text


def test_every_light_colour_has_one_dark_counterpart() -> None:
    mapped = colour_map()
    for token in ("ground", "text", "muted", "run", "excess", "before", "benchmark", "drawdown", "grid", "zero"):
        assert mapped[getattr(LIGHT, token)] == getattr(DARK, token)
    assert mapped[LIGHT.tint(LIGHT.run, LIGHT.heat)] == DARK.tint(DARK.run, DARK.heat)


def test_an_unknown_theme_is_named_with_the_valid_ones() -> None:
    with pytest.raises(Exception, match=r"no theme 'drak'; did you mean 'dark'"):
        theme_of("drak")


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_and_series_have_contrast_with_the_ground(theme: object) -> None:
    for token in ("text", "muted", "run", "excess", "before", "benchmark", "drawdown", "accent"):
        assert _contrast(getattr(theme, token), theme.ground) >= 4.5, token  # type: ignore[attr-defined]


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
