"""Permutation importance: how much worse a fitted model predicts when a feature is dealt out anew.

1. The segment is predicted as it is and scored by its mean daily correlation with the label.
2. For each feature, or group of features, the values of every date are shuffled among the date's instruments; groups
   keep their rows together. The segment is predicted and scored again, `repeats` times.
3. The importance is the score that is lost.

Shuffling within a date leaves each date's distribution as it is, so a model that follows the market as a whole is not
credited for it. It works for any model with ``predict(dataset, segment)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.protocols import Sample, WindowSample
from ..errors import ConfigError, EmptyDataError, ModelError, Problem, UnknownNameError
from .context import FitContext
from .samples import label_column, sample_of
from .scoring import daily_ic, daily_rank_ic, mean_ic

if TYPE_CHECKING:
    import pandas as pd

    from ..data.protocols import DataKey

__all__ = ["permutation_importance"]

METRICS = ("ic", "rank_ic")


def permutation_importance(
    model: Any,
    dataset: Any,
    segment: str = "valid",
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    metric: str = "rank_ic",
    repeats: int = 3,
    seed: int = 0,
    context: FitContext | None = None,
) -> pd.DataFrame:
    """Return by how much the correlation of predictions with the label falls when a feature is shuffled.

    Parameters
    ----------
    model : Model
        Fitted.
    dataset : Dataset
        With ``sample``, or ``windows`` for a model of windows.
    segment : str
        Where it is predicted; ``valid`` and ``test`` tell what helps on data that was not learned.
    groups : mapping of str to sequence of str, optional
        Features that are shuffled together under a name, such as the history of one field; by default each feature is
        by itself.
    metric : str
        ``ic`` or ``rank_ic``.
    repeats : int
        Shuffles of each feature.
    seed : int
        Seed of the shuffles.
    context : FitContext, optional
        Where progress goes and when to stop.

    Returns
    -------
    DataFrame
        Columns ``importance`` (mean loss of the metric) and ``std`` over the repeats, float64, NaN with one repeat;
        index ``feature``, the most important one first. Features that help nothing are about 0.

    Raises
    ------
    ConfigError
        Unknown metric, or no repeat.
    UnknownNameError
        A group names a feature that there is not.
    EmptyDataError
        No row has both a score and a label.
    ModelError
        More than one label, or a dataset whose features cannot be shuffled.
    RunStopped
        The context asked to stop.

    Notes
    -----
    Breiman (2001), *Random Forests*; Fisher, Rudin & Dominici (2019), *All Models are Wrong, but Many are Useful*.
    Features that say the same are each found unimportant, since the other is still there: shuffle them as a group.

    Examples
    --------
    >>> from qnb.models.linear import LinearModel
    >>> from qnb.training.synthetic import SyntheticDataset
    >>> data = SyntheticDataset(missing=0.0)
    >>> permutation_importance(LinearModel().fit(data), data).index.name
    'feature'
    """
    import pandas as pd

    if metric not in METRICS:
        raise ConfigError([Problem(f"unknown metric {metric!r}", f"valid: {', '.join(METRICS)}", "metric")])
    if repeats < 1:
        raise ConfigError([Problem(f"repeats must be at least 1, received {repeats}", "", "repeats")])
    context = context or FitContext.quiet()
    sample = sample_of(dataset, segment, data_key="infer")
    labels = pd.Series(label_column(sample.y, sample.label_names, model="permutation_importance"))
    labels.index = sample.index.to_pandas()
    chosen = _groups(sample.feature_names, groups)

    def score(data: Any) -> float:
        return _score(model.predict(data, segment), labels, metric)

    whole, found = score(dataset), np.empty((len(chosen), repeats))
    for place, (name, features) in enumerate(chosen.items()):
        for turn in range(repeats):
            context.check_stop()
            rng = np.random.default_rng([seed, place, turn])
            found[place, turn] = whole - score(_Shuffled(dataset, features, rng))
        context.progress(place + 1, total=len(chosen), unit="feature", text=f"{name} {found[place].mean():+.4f}")
    spread = found.std(axis=1, ddof=1) if repeats > 1 else np.full(len(chosen), np.nan)
    names = pd.Index(list(chosen), name="feature")
    table = pd.DataFrame({"importance": found.mean(axis=1), "std": spread}, index=names)
    return table.sort_values("importance", ascending=False, kind="stable")


class _Shuffled:
    """A dataset in which some features are dealt out anew among the rows of each date."""

    def __init__(self, dataset: Any, features: Sequence[str], rng: np.random.Generator) -> None:
        self._dataset, self._features, self._rng = dataset, features, rng
        if hasattr(dataset, "windows"):
            self.windows = self._windows
        if hasattr(dataset, "sample"):
            self.sample = self._sample

    def __getattr__(self, name: str) -> Any:
        if name in ("windows", "sample"):  # offered where the dataset has them
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def _sample(self, segment: Any, *, data_key: DataKey = "infer") -> Sample:
        sample: Sample = self._dataset.sample(segment, data_key=data_key)
        return replace(sample, x=self._dealt(sample.x, sample.index.dates, sample.feature_names))

    def _windows(self, segment: Any, **options: Any) -> WindowSample:
        windows: WindowSample = self._dataset.windows(segment, **options)
        values = windows.values
        dates = _dates_of_rows(windows)
        features = values[:, : windows.n_features]
        changed = np.concatenate(
            (self._dealt(features, dates, windows.feature_names), values[:, windows.n_features :]), 1
        )
        changed.flags.writeable = False
        return replace(windows, values=changed)

    def prepare(self, segments: Any, col_set: Any = "__all", data_key: DataKey = "infer", **fetch: Any) -> Any:
        """Return the frame of a segment with the features dealt out anew; a list for a list of segments."""
        if isinstance(segments, list | tuple) and all(s in self._dataset.segments for s in segments):
            return [self.prepare(s, col_set, data_key, **fetch) for s in segments]
        frame = self._dataset.prepare(segments, col_set=col_set, data_key=data_key, **fetch)
        if not hasattr(frame, "columns"):
            raise ModelError(
                f"the dataset prepares a {type(frame).__name__}, whose features cannot be shuffled; the model must ask "
                "it for windows() or sample()"
            )
        frame = frame.copy()
        names = [c for c in frame.columns if (c[-1] if isinstance(c, tuple) else c) in self._features]
        dates = frame.index.get_level_values(0).to_numpy()
        frame[names] = frame[names].to_numpy()[_order(dates, self._rng)]
        return frame

    def _dealt(self, x: np.ndarray, dates: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        columns = [names.index(f) for f in self._features]
        changed = x.copy()
        changed[:, columns] = x[:, columns][_order(dates, self._rng)]
        changed.flags.writeable = False
        return changed


def _order(dates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each row the row, of the same date, whose values it is given."""
    by_date = np.argsort(dates, kind="stable")
    shuffled = np.lexsort((rng.random(len(dates)), dates))
    order = np.empty(len(dates), dtype=np.int64)
    order[by_date] = shuffled
    return order


def _dates_of_rows(windows: WindowSample) -> np.ndarray:
    """Return a number for the date of each row of ``windows.values``.

    A row's date is that of the window that ends on it; rows before the first window count back from the first date,
    in step with the windows they stand in.
    """
    dates, day = np.unique(windows.index.dates, return_inverse=True)
    found = np.full(len(windows.values), -len(dates) - windows.positions.shape[1], dtype=np.int64)
    steps = windows.positions.shape[1]
    for back in range(steps - 1, -1, -1):  # later assignments are nearer to the row's own date
        at = windows.positions[:, steps - 1 - back]
        there = at >= 0
        found[at[there]] = day[there] - back
    return found


def _groups(names: tuple[str, ...], groups: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    if groups is None:
        return {name: [name] for name in names}
    known = set(names)
    for features in groups.values():
        for feature in features:
            if feature not in known:
                raise UnknownNameError("feature", feature, names)
    return {name: list(features) for name, features in groups.items()}


def _score(prediction: pd.Series, labels: pd.Series, metric: str) -> float:
    import pandas as pd

    both = pd.DataFrame({"p": prediction, "y": labels}).dropna()
    if not len(both):
        raise EmptyDataError("no row has both a score and a label; choose a segment whose labels are known")
    day = both.index.get_level_values(0).to_numpy()
    order = np.argsort(day, kind="stable")
    p, y = (both[c].to_numpy()[order] for c in ("p", "y"))
    number = np.unique(day[order], return_inverse=True)[1]
    return mean_ic((daily_ic if metric == "ic" else daily_rank_ic)(p, y, number))
