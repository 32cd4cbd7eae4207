"""Gradient boosted trees by LightGBM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from ..errors import ConfigError, ModelError, Problem, RunStopped, nearest
from ..task.booster_parameters import BOOSTER_PARAMETERS
from ..training.boosting import (
    Evaluation,
    IterationWatch,
    columns_for,
    importance_series,
    limited_threads,
    take_alias,
)
from ..training.context import FitContext
from ..training.model import BaseModel, write_atomically
from ..training.samples import FitRows, fit_rows, has_segment, sample_of, scores
from ..training.turns import Turns

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..data.protocols import Dataset

__all__ = ["LGBModel"]

_TURNS = Turns("LightGBM")
THREADS = ("num_threads", "num_thread", "nthread", "nthreads", "n_jobs")
ROUNDS = (
    "num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds", "nrounds",
    "n_estimators", "max_iter",
)  # fmt: skip
PATIENCE = ("early_stopping_round", "early_stopping", "n_iter_no_change")
SEEDS = ("seed", "random_seed", "random_state")
DEVICES = ("device_type", "device")


class LGBModel(BaseModel):
    """Gradient boosted trees, histogram-based and grown leaf by leaf (Ke et al., 2017, *LightGBM*).

    Parameters
    ----------
    loss : str
        Objective: ``mse``, ``binary`` or any other of LightGBM with one output.
    early_stopping_rounds : int
        Iterations without improvement on ``valid`` after which the fit ends; 0 or None never. Without the segment
        ``valid`` all rounds are run.
    num_boost_round : int
        Most iterations.
    **kwargs
        Parameters of LightGBM under any of their names; one that LightGBM does not know is refused.

    Notes
    -----
    Missing features (NaN) go down the side of a split that lowers the loss. Predictions use the best iteration. A
    prediction for a row depends on the features of that row alone.

    Examples
    --------
    >>> from qnb.training.synthetic import SyntheticDataset
    >>> model = LGBModel(learning_rate=0.2, num_leaves=15, num_boost_round=20)
    >>> model.fit(SyntheticDataset()).predict(SyntheticDataset()).name
    'score'
    """

    names_no_class = True

    def __init__(
        self,
        loss: str = "mse",
        early_stopping_rounds: int | None = 50,
        num_boost_round: int = 1000,
        **kwargs: Any,
    ) -> None:
        self.loss = loss
        self.early_stopping_rounds = early_stopping_rounds
        self.num_boost_round = num_boost_round
        self.params = dict(kwargs)
        self.booster_: Any = None
        _check_params(self.params)

    @property
    def is_fitted(self) -> bool:
        """True after a fit or a load."""
        return self.booster_ is not None

    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        return {
            "loss": self.loss,
            "early_stopping_rounds": self.early_stopping_rounds,
            "num_boost_round": self.num_boost_round,
            **self.params,
        }

    def fit(
        self,
        dataset: Dataset,
        reweighter: Any = None,
        *,
        context: FitContext | None = None,
        num_boost_round: int | None = None,
        early_stopping_rounds: int | None = None,
        verbose_eval: int = 20,
        evals_result: dict[str, Any] | None = None,
    ) -> Self:
        """Fit on ``train``, stop early on ``valid`` if there is one.

        Parameters
        ----------
        num_boost_round, early_stopping_rounds : int, optional
            Instead of those of the constructor.
        verbose_eval : int
            A line in the log every so many iterations; 0 none.
        evals_result : dict, optional
            Filled with the metrics of every iteration: ``{"train": {"l2": [...]}, "valid": {...}}``.

        Raises
        ------
        EmptyDataError
            A segment has no usable row.
        RunStopped
            The fit was asked to stop; the model is usable and holds the best iteration so far.
        """
        context = context or FitContext.quiet()
        train = fit_rows(dataset, "train", reweighter=reweighter, context=context, model="LightGBM")
        valid = None
        if has_segment(dataset, "valid"):
            valid = fit_rows(dataset, "valid", reweighter=reweighter, context=context, model="LightGBM")
        return self.fit_arrays(
            train,
            valid,
            context=context,
            num_boost_round=num_boost_round,
            early_stopping_rounds=early_stopping_rounds,
            verbose_eval=verbose_eval,
            evals_result=evals_result,
        )

    def fit_arrays(
        self,
        train: FitRows,
        valid: FitRows | None,
        *,
        context: FitContext,
        num_boost_round: int | None = None,
        early_stopping_rounds: int | None = None,
        verbose_eval: int = 20,
        evals_result: dict[str, Any] | None = None,
    ) -> Self:
        """Fit on rows that are at hand; see `fit`."""
        params, rounds, patience = self._plan(context, num_boost_round, early_stopping_rounds)
        watch = IterationWatch(context, total=rounds, patience=0 if valid is None else patience)
        try:
            self._run(train, valid, params, watch, verbose_eval=verbose_eval)
        finally:
            if evals_result is not None:
                for name, curve in watch.history.items():
                    metric, _, data = name.rpartition(".")
                    evals_result.setdefault(data, {})[metric] = curve
        return self._finish(watch, context)

    def finetune(
        self,
        dataset: Dataset,
        reweighter: Any = None,
        *,
        num_boost_round: int = 10,
        verbose_eval: int = 20,
        context: FitContext | None = None,
    ) -> Self:
        """Grow `num_boost_round` more trees on ``train`` of `dataset`, starting from the fitted model.

        Raises
        ------
        NotFittedError
            Before a fit.
        """
        self._require_fitted()
        context = context or FitContext.quiet()
        train = fit_rows(dataset, "train", reweighter=reweighter, context=context, model="LightGBM")
        return self.grow_arrays(train, num_boost_round, context=context, verbose_eval=verbose_eval)

    def grow_arrays(self, train: FitRows, rounds: int, *, context: FitContext, verbose_eval: int = 20) -> Self:
        """Grow `rounds` more trees on rows that are at hand; see `finetune`."""
        params = self._train_params(context)
        for names in (ROUNDS, PATIENCE):
            take_alias(params, names)
        done = int(self.booster_.current_iteration())
        watch = IterationWatch(context, total=done + rounds, first=done)
        self._run(train, None, params, watch, verbose_eval=verbose_eval)
        return self._finish(watch, context)

    def predict(self, dataset: Dataset, segment: str = "test", *, context: FitContext | None = None) -> pd.Series:
        """Return the scores of `segment`, in parallel over rows."""
        self._require_fitted()
        sample = sample_of(dataset, segment, data_key="infer")
        x = columns_for(sample, self.feature_names_, model="this LGBModel")
        return scores(self.predict_arrays(x, context or FitContext.quiet()), sample.index)

    def predict_arrays(self, x: np.ndarray, context: FitContext, **which: int) -> np.ndarray:
        """Return the scores of rows that are at hand; `which` names iterations, see `lightgbm.Booster.predict`."""
        threads = limited_threads(dict(self.params), THREADS, FitContext(threads=context.threads))
        with _TURNS.take(threads, context):
            return self.booster_.predict(x, num_threads=threads, **which)

    def feature_importance(self, kind: str = "gain") -> pd.Series:
        """Return the importance of each feature, largest first.

        Parameters
        ----------
        kind : str
            ``"gain"`` (loss reduced by its splits) or ``"split"`` (number of its splits).
        """
        self._require_fitted()
        values = self.booster_.feature_importance(importance_type=kind)
        return importance_series(dict(zip(self.feature_names_, values, strict=True)), name=kind)

    def get_feature_importance(self, importance_type: str = "split") -> pd.Series:
        """Return `feature_importance`, under the name and with the default that qlib's users know."""
        return self.feature_importance(importance_type)

    def _plan(
        self, context: FitContext, num_boost_round: int | None = None, early_stopping_rounds: int | None = None
    ) -> tuple[dict[str, Any], int, int]:
        """Return the library's parameters, the most iterations, and the patience (0 for none)."""
        params = self._train_params(context)
        rounds = int(num_boost_round or self._from_params(ROUNDS, params) or self.num_boost_round)
        patience = self._from_params(PATIENCE, params)
        patience = self.early_stopping_rounds if patience is None else patience
        patience = int((patience if early_stopping_rounds is None else early_stopping_rounds) or 0)
        if params.get("boosting", params.get("boosting_type")) == "dart":  # it rewrites its trees
            patience = 0
        return params, rounds, patience

    def _train_params(self, context: FitContext) -> dict[str, Any]:
        params = {"objective": self.loss, "verbosity": -1, **self.params}
        params["num_threads"] = limited_threads(params, THREADS, context)
        if not any(name in params for name in ("force_col_wise", "force_row_wise")):
            params["force_col_wise"] = True  # else the library times both ways, and which is taken is left to chance
        if context.seed is not None and not any(s in params for s in SEEDS):
            params["seed"] = context.seed
        return params

    @staticmethod
    def _from_params(names: tuple[str, ...], params: dict[str, Any]) -> int | None:
        found = take_alias(params, names)
        return None if found is None else found[1]

    def _run(
        self,
        train: FitRows,
        valid: FitRows | None,
        params: dict[str, Any],
        watch: IterationWatch,
        *,
        verbose_eval: int,
    ) -> None:
        self.feature_names_ = train.feature_names
        try:
            self._train(train, valid, params, watch, verbose_eval)
        except _library().basic.LightGBMError as error:
            device = take_alias(params, DEVICES)
            if device is None or device[1] == "cpu" or watch.history:
                raise ModelError(f"LightGBM refuses: {error}") from error
            watch.context.log(f"{device[0]} {device[1]} is not to be had ({error}); using the CPU", level="warning")
            self._train(train, valid, params, watch, verbose_eval)

    def _train(
        self, train: FitRows, valid: FitRows | None, params: dict[str, Any], watch: IterationWatch, verbose_eval: int
    ) -> None:
        lgb = _library()
        # The memory-mapped float32 matrix is binned in place; `free_raw_data` then lets its pages go.
        data = [lgb.Dataset(train.x, label=train.y, weight=train.weight, params=params, free_raw_data=True)]
        if valid is not None:
            data.append(data[0].create_valid(valid.x, label=valid.y, weight=valid.weight, params=params))
        self._boost(data, params, watch, verbose_eval)

    def _boost(
        self,
        data: Sequence[Any],
        params: dict[str, Any],
        watch: IterationWatch,
        verbose_eval: int,
        *,
        look: Callable[[Any, Any], list[Any]] | None = None,
    ) -> None:
        """Grow the trees on binned data, ``train`` first; `look` sees the scores of every set in every iteration."""
        lgb = _library()
        callbacks = [_watcher(lgb, watch, verbose_eval)]
        if watch.patience:
            first_only = bool(params.get("first_metric_only", False))
            min_delta = params.get("early_stopping_min_delta", 0.0)
            callbacks.append(
                lgb.early_stopping(watch.patience, first_metric_only=first_only, verbose=False, min_delta=min_delta)
            )
        with _TURNS.take(params["num_threads"], watch.context):
            self.booster_ = lgb.train(
                params,
                data[0],
                num_boost_round=watch.total - watch.first,
                valid_sets=list(data),
                valid_names=["train", "valid"][: len(data)],
                feval=look,
                init_model=self.booster_ if watch.first else None,
                callbacks=callbacks,
            )

    def _finish(self, watch: IterationWatch, context: FitContext) -> Self:
        kept = self.booster_.current_iteration()
        if watch.stopped:
            raise RunStopped(f"stopped on request; the best of the iterations so far, {kept}, is kept")
        context.log(f"the best iteration is {kept}" if watch.patience else f"{kept} iterations")
        return self

    def _save_state(self, folder: Path) -> None:
        write_atomically(folder / "model.txt", self.booster_.model_to_string(num_iteration=-1).encode())

    def _load_state(self, folder: Path) -> None:
        try:
            self.booster_ = _library().Booster(model_str=(folder / "model.txt").read_text(encoding="utf-8"))
        except (OSError, ValueError, _library().basic.LightGBMError) as error:
            raise ModelError(f"the LightGBM model in {folder} cannot be read: {error}") from error


def _library() -> ModuleType:
    import lightgbm

    return lightgbm


def _watcher(lgb: ModuleType, watch: IterationWatch, verbose_eval: int) -> Callable[[Any], None]:
    def after_iteration(env: Any) -> None:
        iteration = env.iteration - env.begin_iteration + 1
        results = env.evaluation_result_list or []
        stop = watch.update(iteration, [Evaluation(r[0], r[1], r[2], r[3]) for r in results])
        if verbose_eval and (iteration % verbose_eval == 0 or iteration == 1):
            watch.context.log(watch.summary(iteration))
        if stop:
            best = watch.best_step or watch.first + iteration
            raise lgb.callback.EarlyStopException(best - 1, results)

    after_iteration.order = 20  # type: ignore[attr-defined]  # before early stopping, which ends the iteration
    return after_iteration


def _check_params(params: Mapping[str, Any]) -> None:
    """Refuse a parameter that LightGBM would silently ignore; the library is only asked about what we do not know."""
    if BOOSTER_PARAMETERS["LGBModel"].issuperset(params):
        return
    aliases = getattr(_library().basic, "_ConfigAliases", None)
    if aliases is None:
        return
    known = set(aliases.get(*aliases._get_all_param_aliases()))
    problems = []
    for name in params:
        if name not in known:
            near = nearest(name, known)
            remedy = f"did you mean {near[0]!r}?" if near else "see LightGBM's list of parameters"
            problems.append(Problem(f"LightGBM has no parameter {name!r}", remedy, f"kwargs.{name}"))
    if problems:
        raise ConfigError(problems)
