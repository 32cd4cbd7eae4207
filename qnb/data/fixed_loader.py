"""Loaders of data that exists already: frames and files, what other loaders give, what handlers give out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, Problem
from ..task.component import build_component
from .joining import grouped, joined
from .loader import DataLoader, LoadContext
from .selection import rows_of
from .table import Table

__all__ = ["DataLoaderDH", "NestedDataLoader", "StaticDataLoader"]

_LOG = logging.getLogger(__name__)


class StaticDataLoader(DataLoader):
    """Takes data as it is given: frames, Parquet or CSV files.

    Parameters
    ----------
    config : DataFrame, path, or mapping of group to either
        Index (datetime, instrument) in either order; in a CSV file, columns of these names.
    join : str
        ``outer`` or ``inner``: how the rows of several groups are aligned.
    """

    def __init__(self, config: Any, join: str = "outer") -> None:
        if join not in ("outer", "inner"):
            raise ConfigError([Problem(f"unknown join {join!r}", "valid: outer, inner", "join")])
        self.config = config
        self.join = join

    def load_table(
        self, instruments: Any = None, start_time: Any = None, end_time: Any = None, *, context: LoadContext
    ) -> Table:
        """Return the rows of `instruments` (symbols) within the span."""
        from .frames import table_of

        if isinstance(self.config, Mapping):
            parts = [grouped(table_of(_read(s)), str(g)) for g, s in self.config.items()]
            table = joined(parts, self.join)
        else:
            table = table_of(_read(self.config))
        keep = np.zeros(len(table), dtype=bool)
        keep[rows_of(table, slice(start_time, end_time))] = True
        if instruments is not None:
            chosen = np.zeros(len(table), dtype=bool)
            chosen[rows_of(table, _symbols(instruments), "instrument")] = True
            keep &= chosen
        return table.take(keep)


class NestedDataLoader(DataLoader):
    """Joins the columns of several loaders; of a column that several give, the last one counts.

    Parameters
    ----------
    dataloader_l : list
        Loaders or their descriptions.
    join : str
        ``left`` keeps the rows of the first, ``outer`` those of all, ``inner`` the common ones.
    """

    def __init__(self, dataloader_l: Sequence[Any], join: str = "left") -> None:
        if join not in ("left", "outer", "inner"):
            raise ConfigError([Problem(f"unknown join {join!r}", "valid: left, outer, inner", "join")])
        self.dataloader_l = [build_component(c, "loader", accept=DataLoader) for c in dataloader_l]
        self.join = join

    def load_table(
        self, instruments: Any = None, start_time: Any = None, end_time: Any = None, *, context: LoadContext
    ) -> Table:
        """Return the joined columns."""
        tables = []
        for loader in self.dataloader_l:
            fixed = isinstance(loader, StaticDataLoader) and isinstance(instruments, str | Mapping)
            if fixed:
                _LOG.warning(
                    "NestedDataLoader: fixed data has no universe %r, all its instruments are used", instruments
                )
            tables.append(loader.load_table(None if fixed else instruments, start_time, end_time, context=context))
        kept: list[Table] = []
        later: set[tuple[str, str]] = set()
        for table in reversed(tables):
            seen = frozenset(later)
            kept.insert(0, table.where_columns(lambda group, name, seen=seen: (group, name) not in seen))
            later |= set(table.columns)
        return joined(kept, self.join)


class DataLoaderDH(DataLoader):
    """Takes what handlers give out.

    Parameters
    ----------
    handler_config : handler, description, or mapping of group to either
        Where the data comes from.
    fetch_kwargs : mapping
        Arguments of their ``fetch``.
    is_group : bool
        Whether `handler_config` is a mapping of column groups.
    """

    def __init__(
        self, handler_config: Any, fetch_kwargs: Mapping[str, Any] | None = None, is_group: bool = False
    ) -> None:
        self.handler_config = handler_config
        configs = handler_config if is_group else {"": handler_config}
        self.handlers = {g: build_component(c, "handler") for g, c in configs.items()}
        self.fetch_kwargs = {"col_set": "__raw", **(fetch_kwargs or {})}
        self.is_group = is_group

    def load_table(
        self, instruments: Any = None, start_time: Any = None, end_time: Any = None, *, context: LoadContext
    ) -> Table:
        """Return the handlers' data within the span; `instruments` are those of the handlers."""
        from .frames import table_of

        if instruments is not None:
            _LOG.warning("DataLoaderDH: instruments %r are ignored, the handlers have their own", instruments)
        span = slice(start_time, end_time)
        tables = []
        for group, handler in self.handlers.items():
            table = table_of(handler.fetch(selector=span, level="datetime", **self.fetch_kwargs))
            tables.append(grouped(table, group) if self.is_group else table)
        return joined(tables, "outer")


def _read(source: Any) -> Any:
    if not isinstance(source, str | Path):
        return source
    import pandas as pd

    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"no file {str(path)!r}; give a Parquet or CSV file")
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".csv":
        frame = pd.read_csv(path)
        missing = {"datetime", "instrument"} - set(frame.columns)
        if missing:
            raise DataError(f"{path}: no column {sorted(missing)[0]!r}; a CSV file needs datetime and instrument")
        frame["datetime"] = pd.to_datetime(frame["datetime"])
        frame["instrument"] = frame["instrument"].astype(str)
        return frame.set_index(["datetime", "instrument"]).sort_index()
    raise DataError(f"cannot read {str(path)!r}; save the frame with to_parquet, pickles are not loaded")


def _symbols(instruments: Any) -> Any:
    if isinstance(instruments, str):
        return instruments
    if isinstance(instruments, Mapping):
        raise ConfigError(
            [Problem(f"fixed data has no universe {instruments!r}", "give a list of symbols, or none", "instruments")]
        )
    import pandas as pd

    return pd.Index([str(s) for s in instruments])
