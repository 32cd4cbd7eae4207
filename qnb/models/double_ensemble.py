"""DoubleEnsemble: boosted trees, each model of which sees other weights of the rows and other features.

1. The first model is fitted on all features with the rows' own weights.
2. Rows that the ensemble finds hard get more weight in the next model, rows whose loss grows while the last model
   learns (noise) get less.
3. Features whose shuffling raises the ensemble's loss are kept more often than others.
4. The prediction is the mean of the models, weighted by `sub_weights`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import ConfigError, ModelError, Problem
from ..events import Event, MetricLogged, Progress
from ..training.boosting import columns_for, importance_series
from ..training.context import FitContext
from ..training.ensembles import LossCurve, choose_features, row_weights, share
from ..training.model import BaseModel, write_atomically
from ..training.samples import FitRows, fit_rows, has_segment, sample_of, scores
from .lightgbm import LGBModel

if TYPE_CHECKING:
    import pandas as pd

    from ..data.protocols import Dataset

__all__ = ["DEnsembleModel"]

SAMPLE_RATIOS = (0.8, 0.7, 0.6, 0.5, 0.4)
SHUFFLED_ROWS = 100_000
"""Rows on which features are compared; the mean and spread of so many losses are known well enough to sort by."""

STATE = "ensemble.json"


@dataclass(frozen=True, slots=True)
class _Member:
    """One model of the ensemble and the columns it sees."""

    model: LGBModel
    columns: np.ndarray


class DEnsembleModel(BaseModel):
    """Several LightGBM models that reweight rows and select features for one another (DoubleEnsemble).

    Parameters
    ----------
    base_model, loss : str
        Only ``gbm`` and ``mse``.
    num_models : int
        Models of the ensemble.
    enable_sr, enable_fs : bool
        Reweight rows, select features.
    alpha1, alpha2 : float
        Weight of a row's loss, and of the growth of its loss, in the reweighting.
    bins_sr, bins_fs : int
        Classes into which rows and features are sorted.
    decay : float
        The k-th model's classes differ by ``decay ** k``.
    sample_ratios : sequence of float
        Share of the features kept from each class, best class first; as many as `bins_fs`.
    sub_weights : sequence of float, optional
        Weight of each model in the prediction; by default all count alike.
    epochs : int
        Most iterations of each model.
    early_stopping_rounds : int, optional
        Iterations without improvement on ``valid`` after which a model's fit ends.
    n_epochs : int, optional
        Another name of `epochs`, which it goes before.
    **kwargs
        Parameters of LightGBM under any of their names.

    Notes
    -----
    Zhang, Li, Chen, Jin & Li (2020), *DoubleEnsemble: A New Ensemble Method Based on Sample Reweighting and Feature
    Selection for Financial Data Analysis* (ICDM): both algorithms. Classes have equal width. Features are compared on
    at most 100,000 rows of ``train``.

    A prediction for a row depends on the features of that row alone.
    """

    names_no_class = True

    def __init__(
        self,
        base_model: str = "gbm",
        loss: str = "mse",
        num_models: int = 6,
        enable_sr: bool = True,
        enable_fs: bool = True,
        alpha1: float = 1.0,
        alpha2: float = 1.0,
        bins_sr: int = 10,
        bins_fs: int = 5,
        decay: float = 0.5,
        sample_ratios: Sequence[float] | None = None,
        sub_weights: Sequence[float] | None = None,
        epochs: int = 100,
        early_stopping_rounds: int | None = None,
        n_epochs: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.options: dict[str, Any] = {
            "base_model": base_model,
            "loss": loss,
            "num_models": num_models,
            "enable_sr": enable_sr,
            "enable_fs": enable_fs,
            "alpha1": alpha1,
            "alpha2": alpha2,
            "bins_sr": bins_sr,
            "bins_fs": bins_fs,
            "decay": decay,
            "sample_ratios": list(SAMPLE_RATIOS if sample_ratios is None else sample_ratios),
            "sub_weights": [1.0] * num_models if sub_weights is None else list(sub_weights),
            "epochs": epochs if n_epochs is None else n_epochs,
            "early_stopping_rounds": early_stopping_rounds,
        }
        self.params = dict(kwargs)
        self.members_: list[_Member] = []
        problems = list(_problems(self.options))
        if problems:
            raise ConfigError(problems)
        self._new_member()

    @property
    def is_fitted(self) -> bool:
        """True after a fit or a load."""
        return bool(self.members_)

    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        return {**self.options, **self.params}

    def fit(self, dataset: Dataset, reweighter: Any = None, *, context: FitContext | None = None) -> Self:
        """Fit one model after the other on ``train``, each stopping early on ``valid`` if there is one.

        Raises
        ------
        EmptyDataError
            A segment has no usable row.
        RunStopped
            The fit was asked to stop; the model is usable and holds the models so far.
        """
        context = context or FitContext.quiet()
        train = fit_rows(dataset, "train", reweighter=reweighter, context=context, model="DoubleEnsemble")
        valid = None
        if has_segment(dataset, "valid"):
            valid = fit_rows(dataset, "valid", reweighter=reweighter, context=context, model="DoubleEnsemble")
        self.feature_names_ = train.feature_names
        self.members_ = []
        rng = np.random.default_rng(0 if context.seed is None else context.seed)
        o, count, weight, columns = self.options, self.options["num_models"], train.weight, np.arange(train.x.shape[1])
        ensemble = np.zeros(len(train))
        for number in range(count):
            context.log(f"model {number + 1} of {count} on {len(columns)} of {train.x.shape[1]} features")
            member = _Member(self._new_member(), columns)
            part = _columns(replace(train, weight=weight), columns)
            try:
                member.model.fit_arrays(
                    part, None if valid is None else _columns(valid, columns), context=self._shifted(context, number)
                )
            finally:
                if member.model.is_fitted and member.model.booster_.current_iteration():
                    self.members_.append(member)
            if number == count - 1:
                break
            curve = _loss_curve(member.model, part, context)
            ensemble += o["sub_weights"][number] * curve.last
            loss = np.square(ensemble / sum(o["sub_weights"][: number + 1]) - train.y)
            if o["enable_sr"]:
                alphas, decay = (o["alpha1"], o["alpha2"]), o["decay"] ** (number + 1)
                found = row_weights(curve, loss, alphas=alphas, bins=o["bins_sr"], decay=decay)
                weight = found if train.weight is None else found * train.weight
            if o["enable_fs"]:
                columns = choose_features(self._gains(train, rng, context), o["sample_ratios"], rng)
        return self

    def finetune(
        self, dataset: Dataset, reweighter: Any = None, *, num_boost_round: int = 10, context: FitContext | None = None
    ) -> Self:
        """Grow `num_boost_round` more trees in each model on ``train`` of `dataset`.

        Raises
        ------
        NotFittedError
            Before a fit.
        """
        self._require_fitted()
        context = context or FitContext.quiet()
        train = fit_rows(dataset, "train", reweighter=reweighter, context=context, model="DoubleEnsemble")
        x = columns_for(sample_of(dataset, "train", data_key="learn"), self.feature_names_, model="this DEnsembleModel")
        if x.shape != train.x.shape or train.feature_names != self.feature_names_:
            place = [train.feature_names.index(n) for n in self.feature_names_]
            train = replace(train, x=train.x[:, place], feature_names=self.feature_names_)
        for member in self.members_:
            member.model.grow_arrays(_columns(train, member.columns), num_boost_round, context=context)
        return self

    def predict(self, dataset: Dataset, segment: str = "test", *, context: FitContext | None = None) -> pd.Series:
        """Return the scores of `segment`."""
        self._require_fitted()
        sample = sample_of(dataset, segment, data_key="infer")
        x = columns_for(sample, self.feature_names_, model="this DEnsembleModel")
        return scores(self._mean(x, context or FitContext.quiet()), sample.index)

    def feature_importance(self, kind: str = "gain") -> pd.Series:
        """Return the mean importance of each feature over the models, largest first; see `LGBModel`."""
        self._require_fitted()
        total = np.zeros(len(self.feature_names_))
        for member, weight in self._weighted():
            total[member.columns] += weight * member.model.booster_.feature_importance(importance_type=kind)
        return importance_series(dict(zip(self.feature_names_, total, strict=True)), name=kind)

    def _new_member(self) -> LGBModel:
        o = self.options
        return LGBModel(o["loss"], o["early_stopping_rounds"], o["epochs"], **self.params)

    def _shifted(self, context: FitContext, number: int) -> FitContext:
        """Return the context of one model's fit, whose iterations are counted on from the models before it."""
        epochs = self.options["epochs"]
        first, total = number * epochs, self.options["num_models"] * epochs
        text = f"model {number + 1} of {self.options['num_models']}"

        def emit(event: Event) -> None:
            if isinstance(event, Progress):
                best, stop = (n and n + first for n in (event.best_step, event.stop_at))
                event = replace(
                    event, step=event.step + first, total=total, best_step=best, stop_at=stop,
                    text=f"{text}  {event.text}".strip(),
                )  # fmt: skip
            elif isinstance(event, MetricLogged) and event.step is not None:
                event = replace(event, step=event.step + first)
            context.emit(event)

        return replace(context, emit=emit)

    def _weighted(self) -> list[tuple[_Member, float]]:
        weights = self.options["sub_weights"][: len(self.members_)]
        return [(m, w / sum(weights)) for m, w in zip(self.members_, weights, strict=True)]

    def _mean(self, x: np.ndarray, context: FitContext) -> np.ndarray:
        total = np.zeros(len(x))
        for member, weight in self._weighted():
            part = x if len(member.columns) == x.shape[1] else np.ascontiguousarray(x[:, member.columns])
            total += weight * member.model.predict_arrays(part, context)
        return total

    def _gains(self, train: FitRows, rng: np.random.Generator, context: FitContext) -> np.ndarray:
        """Return by how many standard deviations the loss grows when a feature is shuffled, shape (features,)."""
        rows = np.arange(len(train))
        if len(rows) > SHUFFLED_ROWS:
            rows = np.sort(rng.choice(len(rows), SHUFFLED_ROWS, replace=False))
        x, y, gain = train.x[rows], train.y[rows], np.zeros(train.x.shape[1])
        parts = [np.ascontiguousarray(x[:, m.columns]) for m in self.members_]
        own = [w * m.model.predict_arrays(p, context) for (m, w), p in self._with(parts)]
        loss = np.square(sum(own) - y)
        for feature in np.flatnonzero(self.feature_importance("split")[list(train.feature_names)].to_numpy()):
            context.check_stop()
            order, changed = rng.permutation(len(rows)), np.zeros(len(rows))
            for ((member, weight), part), before in zip(self._with(parts), own, strict=True):
                at = np.flatnonzero(member.columns == feature)
                if not len(at):
                    changed += before
                    continue
                kept = part[:, at[0]].copy()
                part[:, at[0]] = kept[order]
                changed += weight * member.model.predict_arrays(part, context)
                part[:, at[0]] = kept
            growth = np.square(changed - y) - loss
            spread = growth.std()
            gain[feature] = growth.mean() / spread if spread > 0 else 0.0
        return gain

    def _with(self, parts: list[np.ndarray]) -> list[tuple[tuple[_Member, float], np.ndarray]]:
        return list(zip(self._weighted(), parts, strict=True))

    def _save_state(self, folder: Path) -> None:
        for number, member in enumerate(self.members_):
            text = member.model.booster_.model_to_string(num_iteration=-1)
            write_atomically(folder / f"model_{number}.txt", text.encode())
        state = {"columns": [m.columns.tolist() for m in self.members_]}
        write_atomically(folder / STATE, json.dumps(state).encode())

    def _load_state(self, folder: Path) -> None:
        import lightgbm

        try:
            columns = json.loads((folder / STATE).read_text(encoding="utf-8"))["columns"]
            for number, places in enumerate(columns):
                model = self._new_member()
                text = (folder / f"model_{number}.txt").read_text(encoding="utf-8")
                model.booster_ = lightgbm.Booster(model_str=text)
                model.feature_names_ = tuple(self.feature_names_[i] for i in places)
                self.members_.append(_Member(model, np.asarray(places, dtype=np.int64)))
        except (OSError, ValueError, KeyError, IndexError, lightgbm.basic.LightGBMError) as error:
            raise ModelError(f"the ensemble in {folder} cannot be read: {error}") from error


def _loss_curve(model: LGBModel, train: FitRows, context: FitContext) -> LossCurve:
    """Return how each row's loss develops over the first and the last tenth of the trees."""
    trees = model.booster_.current_iteration()
    some = max(1, trees // 10)
    pred, start, end = np.zeros(len(train)), np.zeros(len(train)), np.zeros(len(train))

    def add(first: int, count: int) -> None:
        context.check_stop()
        part = model.predict_arrays(train.x, context, start_iteration=first, num_iteration=count)
        np.add(pred, part, out=pred)

    for tree in range(some):
        add(tree, 1)
        start += share(np.square(pred - train.y)) / some
    begin = max(some, trees - some)
    if begin > some:
        add(some, begin - some)
    for tree in range(trees - some, trees):
        if tree >= begin:
            add(tree, 1)
        end += share(np.square(pred - train.y)) / some
    return LossCurve(start, end, pred)


def _columns(rows: FitRows, columns: np.ndarray) -> FitRows:
    if len(columns) == rows.x.shape[1]:
        return rows
    return replace(
        rows, x=np.ascontiguousarray(rows.x[:, columns]), feature_names=tuple(rows.feature_names[i] for i in columns)
    )


def _problems(o: Mapping[str, Any]) -> list[Problem]:
    found = [
        Problem(f"unknown {name} {o[name]!r}", f"valid: {valid}", f"kwargs.{name}")
        for name, valid in (("base_model", "gbm"), ("loss", "mse"))
        if o[name] != valid
    ]
    found += [
        Problem(f"{name} must be at least 1, received {o[name]!r}", "", f"kwargs.{name}")
        for name in ("num_models", "bins_sr", "bins_fs", "epochs")
        if not (isinstance(o[name], int) and o[name] >= 1)
    ]
    for name, other in (("sample_ratios", "bins_fs"), ("sub_weights", "num_models")):
        if len(o[name]) != o[other]:
            found.append(
                Problem(f"{name} has {len(o[name])} values, {other} is {o[other]}", "give one each", f"kwargs.{name}")
            )
    if any(not 0 < r <= 1 for r in o["sample_ratios"]):
        found.append(Problem("sample_ratios must lie in (0, 1]", "", "kwargs.sample_ratios"))
    if any(w < 0 for w in o["sub_weights"]) or not sum(o["sub_weights"][:1]) > 0:
        found.append(Problem("sub_weights must not be negative, the first not 0", "", "kwargs.sub_weights"))
    return found
