"""Weights of the rows in a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.data.dataset import DatasetH
from qnb.data.fixed_loader import StaticDataLoader
from qnb.data.handler import DataHandlerLP
from qnb.data.protocols import Reweighter as ReweighterProtocol
from qnb.data.reweighter import Reweighter, weights_of
from qnb.errors import ConfigError, DataError


class Given(Reweighter):
    def __init__(self, make):  # type: ignore[no-untyped-def]
        self.make = make

    def reweight(self, data):  # type: ignore[no-untyped-def]
        return self.make(data)


@pytest.fixture
def dataset(toy_frame, tmp_path: Path):  # type: ignore[no-untyped-def]
    def make(frame: pd.DataFrame | None = None) -> DatasetH:
        loader = StaticDataLoader(toy_frame() if frame is None else frame)
        settings = Settings().with_(cache_dir=tmp_path)
        handler = DataHandlerLP(data_loader=loader, learn_processors=["DropnaLabel"], settings=settings)
        return DatasetH(handler, {"train": ("2020-01-01", "2020-02-07")})

    return make


def test_a_reweighter_sees_the_rows_of_the_sample(dataset) -> None:
    data = dataset()
    weights = data.weights("train", Given(lambda df: df["label"]["LABEL0"].abs()))
    np.testing.assert_allclose(weights, np.abs(data.sample("train", data_key="learn").y[:, 0]))
    assert weights.dtype == np.float64
    assert isinstance(Given(None), ReweighterProtocol)
    column = weights_of(data, "train", Given(lambda df: df["label"].abs().to_numpy()))
    np.testing.assert_array_equal(column, weights)


def test_without_a_reweighter_a_weight_column_counts(dataset, toy_frame) -> None:
    assert dataset().weights("train") is None
    frame = toy_frame()
    frame[("weight", "w")] = np.arange(len(frame), dtype=float)
    data = dataset(frame)
    want = data.prepare("train", col_set="weight", data_key="learn")["w"]
    np.testing.assert_array_equal(data.weights("train"), want)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda df: np.ones(3), r"Given gave weights of shape \(3,\) for \d+ rows"),
        (lambda df: np.full(len(df), -1.0), r"the weight -1\.0 for .*S0"),
        (lambda df: np.full(len(df), np.nan), "the weight nan"),
        (lambda df: np.zeros(len(df)), "every row of segment 'train' the weight 0"),
        (lambda df: 1.0, r"of shape \(\)"),
    ],
)
def test_wrong_weights_are_refused(dataset, make, message) -> None:
    with pytest.raises(DataError, match=message):
        dataset().weights("train", Given(make))


def test_what_is_no_reweighter(dataset) -> None:
    with pytest.raises(ConfigError, match="str is not a reweighter"):
        dataset().weights("train", "Recent")
    with pytest.raises(NotImplementedError, match="Reweighter has no reweight"):
        dataset().weights("train", Reweighter())
