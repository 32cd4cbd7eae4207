"""A small market made of numbers with a known signal in it: to try a model in a second, and to test one.

1. Features are independent normal numbers, some missing.
2. The label is ``ic`` times a fixed combination of the features plus noise, so that the best possible daily
   correlation of a prediction with the label is about ``ic``.
3. Rows are ordered (datetime, instrument); an instrument may be listed late or suspended for a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.protocols import DataKey, RowIndex, Sample, WindowSample
from ..errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

    from ..data.timeseries import FillnaType

__all__ = ["SyntheticDataset"]


class SyntheticDataset:
    """A dataset held in memory whose label can be predicted with a known information coefficient.

    Parameters
    ----------
    days, instruments, features : int
        Size; the dates are weekdays from 2020-01-01 on.
    ic : float
        Correlation of the best possible prediction with the label, within a day; 0 makes the label pure noise.
    missing : float
        Share of the features that are NaN.
    step_len : int
        Length of the windows of `windows`.
    seed : int
        Seed of all numbers.
    segments : mapping of str to pair of dates, optional
        Default: the first 60 % of the days are ``train``, then 20 % ``valid`` and 20 % ``test``.

    Examples
    --------
    >>> data = SyntheticDataset(days=10, instruments=3, features=4)
    >>> data.sample("train", data_key="learn").x.shape[1]
    4
    """

    def __init__(
        self,
        *,
        days: int = 100,
        instruments: int = 20,
        features: int = 6,
        ic: float = 0.5,
        missing: float = 0.02,
        step_len: int = 4,
        seed: int = 0,
        segments: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self.step_len = step_len
        rng = np.random.default_rng(seed)
        calendar = np.busday_offset("2020-01-01", np.arange(days), roll="forward").astype("datetime64[ns]")
        day, code = (g.ravel() for g in np.meshgrid(np.arange(days), np.arange(instruments), indexing="ij"))
        if instruments > 1:
            listed = rng.integers(0, max(1, days // 10), instruments)
            listed[0] = 0
            keep = (day >= listed[code]) & (rng.random(len(day)) > 0.01) | (code == 0)
            day, code = day[keep], code[keep]
        names = tuple(f"S{i:05d}" for i in range(instruments))
        self._index = RowIndex(calendar[day], code.astype(np.int32), names)
        x = rng.standard_normal((len(day), features), dtype=np.float32)
        loads = rng.standard_normal(features)
        score = x @ (loads / np.linalg.norm(loads))
        noise = rng.standard_normal(len(day))
        y = (ic * score + np.sqrt(1 - ic * ic) * noise).astype(np.float32)
        x[rng.random(x.shape) < missing] = np.nan
        y[day == days - 1] = np.nan  # the future of the last day is not known yet
        self._x, self._y = x, y[:, None]
        self.feature_names = tuple(f"F{i}" for i in range(features))
        ends = [str(calendar[min(days - 1, int(days * share))])[:10] for share in (0, 0.6, 0.8)]
        before = [str(calendar[max(0, int(days * share) - 1)])[:10] for share in (0.6, 0.8, 1)]
        self.segments: dict[str, Any] = (
            dict(segments)
            if segments is not None
            else dict(zip(("train", "valid", "test"), zip(ends, before, strict=True), strict=True))
        )

    @property
    def fingerprint(self) -> str:
        """Content address of the numbers and segments."""
        digest = hashlib.blake2b(self._x.tobytes(), digest_size=16)
        digest.update(self._y.tobytes())
        digest.update(repr(sorted(self.segments.items())).encode())
        return digest.hexdigest()

    def changed_after(self, date: str, *, seed: int = 1) -> SyntheticDataset:
        """Return a copy in which every feature and label after `date` is another number."""
        other = object.__new__(SyntheticDataset)
        other.__dict__.update(self.__dict__)
        rng = np.random.default_rng(seed)
        later = self._index.dates > np.datetime64(date)
        other._x, other._y = self._x.copy(), self._y.copy()
        other._x[later] = 10 * rng.standard_normal((int(later.sum()), self._x.shape[1]))
        other._y[later] = rng.standard_normal((int(later.sum()), 1))
        return other

    def with_labels(self, y: np.ndarray) -> SyntheticDataset:
        """Return a copy with the labels `y`, shape (rows,), in the order of the rows."""
        other = object.__new__(SyntheticDataset)
        other.__dict__.update(self.__dict__)
        other._y = np.asarray(y, dtype=np.float32).reshape(len(self._index), -1)
        return other

    def with_segments(self, **segments: tuple[str, str]) -> SyntheticDataset:
        """Return a view of the same rows with other segments."""
        other = object.__new__(SyntheticDataset)
        other.__dict__.update(self.__dict__)
        other.segments = dict(segments)
        return other

    def labels(self) -> np.ndarray:
        """Return a copy of the labels, shape (rows,)."""
        return self._y[:, 0].copy()

    def sample(self, segment: Any, *, data_key: DataKey = "infer") -> Sample:
        """Return a segment, or a slice of dates, as arrays; ``learn`` leaves out rows without a label."""
        rows = self._rows(segment, data_key)
        x, y = self._x[rows], self._y[rows]
        x.flags.writeable = y.flags.writeable = False
        return Sample(x, y, self._index.take(rows), self.feature_names, ("LABEL0",))

    def windows(self, segment: Any, *, data_key: DataKey = "infer", fillna_type: FillnaType = "none") -> WindowSample:
        """Return a segment as windows of `step_len` dates that end on each row; see `TSDatasetH.windows`."""
        order = np.lexsort((self._index.dates, self._index.codes))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        codes, dates = self._index.codes[order], self._index.dates[order]
        calendar, day = np.unique(dates, return_inverse=True)
        grid = np.full((len(self._index.instruments), len(calendar) + self.step_len), -1, dtype=np.int32)
        grid[codes, day + self.step_len] = np.arange(len(order))
        rows = self._rows(segment, data_key)
        at = place[rows]
        steps = np.arange(1, self.step_len + 1)
        positions = grid[codes[at][:, None], day[at][:, None] + steps]
        if fillna_type != "none":
            for step in range(1, self.step_len):
                gap = positions[:, step] < 0
                positions[gap, step] = positions[gap, step - 1]
        if fillna_type == "ffill+bfill":
            for step in range(self.step_len - 2, -1, -1):
                gap = positions[:, step] < 0
                positions[gap, step] = positions[gap, step + 1]
        values = np.concatenate((self._x[order], self._y[order]), axis=1)
        values.flags.writeable = False
        index = self._index.take(rows)
        return WindowSample(values, positions, index, self._x.shape[1], self.feature_names, ("LABEL0",))

    def prepare(self, segments: Any, col_set: str | Sequence[str] = "__all", data_key: DataKey = "infer") -> Any:
        """Return the frame of a segment, or a list of frames for a list of segments."""
        if isinstance(segments, list | tuple):
            return [self.prepare(s, col_set, data_key) for s in segments]
        return self._frame(self.sample(segments, data_key=data_key), col_set)

    def _frame(self, sample: Sample, col_set: str | Sequence[str]) -> pd.DataFrame:
        import pandas as pd

        columns = [("feature", n) for n in sample.feature_names] + [("label", n) for n in sample.label_names]
        frame = pd.DataFrame(
            np.concatenate((sample.x, sample.y), axis=1),
            index=sample.index.to_pandas(),
            columns=pd.MultiIndex.from_tuples(columns),
        )
        if col_set == "__all":
            return frame
        return frame[col_set if isinstance(col_set, str) else list(col_set)]

    def _rows(self, segment: Any, data_key: DataKey) -> np.ndarray:
        if isinstance(segment, slice):
            span = (segment.start, segment.stop)
        elif segment in self.segments:
            span = self.segments[segment]
        else:
            raise UnknownNameError("segment", str(segment), self.segments)
        start, end = (np.datetime64(str(d)) for d in span)
        inside = (self._index.dates >= start) & (self._index.dates <= end)
        if data_key == "learn":
            inside &= ~np.isnan(self._y[:, 0])
        return np.flatnonzero(inside)
