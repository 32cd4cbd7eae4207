"""A small market in memory, and runs on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.backtest import BacktestResult, ExchangeSpec, run_backtest
from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy


@dataclass
class MemoryStore:
    """A store whose fields are matrices (days, instruments)."""

    calendar: np.ndarray
    names: list[str]
    fields: dict[str, np.ndarray]
    starts: Mapping[str, int] = field(default_factory=dict)

    def series(self, instrument: str, field: str) -> tuple[int, np.ndarray] | None:
        if instrument not in self.names or field not in self.fields:
            return None
        first = self.starts.get(instrument, 0)
        return first, self.fields[field][first:, self.names.index(instrument)].astype(np.float32)

    def instruments(self) -> list[str]:
        return sorted(self.names)


@dataclass
class Bench:
    """A market, and what is needed to run a strategy on it."""

    store: MemoryStore

    @property
    def days(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.store.calendar)

    def scores(self, table: Any) -> pd.Series:
        """Scores out of rows of days; columns are the instruments in their order."""
        values = np.asarray(table, dtype=float)[: len(self.days)]
        index = pd.MultiIndex.from_product(
            [self.days[: len(values)], self.store.names[: values.shape[1]]], names=["datetime", "instrument"]
        )
        return pd.Series(values.ravel(), index=index, name="score")

    def run(self, scores: Any, strategy: Any = None, **options: Any) -> BacktestResult:
        """Run on all days; exchange options may be given by name."""
        if not isinstance(scores, pd.Series | pd.DataFrame | type(None) | tuple):
            scores = self.scores(scores)
        names = ExchangeSpec.__dataclass_fields__
        exchange = {k: options.pop(k) for k in list(options) if k in names}
        given = {"trade_unit": None, "limit_threshold": None, "min_cost": 0.0, "open_cost": 0.0, "close_cost": 0.0}
        options.setdefault("benchmark", None)
        options.setdefault("account", 1000.0)
        options.setdefault("start", self.days[0])
        options.setdefault("end", self.days[-1])
        return run_backtest(
            scores,
            store=self.store,
            strategy=strategy or TopkDropoutStrategy(topk=1, n_drop=1, risk_degree=1.0),
            exchange=ExchangeSpec(**{**given, **exchange}),
            **options,
        )


def make_bench(close: Any, *, names: str | list[str] = "ABCDEFGHIJ", **fields: Any) -> Bench:
    """A market with these closes (rows are days); factor is 1 and change follows from the closes unless given."""
    prices = np.asarray(close, dtype=np.float32)
    days = pd.bdate_range("2020-01-01", periods=len(prices)).to_numpy().astype("datetime64[ns]")
    last = pd.DataFrame(prices).ffill().to_numpy()
    change = np.full_like(prices, np.nan)
    change[1:] = prices[1:] / last[:-1] - np.float32(1)
    found = {"close": prices, "factor": np.ones_like(prices), "change": change, "volume": np.full_like(prices, 1e6)}
    found |= {name: np.asarray(values, dtype=np.float32) for name, values in fields.items() if values is not None}
    for name, values in fields.items():
        if values is None:
            del found[name]
    return Bench(MemoryStore(days, list(names)[: prices.shape[1]], found))


@pytest.fixture(scope="session")
def market() -> Callable[..., Bench]:
    """Returns `make_bench`."""
    return make_bench
