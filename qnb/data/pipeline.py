"""Runs processors over a loaded table: raw -> shared -> infer -> learn.

1. Each chain starts from a table that nobody may write to; a processor copies a matrix at most once, and the next ones
   in the chain change that copy in place.
2. Each processor is fitted on what the one before it returned; ours look at their fit window only.
3. With a cache, the result of a chain of our own processors is kept under the address of its input and its
   configuration, together with what was learned. New matrices are written straight into the cache's memory map.
4. A user's processor gets a frame of its own and returns one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ..cache import digest
from ..errors import CacheError, ConfigError, DataError, Problem
from ..events import Emit, LogLine
from ..task.modules import code_name
from .processor import TableProcessor, Workspace
from .table import Block, Gathering, Table

if TYPE_CHECKING:
    from ..cache import Cache

__all__ = ["FitMode", "Prepared", "ProcessType", "content_address", "prepare_table"]

ProcessType: TypeAlias = Literal["append", "independent"]
FitMode: TypeAlias = Literal["fit_seq", "fit_ind", "load_state"]
"""Fit each processor on the output of the one before, or all on the loaded data, or keep what they learned."""

_VERSION = 1  # of the processors' arithmetic; a change makes cached results unreachable
_IN_MEMORY = 1 << 20
_LABEL = "columns after processors"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The three tables of a handler; they share every matrix that no processor changed."""

    raw: Table
    infer: Table
    learn: Table


def prepare_table(
    raw: Table,
    *,
    shared: Sequence[Any] = (),
    infer: Sequence[Any] = (),
    learn: Sequence[Any] = (),
    process_type: ProcessType = "append",
    mode: FitMode = "fit_seq",
    cache: Cache | None = None,
    threads: int = 1,
    emit: Emit | None = None,
) -> Prepared:
    """Run all processors.

    Parameters
    ----------
    raw : Table
        As loaded; it is not changed.
    shared, infer, learn : sequence of processors
        `shared` comes first; `infer` makes what a model predicts from; `learn` makes what it is fitted on, from the
        output of `infer` (``append``) or of `shared` (``independent``).
    mode : str
        ``fit_seq`` fits each processor on the output of the one before; ``fit_ind`` fits all on `raw`;
        ``load_state`` fits none.
    cache : Cache, optional
        Where results are kept.

    Raises
    ------
    ConfigError
        A processor that looks at labels stands among `shared` or `infer`.
    """
    for proc in [*shared, *infer]:
        if not _is_for_infer(proc):
            name = type(proc).__name__
            problem = Problem(f"{name} looks at labels, which data to predict from does not have", "", name)
            raise ConfigError([replace(problem, remedy="move it to learn_processors")])
    if mode == "fit_ind":
        for proc in [*shared, *infer, *learn]:
            _fit(proc, raw, Workspace(threads=threads))
    run = _Runner(mode == "fit_seq", cache, threads, emit)
    base = run.chain(raw, shared)
    inferred = run.chain(base, infer)
    learned = run.chain(inferred if process_type == "append" else base, learn)
    return Prepared(raw, inferred, learned)


def content_address(table: Table) -> str:
    """Return the table's fingerprint, computed from its values if it was loaded without one."""
    if table.fingerprint:
        return table.fingerprint
    index = table.index
    blocks = [(b.group, b.names, b.matrix()) for b in table.blocks]
    return digest("content", index.dates.view(np.int64), index.codes, index.instruments, blocks)


@dataclass(slots=True)
class _Runner:
    fit: bool
    cache: Cache | None
    threads: int
    emit: Emit | None

    def chain(self, table: Table, processors: Sequence[Any]) -> Table:
        """Return `table` after all `processors`."""
        if not processors:
            return table
        return self._chained(table, processors).gathered(Gathering(self.threads, self.cache))

    def _chained(self, table: Table, processors: Sequence[Any]) -> Table:
        work = Workspace(threads=self.threads)
        if not all(isinstance(p, TableProcessor) for p in processors):
            return self._compute(table, processors, work)
        if self.cache is None and not table.fingerprint:
            return self._compute(table, processors, work)
        address = digest("chain", _VERSION, content_address(table), [_describe(p, self.fit) for p in processors])
        with ExitStack() as stack:
            locked = self._lock(address, stack)
            if not locked or self.cache is None:
                return replace(self._compute(table, processors, work), fingerprint=address)
            found = _load(self.cache, address, table, processors)
            if found is not None:
                self._log(f"{_names(processors)}: from the cache")
                return found
            scratch = _Scratch(self.cache, address)
            stack.callback(scratch.discard)
            work = Workspace(threads=self.threads, allocate=scratch.allocate)
            result = replace(self._compute(table, processors, work), fingerprint=address)
            return _store(self.cache, address, table, result, processors, scratch)

    def _compute(self, table: Table, processors: Sequence[Any], work: Workspace) -> Table:
        given = table.shared()
        current = given
        for proc in processors:
            began = time.perf_counter()
            try:
                if self.fit:
                    _fit(proc, current, work)
                current = proc.transform(current, work) if isinstance(proc, TableProcessor) else _apply(proc, current)
            except Exception as error:
                error.add_note(f"in processor {type(proc).__name__}")
                raise
            seconds = time.perf_counter() - began
            self._log(f"{type(proc).__name__}: {len(current)} rows, {len(current.columns)} columns, {seconds:.2f} s")
        return replace(current, fingerprint="")

    def _lock(self, key: str, stack: ExitStack) -> bool:
        if self.cache is None:
            return False
        try:
            stack.enter_context(self.cache.lock(key))
        except CacheError as error:
            _LOG.warning("%s; going on without the cache", error)
            return False
        return True

    def _log(self, text: str) -> None:
        _LOG.debug(text)
        if self.emit is not None:
            self.emit(LogLine(text=text, level="debug", stage="data"))


class _Scratch:
    """Arrays of a running chain, in the cache's memory maps where it has room, else in memory."""

    def __init__(self, cache: Cache, address: str) -> None:
        self._cache, self._address = cache, address
        self._open: dict[int, tuple[str, np.ndarray, Any]] = {}
        self._count = 0

    def allocate(self, shape: tuple[int, int]) -> np.ndarray:
        if shape[0] * shape[1] * 4 < _IN_MEMORY:
            return np.empty(shape, dtype=np.float32)
        key = digest(self._address, "array", self._count)
        self._count += 1
        context = self._cache.create_array(key, shape, np.float32, label=_LABEL)
        try:
            array = context.__enter__()
        except CacheError as error:
            _LOG.warning("%s; going on without the cache", error)
            return np.empty(shape, dtype=np.float32)
        self._open[id(array)] = (key, array, context)
        return array

    def keep(self, array: np.ndarray) -> str | None:
        """Commit `array` and return its key; None if it is not in the cache."""
        if id(array) not in self._open:
            return None
        key, _, context = self._open.pop(id(array))
        context.__exit__(None, None, None)
        return key

    def discard(self) -> None:
        """Drop what was not kept."""
        for _, _, context in self._open.values():
            dropped = _DroppedError()
            try:
                context.__exit__(_DroppedError, dropped, None)
            except _DroppedError:
                continue
        self._open.clear()


class _DroppedError(Exception):
    """Ends a cache write whose array is not wanted."""


def _fit(proc: Any, table: Table, work: Workspace) -> None:
    if isinstance(proc, TableProcessor):
        proc.learn(table, work)
    elif hasattr(proc, "fit"):
        proc.fit(_own_frame(table))


def _apply(proc: Any, table: Table) -> Table:
    from .frames import table_of

    frame = proc(_own_frame(table))
    if frame is None:
        raise DataError(f"processor {type(proc).__name__} returned nothing; its __call__(df) must return the frame")
    return replace(table_of(frame), by_instrument=table.by_instrument)


def _own_frame(table: Table) -> Any:
    from .frames import frame_of

    return frame_of(replace(table, by_instrument=False)).copy()


def _is_for_infer(proc: Any) -> bool:
    ask = getattr(proc, "is_for_infer", None)
    return True if ask is None else bool(ask())


def _describe(proc: TableProcessor, fit: bool) -> list[Any]:
    """Return what decides the output of `proc`: class, arguments, and what it knows when it is not fitted."""
    given = {k: repr(v) for k, v in sorted(vars(proc).items()) if not k.endswith("_")}
    return [code_name(type(proc)), given, {} if fit else proc.state]


def _names(processors: Sequence[Any]) -> str:
    return ", ".join(type(p).__name__ for p in processors)


def _store(
    cache: Cache, address: str, given: Table, result: Table, processors: Sequence[Any], scratch: _Scratch
) -> Table:
    """Keep `result` and return it with its matrices as the cache has them."""
    places = {id(b.values): i for i, b in enumerate(given.blocks)}
    blocks, entries = [], []
    try:
        for number, block in enumerate(result.blocks):
            entry: dict[str, Any] = {"group": block.group, "names": list(block.names)}
            if id(block.values) in places and block.names == given.blocks[places[id(block.values)]].names:
                entry["from"] = places[id(block.values)]
            else:
                entry["key"], block = _keep(cache, digest(address, "block", number), block, scratch)
            blocks.append(block)
            entries.append(entry)
        rows = None
        if result.rows is not None:
            rows = digest(address, "rows")
            _put(cache, rows, result.rows)
        states = [p.state for p in processors]
        document = {"rows": rows, "by_instrument": result.by_instrument, "blocks": entries, "states": states}
        cache.put_json(address, document)
    except CacheError as error:
        _LOG.warning("%s; the prepared data is not kept", error)
        return result
    return replace(result, blocks=tuple(blocks))


def _keep(cache: Cache, key: str, block: Block, scratch: _Scratch) -> tuple[str, Block]:
    if block.rows is not None:  # a selection of rows of a new matrix
        block = replace(block, values=block.matrix(), rows=None)
    kept = scratch.keep(block.values)
    if kept is None:
        kept = key
        _put(cache, kept, block.values)
    values = cache.get_array(kept)
    return kept, replace(block, values=block.values if values is None else values, owned=False)


def _put(cache: Cache, key: str, values: np.ndarray) -> None:
    with cache.create_array(key, values.shape, values.dtype, label=_LABEL) as out:
        out[...] = values


def _load(cache: Cache, address: str, given: Table, processors: Sequence[TableProcessor]) -> Table | None:
    """Return the kept result of a chain, or None if any part of it is missing."""
    document = cache.get_json(address)
    if document is None:
        return None
    rows = None
    table = given.shared()
    if document["rows"] is not None:
        rows = cache.get_array(document["rows"])
        if rows is None:
            return None
        keep = np.zeros(len(given), dtype=bool)
        keep[rows] = True
        table = table.take(keep)
    blocks = []
    for entry in document["blocks"]:
        if "from" in entry:
            blocks.append(table.blocks[entry["from"]])
            continue
        values = cache.get_array(entry["key"])
        if values is None:
            return None
        blocks.append(Block(entry["group"], tuple(entry["names"]), values))
    for proc, state in zip(processors, document["states"], strict=True):
        proc.state = state
    return replace(
        table, blocks=tuple(blocks), fingerprint=address, by_instrument=document["by_instrument"] or given.by_instrument
    )
