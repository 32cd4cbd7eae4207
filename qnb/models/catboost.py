"""Gradient boosted trees by CatBoost (extra ``catboost``)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from ..errors import DivergedError, MissingExtraError, ModelError, RunStopped
from ..training.boosting import (
    Evaluation,
    IterationWatch,
    columns_for,
    importance_series,
    limited_threads,
    take_alias,
)
from ..training.context import FitContext
from ..training.model import BaseModel, require
from ..training.samples import FitRows, fit_rows, has_segment, sample_of, scores

if TYPE_CHECKING:
    import pandas as pd

    from ..data.protocols import Dataset

__all__ = ["CatBoostModel"]

SEEDS = ("random_seed", "random_state")
MAXIMIZED = ("AUC", "Accuracy", "R2", "F1", "NDCG")


class CatBoostModel(BaseModel):
    """Gradient boosted trees with ordered boosting (Prokhorenkova et al., 2018, *CatBoost*).

    Parameters
    ----------
    loss : str
        Loss function: ``RMSE``, ``Logloss`` or any other of CatBoost with one output.
    **kwargs
        Parameters of CatBoost under any of their names.

    Notes
    -----
    Missing features (NaN) count as smaller than every value. Predictions use the best iteration. The bootstrap
    ``Poisson`` exists on a GPU only; without one it is replaced by ``Bernoulli``, and said so. CatBoost takes no
    callback on a GPU, so there the iterations are reported at the end and a stop waits for it.
    """

    names_no_class = True

    def __init__(self, loss: str = "RMSE", **kwargs: Any) -> None:
        self.loss = loss
        self.params = dict(kwargs)
        self.model_: Any = None
        require("catboost", "catboost")

    @property
    def is_fitted(self) -> bool:
        """True after a fit or a load."""
        return self.model_ is not None

    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        return {"loss": self.loss, **self.params}

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
        train = fit_rows(dataset, "train", reweighter=reweighter, context=context, model="CatBoost")
        valid = None
        if has_segment(dataset, "valid"):
            valid = fit_rows(dataset, "valid", reweighter=reweighter, context=context, model="CatBoost")
        patience = int(early_stopping_rounds or 0) if valid is not None else 0
        params["iterations"] = num_boost_round
        if patience:
            params["early_stopping_rounds"] = patience
        watch = IterationWatch(context, total=num_boost_round, patience=patience)
        self.feature_names_ = train.feature_names
        self._train(train, valid, params, watch, verbose_eval)
        if evals_result is not None:
            for name, curve in watch.history.items():
                evals_result.setdefault(name.rpartition(".")[2], curve)
        kept = int(self.model_.tree_count_)
        if watch.stopped:
            raise RunStopped(f"stopped on request; the best of the iterations so far, {kept}, is kept")
        context.log(f"the best iteration is {kept}")
        return self

    def predict(self, dataset: Dataset, segment: str = "test", *, context: FitContext | None = None) -> pd.Series:
        """Return the scores of `segment` (raw values of the ensemble), in parallel over rows."""
        self._require_fitted()
        sample = sample_of(dataset, segment, data_key="infer")
        x = columns_for(sample, self.feature_names_, model="this CatBoostModel")
        threads = (context or FitContext.quiet()).threads
        return scores(self.model_.predict(_pool(_library(), x), thread_count=threads), sample.index)

    def feature_importance(self, kind: str = "PredictionValuesChange") -> pd.Series:
        """Return the importance of each feature, largest first: how much the prediction changes with it, in per cent.

        Parameters
        ----------
        kind : str
            A ``type`` of CatBoost's importances that needs no data.
        """
        self._require_fitted()
        values = self.model_.get_feature_importance(type=kind)
        return importance_series(dict(zip(self.feature_names_, map(float, values), strict=True)), name=kind)

    def get_feature_importance(self) -> pd.Series:
        """Return `feature_importance`, under the name that qlib's users know."""
        return self.feature_importance()

    def _train_params(self, context: FitContext) -> dict[str, Any]:
        params = {"loss_function": self.loss, **self.params}
        params["thread_count"] = limited_threads(params, ("thread_count",), context)
        # CatBoost writes a folder of its own beside the notebook and prints; both go to the journal instead.
        for names in (("verbose", "verbose_eval", "silent", "logging_level"), ("iterations", "num_boost_round")):
            take_alias(params, names)
        params |= {"allow_writing_files": False, "logging_level": "Silent"}
        if context.seed is not None and not any(s in params for s in SEEDS):
            params["random_seed"] = context.seed
        if params.get("task_type", "CPU") == "GPU" and not _has_gpu():
            context.log("task_type GPU is not to be had; using the CPU", level="warning")
            params["task_type"] = "CPU"
        elif "task_type" not in params:
            params["task_type"] = "GPU" if _has_gpu() else "CPU"
        if params["task_type"] == "CPU" and str(params.get("bootstrap_type", "")).lower() == "poisson":
            context.log("bootstrap_type Poisson exists on a GPU only; using Bernoulli", level="warning")
            params["bootstrap_type"] = "Bernoulli"
        return params

    def _train(
        self, train: FitRows, valid: FitRows | None, params: dict[str, Any], watch: IterationWatch, verbose_eval: int
    ) -> None:
        catboost = _library()
        data = _pool(catboost, train.x, train)
        on_cpu = params["task_type"] == "CPU"
        watcher = _Watcher(watch, verbose_eval)
        model = catboost.CatBoost(params)
        try:
            model.fit(
                data,
                eval_set=None if valid is None else _pool(catboost, valid.x, valid),
                use_best_model=valid is not None,
                callbacks=[watcher] if on_cpu else None,
            )
        except catboost.CatBoostError as error:
            text = str(error).strip().splitlines()[0].rpartition("Error: ")[2]
            raise ModelError(f"CatBoost refuses: {text}") from error
        if watcher.failure is not None:
            raise watcher.failure
        if not on_cpu:
            watcher.replay(model.get_evals_result())
        self.model_ = model

    def _save_state(self, folder: Path) -> None:
        part = folder / ".model.cbm.part"
        self.model_.save_model(str(part))
        part.replace(folder / "model.cbm")

    def _load_state(self, folder: Path) -> None:
        catboost = _library()
        try:
            self.model_ = catboost.CatBoost().load_model(str(folder / "model.cbm"))
        except (OSError, catboost.CatBoostError) as error:
            raise ModelError(f"the CatBoost model in {folder} cannot be read: {error}") from error


class _Watcher:
    """CatBoost's callback: hands every iteration's metrics to the watch and ends the fit when asked."""

    def __init__(self, watch: IterationWatch, verbose_eval: int) -> None:
        self.watch = watch
        self.verbose_eval = verbose_eval
        self.failure: DivergedError | None = None

    def after_iteration(self, info: Any) -> bool:
        """Return True to go on."""
        return self._report(int(info.iteration), info.metrics, -1)

    def replay(self, results: Mapping[str, Mapping[str, list[float]]]) -> None:
        """Report a whole fit at its end."""
        rounds = max((len(curve) for metrics in results.values() for curve in metrics.values()), default=0)
        for at in range(rounds):
            self._report(at + 1, results, at)

    def _report(self, iteration: int, metrics: Mapping[str, Mapping[str, list[float]]], at: int) -> bool:
        found = [
            Evaluation("train" if data == "learn" else "valid", metric, curve[at], metric.startswith(MAXIMIZED))
            for data, curves in metrics.items()
            for metric, curve in curves.items()
        ]
        try:
            stop = self.watch.update(iteration, found)
        except DivergedError as error:  # an exception does not cross the library: it is raised after the fit
            self.failure = error
            return False
        if self.verbose_eval and (iteration % self.verbose_eval == 0 or iteration == 1):
            self.watch.context.log(self.watch.summary(iteration))
        return not stop


def _library() -> ModuleType:
    try:
        import catboost
    except ImportError as error:
        raise MissingExtraError("catboost", "catboost") from error
    return catboost


def _has_gpu() -> bool:
    if sys.platform == "linux" and not Path("/proc/driver/nvidia").exists():
        return False  # without the driver the library's own count complains on stderr
    from catboost.utils import get_gpu_device_count

    return get_gpu_device_count() > 0


def _pool(catboost: ModuleType, x: Any, rows: FitRows | None = None) -> Any:
    if rows is None:
        return catboost.Pool(x)
    return catboost.Pool(x, label=rows.y, weight=rows.weight)
