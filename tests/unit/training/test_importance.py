"""Permutation importance: what it shuffles, groups, windows, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.errors import ConfigError, ModelError, RunStopped, UnknownNameError
from qnb.events import Event, Progress
from qnb.training.context import FitContext
from qnb.training.importance import permutation_importance
from qnb.training.synthetic import SyntheticDataset


class SumOfTwo:
    """Predicts the sum of the first two features, from what the dataset is asked for by `how`."""

    def __init__(self, how: str = "sample") -> None:
        self.how = how
        self.seen: list[pd.DataFrame] = []

    def fit(self, dataset: Any) -> Any:
        return self

    def predict(self, dataset: Any, segment: str = "test") -> pd.Series:
        if self.how == "prepare":
            frame = dataset.prepare(segment, col_set="feature", data_key="infer")
            x, index = frame.to_numpy(), frame.index
        elif self.how == "sample":
            sample = dataset.sample(segment)
            x, index = sample.x, sample.index.to_pandas()
        else:
            windows = dataset.windows(segment)
            x, index = windows.gather(slice(None))[:, -1, :3], windows.index.to_pandas()
        self.seen.append(pd.DataFrame(x, index=index))
        return pd.Series(x[:, 0] + x[:, 1], index=index)


def market(**changes: Any) -> SyntheticDataset:
    return SyntheticDataset(**{"days": 100, "instruments": 30, "features": 3, "missing": 0.0, "ic": 0.9, **changes})


@pytest.mark.parametrize("how", ["sample", "windows", "prepare"])
def test_what_is_not_used_counts_nothing(how: str) -> None:
    table = permutation_importance(SumOfTwo(how), market(), "test", metric="ic")
    assert list(table.columns) == ["importance", "std"]
    assert table.loc["F2", "importance"] == 0.0
    assert (table.loc[["F0", "F1"], "importance"].abs() > 0.02).all()


@pytest.mark.parametrize("how", ["sample", "windows", "prepare"])
def test_values_stay_on_their_date(how: str) -> None:
    model = SumOfTwo(how)
    permutation_importance(model, market(), "test", repeats=1)
    whole, first = model.seen[:2]
    assert not whole[0].equals(first[0])
    pd.testing.assert_frame_equal(whole[[1, 2]], first[[1, 2]])
    for _, day in first.groupby(level=0):
        np.testing.assert_array_equal(np.sort(day[0]), np.sort(whole.loc[day.index, 0]))


def test_a_group_is_shuffled_as_one() -> None:
    model = SumOfTwo()
    groups = {"both": ["F0", "F1"], "other": ["F2"]}
    table = permutation_importance(model, market(), "test", groups=groups, repeats=2, metric="rank_ic")
    assert list(table.index) == ["both", "other"]
    whole, first = model.seen[:2]
    pairs = {(a, b) for a, b in zip(whole[0], whole[1], strict=True)}
    assert {(a, b) for a, b in zip(first[0], first[1], strict=True)} == pairs


def test_it_takes_away_all_that_is_known() -> None:
    data = market()
    model = SumOfTwo()
    table = permutation_importance(model, data, "test", groups={"both": ["F0", "F1"]}, metric="ic", repeats=5)
    label = data.prepare("test", "label").iloc[:, 0]
    both = pd.DataFrame({"p": model.seen[0][0] + model.seen[0][1], "y": label}).dropna()
    own = both.groupby(level=0).apply(lambda day: day["p"].corr(day["y"])).mean()
    assert table.loc["both", "importance"] == pytest.approx(own, abs=0.05)


def test_a_seed_gives_the_same_table_and_the_data_stays() -> None:
    data = market()
    before = data.sample("test").x.copy()
    one = permutation_importance(SumOfTwo(), data, "test", seed=4)
    two = permutation_importance(SumOfTwo(), data, "test", seed=4)
    pd.testing.assert_frame_equal(one, two)
    np.testing.assert_array_equal(before, data.sample("test").x)
    assert np.isnan(permutation_importance(SumOfTwo(), data, "test", repeats=1)["std"]).all()


def test_it_reports_and_stops() -> None:
    events: list[Event] = []
    permutation_importance(SumOfTwo(), market(), "test", repeats=1, context=FitContext(emit=events.append))
    assert [e for e in events if isinstance(e, Progress)][-1].step == 3
    with pytest.raises(RunStopped):
        permutation_importance(SumOfTwo(), market(), "test", context=FitContext(should_stop=lambda: True))


def test_what_is_wrong_is_said() -> None:
    data = market()
    with pytest.raises(ConfigError, match="valid: ic, rank_ic"):
        permutation_importance(SumOfTwo(), data, metric="mse")
    with pytest.raises(ConfigError, match="at least 1"):
        permutation_importance(SumOfTwo(), data, repeats=0)
    with pytest.raises(UnknownNameError, match="F7"):
        permutation_importance(SumOfTwo(), data, groups={"a": ["F7"]})

    class Sampler:
        segments = data.segments
        sample = data.sample

        def prepare(self, *_: Any, **__: Any) -> Any:
            return [1, 2, 3]

    class Asks(SumOfTwo):
        def predict(self, dataset: Any, segment: str = "test") -> pd.Series:
            if not self.seen:
                return super().predict(dataset, segment)
            dataset.prepare(segment)
            raise AssertionError

    with pytest.raises(ModelError, match="cannot be shuffled"):
        permutation_importance(Asks(), Sampler(), "test")
