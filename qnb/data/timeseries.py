"""Windows of consecutive dates: the dataset of sequence models, and the sampler that user models index.

1. The segment is extended to the left by `step_len` dates, so that its first windows are full where there is data.
2. Rows are ordered (instrument, datetime). The window of a row reaches `step_len` dates back on the calendar of the
   dates that occur in the data; a date on which the instrument has no row is a gap (-1).
3. Gaps are found by walking back one row at a time, `step_len` vectorised steps for all rows at once; no grid of dates
   by instruments is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ..config import Settings
from ..errors import ConfigError, EmptyDataError, Problem, UnknownNameError
from .dataset import DatasetH
from .handler import DataHandler
from .protocols import DataKey, RowIndex, WindowSample
from .spans import days_of, point, rows_between, span_of
from .table import Block, Table, hstack, take_rows

__all__ = ["FillnaType", "TSDataSampler", "TSDatasetH"]

FillnaType: TypeAlias = Literal["none", "ffill", "ffill+bfill"]
_FILLS = ("none", "ffill", "ffill+bfill")


class TSDatasetH(DatasetH):
    """A handler's data as windows of `step_len` dates that end on each row of a segment.

    Parameters
    ----------
    step_len : int
        Dates in a window, the row's own included.
    flt_col : str, optional
        Column group of one column; only rows where it is true end a window.
    handler, segments, fetch_kwargs, handler_kwargs, store, settings
        See `DatasetH`.
    """

    DEFAULT_STEP_LEN = 30

    def __init__(
        self,
        step_len: int = DEFAULT_STEP_LEN,
        flt_col: str | None = None,
        handler: Any = None,
        segments: Mapping[str, Any] | None = None,
        fetch_kwargs: Mapping[str, Any] | None = None,
        handler_kwargs: Mapping[str, Any] | None = None,
        *,
        store: Any = None,
        settings: Settings | None = None,
    ) -> None:
        self.step_len = _checked(step_len)
        self.flt_col = flt_col
        super().__init__(handler, segments or {}, fetch_kwargs, handler_kwargs, store=store, settings=settings)

    def config(self, handler_kwargs: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """Change ``step_len``, the segments, or with `handler_kwargs` what the handler loads."""
        if "step_len" in changes:
            self.step_len = _checked(changes.pop("step_len"))
        super().config(handler_kwargs, **changes)

    def windows(self, segment: Any, *, data_key: DataKey = "infer", fillna_type: FillnaType = "none") -> WindowSample:
        """Return the windows of a segment for a model.

        Parameters
        ----------
        segment : str, pair of dates or slice
            A segment's name, or a span.
        data_key : str
            ``learn`` to fit, ``infer`` to predict, ``raw`` as loaded.
        fillna_type : str
            What stands on a date without a row: ``none`` NaN, ``ffill`` the row before it, ``ffill+bfill`` the next
            one where there is none before.

        Returns
        -------
        WindowSample
            Ordered (datetime, instrument).

        Raises
        ------
        ConfigError
            The data has no column group ``feature``.
        EmptyDataError
            The segment has no rows, or with ``learn`` not a single label.
        """
        span = self.segments[segment] if self._is_segment(segment) else segment
        table = self._table(data_key)
        self._rows(table, segment if isinstance(segment, str) else span_of(span, "segment"), data_key)
        groups = ["feature", *(["label"] if "label" in table.groups else [])]
        if "feature" not in table.groups:
            raise ConfigError([Problem("a model needs the column group 'feature'", f"groups: {table.groups}")])
        made = self._windows(table, span_of(span, "segment"), groups, data_key, self.flt_col, fillna_type)
        order = _stable_order(made.day)
        made.values.flags.writeable = False
        return WindowSample(
            values=made.values,
            positions=made.positions[order],
            index=made.index.take(order),
            n_features=len(table.group("feature").names),
            feature_names=table.group("feature").names,
            label_names=table.group("label").names if "label" in table.groups else (),
        )

    def _prepared(self, name: str, span: Any, col_set: Any, data_key: DataKey, fetch: Mapping[str, Any]) -> Any:
        arguments = {**self.fetch_kwargs, **fetch}
        flt_col = arguments.pop("flt_col", None) or self.flt_col
        dtype = arguments.pop("dtype", None)
        if arguments:
            unknown = next(iter(arguments))
            raise ConfigError([Problem(f"windows take no argument {unknown!r}", "valid: flt_col, dtype", unknown)])
        table = self._table(data_key)
        if col_set in (DataHandler.CS_ALL, DataHandler.CS_RAW) or table.flat:
            groups: Sequence[str] = table.groups
        else:
            groups = [col_set] if isinstance(col_set, str) else list(col_set)
        table.select(list(groups))
        pair = span_of(span, "segment")
        made = self._windows(table, pair, groups, data_key, flt_col, "none")
        if name and not len(made.index):
            self._rows(table, name, data_key)
        return TSDataSampler(made, step_len=self.step_len, start=pair[0], end=pair[1], dtype=dtype)

    def _windows(
        self,
        table: Table,
        span: tuple[Any, Any],
        groups: Sequence[str],
        data_key: DataKey,
        flt_col: str | None,
        fillna_type: FillnaType,
    ) -> _Windows:
        calendar = self._table("infer").index.unique_dates()
        first = max(0, days_of(calendar, span[0], None).start - self.step_len)
        start = calendar[first] if len(calendar) else None
        rows = rows_between(table.index, start, span[1])
        index = table.index.take(rows)
        order = _stable_order(index.codes)
        blocks = [b for g in groups for b in table.blocks if b.group == g]
        ordered = index.take(order)
        days = index.unique_dates()
        day = np.searchsorted(days, ordered.dates).astype(np.int32)
        inside = days_of(days, *span)
        wanted = (day >= inside.start) & (day < inside.stop)
        if flt_col is not None:
            wanted &= _filter(table, flt_col, rows)[order]
        ends = np.flatnonzero(wanted).astype(np.int32)
        return _Windows(
            values=_gather(blocks, rows, order),
            positions=_filled(_positions(ordered.codes, day, ends, self.step_len), fillna_type),
            index=ordered.take(ends),
            days=days,
            day=day[ends],
            keys=ordered.codes.astype(np.int64) * max(1, len(days)) + day,
        )


class TSDataSampler:
    """Windows by number or by (date, instrument), in the order (instrument, datetime).

    ``sampler[i]`` is a matrix (step_len, columns), oldest date first, NaN on dates without a row;
    ``sampler[[i, j]]`` is (2, step_len, columns); ``sampler["2020-01-02", "SH600000"]`` is the window that ends on that
    date or the last one before it. Made by ``TSDatasetH.prepare``.

    Attributes
    ----------
    step_len : int
        Dates in a window.
    fillna_type : str
        ``none``, ``ffill`` or ``ffill+bfill``; change it with `config`.
    start, end
        The segment's ends.
    """

    def __init__(self, windows: _Windows, *, step_len: int, start: Any, end: Any, dtype: Any = None) -> None:
        self.step_len = step_len
        self.start, self.end = start, end
        self.fillna_type: FillnaType = "none"
        self._windows = windows
        self._values = windows.values if dtype is None else windows.values.astype(dtype)
        self._positions = windows.positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, list | np.ndarray):
            positions = self._positions[np.asarray(key)]
            windows = self._values.take(positions, axis=0, mode="clip")
            windows[positions < 0] = np.nan
            return windows
        if isinstance(key, tuple):
            return self._window(self._at(*key))
        number = int(key)
        if not 0 <= number < len(self._positions):
            raise IndexError(f"window {number} is outside [0, {len(self._positions)})")
        return self._window(self._positions[number])

    @property
    def empty(self) -> bool:
        """Whether there is no window."""
        return len(self) == 0

    @property
    def data_arr(self) -> np.ndarray:
        """All rows that windows are cut from, ordered (instrument, datetime), shape (source rows, columns)."""
        return self._values

    @property
    def index(self) -> Any:
        """The same as `get_index`."""
        return self.get_index()

    def get_index(self) -> Any:
        """Return the MultiIndex (datetime, instrument) of the rows that the windows end on, in their order."""
        return self._windows.index.to_pandas()

    def config(self, **kwargs: Any) -> None:
        """Set ``fillna_type``.

        Raises
        ------
        ConfigError
            An unknown key or value.
        """
        fill = kwargs.pop("fillna_type", self.fillna_type)
        if kwargs:
            raise ConfigError([Problem(f"unknown sampler setting {next(iter(kwargs))!r}", "valid: fillna_type")])
        self._positions = _filled(self._windows.positions, fill)
        self.fillna_type = fill

    def _window(self, positions: np.ndarray) -> np.ndarray:
        first, last = int(positions[0]), int(positions[-1])
        if first >= 0 and last - first == len(positions) - 1 and (np.diff(positions) == 1).all():
            return self._values[first : last + 1]
        window = self._values.take(positions, axis=0, mode="clip")
        window[positions < 0] = np.nan
        return window

    def _at(self, date: Any, instrument: str) -> np.ndarray:
        made = self._windows
        instruments = made.index.instruments
        if instrument not in instruments:
            raise UnknownNameError("instrument", str(instrument), instruments)
        day = days_of(made.days, None, point(date)).stop - 1
        if day < 0:
            raise EmptyDataError(f"no rows on or before {date}")
        days = np.arange(day - self.step_len + 1, day + 1)
        keys = instruments.index(instrument) * max(1, len(made.days)) + days
        at = np.searchsorted(made.keys, keys).clip(max=max(0, len(made.keys) - 1))
        found = np.where((days >= 0) & (made.keys[at] == keys), at, -1).astype(np.int32)
        return _filled(found[None, :], self.fillna_type)[0]


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of a span: rows ordered (instrument, datetime), and which of them each window takes.

    Attributes
    ----------
    values : ndarray, shape (source rows, columns)
    positions : ndarray of int32, shape (windows, step_len)
    index : RowIndex
        Rows that the windows end on.
    days : ndarray of datetime64[ns]
        Dates of the source rows.
    day : ndarray of int32, shape (windows,)
        Number among `days` of the date that each window ends on.
    keys : ndarray of int64, shape (source rows,)
        Instrument times number of days plus day; ascending.
    """

    values: np.ndarray
    positions: np.ndarray
    index: RowIndex
    days: np.ndarray
    day: np.ndarray
    keys: np.ndarray


def _stable_order(numbers: np.ndarray) -> np.ndarray:
    """Return the order that sorts whole numbers from 0 and leaves equal ones as they are; up to 65,536 take no time."""
    small = numbers.astype(np.uint16) if not len(numbers) or numbers.max() <= np.iinfo(np.uint16).max else numbers
    return np.argsort(small, kind="stable")


def _positions(codes: np.ndarray, day: np.ndarray, ends: np.ndarray, step_len: int) -> np.ndarray:
    """Return the rows of the windows that end on the rows `ends`, -1 for gaps; rows are ordered (instrument, day).

    A window is whole when its first row is of the same instrument and so many days before; only the others are
    looked through row by row.
    """
    positions = ends[:, None] + np.arange(1 - step_len, 1, dtype=np.int32)
    first = np.maximum(positions[:, 0], 0)
    whole = (positions[:, 0] >= 0) & (codes[first] == codes[ends]) & (day[first] == day[ends] - (step_len - 1))
    broken = np.flatnonzero(~whole)
    last = current = ends[broken]
    for back in range(1, step_len):
        before = current - 1
        at = np.maximum(before, 0)
        hit = (before >= 0) & (codes[at] == codes[last]) & (day[at] == day[last] - back)
        current = np.where(hit, before, current)
        positions[broken, step_len - 1 - back] = np.where(hit, before, -1)
    return positions


def _filled(positions: np.ndarray, fill: str) -> np.ndarray:
    if fill not in _FILLS:
        problem = Problem(f"unknown fillna_type {fill!r}", f"valid: {', '.join(_FILLS)}", "fillna_type")
        raise ConfigError([problem])
    if fill == "none":
        return positions
    broken = np.flatnonzero((positions < 0).any(axis=1))
    filled = positions[broken]
    for step in range(1, filled.shape[1]):
        gap = filled[:, step] < 0
        filled[gap, step] = filled[gap, step - 1]
    if fill == "ffill+bfill":
        for step in range(filled.shape[1] - 2, -1, -1):
            gap = filled[:, step] < 0
            filled[gap, step] = filled[gap, step + 1]
    whole = positions.copy()
    whole[broken] = filled
    return whole


def _gather(blocks: Sequence[Block], rows: slice, order: np.ndarray) -> np.ndarray:
    """Return the columns of `blocks` side by side with the rows in `order`."""
    width = sum(len(b.names) for b in blocks)
    values = np.empty((len(order), width), dtype=np.float32)
    start = 0
    for block in blocks:
        chosen = order + rows.start
        if block.rows is not None:
            chosen = block.rows[chosen]
        stop = start + len(block.names)
        take_rows(block.values, chosen, values[:, start:stop], threads=block.gathering.threads)
        start = stop
    return values


def _filter(table: Table, flt_col: str, rows: slice) -> np.ndarray:
    block = hstack([table.blocks[i] for i in table.select(flt_col)])
    if len(block.names) != 1:
        problem = Problem(
            f"flt_col {flt_col!r} has {len(block.names)} columns", "give a group of one column", "flt_col"
        )
        raise ConfigError([problem])
    values = block.matrix(rows)[:, 0]
    return ~np.isnan(values) & (values != 0)


def _checked(step_len: Any) -> int:
    if isinstance(step_len, bool) or not isinstance(step_len, int) or step_len < 1:
        problem = Problem(f"step_len must be a positive whole number, received {step_len!r}", "", "step_len")
        raise ConfigError([problem])
    return step_len
