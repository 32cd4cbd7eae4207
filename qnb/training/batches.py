"""How rows reach a network: gathered by index from the memory-mapped matrix, without a Python call for a row.

1. A segment becomes `Rows`: a view of the float32 matrix, and which of its rows (or windows) can be used. A row can be
   used when all its features are known and, in a fit, its label is finite.
2. An epoch is a list of index vectors: shuffled rows, one whole date, or as many whole dates as fill a batch.
3. A batch is one ``index_select``. For windows the positions of the batch are selected first, then the rows they name.
4. For a GPU the matrix is moved there once if it fits in half of its free memory; else a thread gathers the next
   batches into pinned memory while the current one is trained on.
"""

from __future__ import annotations

import queue
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.protocols import DataKey, RowIndex, WindowSample
from ..errors import EmptyDataError, ModelError
from ..threads import start_thread
from .context import FitContext
from .options import LoopOptions
from .samples import label_column, labelled, row_weights, sample_of, window_weights

__all__ = ["Batch", "Rows", "epoch_order", "feed", "fit_data", "in_order", "predict_data", "resident", "step_order"]

FILL = "ffill+bfill"
"""What stands in a window on a date without a row: the row before it, else the next one of the window."""

CHUNK = 1 << 16

AT_ONCE = 1024
"""Rows that a CPU predicts at once at most: what lies between the layers of so many still fits into its caches."""


class Batch(NamedTuple):
    """What one step trains on: x (rows, features) or (rows, steps, features), y, weight or None, day; (rows,)."""

    x: Tensor
    y: Tensor
    weight: Tensor | None
    day: Tensor

    def part(self, first: int, stop: int) -> Batch:
        """Return the rows `first` to `stop`, the latter left out."""
        weight = None if self.weight is None else self.weight[first:stop]
        return Batch(self.x[first:stop], self.y[first:stop], weight, self.day[first:stop])


@dataclass(frozen=True, slots=True)
class Rows:
    """The usable rows of a segment, ordered by date.

    Attributes
    ----------
    data : Tensor of float32, shape (source rows, columns)
        The first `width` columns are features.
    windows : Tensor of int32, shape (windows, steps), or None
        Rows of `data` that each window takes.
    width : int
        Number of features.
    place : Tensor of int64, shape (rows,), or None
        Row of `data` (or of `windows`) of each usable row; None if all are usable.
    y, weight : Tensor of float32, shape (rows,)
        Label (NaN in a prediction) and weight; weight None if all count alike.
    day : Tensor of int64, shape (rows,)
        Number of the row's date.
    index : RowIndex
        All rows of the segment, the ones that cannot be used included.
    keep : ndarray of int64, shape (rows,)
        Rows of `index` that are usable.
    feature_names : tuple of str
        Names of the features.
    """

    data: Tensor
    windows: Tensor | None
    width: int
    place: Tensor | None
    y: Tensor
    weight: Tensor | None
    day: Tensor
    index: RowIndex
    keep: np.ndarray
    feature_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row as a network sees it: (features,) or (steps, features)."""
        return (self.width,) if self.windows is None else (self.windows.shape[1], self.width)

    def gather(self, rows: Tensor) -> Tensor:
        """Return the features of `rows`, shape (len(rows), *self.shape)."""
        at = rows if self.place is None else self.place.index_select(0, rows)
        if self.windows is None:
            x = self.data.index_select(0, at)
        else:
            positions = self.windows.index_select(0, at)
            x = self.data.index_select(0, positions.flatten()).view(*positions.shape, -1)
        return x[..., : self.width]

    def batch(self, rows: Tensor) -> Batch:
        """Return features, labels, weights and dates of `rows`."""
        weight = None if self.weight is None else self.weight.index_select(0, rows)
        return Batch(self.gather(rows), self.y.index_select(0, rows), weight, self.day.index_select(0, rows))

    def day_starts(self) -> Tensor:
        """Return the row at which each date starts, and the number of rows at the end, int64."""
        changes = torch.nonzero(self.day[1:] != self.day[:-1]).flatten() + 1
        ends = self.day.new_tensor([0]), self.day.new_tensor([len(self.day)])
        return torch.cat((ends[0], changes, ends[1]))


def fit_data(
    dataset: Any,
    segment: str,
    *,
    windows: bool,
    key: DataKey = "learn",
    reweighter: Any = None,
    context: FitContext,
    model: str,
) -> Rows:
    """Return the rows of `segment` that a network can be fitted on.

    Raises
    ------
    ModelError
        More than one label, none, or a dataset without windows for a model that wants them.
    EmptyDataError
        No row has a label and all features.
    """
    source: Any
    if windows:
        source = _windows_of(dataset, segment, key, model)
        weight = window_weights(source, segment, reweighter)
    else:
        source = sample_of(dataset, segment, data_key=key)
        weight = row_weights(dataset, segment, reweighter, rows=len(source))
    y, names = label_column(source.y, source.label_names, model=model), source.label_names
    keep = labelled(y, segment, context=context, name=names[0] if names else "the label")
    rows = _rows(source, keep)
    missing = (len(y) if keep is None else len(keep)) - len(rows)
    if missing:
        context.log(f"{missing} rows of {segment!r} lack a feature and are left out")
    if not len(rows):
        raise EmptyDataError(
            f"no row of segment {segment!r} has all its features; fill the gaps with a processor (Fillna, CSZFillna)"
        )
    kept = rows.keep
    return replace(rows, y=_tensor(y[kept]), weight=None if weight is None else _tensor(weight[kept]))


def predict_data(dataset: Any, segment: Any, *, windows: bool, model: str) -> Rows:
    """Return the rows of `segment` that a network can predict; the others lack a feature."""
    return _rows(
        _windows_of(dataset, segment, "infer", model) if windows else sample_of(dataset, segment, data_key="infer"),
        None,
    )


def epoch_order(rows: Rows, options: LoopOptions, generator: torch.Generator) -> list[Tensor]:
    """Return the batches of an epoch, shuffled: each row once, but for a last incomplete batch of rows."""
    if options.batching == "rows":
        parts = list(torch.randperm(len(rows), generator=generator).split(options.batch_size))
        return parts[:-1] if len(parts) > 1 and len(parts[-1]) < options.batch_size else parts
    starts = rows.day_starts()
    return _days(starts, torch.randperm(len(starts) - 1, generator=generator), options)


def step_order(rows: Rows, options: LoopOptions, generator: torch.Generator, steps: int) -> list[Tensor]:
    """Return `steps` batches drawn with replacement."""
    if options.batching == "rows":
        size = (options.batch_size,)
        return [torch.randint(len(rows), size, generator=generator) for _ in range(steps)]
    starts = rows.day_starts()
    batches: list[Tensor] = []
    while len(batches) < steps:
        batches += _days(starts, torch.randperm(len(starts) - 1, generator=generator), options)
    return batches[:steps]


def in_order(rows: Rows, options: LoopOptions) -> list[Tensor]:
    """Return all rows once, in their order, in batches that the device predicts at once."""
    if options.batching != "day":
        size = min(options.batch_size, AT_ONCE) if options.device == "cpu" else options.batch_size
        return list(torch.arange(len(rows)).split(size))
    return [torch.arange(int(a), int(b)) for a, b in zip(*_bounds(rows.day_starts()), strict=True)]


def resident(rows: Rows, device: str) -> Rows:
    """Return `rows` on the device if they take less than half of its free memory, else as they are."""
    if not device.startswith("cuda"):
        return rows
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    tensors = [t for t in (rows.data, rows.windows) if t is not None]
    if sum(t.numel() * t.element_size() for t in tensors) > free // 2:
        return rows
    moved = {n: _moved(getattr(rows, n), device) for n in ("data", "windows", "place", "y", "weight", "day")}
    return replace(rows, **moved)


def feed(rows: Rows, order: Iterable[Tensor], device: str) -> Iterator[Batch]:
    """Yield a batch for each index vector of `order`, on `device`; gathered ahead in a thread where that pays."""
    if device == "cpu":
        for part in order:
            yield rows.batch(part)
    elif rows.data.device.type != "cpu":
        for part in order:
            yield rows.batch(part.to(device, non_blocking=True))
    else:
        for batch in ahead(_pinned(rows.batch(part)) for part in order):
            yield Batch(*(_moved(t, device) for t in batch))


def ahead(batches: Iterable[Batch], depth: int = 2) -> Iterator[Batch]:
    """Yield `batches` while a thread makes the next `depth` of them; what it raises is raised here."""
    ready: queue.Queue[Any] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: Any) -> bool:
        while not closed.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
        except Exception as error:  # noqa: BLE001 - handed to the consumer, which raises it
            put(error)
        else:
            put(None)

    thread = start_thread(work, name="qnb-batches")
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        closed.set()
        thread.join()


def _windows_of(dataset: Any, segment: Any, data_key: DataKey, model: str) -> WindowSample:
    method = getattr(dataset, "windows", None)
    if method is None:
        raise ModelError(
            f"{model} wants windows of dates; {type(dataset).__name__} has none: use TSDatasetH with a step_len, "
            f"or the model without TS in its name"
        )
    windows: WindowSample = method(segment, data_key=data_key, fillna_type=FILL)
    if not len(windows):
        raise EmptyDataError(f"segment {segment!r} has no rows; check its dates against the data")
    return windows


def _rows(source: Any, keep: np.ndarray | None) -> Rows:
    """Return the rows of a Sample or WindowSample that have all features, among `keep` if it is given."""
    is_windows = isinstance(source, WindowSample)
    data = _tensor(source.values if is_windows else source.x)
    width = source.n_features if is_windows else data.shape[1]
    positions = _tensor(source.positions) if is_windows else None
    usable = _complete(data, width, positions)
    if keep is not None:
        chosen = torch.zeros_like(usable)
        chosen[torch.from_numpy(keep)] = True
        usable &= chosen
    everything = bool(usable.all())
    place = None if everything else torch.nonzero(usable).flatten()
    kept = np.arange(len(usable)) if place is None else place.numpy()
    ticks = source.index.dates[kept].view(np.int64)
    day = np.cumsum(np.r_[False, ticks[1:] != ticks[:-1]]) if len(kept) else np.zeros(0, dtype=np.int64)
    empty = torch.full((len(kept),), float("nan"))
    return Rows(
        data, positions, width, place, empty, None, torch.from_numpy(day), source.index, kept, source.feature_names
    )


def _complete(data: Tensor, width: int, windows: Tensor | None) -> Tensor:
    """Return which rows, or windows, have only finite features. A row is summed: NaN and infinity survive a sum."""
    complete = torch.empty(len(data), dtype=torch.bool)
    for start in range(0, len(data), CHUNK):
        part = slice(start, start + CHUNK)
        complete[part] = torch.isfinite(data[part, :width].sum(1))
    if windows is None or bool(complete.all()):
        return complete if windows is None else (windows >= 0).all(1)
    found = torch.empty(len(windows), dtype=torch.bool)
    for start in range(0, len(windows), CHUNK):
        chunk = windows[start : start + CHUNK]
        inside = complete[chunk.clamp_min(0).flatten().long()].view(chunk.shape)
        found[start : start + CHUNK] = (inside & (chunk >= 0)).all(1)
    return found


def _days(starts: Tensor, order: Tensor, options: LoopOptions) -> list[Tensor]:
    """Return batches of whole dates in the order `order`."""
    firsts, ends = _bounds(starts)
    batches: list[Tensor] = []
    waiting: list[Tensor] = []
    size = 0
    for day in order.tolist():
        waiting.append(torch.arange(int(firsts[day]), int(ends[day])))
        size += len(waiting[-1])
        if options.batching == "day" or size >= options.batch_size:
            batches.append(torch.cat(waiting))
            waiting, size = [], 0
    if waiting:
        batches.append(torch.cat(waiting))
    return batches


def _bounds(starts: Tensor) -> tuple[np.ndarray, np.ndarray]:
    bounds = starts.cpu().numpy()
    return bounds[:-1], bounds[1:]


def _tensor(array: np.ndarray) -> Tensor:
    """Return `array` as a tensor that shares its memory; the matrix is read-only and no network writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array if array.flags.c_contiguous else np.ascontiguousarray(array))


def _pinned(batch: Batch) -> Batch:
    return Batch(*(None if t is None else t.pin_memory() for t in batch))


def _moved(tensor: Tensor | None, device: str) -> Any:
    return None if tensor is None else tensor.to(device, non_blocking=True)
