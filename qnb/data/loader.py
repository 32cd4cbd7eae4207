"""Loaders: from a description of columns to a table.

`QlibDataLoader` evaluates expressions over a market data store, `StaticDataLoader` takes frames and files,
`NestedDataLoader` joins what several loaders give, `DataLoaderDH` takes what handlers give out. A user's loader derives
from `DataLoader` and returns a frame from ``load``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cache import Cache, digest
from ..config import Settings, current_settings
from ..errors import CacheError, ConfigError, DataError, Problem
from ..events import Emit, Progress
from ..task.component import build_component
from .processor import TableProcessor, Workspace
from .protocols import RowIndex
from .selection import rows_of
from .table import Block, Table

if TYPE_CHECKING:
    import pandas as pd

    from ..expr.rows import Rows

__all__ = [
    "DataLoader",
    "DataLoaderDH",
    "LoadContext",
    "NestedDataLoader",
    "QlibDataLoader",
    "StaticDataLoader",
]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What a loader is given besides what to load.

    Attributes
    ----------
    store : object or None
        Market data store; None opens the one that the settings name.
    settings : Settings or None
        None means those of `qnb.init`.
    emit : callable or None
        Receives progress.
    """

    store: Any = None
    settings: Settings | None = None
    emit: Emit | None = None

    @property
    def threads(self) -> int:
        """Threads to use."""
        return self._settings.threads

    @property
    def cache(self) -> Cache | None:
        """The cache, or None (with a warning) where it cannot be used."""
        from .provider import open_cache

        try:
            return open_cache(self._settings)
        except CacheError as error:
            _LOG.warning("%s; going on without a cache", error)
            return None

    def open(self, freq: str) -> Any:
        """Return the store of `freq`."""
        from .provider import open_store

        return self.store if self.store is not None else open_store(self._settings, freq)

    def progress(self, done: int, total: int) -> None:
        """Report progress of loading."""
        if self.emit is not None:
            self.emit(Progress(stage="data", step=done, total=total, unit="expression"))

    @property
    def _settings(self) -> Settings:
        return self.settings if self.settings is not None else current_settings()


class DataLoader:
    """Base of loaders. A user's loader overrides `load`."""

    def load(self, instruments: Any = None, start_time: Any = None, end_time: Any = None) -> pd.DataFrame:
        """Return a frame with the index (datetime, instrument) and columns of one or two levels."""
        from .frames import frame_of

        return frame_of(self.load_table(instruments, start_time, end_time, context=LoadContext()))

    def load_table(
        self, instruments: Any = None, start_time: Any = None, end_time: Any = None, *, context: LoadContext
    ) -> Table:
        """Return the table; by default what `load` returns, read into one.

        Parameters
        ----------
        instruments : str, list, mapping or None
            Universe name, symbols, or ``{"market": name, "filter_pipe": [...]}``.
        start_time, end_time : date or None
            Span, both ends inclusive.
        context : LoadContext
            Store, settings, progress.
        """
        from .frames import table_of

        if type(self).load is DataLoader.load:
            raise NotImplementedError(f"{type(self).__name__} has neither load() nor load_table()")
        return table_of(self.load(instruments, start_time, end_time))


class QlibDataLoader(DataLoader):
    """Evaluates expressions over a market data store.

    Parameters
    ----------
    config : list or mapping
        Fields: ``[expression, ...]`` or ``[[expression, ...], [name, ...]]``; or such fields by column group:
        ``{"feature": fields, "label": fields}``.
    filter_pipe : list, optional
        Filters of the universe.
    swap_level : bool
        False: `load` returns frames ordered (instrument, datetime).
    freq : str or mapping
        Frequency, or one for each column group.
    inst_processors : list or mapping, optional
        Processors of each instrument's frame, for all column groups or by group. They see the frame of one
        instrument with the index ``datetime`` and are called as ``proc(df, instrument=symbol)``.

    Raises
    ------
    ConfigError
        Fields that cannot be read: empty, unequal numbers of expressions and names, a group without a frequency.
    """

    def __init__(
        self,
        config: Any,
        filter_pipe: Sequence[Any] | None = None,
        swap_level: bool = True,
        freq: Any = "day",
        inst_processors: Any = None,
    ) -> None:
        self.config = config
        self.is_group = isinstance(config, Mapping)
        groups = config if isinstance(config, Mapping) else {"": config}
        self.fields = {str(g): _fields(f, str(g)) for g, f in groups.items()}
        self.filter_pipe = filter_pipe
        self.swap_level = swap_level
        self.freq = freq
        self.inst_processors = inst_processors or {}
        missing = [g for g in self.fields if isinstance(freq, Mapping) and g not in freq]
        if missing:
            known = ", ".join(map(str, freq))
            raise ConfigError(
                [Problem(f"freq names no frequency for group {missing[0]!r}", f"it has: {known}", "freq")]
            )

    def load(self, instruments: Any = None, start_time: Any = None, end_time: Any = None) -> pd.DataFrame:
        """Return a frame with the index (datetime, instrument), or (instrument, datetime) if `swap_level` is False."""
        from .frames import frame_of

        frame = frame_of(self.load_table(instruments, start_time, end_time, context=LoadContext()))
        return frame if self.swap_level else frame.swaplevel().sort_index()

    def load_table(
        self, instruments: Any = None, start_time: Any = None, end_time: Any = None, *, context: LoadContext
    ) -> Table:
        """Return the table of all groups."""
        from .frames import table_of

        own = type(self).load
        if own is not QlibDataLoader.load and not own.__module__.startswith("qnb."):
            return table_of(self.load(instruments, start_time, end_time))
        from .universe import rows_for

        opened: dict[str, tuple[Any, Rows, RowIndex]] = {}  # groups of one frequency share store and rows
        tables = []
        for group in self.fields:
            freq = str(self.freq[group] if isinstance(self.freq, Mapping) else self.freq)
            if freq not in opened:
                store = context.open(freq)
                rows = rows_for(instruments, store, start=start_time, end=end_time, filter_pipe=self.filter_pipe)
                opened[freq] = store, rows, RowIndex(rows.dates, rows.codes, rows.instruments)
            tables.append(self._group(group, *opened[freq], context))
        return _joined(tables, "outer")

    def _group(self, group: str, store: Any, rows: Rows, index: RowIndex, context: LoadContext) -> Table:
        from ..expr.evaluate import evaluate

        expressions, names = self.fields[group]
        values = evaluate(
            expressions, store, rows, threads=context.threads, cache=context.cache, progress=context.progress
        )
        address = digest("loaded", group, expressions, names, store.fingerprint, rows.fingerprint)
        table = Table(index, (Block(group, names, values),), flat=not self.is_group, fingerprint=address)
        chosen = self.inst_processors
        for config in chosen.get(group, ()) if isinstance(chosen, Mapping) else chosen:
            table = _per_instrument(table, build_component(config, "processor"), expressions, store)
        return table


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
            parts = [_grouped(table_of(_read(s)), str(g)) for g, s in self.config.items()]
            table = _joined(parts, self.join)
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
            kept.insert(0, table.where_columns(lambda group, name, seen=seen: (group, name) not in seen))  # type: ignore[misc]
            later |= set(table.columns)
        return _joined(kept, self.join)


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
            tables.append(_grouped(table, group) if self.is_group else table)
        return _joined(tables, "outer")


def _fields(given: Any, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return expressions and names from ``[expression, ...]`` or ``[[expression, ...], [name, ...]]``."""
    where = f"data_loader.config.{group}" if group else "data_loader.config"
    if isinstance(given, str) or not isinstance(given, list | tuple):
        raise ConfigError([Problem(f"fields must be a list, received {given!r}", "write [expression, ...]", where)])
    if not len(given):
        raise ConfigError([Problem("a list of fields is empty", "give at least one expression", where)])
    if isinstance(given[0], str):
        expressions = names = tuple(str(f) for f in given)
    else:
        if len(given) != 2:
            remedy = "write [[expression, ...], [name, ...]]"
            raise ConfigError([Problem(f"expected expressions and names, received {len(given)} lists", remedy, where)])
        expressions, names = tuple(str(f) for f in given[0]), tuple(str(n) for n in given[1])
    if len(expressions) != len(names):
        raise ConfigError([Problem(f"{len(expressions)} expressions but {len(names)} names", "", where)])
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise ConfigError([Problem(f"column name {repeated[0]!r} occurs twice", "give each its own name", where)])
    return expressions, names


def _joined(tables: Sequence[Table], how: str) -> Table:
    """Return the columns of several tables side by side, on ``left``, ``outer`` or ``inner`` rows where they differ."""
    first = tables[0]
    if all(_same_rows(first.index, t.index) for t in tables[1:]):
        blocks = tuple(b for t in tables for b in t.blocks)
        if len(tables) == 1:
            return first
        known = all(t.fingerprint for t in tables)
        address = digest("joined", [(t.fingerprint, t.columns) for t in tables]) if known else ""
        return replace(first, blocks=blocks, fingerprint=address)
    import pandas as pd

    from .frames import frame_of, table_of

    frames = [frame_of(t) for t in tables]
    if how == "left":
        frames = [frames[0], *(f.reindex(frames[0].index) for f in frames[1:])]
    return table_of(pd.concat(frames, axis=1, join="inner" if how == "inner" else "outer").sort_index())


def _same_rows(a: RowIndex, b: RowIndex) -> bool:
    return a is b or (
        a.instruments == b.instruments and np.array_equal(a.dates, b.dates) and np.array_equal(a.codes, b.codes)
    )


def _per_instrument(table: Table, proc: Any, expressions: Sequence[str], store: Any) -> Table:
    """Apply a processor to each instrument's rows by themselves."""
    if hasattr(proc, "keep"):
        return table.take(proc.keep(table, store.calendar))
    if isinstance(proc, TableProcessor):
        return proc.transform(table, Workspace())
    import pandas as pd

    from .frames import frame_of, table_of

    block = table.blocks[0]
    frame = frame_of(table, levels=1)
    frame.columns = pd.Index(expressions)
    parts = {}
    for symbol, rows in frame.groupby(level="instrument", sort=True):
        given = rows.droplevel("instrument").copy()
        got = proc(given, instrument=symbol)
        if got is not None and len(got):
            parts[symbol] = got
    if not parts:
        return table.take(np.zeros(len(table), dtype=bool))
    joined = pd.concat(parts, names=["instrument", "datetime"])
    if joined.shape[1] != len(block.names):
        raise DataError(
            f"{type(proc).__name__} returned {joined.shape[1]} columns for the {len(block.names)} of group "
            f"{block.group!r}; a processor of instruments must keep the columns"
        )
    joined.columns = pd.Index(block.names)
    return replace(_grouped(table_of(joined), block.group), flat=table.flat)


def _grouped(table: Table, group: str) -> Table:
    """Return `table` with all columns in one group."""
    return replace(table, blocks=tuple(replace(b, group=group) for b in table.blocks), flat=False)


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
