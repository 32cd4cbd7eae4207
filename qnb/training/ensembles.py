"""What the models of an ensemble tell one another: weights of rows and features worth keeping; numpy only.

Zhang, Li, Chen, Jin & Li (2020), *DoubleEnsemble: A New Ensemble Method Based on Sample Reweighting and Feature
Selection for Financial Data Analysis* (ICDM).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["LossCurve", "choose_features", "row_weights", "share"]


@dataclass(frozen=True, slots=True)
class LossCurve:
    """How the loss of each row developed while a model was fitted.

    Attributes
    ----------
    start, end : ndarray of float64, shape (rows,)
        Mean of the row's `share` by loss over the first, and the last, tenth of the iterations.
    last : ndarray of float64, shape (rows,)
        What the fitted model says.
    """

    start: np.ndarray
    end: np.ndarray
    last: np.ndarray


def row_weights(
    curve: LossCurve, loss: np.ndarray, *, alphas: tuple[float, float], bins: int, decay: float
) -> np.ndarray:
    """Return the weight of each row for the next model, float32 of shape (rows,) (algorithm 2 of the paper).

    A row that the ensemble finds hard weighs more; one whose loss grew while the last model learnt, as that of noise
    does, weighs less. Rows are sorted by both into classes, and a class has one weight.

    Parameters
    ----------
    curve : LossCurve
        Of the last model.
    loss : ndarray, shape (rows,)
        Of the ensemble so far.
    alphas : pair of float
        Weight of the loss, and of its growth.
    bins : int
        Number of classes, of equal width.
    decay : float
        How far the classes differ; 0 gives all rows the same weight.
    """
    h = alphas[0] * share(-loss) + alphas[1] * share(curve.end / curve.start)
    place = _classes(h, bins)
    mean = np.bincount(place, h, bins) / np.maximum(np.bincount(place, minlength=bins), 1)
    weights: np.ndarray = (1.0 / (decay * mean[place] + 0.1)).astype(np.float32)
    return weights


def choose_features(gain: np.ndarray, ratios: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Return the features for the next model, ascending (algorithm 3 of the paper).

    Parameters
    ----------
    gain : ndarray, shape (features,)
        How much the loss grows when the feature is shuffled.
    ratios : sequence of float
        Share of the features drawn from each class of equal width, the class of the largest gains first.
    rng : Generator
        Draws.
    """
    place = len(ratios) - 1 - _classes(gain, len(ratios))
    chosen = []
    for number, ratio in enumerate(ratios):
        there = np.flatnonzero(place == number)
        chosen.append(rng.choice(there, math.ceil(ratio * len(there)), replace=False))
    return np.sort(np.concatenate(chosen))


def share(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value divided by their number, in (0, 1]; ties get their mean rank."""
    from scipy.stats import rankdata

    ranks: np.ndarray = rankdata(values)
    return ranks / len(values)


def _classes(values: np.ndarray, count: int) -> np.ndarray:
    """Return the class 0 ... count - 1 of each value, of equal width between the smallest and the largest."""
    low, high = values.min(), values.max()
    if not high > low:
        return np.zeros(len(values), dtype=np.int64)
    return np.minimum((values - low) / (high - low) * count, count - 1).astype(np.int64)
