"""A small market in memory with what real data has: gaps, infinities, late listings, constant runs."""

from __future__ import annotations

import numpy as np
import pytest

from qnb.expr.memory import MemorySource

DAYS = 150


@pytest.fixture(scope="session")
def calendar() -> np.ndarray:
    """Trading days, Monday to Friday."""
    days = np.arange("2019-01-01", "2020-01-01", dtype="datetime64[D]")
    return days[np.is_busday(days)][:DAYS].astype("datetime64[ns]")


@pytest.fixture(scope="session")
def market(calendar: np.ndarray) -> MemorySource:
    """Six instruments with the fields open, close and volume."""
    rng = np.random.default_rng(5)
    data = {}
    for k, symbol in enumerate(["AA", "BB", "CC", "DD", "EE", "FF"]):
        first = [0, 0, 7, 40, 0, 90][k]
        n = DAYS - first - (10 if k == 4 else 0)
        close = np.exp(np.cumsum(rng.normal(0, 0.02, n)) + 2).astype(np.float32)
        volume = np.exp(rng.normal(10, 1, n)).astype(np.float32)
        open_ = (close * rng.uniform(0.98, 1.02, n)).astype(np.float32)
        gaps = rng.random(n) < 0.08
        gaps[n // 2 : n // 2 + 9] = k == 1  # a suspension longer than the windows
        for values in (close, volume, open_):
            values[gaps] = np.nan
        close[n // 3 : n // 3 + 8] = close[n // 3] if k == 2 else close[n // 3 : n // 3 + 8]
        volume[rng.random(n) < 0.03] = 0.0
        data[symbol] = {"close": (first, close), "volume": (first, volume), "open": (first, open_)}
    sectors = {"AA": "tech", "BB": "tech", "CC": "bank", "DD": "bank", "EE": "bank"}
    return MemorySource(calendar, data, {"sector": sectors})
