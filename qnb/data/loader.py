"""Loaders: from a description of columns to a table.

`QlibDataLoader` evaluates expressions over a market data store; those of data that exists already are in
`fixed_loader`. A user's loader derives from `DataLoader` and returns a frame from ``load``.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..cache import Cache, digest
from ..config import Settings
from ..errors import CacheError, ConfigError, DataError, Problem
from ..events import Emit, Progress
from ..task.component import build_component
from ..threads import ContextThreads
from .joining import grouped, joined
from .processor import TableProcessor, Workspace
from .protocols import RowIndex
from .recall import load_address, recall, remember
from .table import Block, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataLoader", "LoadContext", "QlibDataLoader"]

_LOG = logging.getLogger(__name__)

Fields: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""Expressions and their names."""


@dataclass(frozen=True, slots=True)
class LoadContext:
    """What a loader is given besides what to load.

    Attributes
    ----------
    settings : Settings
        Where data and cache are, threads.
    store : object or None
        Market data store; None opens the one that the settings name.
    emit : callable or None
        Receives progress.
    """

    settings: Settings
    store: Any = None
    emit: Emit | None = None

    @property
    def threads(self) -> int:
        """Threads to use."""
        return self.settings.threads

    @property
    def cache(self) -> Cache | None:
        """The cache, or None (with a warning) where it cannot be used."""
        from .provider import open_cache

        try:
            return open_cache(self.settings)
        except CacheError as error:
            _LOG.warning("%s; going on without a cache", error)
            return None

    def open(self, freq: str) -> Any:
        """Return the store of `freq`; users' operators are known from then on."""
        from ..expr.catalogue import register_custom_ops
        from .provider import open_store

        register_custom_ops(self.settings.custom_ops)
        return self.store if self.store is not None else open_store(self.settings, freq)

    def progress(self, done: int, total: int) -> None:
        """Report how many rows are loaded."""
        if self.emit is not None:
            self.emit(Progress(stage="data", step=done, total=total, unit="row"))


class DataLoader:
    """Base of loaders. A user's loader overrides `load`."""

    def load(self, instruments: Any = None, start_time: Any = None, end_time: Any = None) -> pd.DataFrame:
        """Return a frame with the index (datetime, instrument) and columns of one or two levels."""
        from .facade import D
        from .frames import frame_of

        return frame_of(self.load_table(instruments, start_time, end_time, context=LoadContext(D.settings)))

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
        self._whole: dict[str, Fields] | None = None
        missing = [g for g in self.fields if isinstance(freq, Mapping) and g not in freq]
        if missing:
            known = ", ".join(map(str, freq))
            raise ConfigError(
                [Problem(f"freq names no frequency for group {missing[0]!r}", f"it has: {known}", "freq")]
            )

    def load(self, instruments: Any = None, start_time: Any = None, end_time: Any = None) -> pd.DataFrame:
        """Return a frame with the index (datetime, instrument), or (instrument, datetime) if `swap_level` is False."""
        frame = super().load(instruments, start_time, end_time)
        return frame if self.swap_level else frame.swaplevel().sort_index()

    def load_table(
        self, instruments: Any = None, start_time: Any = None, end_time: Any = None, *, context: LoadContext
    ) -> Table:
        """Return the table of all groups."""
        from .frames import table_of

        own = type(self).load
        if own is not QlibDataLoader.load and not own.__module__.startswith("qnb."):
            return table_of(self.load(instruments, start_time, end_time))
        by_freq: dict[str, list[str]] = {}
        for group in self.fields:
            by_freq.setdefault(str(self.freq[group] if isinstance(self.freq, Mapping) else self.freq), []).append(group)
        parts: dict[str, Table] = {}
        for freq, groups in by_freq.items():
            store = context.open(freq)
            with store.held():
                table = self._evaluated(store, groups, instruments, (start_time, end_time), context)
            if not self.inst_processors:
                parts[groups[0]] = table
                continue
            for block in table.blocks:
                parts[block.group] = self._per_instrument(replace(table, blocks=(block,), fingerprint=""), store)
        return joined([parts[g] for g in self.fields if g in parts], "outer")

    def only(self, choose: Callable[[list[tuple[str, str]]], list[tuple[str, str]] | None]) -> QlibDataLoader | None:
        """Return a loader of fewer columns of the same rows; None where all are loaded.

        Parameters
        ----------
        choose : callable
            Receives (group, name) of every column and returns those wanted, or None for all. It is not asked where
            somebody else looks at the columns: processors of instruments, a `load` of the user's.
        """
        own = (type(self).load, type(self).load_table) == (QlibDataLoader.load, QlibDataLoader.load_table)
        if not own or self.inst_processors or not self.is_group:
            return None
        columns = [(g, n) for g, (_, names) in self.fields.items() for n in names]
        chosen = choose(columns)
        if not chosen or len(chosen) == len(columns):
            return None
        wanted, fewer = set(chosen), copy.copy(self)
        fewer._whole = self.fields
        fewer.fields = {}
        for group, pairs in self.fields.items():
            kept = [(e, n) for e, n in zip(*pairs, strict=True) if (group, n) in wanted]
            if kept:
                fewer.fields[group] = (tuple(e for e, _ in kept), tuple(n for _, n in kept))
        return fewer

    def _from_whole(self, groups: Sequence[str], address: Callable[[Mapping[str, Fields]], str], cache: Any) -> Any:
        """Return the columns of `groups` out of an earlier load of all columns; None if the cache has none."""
        if self._whole is None:
            return None
        whole = recall(cache, address({g: self._whole[g] for g in groups}), flat=False)
        if whole is None:
            return None
        fields = {g: self.fields[g] for g in groups}
        chosen = whole.where_columns(lambda group, name: name in fields[group][1])
        return replace(chosen, fingerprint=address(fields))

    def _evaluated(
        self, store: Any, groups: Sequence[str], instruments: Any, span: tuple[Any, Any], context: LoadContext
    ) -> Table:
        """Return the columns of `groups`, from the cache where an earlier load left them."""
        from ..expr.evaluate import evaluate
        from .universe import rows_for

        cache = context.cache
        fields = {g: self.fields[g] for g in groups}

        def address_of(wanted: Mapping[str, Fields]) -> str:
            return load_address(wanted, instruments, span, self.filter_pipe, store)

        address = address_of(fields)
        found = recall(cache, address, flat=not self.is_group)
        if found is None:
            found = self._from_whole(groups, address_of, cache)
        if found is not None:
            context.progress(len(found), len(found))
            return found
        rows = rows_for(instruments, store, start=span[0], end=span[1], filter_pipe=self.filter_pipe)
        widest = max(fields, key=lambda g: len(fields[g][0]))

        def block(group: str) -> Block:
            expressions, names = fields[group]
            progress = context.progress if group == widest else None
            values = evaluate(expressions, store, rows, threads=context.threads, cache=cache, progress=progress)
            return Block(group, names, values)

        with ContextThreads(len(fields), thread_name_prefix="qnb-load") as pool:  # one is written, another computed
            blocks = tuple(pool.map(block, fields))
        known = address or digest("load", list(fields.items()), store.fingerprint, rows.fingerprint)
        index = RowIndex(rows.dates, rows.codes, rows.instruments)
        table = Table(index, blocks, flat=not self.is_group, fingerprint=known)
        if cache is not None:
            keys = [key for b in blocks if (key := cache.key_of(b.values))]
            if len(keys) == len(blocks):
                remember(cache, address, table, keys)
        return table

    def _per_instrument(self, table: Table, store: Any) -> Table:
        """Return the table of one group after the processors of instruments."""
        group = table.blocks[0].group
        chosen = self.inst_processors
        for config in chosen.get(group, ()) if isinstance(chosen, Mapping) else chosen:
            proc = build_component(config, "processor")
            table = _each_instrument(table, proc, self.fields[group][0], store)
        return table


def _fields(given: Any, group: str) -> Fields:
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


def _each_instrument(table: Table, proc: Any, expressions: Sequence[str], store: Any) -> Table:
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
    return replace(grouped(table_of(joined), block.group), flat=table.flat)
