"""Weights of the rows in a fit."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..errors import ConfigError, DataError, Problem
from .protocols import DataKey

__all__ = ["Reweighter", "weights_of"]


class Reweighter:
    """Base of reweighters: derive from it and give `reweight`.

    Examples
    --------
    >>> class Recent(Reweighter):
    ...     def reweight(self, data):
    ...         return (data.index.get_level_values("datetime") >= "2012").astype(float)
    """

    def reweight(self, data: Any) -> Any:
        """Return one weight, not negative, for each row of the frame `data`, in its order.

        Parameters
        ----------
        data : DataFrame
            Index (datetime, instrument), columns (group, name) of all groups, as the model is fitted on.
        """
        raise NotImplementedError(f"{type(self).__name__} has no reweight(data)")


def weights_of(dataset: Any, segment: Any, reweighter: Any = None, *, data_key: DataKey = "learn") -> np.ndarray | None:
    """Return the weight of each row of ``dataset.sample(segment, data_key=data_key)``.

    Parameters
    ----------
    dataset : Dataset
        Where the rows come from.
    segment : str
        The segment.
    reweighter : Reweighter, optional
        Asked for the weights; without one, a column group ``weight`` of one column gives them.

    Returns
    -------
    ndarray of float64, shape (rows,), or None
        None where neither exists: all rows count alike.

    Raises
    ------
    ConfigError
        `reweighter` has no ``reweight``.
    DataError
        Another number of weights than rows, a weight that is negative or not finite, or none that is positive.
    """
    if reweighter is None:
        table = dataset.handler.table(data_key) if hasattr(dataset.handler, "table") else None
        if table is None or "weight" not in table.groups:
            return None
        frame = dataset.prepare(segment, col_set="weight", data_key=data_key)
        weights, source = frame.to_numpy(), "column group 'weight'"
    else:
        if not hasattr(reweighter, "reweight"):
            problem = Problem(
                f"{type(reweighter).__name__} is not a reweighter", "it needs reweight(data)", "reweighter"
            )
            raise ConfigError([problem])
        frame = dataset.prepare(segment, col_set="__raw", data_key=data_key)
        weights, source = np.asarray(reweighter.reweight(frame)), type(reweighter).__name__
    weights = cast(np.ndarray, weights).astype(np.float64)
    weights = weights.reshape(len(weights), -1)[:, 0] if weights.ndim and weights.size == len(frame) else weights
    if weights.shape != (len(frame),):
        raise DataError(f"{source} gave weights of shape {weights.shape} for {len(frame)} rows; give one for each row")
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        where = frame.index[bad[0]]
        raise DataError(f"{source} gave the weight {weights[bad[0]]} for {where}; weights are finite and not negative")
    if not weights.any():
        raise DataError(f"{source} gave every row of segment {segment!r} the weight 0; nothing would be learned")
    return weights
