"""Linear models against scikit-learn and scipy on the full rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnb.errors import ConfigError, EmptyDataError
from qnb.models import linear
from qnb.models.linear import LinearModel
from qnb.training.context import FitContext
from qnb.training.synthetic import SyntheticDataset


def rows(data: SyntheticDataset, *segments: str) -> tuple[np.ndarray, np.ndarray]:
    samples = [data.sample(s, data_key="learn") for s in segments]
    x = np.concatenate([s.x for s in samples]).astype(np.float64)
    y = np.concatenate([s.y[:, 0] for s in samples]).astype(np.float64)
    complete = np.isfinite(x).all(axis=1)
    return x[complete], y[complete]


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize(("estimator", "alpha"), [("ols", 0.0), ("ridge", 25.0), ("ridge", 0.0), ("lasso", 0.05)])
def test_agrees_with_scikit_learn(estimator: str, alpha: float, intercept: bool) -> None:
    from sklearn.linear_model import Lasso, LinearRegression, Ridge

    data = SyntheticDataset(days=120, instruments=20)
    data = data.with_labels(data.labels() + 3.0)
    x, y = rows(data, "train")
    reference = {"ols": LinearRegression, "ridge": lambda **k: Ridge(alpha=alpha, **k)}.get(
        estimator, lambda **k: Lasso(alpha=alpha, **k)
    )(fit_intercept=intercept)
    reference.fit(x, y)
    model = LinearModel(estimator, alpha, intercept).fit(data)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-4 if estimator == "lasso" else 1e-8)
    assert model.intercept_ == pytest.approx(reference.intercept_, abs=1e-4)


@pytest.mark.parametrize("intercept", [False, True])
def test_nnls_agrees_with_scipy(intercept: bool) -> None:
    from scipy.optimize import nnls

    data = SyntheticDataset(days=120, instruments=20)
    x, y = rows(data, "train")
    if intercept:
        x, y = x - x.mean(axis=0), y - y.mean()
    model = LinearModel("nnls", fit_intercept=intercept).fit(data)
    np.testing.assert_allclose(model.coef_, nnls(x, y)[0], atol=1e-8)
    assert (model.coef_ >= 0).all()


def test_include_valid_uses_both_segments() -> None:
    data = SyntheticDataset(days=120, instruments=20)
    x, y = rows(data, "train", "valid")
    expected = np.linalg.lstsq(x, y, rcond=None)[0]
    np.testing.assert_allclose(LinearModel(include_valid=True).fit(data).coef_, expected, atol=1e-8)
    assert not np.allclose(LinearModel().fit(data).coef_, expected, atol=1e-6)


def test_collinear_features_give_the_solution_of_smallest_norm() -> None:
    data = SyntheticDataset(days=120, instruments=20, features=4, missing=0.0)
    data._x[:, 3] = data._x[:, 0] + data._x[:, 1]
    x, y = rows(data, "train")
    expected = np.linalg.lstsq(x, y, rcond=1e-7)[0]
    np.testing.assert_allclose(LinearModel().fit(data).coef_, expected, atol=1e-6)


def test_weights_count_as_repeated_rows() -> None:
    class Twice:
        def reweight(self, data: pd.DataFrame) -> np.ndarray:
            return np.where(data[("feature", "F0")] > 0, 2.0, 1.0)

    data = SyntheticDataset(days=60, instruments=10, missing=0.0)
    x, y = rows(data, "train")
    again = x[:, 0] > 0
    expected = np.linalg.lstsq(np.concatenate([x, x[again]]), np.concatenate([y, y[again]]), rcond=None)[0]
    np.testing.assert_allclose(LinearModel().fit(data, Twice()).coef_, expected, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 700))
def test_chunks_do_not_matter(chunk: int) -> None:
    data = SyntheticDataset(days=40, instruments=10)
    whole = LinearModel(fit_intercept=True).fit(data)
    kept, linear.CHUNK = linear.CHUNK, chunk
    try:
        parts = LinearModel(fit_intercept=True).fit(data)
        np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-9)
        np.testing.assert_allclose(parts.predict(data), whole.predict(data), atol=1e-6, equal_nan=True)
    finally:
        linear.CHUNK = kept


def test_a_row_with_a_missing_feature_has_no_score() -> None:
    data = SyntheticDataset(days=60, instruments=10, missing=0.1)
    prediction = LinearModel().fit(data).predict(data)
    incomplete = data.prepare("test", "feature", "infer").isna().any(axis=1)
    assert prediction.isna().equals(incomplete)


def test_only_incomplete_rows_is_said_so() -> None:
    data = SyntheticDataset(days=20, instruments=3, missing=1.0)
    with pytest.raises(EmptyDataError, match="Fillna"):
        LinearModel().fit(data)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"estimator": "rigde"}, "did you mean 'ridge'"), ({"alpha": 1.0}, "no meaning for ols"),
     ({"estimator": "ridge", "alpha": -1.0}, "negative")],
)  # fmt: skip
def test_bad_arguments_are_refused(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LinearModel(**kwargs)  # type: ignore[arg-type]


def test_include_valid_without_one_is_a_warning() -> None:
    events: list[object] = []
    data = SyntheticDataset(days=30)
    only = data.with_segments(train=data.segments["train"])
    LinearModel(include_valid=True).fit(only, context=FitContext(emit=events.append))
    assert any(getattr(e, "level", "") == "warning" for e in events)
