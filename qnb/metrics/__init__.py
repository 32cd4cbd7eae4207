"""Pure numbers of quantitative finance: returns, risk, signal quality, trading."""

from __future__ import annotations

from .frequency import PERIODS, periods_per_year
from .returns import cumulative, drawdown, max_drawdown, worst_drawdowns
from .risk import (
    annualized_return,
    calmar_ratio,
    hit_rate,
    information_ratio,
    risk_analysis,
    sharpe_ratio,
    sortino_ratio,
    volatility,
)
from .signal import group_returns, ic_by_day, ic_summary, long_short, rank_ic_by_day, score_autocorrelation
from .trading import annual_cost, annual_turnover, concentration, exposure, fill_rate, holding_periods, trading_summary

__all__ = [
    "PERIODS",
    "annual_cost",
    "annual_turnover",
    "annualized_return",
    "calmar_ratio",
    "concentration",
    "cumulative",
    "drawdown",
    "exposure",
    "fill_rate",
    "group_returns",
    "hit_rate",
    "holding_periods",
    "ic_by_day",
    "ic_summary",
    "information_ratio",
    "long_short",
    "max_drawdown",
    "periods_per_year",
    "rank_ic_by_day",
    "risk_analysis",
    "score_autocorrelation",
    "sharpe_ratio",
    "sortino_ratio",
    "trading_summary",
    "volatility",
    "worst_drawdowns",
]
