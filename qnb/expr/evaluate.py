"""Evaluates expressions over a market data source into one float32 matrix.

1. The texts are parsed and planned together, so that a term in several of them is computed once.
2. Values that need all rows (no window, cross-sections, other instruments) are computed first, pass by pass.
3. The rows asked for are cut into blocks of days whose part of the matrix fits in memory; in each block the rows of an
   instrument, with the history they need, follow one another. A block is written while the next is computed.
4. Chunks of a block are computed by several threads and scattered into the matrix, ordered (datetime, instrument).
5. With a cache, the matrix is written to it, under a lock of its key, and comes back memory-mapped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue

import numpy as np

from ..cache import Cache, digest
from ..errors import CacheError, UnknownNameError, nearest
from ..threads import ContextThreads
from .catalogue import operators
from .fingerprint import operator_fingerprint
from .layout import Slice, trimmed_layout
from .native import kernel
from .nodes import Call, Node, fields_of, to_text, walk
from .parse import parse
from .passes import Reader, bars_a_day, compute_kept, extents_of
from .plan import Mode, build_plan
from .program import Program, Worker
from .protocols import FieldSource
from .rows import Rows

__all__ = ["ENGINE_VERSION", "evaluate", "evaluation_key"]

_LOG = logging.getLogger(__name__)

ENGINE_VERSION = 1
"""Raised when results change, so that older cache entries are not used."""

BLOCK_BYTES = (1 << 28, 1 << 30)
"""Least and most of the matrix that is in work at a time; between them, so much that history is an eighth of it."""

Progress = Callable[[int, int], None]


def evaluate(
    fields: Sequence[str],
    source: FieldSource,
    rows: Rows,
    *,
    threads: int = 2,
    cache: Cache | None = None,
    progress: Progress | None = None,
    mode: Mode = "compat",
) -> np.ndarray:
    """Return the values of expressions on rows.

    Parameters
    ----------
    fields : sequence of str
        Expressions; one column each.
    source : FieldSource
        Market data.
    rows : Rows
        Instruments and days, ordered (day, instrument).
    threads : int
        Threads to compute with.
    cache : Cache, optional
        Where to look for the matrix and to keep it.
    progress : callable, optional
        Called with the rows done and all rows.
    mode : {'compat', 'strict'}
        ``compat`` reproduces the peer where it is odd.

    Returns
    -------
    ndarray of float32, shape (rows, fields)
        C-ordered; memory-mapped and read-only with a cache. NaN where a value is unknown.

    Raises
    ------
    ExpressionError
        A text cannot be read.
    UnknownNameError
        None of the fields that the expressions read exists.
    DataError
        A file of the store is broken.
    """
    trees = [parse(text) for text in fields]
    if cache is None:
        matrix = np.empty((len(rows), len(trees)), np.float32)
        _compute(trees, fields, source, rows, matrix, threads, progress, mode, None)
        return matrix
    key = _key(trees, source, rows, mode)
    found = cache.get_array(key)
    if found is not None:
        _LOG.info("cache hit: %d x %d values, %.0f MiB", *found.shape, found.nbytes / 2**20)
        return found
    try:
        with cache.lock(key):
            found = cache.get_array(key)  # another process may have computed it meanwhile
            if found is None:
                label = f"{len(trees)} fields, {len(rows)} rows"
                with cache.create_array(key, (len(rows), len(trees)), np.float32, label=label) as matrix:
                    _compute(trees, fields, source, rows, matrix, threads, progress, mode, cache)
                found = cache.get_array(key)
        if found is not None:
            return found
    except CacheError as error:
        _LOG.warning("%s; going on without the cache", error)
    return evaluate(fields, source, rows, threads=threads, progress=progress, mode=mode)


def evaluation_key(fields: Sequence[str], source: FieldSource, rows: Rows, *, mode: Mode = "compat") -> str:
    """Return the content address of what `evaluate` returns for these arguments."""
    return _key([parse(text) for text in fields], source, rows, mode)


def _key(trees: Sequence[Node], source: FieldSource, rows: Rows, mode: Mode) -> str:
    called = sorted({n.operator for tree in trees for n in walk(tree) if isinstance(n, Call)})
    own = [(name, operator_fingerprint(operators()[name])) for name in called]
    texts = [to_text(tree) for tree in trees]
    return "fields-" + digest(ENGINE_VERSION, mode, texts, own, source.fingerprint, rows.fingerprint)


def _check_fields(trees: Sequence[Node], known: Sequence[str]) -> None:
    read = sorted({name.lower() for tree in trees for name in fields_of(tree)})
    missing = [name for name in read if name not in known]
    if missing and len(missing) == len(read):
        raise UnknownNameError("field", "$" + missing[0], ["$" + k for k in known])
    for name in missing:
        near = nearest(name, known)
        hint = f"; did you mean ${near[0]}?" if near else ""
        _LOG.warning("the store has no field $%s, its values are NaN%s", name, hint)


def _compute(
    trees: Sequence[Node],
    texts: Sequence[str],
    source: FieldSource,
    rows: Rows,
    matrix: np.ndarray,
    threads: int,
    progress: Progress | None,
    mode: Mode,
    cache: Cache | None,
) -> None:
    known = [name.lower() for name in source.fields()]
    _check_fields(trees, known)
    if not len(rows):
        return
    plan = build_plan(trees, mode=mode, known=known, bars=bars_a_day(source.calendar), texts=texts)
    extents = extents_of(source, rows.instruments, plan)
    kept = compute_kept(plan, source, rows, extents, threads=threads, mode=mode)
    program = Program(plan, plan.outputs, Reader(source, rows, kept), start=rows.start, block=True)
    columns = np.array([program.columns[o] for o in plan.outputs], dtype=np.int64)
    row_bytes = matrix.shape[1] * 4
    a_day = len(rows) / (int(rows.days[-1]) - int(rows.days[0]) + 1)
    wanted = int(8 * (plan.left + plan.right) * a_day * row_bytes)
    blocks = list(_blocks(rows, row_bytes, max(BLOCK_BYTES[0], min(wanted, BLOCK_BYTES[1]))))
    done = 0
    with _Sink(matrix, cache, max(stop - first for first, stop in blocks), len(blocks)) as sink:
        for first, stop in blocks:
            target = sink.room(first, stop)
            layout = trimmed_layout(rows.days[first:stop], rows.codes[first:stop], extents, plan.left, plan.right)
            for count in _run_chunks(program, list(layout.chunks()), columns, target, threads):
                done += count
                if progress is not None:
                    progress(done, len(rows))
            sink.put(first, target)


class _Sink:
    """Where blocks of the matrix go: into it, or to the cache, which writes one while the next is computed."""

    def __init__(self, matrix: np.ndarray, cache: Cache | None, rows: int, blocks: int) -> None:
        self._matrix = matrix
        self._cache = cache
        self._spare = [np.empty((rows, matrix.shape[1]), np.float32) for _ in range(min(2, blocks))] if cache else []
        self._writing: list[Future[None]] = []
        self._writer = ContextThreads(1, thread_name_prefix="qnb-expr-write")

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._writer.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for one in self._writing:
                one.result()

    def room(self, first: int, stop: int) -> np.ndarray:
        """Return the array to compute rows `first` to `stop` into."""
        if not self._spare:
            return self._matrix[first:stop]
        if len(self._writing) >= len(self._spare):
            self._writing.pop(0).result()
        self._spare.append(self._spare.pop(0))
        return self._spare[-1][: stop - first]

    def put(self, first: int, block: np.ndarray) -> None:
        """Say that the rows from `first` on are computed."""
        if self._cache is not None:
            self._writing.append(self._writer.submit(self._cache.write, self._matrix, first, block))


def _blocks(rows: Rows, row_bytes: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows of whole days whose part of the matrix is about `size` bytes."""
    most = max(1, size // row_bytes)
    first, count = 0, len(rows)
    while first < count:
        stop = min(first + most, count)
        if stop < count:
            day = rows.days[stop]
            start_of_day = int(np.searchsorted(rows.days, day, side="left"))
            stop = start_of_day if start_of_day > first else int(np.searchsorted(rows.days, day, side="right"))
        if count - stop < most // 8:
            stop = count
        yield first, stop
        first = stop


def _run_chunks(
    program: Program, chunks: list[Slice], columns: np.ndarray, matrix: np.ndarray, threads: int
) -> Iterator[int]:
    """Compute the chunks and write their rows into the matrix; yields the rows of each."""
    scatter = kernel("scatter")
    capacity = max(c.rows for c in chunks)
    spare: SimpleQueue[Worker] = SimpleQueue()
    workers = max(1, min(threads, len(chunks)))
    for _ in range(workers):
        spare.put(Worker(program, capacity))

    def run(chunk: Slice) -> int:
        worker = spare.get()
        try:
            worker.run(chunk)
            scatter(
                worker.address((0, 0)), worker.capacity, columns.ctypes.data, len(columns), chunk.places.ctypes.data,
                chunk.targets.ctypes.data, len(chunk.targets), matrix.ctypes.data, matrix.shape[1],
            )  # fmt: skip
        finally:
            spare.put(worker)
        return len(chunk.targets)

    if workers == 1:
        yield from map(run, chunks)
        return
    with ContextThreads(workers, thread_name_prefix="qnb-expr") as pool:
        yield from pool.map(run, chunks)
