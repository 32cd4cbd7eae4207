"""Growth, drawdown and risk of returns, against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from qnb.errors import ConfigError
from qnb.metrics.frequency import periods_per_year
from qnb.metrics.returns import cumulative, drawdown, max_drawdown, worst_drawdowns
from qnb.metrics.risk import (
    annualized_return,
    calmar_ratio,
    hit_rate,
    information_ratio,
    risk_analysis,
    sharpe_ratio,
    sortino_ratio,
    volatility,
)

R = [0.10, -0.20, 0.05, 0.20, -0.05]


@pytest.mark.parametrize(
    ("freq", "periods"),
    [("day", 238), ("1day", 238), ("D", 238), ("5day", 47.6), ("week", 50), ("month", 12), ("1min", 57120),
     ("30 minutes", 1904), ("2week", 25), ("mon", 12)],
)  # fmt: skip
def test_periods_of_a_year(freq: str, periods: float) -> None:
    assert periods_per_year(freq) == pytest.approx(periods)


@pytest.mark.parametrize("freq", ["", "year", "0day", "day1", "1.5day"])
def test_a_wrong_frequency_is_an_error(freq: str) -> None:
    with pytest.raises(ConfigError, match="not a frequency"):
        periods_per_year(freq)


def test_growth_in_both_ways() -> None:
    assert cumulative(R) == pytest.approx([0.10, -0.10, -0.05, 0.15, 0.10])
    assert cumulative(R, mode="product") == pytest.approx([0.1, -0.12, -0.076, 0.1088, 0.05336])
    assert cumulative([0.1, np.nan, 0.1]) == pytest.approx([0.1, 0.1, 0.2])
    assert len(cumulative([])) == 0


def test_drawdown_in_both_ways() -> None:
    assert drawdown(R) == pytest.approx([0, -0.20, -0.15, 0, -0.05])
    assert drawdown(R, mode="product") == pytest.approx([0, -0.2, -0.16, 0, -0.05])
    assert max_drawdown(R) == pytest.approx(-0.20)
    assert drawdown([-0.1, 0.02])[0] == 0  # the first point is the first high
    assert math.isnan(max_drawdown([]))
    assert math.isnan(max_drawdown([np.nan]))
    with pytest.raises(ConfigError, match="'product'"):
        drawdown(R, mode="prodct")


def test_worst_drawdowns_have_peak_trough_and_recovery() -> None:
    days = pd.bdate_range("2020-01-01", periods=8)
    returns = pd.Series([0.10, -0.02, -0.03, 0.06, -0.20, 0.10, 0.05, -0.01], index=days)
    table = worst_drawdowns(returns)
    assert table["depth"].tolist() == pytest.approx([-0.20, -0.05])
    assert table["peak"].tolist() == [days[3], days[0]]
    assert table["trough"].tolist() == [days[4], days[2]]
    assert pd.isna(table["recovery"][0])
    assert table["recovery"][1] == days[3]
    assert table["periods"].tolist() == [4, 3]
    assert table["to_trough"].tolist() == [1, 2]
    assert len(worst_drawdowns(returns, count=1)) == 1
    assert len(worst_drawdowns(returns.abs())) == 0


def test_risk_analysis_by_sum() -> None:
    found = risk_analysis(pd.Series(R), freq="day")["risk"]
    assert list(found.index) == ["mean", "std", "annualized_return", "information_ratio", "max_drawdown"]
    std = math.sqrt(((0.08) ** 2 + (-0.22) ** 2 + (0.03) ** 2 + (0.18) ** 2 + (-0.07) ** 2) / 4)
    assert found["mean"] == pytest.approx(0.02)
    assert found["std"] == pytest.approx(std)
    assert found["annualized_return"] == pytest.approx(0.02 * 238)
    assert found["information_ratio"] == pytest.approx(0.02 / std * math.sqrt(238))
    assert found["max_drawdown"] == pytest.approx(-0.2)


def test_risk_analysis_by_product() -> None:
    found = risk_analysis(R, 12, mode="product")["risk"]
    growth = 1.05336
    assert found["mean"] == pytest.approx(growth ** (1 / 5) - 1)
    assert found["std"] == pytest.approx(np.std([math.log(1 + r) for r in R], ddof=1))
    assert found["annualized_return"] == pytest.approx(growth ** (12 / 5) - 1)
    assert found["information_ratio"] == pytest.approx(found["mean"] / found["std"] * math.sqrt(12))
    assert found["max_drawdown"] == pytest.approx(-0.2)


def test_missing_returns_are_left_out() -> None:
    with_gaps = pd.Series([np.nan, *R[:2], np.nan, *R[2:]])
    for mode in ("sum", "product"):
        ours, plain = risk_analysis(with_gaps, mode=mode), risk_analysis(R, mode=mode)
        pd.testing.assert_frame_equal(ours, plain)
    assert risk_analysis([])["risk"].isna().all()
    assert math.isnan(risk_analysis([0.1])["risk"]["std"])
    assert math.isnan(risk_analysis([0.1, 0.1])["risk"]["information_ratio"])


def test_ratios() -> None:
    std = np.std(R, ddof=1)
    assert volatility(R, 12) == pytest.approx(std * math.sqrt(12))
    assert information_ratio(R, 12) == pytest.approx(0.02 / std * math.sqrt(12))
    assert sharpe_ratio(R, 12, risk_free=0.12) == pytest.approx((0.02 - 0.01) / std * math.sqrt(12))
    downside = math.sqrt((0.2**2 + 0.05**2) / 5)
    assert sortino_ratio(R, 12) == pytest.approx(0.02 / downside * math.sqrt(12))
    shifted = math.sqrt((0.21**2 + 0.06**2) / 5)
    assert sortino_ratio(R, 12, target=0.12) == pytest.approx(0.01 / shifted * math.sqrt(12))
    assert calmar_ratio(R, 12) == pytest.approx(0.02 * 12 / 0.2)
    assert annualized_return(R, 5, mode="product") == pytest.approx(0.05336)
    assert hit_rate(R) == pytest.approx(3 / 5)
    assert hit_rate([0.0, 0.1, np.nan]) == pytest.approx(1 / 2)


def test_ratios_without_a_denominator_are_not_numbers() -> None:
    for value in (sharpe_ratio([0.1, 0.1]), sortino_ratio([0.1, 0.2]), calmar_ratio([0.1, 0.2]), sharpe_ratio([]),
                  hit_rate([]), volatility([0.1]), sortino_ratio([]), annualized_return([])):  # fmt: skip
        assert math.isnan(value)
