"""From the backtest part of a workflow (strategy, backtest, executor) to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..config import Region
from ..errors import BacktestError, remedy_for
from ..task.component import build_component
from .engine import run_backtest
from .options import exchange_spec, with_executor
from .quotes import Quotes, QuoteSource
from .result import BacktestResult
from .signal import fill_prediction
from .spec import ExchangeSpec
from .strategy import Strategy

__all__ = ["BACKTEST_KEYS", "DEFAULT_CONFIG", "backtest_from_config", "exchange_from_config"]

_PARTS = ("strategy", "backtest", "executor", "mode")
BACKTEST_KEYS = ("start_time", "end_time", "account", "benchmark", "exchange_kwargs", "pos_type", "mode")
"""Keys of the ``backtest`` section."""
DEFAULT_CONFIG: Mapping[str, Any] = {
    "strategy": {"class": "TopkDropoutStrategy", "kwargs": {"signal": "<PRED>", "topk": 50, "n_drop": 5}},
    "backtest": {
        "start_time": None,
        "end_time": None,
        "account": 1e8,
        "benchmark": "SH000300",
        "exchange_kwargs": {
            "limit_threshold": 0.095,
            "deal_price": "close",
            "open_cost": 0.0005,
            "close_cost": 0.0015,
            "min_cost": 5,
        },
    },
}
"""What a portfolio record without a configuration does."""
_ACCOUNT, _BENCHMARK = 1e9, "SH000300"


def backtest_from_config(
    config: Mapping[str, Any],
    *,
    signal: Any = None,
    store: QuoteSource,
    region: Region | None = None,
    build: Callable[..., Any] | None = None,
    quotes: Quotes | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> BacktestResult:
    """Run the backtest that a workflow describes.

    Parameters
    ----------
    config : mapping
        ``strategy``: class, module_path, kwargs, or a ready strategy; ``backtest``: start_time, end_time, account
        (default 1e9), benchmark (default SH000300), exchange_kwargs, mode (``compat`` or ``strict``); ``executor``,
        optional: a daily SimulatorExecutor. Nothing in it is changed.
    signal : Series or DataFrame, optional
        Predictions, index (datetime, instrument); they take the place of ``<PRED>``, and serve a strategy without a
        signal of its own.
    store : QuoteSource
        Where quotes are read.
    region : Region, optional
        Lots, limits and deal price where the exchange's options do not say; default ``cn``.
    build : callable, optional
        Makes strategy and signal out of a description and its family; default `qnb.task.component.build_component`.
    quotes, progress, should_stop
        As in `run_backtest`.

    Raises
    ------
    BacktestError
        For an unknown key or option, with the nearest right one, or a run that cannot be done as asked.
    RunStopped
        When `should_stop` said so.
    """
    _only(config, _PARTS, "the portfolio's config")
    if "strategy" not in config:
        raise BacktestError("the portfolio's config has no strategy; write strategy: {class: TopkDropoutStrategy, ...}")
    section = config.get("backtest") or {}
    _only(section, BACKTEST_KEYS, "backtest")
    mode = section.get("mode", config.get("mode", "compat"))
    strategy = _strategy(config["strategy"], signal, build)
    own = getattr(strategy, "signal", None)
    return run_backtest(
        _described_signal(own, build) if own is not None else signal,
        store=store,
        strategy=strategy,
        exchange=exchange_from_config(config, region=region),
        account=section.get("account", _ACCOUNT),
        benchmark=section.get("benchmark", _BENCHMARK),
        start=section.get("start_time"),
        end=section.get("end_time"),
        mode=mode,
        quotes=quotes,
        progress=progress,
        should_stop=should_stop,
    )


def exchange_from_config(config: Mapping[str, Any], *, region: Region | None = None) -> ExchangeSpec:
    """Return the exchange that the ``backtest`` and ``executor`` sections describe."""
    section = config.get("backtest") or {}
    options = dict(section.get("exchange_kwargs") or {})
    if "pos_type" in section:
        options.setdefault("pos_type", section["pos_type"])
    mode = section.get("mode", config.get("mode", "compat"))
    return with_executor(exchange_spec(options, region=region, mode=mode), config.get("executor"))


def _strategy(description: Any, signal: Any, build: Callable[..., Any] | None) -> Strategy:
    if isinstance(description, Mapping):
        kwargs = {k: fill_prediction(v, signal) for k, v in (description.get("kwargs") or {}).items()}
        description = {**description, "kwargs": kwargs}
    strategy = build(description, "strategy") if build is not None else build_component(description, "strategy")
    if not isinstance(strategy, Strategy):
        raise BacktestError(
            f"{type(strategy).__name__} is no strategy: it needs a method decide(day), or the base WeightStrategyBase"
        )
    return strategy


def _described_signal(signal: Any, build: Callable[..., Any] | None) -> Any:
    """Return the signal, built first if it is the description of one (class, module_path, kwargs)."""
    if isinstance(signal, Mapping):
        signal = build(signal, "signal") if build is not None else build_component(signal, "signal")
    return signal


def _only(section: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    if not isinstance(section, Mapping):
        raise BacktestError(f"{where} must be a mapping, received {section!r}")
    for key in section:
        if key not in known:
            remedy = remedy_for(str(key), known)
            raise BacktestError(f"unknown key {str(key)!r} in {where}; {remedy}")
