"""Gradient boosted trees by XGBoost (extra ``xgboost``)."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from ..errors import MissingExtraError, ModelError, RunStopped
from ..training.boosting import (
    Evaluation,
    IterationWatch,
    columns_for,
    importance_series,
    limited_threads,
    take_alias,
)
from ..training.context import FitContext
from ..training.model import BaseModel, require, write_atomically
from ..training.samples import FitRows, fit_rows, has_segment, sample_of, scores

if TYPE_CHECKING:
    import pandas as pd

    from ..data.protocols import Dataset

__all__ = ["XGBModel"]

THREADS = ("nthread", "n_jobs")
SEEDS = ("seed", "random_state")
UNUSED = ("n_estimators", "num_round", "num_boost_round", "early_stopping_rounds")
MAXIMIZED = ("auc", "aucpr", "map", "ndcg", "pre")


class XGBModel(BaseModel):
    """Gradient boosted trees, grown level by level with second-order gains (Chen & Guestrin, 2016, *XGBoost*).

    Parameters
    ----------
    **kwargs
        Parameters of XGBoost. ``n_estimators`` has no effect, as in qlib: the number of rounds is an argument of
        `fit`, 1000 by default, with early stopping after 50 rounds without improvement on ``valid``.

    Notes
    -----
    Missing features (NaN) go down a learned side of each split. Predictions use the best iteration. With the default
    ``hist`` method the features are binned straight from the float32 matrix, without XGBoost's own copy of them.
    """

    names_no_class = True

    def __init__(self, **kwargs: Any) -> None:
        self.params = dict(kwargs)
        self.booster_: Any = None
        self.best_iteration_ = 0
        require("xgboost", "xgboost")

    @property
    def is_fitted(self) -> bool:
        """True after a fit or a load."""
        return self.booster_ is not None

    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        return dict(self.params)

    def fit(
        self,
        dataset: Dataset,
        reweighter: Any = None,
        *,
        context: FitContext | None = None,
        num_boost_round: int = 1000,
        early_stopping_rounds: int | None = 50,
        verbose_eval: int = 20,
        evals_result: dict[str, Any] | None = None,
    ) -> Self:
        """Fit on ``train``, stop early on ``valid`` if there is one.

        Parameters
        ----------
        num_boost_round : int
            Most iterations.
        early_stopping_rounds : int or None
            Iterations without improvement on ``valid`` after which the fit ends; None or 0 never.
        verbose_eval : int
            A line in the log every so many iterations; 0 none.
        evals_result : dict, optional
            Filled with the metric of every iteration: ``{"train": [...], "valid": [...]}``.

        Raises
        ------
        EmptyDataError
            A segment has no usable row.
        RunStopped
            The fit was asked to stop; the model is usable and holds the best iteration so far.
        """
        context = context or FitContext.quiet()
        params = self._train_params(context)
        train = fit_rows(dataset, "train", reweighter=reweighter, context=context, model="XGBoost")
        valid = None
        if has_segment(dataset, "valid"):
            valid = fit_rows(dataset, "valid", reweighter=reweighter, context=context, model="XGBoost")
        patience = int(early_stopping_rounds or 0) if valid is not None else 0
        watch = IterationWatch(context, total=num_boost_round, patience=patience)
        self.feature_names_ = train.feature_names
        self._train(train, valid, params, watch, verbose_eval)
        if evals_result is not None:
            for name, curve in watch.history.items():
                evals_result.setdefault(name.rpartition(".")[2], curve)
        if watch.stopped:
            raise RunStopped(f"stopped on request; the best of the iterations so far, {self.best_iteration_}, is kept")
        context.log(f"the best iteration is {self.best_iteration_}")
        return self

    def predict(self, dataset: Dataset, segment: str = "test", *, context: FitContext | None = None) -> pd.Series:
        """Return the scores of `segment` with the best iteration, in parallel over rows."""
        self._require_fitted()
        sample = sample_of(dataset, segment, data_key="infer")
        x = columns_for(sample, self.feature_names_, model="this XGBModel")
        self.booster_.set_param({"nthread": (context or FitContext.quiet()).threads})
        used = (0, self.best_iteration_)
        return scores(self.booster_.inplace_predict(x, iteration_range=used, validate_features=False), sample.index)

    def feature_importance(self, kind: str = "gain") -> pd.Series:
        """Return the importance of each feature, largest first; 0 for one that no split uses.

        Parameters
        ----------
        kind : str
            ``"gain"``, ``"total_gain"``, ``"weight"`` (number of splits), ``"cover"`` or ``"total_cover"``.
        """
        self._require_fitted()
        found = self.booster_.get_score(importance_type=kind)
        values = {name: float(found.get(f"f{i}", 0.0)) for i, name in enumerate(self.feature_names_)}
        return importance_series(values, name=kind)

    def get_feature_importance(self, importance_type: str = "weight") -> pd.Series:
        """Return `feature_importance`, under the name and with the default that qlib's users know."""
        return self.feature_importance(importance_type)

    def _train_params(self, context: FitContext) -> dict[str, Any]:
        params = dict(self.params)
        params["nthread"] = limited_threads(params, THREADS, context)
        if params.get("tree_method") == "gpu_hist":  # the name of old versions
            params |= {"tree_method": "hist", "device": "cuda"}
        for name in UNUSED:
            found = take_alias(params, (name,))
            if found is not None:
                context.log(f"{name} {found[1]} has no effect here, as in qlib: rounds are an argument of fit")
        if context.seed is not None and not any(s in params for s in SEEDS):
            params["seed"] = context.seed
        return params

    def _train(
        self, train: FitRows, valid: FitRows | None, params: dict[str, Any], watch: IterationWatch, verbose_eval: int
    ) -> None:
        xgb = _library()
        binned = params.get("tree_method", "auto") in ("auto", "hist") and params.get("booster") != "gblinear"
        with _warnings_to_log(watch.context):
            try:
                data = _matrix(xgb, train, params, binned=binned, reference=None)
                evals = [(data, "train")]
                if valid is not None:
                    evals.append((_matrix(xgb, valid, params, binned=binned, reference=data), "valid"))
                callbacks = [_watcher(xgb, watch, verbose_eval)]
                if watch.patience:
                    callbacks.append(xgb.callback.EarlyStopping(rounds=watch.patience))
                self.booster_ = xgb.train(
                    params, data, watch.total, evals=evals, callbacks=callbacks, verbose_eval=False
                )
            except xgb.core.XGBoostError as error:
                raise ModelError(f"XGBoost refuses: {str(error).strip().splitlines()[0]}") from error
        try:
            self.best_iteration_ = int(self.booster_.best_iteration) + 1
        except AttributeError:  # without early stopping there is none
            self.best_iteration_ = watch.best_step if watch.stopped and watch.best_step else self._rounds()

    def _rounds(self) -> int:
        return int(self.booster_.num_boosted_rounds())

    def _save_state(self, folder: Path) -> None:
        write_atomically(folder / "model.ubj", bytes(self.booster_.save_raw(raw_format="ubj")))
        write_atomically(folder / "best.json", json.dumps({"best_iteration": self.best_iteration_}).encode())

    def _load_state(self, folder: Path) -> None:
        xgb = _library()
        try:
            self.booster_ = xgb.Booster(model_file=str(folder / "model.ubj"))
            self.best_iteration_ = int(json.loads((folder / "best.json").read_text())["best_iteration"])
        except (OSError, ValueError, KeyError, xgb.core.XGBoostError) as error:
            raise ModelError(f"the XGBoost model in {folder} cannot be read: {error}") from error


def _library() -> ModuleType:
    try:
        import xgboost
    except ImportError as error:
        raise MissingExtraError("xgboost", "xgboost") from error
    return xgboost


def _matrix(xgb: ModuleType, rows: FitRows, params: Mapping[str, Any], *, binned: bool, reference: Any) -> Any:
    if not binned:
        return xgb.DMatrix(rows.x, label=rows.y, weight=rows.weight, nthread=params["nthread"])
    return xgb.QuantileDMatrix(
        rows.x,
        label=rows.y,
        weight=rows.weight,
        ref=reference,
        max_bin=params.get("max_bin", 256),
        nthread=params["nthread"],
    )


def _watcher(xgb: ModuleType, watch: IterationWatch, verbose_eval: int) -> Any:
    class Watcher(xgb.callback.TrainingCallback):  # type: ignore[name-defined]
        """Hands every iteration's metrics to the watch and ends the fit when asked."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[float]]]) -> bool:
            found = [
                Evaluation(data, metric, float(curve[-1]), metric.startswith(MAXIMIZED))
                for data, metrics in evals_log.items()
                for metric, curve in metrics.items()
            ]
            stop = watch.update(epoch + 1, found)
            if verbose_eval and ((epoch + 1) % verbose_eval == 0 or epoch == 0):
                watch.context.log(watch.summary(epoch + 1))
            return stop

    return Watcher()


@contextmanager
def _warnings_to_log(context: FitContext) -> Iterator[None]:
    """Write what the library warns about to the run's log, once each, without its own prefix."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(w.message) for w in caught):
        lines = [line.strip() for line in text.partition("WARNING:")[2].splitlines() or text.splitlines()]
        message = " ".join(line for line in lines[1:] if line) or lines[0].rpartition(": ")[2]
        context.log(f"XGBoost: {message}", level="warning")
