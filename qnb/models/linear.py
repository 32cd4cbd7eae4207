"""Linear regression: ordinary, non-negative, ridge and lasso, all from one pass over the rows.

1. Chunks of rows are read in float64 and added up to the Gram matrix ``X'X`` and ``X'y`` (centred when there is an
   intercept), so memory does not grow with the number of rows.
2. From its eigenvectors come a matrix A and a vector b with as many rows as there are features, such that
   ``|Xw - y|^2 = |Aw - b|^2 + constant``.
3. Each estimator solves that small problem. Directions whose singular value is below 1e-7 of the largest (factors
   that are sums of others, as in Alpha158) are left out: the least squares solution is the one of smallest norm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import ConfigError, EmptyDataError, ModelError, Problem, remedy_for
from ..training.boosting import columns_for, importance_series
from ..training.context import FitContext
from ..training.model import BaseModel, write_atomically
from ..training.samples import FitRows, fit_rows, has_segment, sample_of, scores

if TYPE_CHECKING:
    import pandas as pd

    from ..data.protocols import Dataset

__all__ = ["LinearModel"]

ESTIMATORS = ("ols", "nnls", "ridge", "lasso")
CHUNK = 16384
RANK_TOLERANCE = 1e-7


class LinearModel(BaseModel):
    """Linear regression of the label on the features.

    ======== ===========================================
    ols      min |y - Xw|^2
    nnls     min |y - Xw|^2 with w >= 0
    ridge    min |y - Xw|^2 + alpha |w|^2
    lasso    min |y - Xw|^2 / (2 rows) + alpha |w|_1
    ======== ===========================================

    Parameters
    ----------
    estimator : str
        ``ols``, ``nnls``, ``ridge`` or ``lasso`` (Hoerl & Kennard, 1970; Tibshirani, 1996; Lawson & Hanson, 1974).
    alpha : float
        Strength of the penalty of ridge and lasso.
    fit_intercept : bool
        Fit a constant too, which is not penalised.
    include_valid : bool
        Fit on ``train`` and ``valid`` together.

    Notes
    -----
    Rows with a missing feature or label are left out of the fit; a row with a missing feature is predicted NaN.
    """

    names_no_class = True

    def __init__(
        self,
        estimator: str = "ols",
        alpha: float = 0.0,
        fit_intercept: bool = False,
        include_valid: bool = False,
    ) -> None:
        if estimator not in ESTIMATORS:
            remedy = remedy_for(estimator, ESTIMATORS)
            raise ConfigError([Problem(f"unknown estimator {estimator!r}", remedy, "kwargs.estimator")])
        if alpha and estimator not in ("ridge", "lasso"):
            raise ConfigError([Problem(f"alpha has no meaning for {estimator}", "use ridge or lasso", "kwargs.alpha")])
        if alpha < 0:
            raise ConfigError([Problem(f"alpha must not be negative, received {alpha}", "", "kwargs.alpha")])
        self.estimator = estimator
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.include_valid = include_valid
        self.coef_: np.ndarray | None = None
        self.intercept_ = 0.0

    @property
    def is_fitted(self) -> bool:
        """True after a fit or a load."""
        return self.coef_ is not None

    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        return {
            "estimator": self.estimator,
            "alpha": self.alpha,
            "fit_intercept": self.fit_intercept,
            "include_valid": self.include_valid,
        }

    def fit(self, dataset: Dataset, reweighter: Any = None, *, context: FitContext | None = None) -> Self:
        """Fit on ``train``, with `include_valid` on ``valid`` too.

        Raises
        ------
        EmptyDataError
            No row has all features and a label.
        RunStopped
            The fit was asked to stop; there is no model then.
        """
        context = context or FitContext.quiet()
        segments = ["train"]
        if self.include_valid:
            if has_segment(dataset, "valid"):
                segments.append("valid")
            else:
                context.log("include_valid is set, but there is no segment 'valid'", level="warning")
        parts = [fit_rows(dataset, s, reweighter=reweighter, context=context, model="LinearModel") for s in segments]
        moments = _moments(parts, context, centred=self.fit_intercept)
        a, b = _compressed(moments)
        coef = self._solve(a, b, moments)
        self.coef_ = coef
        self.intercept_ = float(moments.mean_y - moments.mean_x @ coef)
        self.feature_names_ = parts[0].feature_names
        r2 = 1 - (np.sum((a @ coef - b) ** 2) + moments.yy - b @ b) / moments.yy if moments.yy else 0.0
        context.metric("r2.train", r2)
        context.progress(moments.rows, total=moments.rows, unit="row")
        context.log(f"{self.estimator}: {moments.rows} rows, {len(coef)} features, R2 {r2:.6f}")
        return self

    def predict(self, dataset: Dataset, segment: str = "test", *, context: FitContext | None = None) -> pd.Series:
        """Return the scores of `segment`; NaN for a row with a missing feature."""
        self._require_fitted()
        assert self.coef_ is not None
        sample = sample_of(dataset, segment, data_key="infer")
        x = columns_for(sample, self.feature_names_, model="this LinearModel")
        values = np.empty(len(x), dtype=np.float32)
        for start in range(0, len(x), CHUNK):
            rows = slice(start, start + CHUNK)
            values[rows] = x[rows].astype(np.float64) @ self.coef_ + self.intercept_
        return scores(values, sample.index)

    def feature_importance(self) -> pd.Series:
        """Return the absolute coefficients, largest first; comparable where the features share one scale."""
        self._require_fitted()
        assert self.coef_ is not None
        names = dict(zip(self.feature_names_, np.abs(self.coef_), strict=True))
        return importance_series(names, name="coefficient")

    def _solve(self, a: np.ndarray, b: np.ndarray, moments: _Moments) -> np.ndarray:
        if self.estimator == "nnls":
            from scipy.optimize import nnls

            return nnls(a, b)[0]
        if self.estimator == "lasso" and self.alpha:
            from sklearn.linear_model import Lasso

            # scikit-learn divides the squares by twice the rows it sees, which are those of `a` here.
            alpha = self.alpha * moments.weight / len(a)
            return Lasso(alpha=alpha, fit_intercept=False, max_iter=10_000).fit(a, b).coef_
        if self.estimator == "ridge" and self.alpha:
            return np.linalg.solve(a.T @ a + self.alpha * np.eye(a.shape[1]), a.T @ b)
        return np.linalg.lstsq(a, b, rcond=RANK_TOLERANCE)[0]

    def _save_state(self, folder: Path) -> None:
        assert self.coef_ is not None
        state = {"coef": [float(c) for c in self.coef_], "intercept": self.intercept_}
        write_atomically(folder / "coefficients.json", json.dumps(state).encode())

    def _load_state(self, folder: Path) -> None:
        try:
            state = json.loads((folder / "coefficients.json").read_text(encoding="utf-8"))
            self.coef_, self.intercept_ = np.asarray(state["coef"]), float(state["intercept"])
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the linear model in {folder} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class _Moments:
    """Weighted second moments of features and label, about the means if centred.

    Attributes
    ----------
    xx : ndarray, shape (features, features)
    xy : ndarray, shape (features,)
    yy : float
    mean_x : ndarray, shape (features,)
        Zero if not centred, like ``mean_y``.
    rows : int
        Rows that were used.
    weight : float
        Sum of the weights.
    """

    xx: np.ndarray
    xy: np.ndarray
    yy: float
    mean_x: np.ndarray
    mean_y: float
    rows: int
    weight: float


def _moments(parts: list[FitRows], context: FitContext, *, centred: bool) -> _Moments:
    width = parts[0].x.shape[1]
    # The label is carried as the last column; centring happens about the first chunk's mean first, for accuracy.
    gram, total, weight, rows = np.zeros((width + 1, width + 1)), np.zeros(width + 1), 0.0, 0
    shift = np.zeros(width + 1)
    for number, (block, w) in enumerate(_blocks(parts)):
        context.check_stop()
        if centred and number == 0:
            shift = block.mean(axis=0)
        block -= shift
        if w is None:
            gram += block.T @ block
            total += block.sum(axis=0)
            weight += len(block)
        else:
            gram += block.T @ (block * w[:, None])
            total += w @ block
            weight += float(w.sum())
        rows += len(block)
    if not rows or not weight:
        raise EmptyDataError(
            "no row of the fit has all features and a label; fill the gaps with a processor (Fillna, CSZFillna)"
        )
    mean = np.zeros(width + 1)
    if centred:
        mean = total / weight
        gram -= weight * np.outer(mean, mean)
        mean += shift
    return _Moments(gram[:-1, :-1], gram[:-1, -1], float(gram[-1, -1]), mean[:-1], float(mean[-1]), rows, weight)


def _blocks(parts: list[FitRows]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield chunks of complete rows in float64, the label last, with their weights."""
    for part in parts:
        for start in range(0, len(part), CHUNK):
            rows = slice(start, start + CHUNK)
            x = part.x[rows]
            block = np.empty((len(x), x.shape[1] + 1))
            block[:, :-1], block[:, -1] = x, part.y[rows]
            weight = None if part.weight is None else part.weight[rows].astype(np.float64)
            complete = np.isfinite(block.sum(axis=1))
            if not complete.all():
                complete = np.isfinite(block).all(axis=1)
                block = block[complete]
                weight = None if weight is None else weight[complete]
            if len(block):
                yield block, weight


def _compressed(moments: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return A, shape (features, features), and b with A'A = X'X and A'b = X'y."""
    values, vectors = np.linalg.eigh(moments.xx)
    singular = np.sqrt(np.clip(values, 0.0, None))
    known = singular > RANK_TOLERANCE * singular.max(initial=0.0)
    singular = np.where(known, singular, 0.0)
    a = singular[:, None] * vectors.T
    b = np.divide(vectors.T @ moments.xy, singular, out=np.zeros_like(singular), where=known)
    return a, b
