"""Frames that the tests of handlers, datasets and processors share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings

MakeFrame = Callable[..., pd.DataFrame]


@pytest.fixture
def toy_frame() -> MakeFrame:
    """Return a function that makes a frame (datetime, instrument) with the groups feature and label.

    Ten per cent of the rows are missing, some values are NaN, the labels of the last two dates are unknown.
    """

    def make(days: int = 60, instruments: int = 8, features: int = 4, seed: int = 0, gaps: float = 0.1) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        dates = pd.bdate_range("2020-01-01", periods=days).as_unit("ns")
        symbols = [f"S{i:02d}" for i in range(instruments)]
        index = pd.MultiIndex.from_product([dates, symbols], names=["datetime", "instrument"])
        index = index[random.random(len(index)) >= gaps]
        x = random.standard_normal((len(index), features)).astype(np.float32)
        x[random.random(x.shape) < 0.03] = np.nan
        y = random.standard_normal((len(index), 1)).astype(np.float32)
        y[random.random(len(y)) < 0.05] = np.nan
        y[index.get_level_values("datetime") > dates[-3]] = np.nan
        columns = [*(("feature", f"F{i}") for i in range(features)), ("label", "LABEL0")]
        return pd.DataFrame(np.hstack([x, y]), index=index, columns=pd.MultiIndex.from_tuples(columns))

    return make


@pytest.fixture(scope="session")
def small_market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings over a demo market of 20 instruments and one year, with a cache of their own."""
    return Settings().with_(
        provider_uri="demo:instruments=20,years=1", cache_dir=tmp_path_factory.mktemp("market"), threads=2
    )
