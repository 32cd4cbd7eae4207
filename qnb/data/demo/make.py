"""Makes the store of a demo market: simulate, write beside, move into place."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..writer import (
    build_beside,
    feature_file,
    lock_store,
    write_calendar,
    write_groups,
    write_series,
    write_universe,
)
from . import MARKER
from .exchange import trading_days
from .parameters import GENERATOR_VERSION, INDEX, SECTORS, UNIVERSE, DemoParameters
from .simulate import FIELDS, Market, simulate

__all__ = ["make_demo", "symbols", "write_market"]

COLUMNS = 256
"""Instruments that are turned from rows of days into series at a time."""


def make_demo(parameters: DemoParameters, path: Path, *, progress: Callable[[int, int], None] | None = None) -> Path:
    """Make the market of `parameters` in the folder `path`, unless another process has made it meanwhile.

    Raises
    ------
    DataError
        When the folder cannot be written.
    """
    with lock_store(path):
        if not (path / MARKER).is_file():
            with build_beside(path, keep=False) as build:
                market = simulate(parameters, trading_days(parameters.years), progress=progress)
                write_market(build, market, parameters)
    return path


def symbols(parameters: DemoParameters) -> list[str]:
    """Return the instruments' symbols: ``DM000001`` and so on."""
    return [f"DM{i:06d}" for i in range(1, parameters.instruments + 1)]


def write_market(store: Path, market: Market, parameters: DemoParameters) -> None:
    """Write `market` into the empty folder `store`; the marker comes last."""
    names = symbols(parameters)
    days = np.datetime_as_string(market.days).tolist()
    write_calendar(store, market.days)
    plan, last = market.plan, len(days) - 1
    first_day, last_day = np.maximum(plan.listed, 0), np.minimum(plan.delisted, last)
    whole = [(name, days[first_day[i]], days[last_day[i]]) for i, name in enumerate(names)]
    write_universe(store, "all", [(INDEX, days[0], days[-1]), *whole])
    write_universe(store, UNIVERSE, [(names[i], days[a], days[b]) for i, a, b in market.spans])
    write_groups(store, "sector", {name: SECTORS[k] for name, k in zip(names, plan.sector.tolist(), strict=True)})
    for name in [INDEX, *names]:
        os.makedirs(store / "features" / name.lower(), exist_ok=True)
    for field in FIELDS:
        write_series(feature_file(store, INDEX, field), 0, market.index[field])
        for left in range(0, len(names), COLUMNS):
            block = np.ascontiguousarray(market.fields[field][:, left : left + COLUMNS].T)
            for i, series in enumerate(block, start=left):
                a, b = int(first_day[i]), int(last_day[i])
                write_series(feature_file(store, names[i], field), a, series[a : b + 1])
    marker = {"generator": GENERATOR_VERSION, **dataclasses.asdict(parameters)}
    marker |= {"universe": UNIVERSE, "index": INDEX, "theoretical_ic": parameters.theoretical_ic}
    (store / MARKER).write_text(json.dumps(marker, indent=1) + "\n", "utf-8")
