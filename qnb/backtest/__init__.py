"""Simulation of a strategy on daily bars, in arrays."""

from __future__ import annotations

from .benchmark import benchmark_returns
from .config import backtest_from_config
from .engine import load_quotes, run_backtest
from .indicators import indicator_analysis
from .options import exchange_spec, with_executor
from .position import Position
from .quotes import Quotes, QuoteSource
from .reasons import Reason
from .result import BacktestResult
from .spec import ExchangeSpec, VolumeLimit
from .strategy import BUY, SELL, Day, Decision, Order, Strategy

__all__ = [
    "BUY",
    "SELL",
    "BacktestResult",
    "Day",
    "Decision",
    "ExchangeSpec",
    "Order",
    "Position",
    "QuoteSource",
    "Quotes",
    "Reason",
    "Strategy",
    "VolumeLimit",
    "backtest_from_config",
    "benchmark_returns",
    "exchange_spec",
    "indicator_analysis",
    "load_quotes",
    "run_backtest",
    "with_executor",
]
