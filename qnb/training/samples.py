"""Rows for a fit and scores from a prediction: what every model does before and after its library.

1. A segment is asked for as arrays (`Dataset.sample`); a dataset that only has `prepare` is asked for its frame.
2. Labels are checked: one column, rows without a finite label are left out and counted, none left is an error.
3. Weights come from the reweighter, row for row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.protocols import RowIndex, Sample, WindowSample
from ..errors import EmptyDataError, ModelError
from .context import FitContext

if TYPE_CHECKING:
    import pandas as pd

    from ..data.protocols import DataKey

__all__ = [
    "FitRows",
    "fit_rows",
    "has_segment",
    "label_column",
    "labelled",
    "row_weights",
    "sample_of",
    "scores",
    "window_weights",
]


@dataclass(frozen=True, slots=True)
class FitRows:
    """Rows that a model is fitted or validated on.

    Attributes
    ----------
    x : ndarray of float32, shape (rows, features)
        Features; NaN where unknown.
    y : ndarray of float32, shape (rows,)
        Labels, all finite.
    weight : ndarray of float32, shape (rows,), or None
        Weight of each row; None gives all the same.
    index : RowIndex
        The rows.
    feature_names : tuple of str
        Names of the columns of `x`.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    index: RowIndex
    feature_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.y)


def has_segment(dataset: Any, segment: str) -> bool:
    """Return True when `dataset` has a segment of that name."""
    return segment in getattr(dataset, "segments", {})


def sample_of(dataset: Any, segment: Any, *, data_key: DataKey) -> Sample:
    """Return `segment` as arrays, from any dataset that has ``sample`` or ``prepare``.

    Parameters
    ----------
    dataset : Dataset
        Its ``sample`` is used where it has one; else ``prepare(segment, col_set=["feature", "label"])``.
    segment : str
        Name of a segment.
    data_key : str
        ``"learn"`` to fit, ``"infer"`` to predict.

    Raises
    ------
    EmptyDataError
        When the segment has no rows.
    """
    method = getattr(dataset, "sample", None)
    sample: Sample = (
        method(segment, data_key=data_key) if method is not None else _from_frame(dataset, segment, data_key)
    )
    if not len(sample):
        raise EmptyDataError(
            f"segment {segment!r} has no rows; check its dates against the data and what the processors drop"
        )
    if not sample.x.shape[1]:
        raise EmptyDataError(f"segment {segment!r} has no features; check the handler's fields and FilterCol / DropCol")
    return sample


def fit_rows(
    dataset: Any, segment: str, *, reweighter: Any = None, context: FitContext, model: str = "the model"
) -> FitRows:
    """Return the rows of `segment` that a model with one label can be fitted on.

    Rows whose label is NaN or infinite are left out and counted in the log.

    Raises
    ------
    ModelError
        For more than one label, or none.
    EmptyDataError
        When no row is left.
    """
    sample = sample_of(dataset, segment, data_key="learn")
    y = label_column(sample.y, sample.label_names, model=model)
    weight = row_weights(dataset, segment, reweighter, rows=len(sample))
    keep = labelled(y, segment, context=context, name=sample.label_names[0] if sample.label_names else "the label")
    if keep is None:
        return FitRows(sample.x, y, weight, sample.index, sample.feature_names)
    return FitRows(
        sample.x[keep],
        y[keep],
        None if weight is None else weight[keep],
        sample.index.take(keep),
        sample.feature_names,
    )


def label_column(y: np.ndarray, names: tuple[str, ...], *, model: str) -> np.ndarray:
    """Return the only column of the labels `y`, shape (rows, 1), as shape (rows,).

    Raises
    ------
    ModelError
        For more than one label, or none.
    """
    if y.ndim != 2 or y.shape[1] != 1:
        shown = ", ".join(names) or "none"
        raise ModelError(f"{model} is fitted on one label, received {y.shape[-1]} ({shown}); give one label")
    return y[:, 0]


def labelled(y: np.ndarray, segment: str, *, context: FitContext, name: str) -> np.ndarray | None:
    """Return the rows with a finite label, or None if all have one; those left out are counted in the log.

    Raises
    ------
    EmptyDataError
        When no row has one.
    """
    finite = np.isfinite(y)
    if finite.all():
        return None
    keep = np.flatnonzero(finite)
    if not len(keep):
        raise EmptyDataError(
            f"{name} is NaN or infinite in all {len(y)} rows of segment {segment!r}; "
            "check the label's expression and that the data reaches past the segment's end"
        )
    context.log(f"{len(y) - len(keep)} of {len(y)} rows of {segment!r} have no finite label and are left out")
    return keep


def row_weights(dataset: Any, segment: str, reweighter: Any, *, rows: int) -> np.ndarray | None:
    """Return the weights of the fit rows of `segment`, as float32 of shape (rows,), or None if all count alike.

    They come from `reweighter`, else from the dataset's own ``weights``, if it has such a method.

    Raises
    ------
    ModelError
        When `reweighter` is none, gives another number of weights, or one that is negative or not finite.
    """
    own = getattr(dataset, "weights", None)
    if own is not None:
        found = own(segment, reweighter, data_key="learn")
        return None if found is None else checked_weights(found, "the dataset", segment, rows)
    if reweighter is None:
        return None
    return checked_weights(
        _reweight(reweighter, dataset.prepare(segment, col_set=["feature", "label"], data_key="learn")),
        type(reweighter).__name__,
        segment,
        rows,
    )


def window_weights(windows: WindowSample, segment: str, reweighter: Any) -> np.ndarray | None:
    """Return what `reweighter` gives for the rows that the windows end on, or None without one."""
    if reweighter is None:
        return None
    import pandas as pd

    names = [("feature", n) for n in windows.feature_names] + [("label", n) for n in windows.label_names]
    frame = pd.DataFrame(
        windows.values[windows.positions[:, -1]],
        index=windows.index.to_pandas(),
        columns=pd.MultiIndex.from_tuples(names),
    )
    return checked_weights(_reweight(reweighter, frame), type(reweighter).__name__, segment, len(windows))


def checked_weights(weights: Any, source: str, segment: str, rows: int) -> np.ndarray:
    """Return `weights` as float32, shape (rows,), or say what is wrong with them."""
    weight = np.asarray(weights, dtype=np.float32).reshape(-1)
    if len(weight) != rows:
        raise ModelError(f"{source} gave {len(weight)} weights for the {rows} rows of {segment!r}")
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ModelError(f"{source} gave weights for {segment!r} that are negative or not finite")
    return weight


def _reweight(reweighter: Any, frame: Any) -> Any:
    method = getattr(reweighter, "reweight", None)
    if method is None:
        raise ModelError(f"{type(reweighter).__name__} is no reweighter; it needs a method reweight(frame)")
    return method(frame)


def scores(values: np.ndarray, index: RowIndex) -> pd.Series:
    """Return predictions as float32 with the index (datetime, instrument), named ``score``."""
    import pandas as pd

    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    return pd.Series(flat, index=index.to_pandas(), name="score", copy=False)


def _from_frame(dataset: Any, segment: Any, data_key: DataKey) -> Sample:
    frame = dataset.prepare(segment, col_set=["feature", "label"], data_key=data_key)
    groups = frame.columns.get_level_values(0)
    features, labels = frame.loc[:, groups == "feature"], frame.loc[:, groups == "label"]
    dates = frame.index.get_level_values(0).to_numpy().astype("datetime64[ns]")
    names = frame.index.get_level_values(1).astype(str)
    instruments, codes = np.unique(names.to_numpy(dtype=object), return_inverse=True)
    return Sample(
        x=np.ascontiguousarray(features.to_numpy(dtype=np.float32)),
        y=np.ascontiguousarray(labels.to_numpy(dtype=np.float32)),
        index=RowIndex(dates, codes.astype(np.int32), tuple(instruments)),
        feature_names=tuple(str(c[1]) for c in features.columns),
        label_names=tuple(str(c[1]) for c in labels.columns),
    )
