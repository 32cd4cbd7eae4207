"""What datasets, models and processors hand each other: row index, samples, and the small protocols between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DATA_KEYS",
    "DataKey",
    "Dataset",
    "Processor",
    "Reweighter",
    "RowIndex",
    "Sample",
    "WindowSample",
]

DataKey: TypeAlias = Literal["raw", "infer", "learn"]
DATA_KEYS: tuple[DataKey, ...] = ("raw", "infer", "learn")
"""``raw`` as loaded, ``infer`` what a model sees when it predicts, ``learn`` what it is fitted on."""


@dataclass(frozen=True, slots=True)
class RowIndex:
    """The rows of a matrix: which instrument on which date. Rows are ordered by date, then as loaded.

    Attributes
    ----------
    dates : ndarray of datetime64[ns], shape (n,)
        Date of each row.
    codes : ndarray of int32, shape (n,)
        Position of each row's instrument in `instruments`.
    instruments : tuple of str
        Instruments, sorted; some may have no row.
    """

    dates: np.ndarray
    codes: np.ndarray
    instruments: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.dates)

    def take(self, rows: slice | np.ndarray) -> RowIndex:
        """Return the index of `rows` (a slice gives views)."""
        return RowIndex(self.dates[rows], self.codes[rows], self.instruments)

    def day_starts(self) -> np.ndarray:
        """Return the row at which each date starts, and the number of rows at the end.

        Returns
        -------
        ndarray of int64, shape (dates + 1,)
            Rows ``starts[i]:starts[i + 1]`` belong to the i-th date.

        Examples
        --------
        >>> days = np.array(["2020-01-02", "2020-01-02", "2020-01-03"], dtype="datetime64[ns]")
        >>> RowIndex(days, np.array([0, 1, 0], dtype=np.int32), ("A", "B")).day_starts().tolist()
        [0, 2, 3]
        """
        if not len(self.dates):
            return np.zeros(1, dtype=np.int64)
        ticks = self.dates.view(np.int64)
        changes = np.flatnonzero(ticks[1:] != ticks[:-1]) + 1
        return np.concatenate(([0], changes, [len(ticks)])).astype(np.int64)

    def unique_dates(self) -> np.ndarray:
        """Return the dates that have a row, ascending, shape (dates,)."""
        return self.dates[self.day_starts()[:-1]]

    def to_pandas(self) -> pd.MultiIndex:
        """Return the index as a MultiIndex with the levels ``datetime`` and ``instrument``."""
        import pandas as pd

        starts = self.day_starts()
        days = self.dates[starts[:-1]]
        if len(days) > 1 and not (days[1:] > days[:-1]).all():  # rows in another order than by date
            days, day_codes = np.unique(self.dates, return_inverse=True)
        else:
            day_codes = np.repeat(np.arange(len(days), dtype=np.int32), np.diff(starts))
        levels: list[Any] = [pd.DatetimeIndex(days), pd.Index(self.instruments)]
        codes: list[Any] = [day_codes, self.codes]
        return pd.MultiIndex(
            levels=levels,
            codes=codes,
            names=["datetime", "instrument"],
            verify_integrity=False,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """Features and labels of a segment, a row for each instrument and date.

    Attributes
    ----------
    x : ndarray of float32, shape (rows, features)
        C-ordered and read-only; memory-mapped or a view where the rows are contiguous. NaN where a feature is unknown.
    y : ndarray of float32, shape (rows, labels)
        Read-only; NaN where a label is unknown; no columns when the data has no labels.
    index : RowIndex
        The rows, ordered (datetime, instrument).
    feature_names, label_names : tuple of str
        Column names.
    """

    x: np.ndarray
    y: np.ndarray
    index: RowIndex
    feature_names: tuple[str, ...]
    label_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True)
class WindowSample:
    """Windows of consecutive dates that end on each row, without a copy for each window.

    ``values[positions[i]]`` is the i-th window; a position of -1 stands for a row of NaN.

    Attributes
    ----------
    values : ndarray of float32, shape (source rows, features + labels)
        Ordered (instrument, datetime), so that a window is a run of neighbouring rows; read-only.
    positions : ndarray of int32, shape (rows, step_len)
        Rows of `values`, oldest first, the last one being the row itself; -1 where the instrument has no row on a
        date of the window or the data does not reach that far back.
    index : RowIndex
        The rows that the windows end on, ordered (datetime, instrument).
    n_features : int
        The first `n_features` columns of `values` are features, the others labels.
    feature_names, label_names : tuple of str
        Column names.
    """

    values: np.ndarray
    positions: np.ndarray
    index: RowIndex
    n_features: int
    feature_names: tuple[str, ...]
    label_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def y(self) -> np.ndarray:
        """Labels of the rows that the windows end on, shape (rows, labels)."""
        return self.values[self.positions[:, -1], self.n_features :]

    def gather(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return the windows of `rows` as a new array of float32, shape (rows, step_len, features + labels)."""
        positions = self.positions[rows]
        windows = self.values.take(positions, axis=0, mode="clip")
        windows[positions < 0] = np.nan
        return windows


class Dataset(Protocol):
    """What a model may ask of a dataset."""

    segments: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Content address of everything that determines the data."""
        ...

    def prepare(
        self,
        segments: Any,
        col_set: str | Sequence[str] = "__all",
        data_key: DataKey = "infer",
    ) -> Any:
        """Return the frame of a segment, or a list of frames for a list of segments."""
        ...

    def sample(self, segment: str, *, data_key: DataKey = "infer") -> Sample:
        """Return a segment as arrays."""
        ...


@runtime_checkable
class Processor(Protocol):
    """One step between loaded and prepared data, in the style of user-defined processors.

    ``fit`` learns from the frame it is given, ``__call__`` returns the processed frame. Both receive a frame with the
    index (datetime, instrument) and two-level columns (group, name). Optional: ``is_for_infer()`` (False for a
    processor that looks at labels) and ``readonly()`` (True if the frame that is given is never written to).
    """

    def fit(self, df: Any = None) -> Any:
        """Learn from `df`."""
        ...

    def __call__(self, df: Any) -> Any:
        """Return `df` processed."""
        ...


@runtime_checkable
class Reweighter(Protocol):
    """Gives each row a weight in the fit."""

    def reweight(self, data: Any) -> Any:
        """Return one weight for each row of the frame `data`, in its order."""
        ...
