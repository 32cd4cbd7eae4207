"""The optimiser of a study: Optuna in ask/tell form. Only this file and those of its storage import it.

- The storage is a journal file in the study's directory, so ``optuna-dashboard`` opens it; or the URL that was named.
- Each trial is asked for with a sampler made anew from the study's seed and the trial's number. What comes next thus
  depends on the trials so far and on nothing else: with one worker, an interrupted study goes on as if nothing was.
- A trial that was running when its manager died is still running in the storage, with its parameters. It is taken up
  again under its own number, so none is lost and none is double.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..errors import MissingExtraError
from ..secrets import Vault
from .attributes import stored_name, study_attributes
from .grid import grid_points
from .objectives import short_name
from .space import Dimension, Space
from .spec import StudySpec
from .storage import open_storage, quiet

__all__ = ["Proposal", "Search", "check_sampler"]

WARM_REPORTS = 1
"""Reports of a trial before it may be pruned: the first one says little."""
STARTUP = 5
"""Complete trials before any is pruned: the verdict needs as many."""
FEWEST = 4
"""Complete trials that importances need."""
_RESOURCE = "rounds (first report, most)"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial with its parameters; `again` for one that was taken up again."""

    number: int
    params: Mapping[str, Any]
    again: bool = False


class Search:
    """The trials of one study.

    Parameters
    ----------
    spec : StudySpec
        Sampler, pruner, objectives, seed.
    space : Space
        What is searched.
    folder : Path
        The study's directory; its lock must be held.
    study_id : str
        Part of the study's name in the storage.

    Raises
    ------
    StudyError
        The storage cannot be reached.
    ConfigError
        The sampler cannot search this space.
    """

    def __init__(self, spec: StudySpec, space: Space, folder: Path, study_id: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("optuna").setLevel(logging.ERROR)
        self._optuna = optuna
        self._spec, self._space = spec, space
        check_sampler(spec.sampler)
        self._limit = spec.trials
        if spec.sampler == "grid":
            self._limit = min(spec.trials, math.prod(len(v) for v in grid_points(space).values()))
        storage = open_storage(Vault.beside(folder).reveal(spec.storage), folder)
        with quiet():
            self._study = optuna.create_study(
                study_name=stored_name(spec, study_id), storage=storage, load_if_exists=True,
                directions=[o.optuna_direction for o in spec.objectives], sampler=self._sampler(0),
                pruner=optuna.pruners.NopPruner(),
            )  # fmt: skip
            self._study.set_metric_names([short_name(o.metric) for o in spec.objectives])
        self.describe(study_attributes(spec))
        self._trials: dict[int, Any] = {}
        self._reports: dict[int, int] = {}
        self._resource = self._study.user_attrs.get(_RESOURCE)
        self._judge = self._pruner(*self._resource) if self._resource else None

    @property
    def limit(self) -> int:
        """Number of trials there can be: a grid may have fewer points than were asked for."""
        return self._limit

    def finished(self) -> dict[int, str]:
        """Return the state of every trial that is over: ``complete``, ``pruned`` or ``failed``."""
        names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return {t.number: names[t.state.name] for t in self._study.get_trials(deepcopy=False) if t.state.is_finished()}

    def values(self, number: int) -> list[float]:
        """Return the values of a complete trial; none for others."""
        frozen = self._study.get_trials(deepcopy=False)[number]
        return [float(v) for v in frozen.values or ()] if frozen.state.name == "COMPLETE" else []

    def interrupted(self) -> list[Proposal]:
        """Return the trials that were running when their manager died, to be run again."""
        found = []
        self._study.pruner = self._optuna.pruners.NopPruner()
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.state.name == "RUNNING":
                with quiet():  # of its own number: killed before it had parameters, it draws those it would have had
                    self._study.sampler = self._sampler(frozen.number)
                trial = self._optuna.trial.Trial(self._study, frozen._trial_id)
                self._trials[frozen.number] = trial
                self._reports[frozen.number] = 0
                with quiet():  # those that are set keep their values; the others are drawn now
                    found.append(Proposal(frozen.number, self._suggest(trial), again=True))
        return found

    def ask(self) -> Proposal | None:
        """Return a new trial, None where there are as many as there can be."""
        number = len(self._study.get_trials(deepcopy=False))
        if number >= self._limit:
            return None
        # While it pruned by Hyperband, the study would show the sampler the trials of one bracket alone.
        self._study.pruner = self._optuna.pruners.NopPruner()
        with quiet():
            self._study.sampler = self._sampler(number)
            trial = self._study.ask()
            params = self._suggest(trial)
        self._trials[trial.number] = trial
        self._reports[trial.number] = 0
        return Proposal(trial.number, params)

    def report(self, number: int, step: int, value: float, *, of: int) -> bool:
        """Keep a value on the way and return whether the trial is to be pruned.

        Parameters
        ----------
        of : int
            The most steps there can be; 0 if unknown.
        """
        if len(self._spec.objectives) > 1 or self._spec.pruner == "none":
            return False
        if self._resource is None:
            self._resource = [max(1, of // 20), of or 100]
            self._study.set_user_attr(_RESOURCE, self._resource)
            self._judge = self._pruner(*self._resource)
        trial = self._trials[number]
        if step not in trial.storage.get_trial(trial._trial_id).intermediate_values:
            trial.report(value, step)
        self._reports[number] += 1
        self._study.pruner = self._judge
        if self._reports[number] <= WARM_REPORTS or not trial.should_prune():  # it also keeps what it compares with
            return False
        return sum(s == "complete" for s in self.finished().values()) >= STARTUP

    def tell(self, number: int, state: str, values: list[float]) -> None:
        """End a trial: ``complete`` with its values, ``pruned`` or ``failed``."""
        trial = self._trials.pop(number)
        if self._spec.sampler == "grid":  # Optuna's own wants to end a loop that is not there after the last point
            self._study.sampler = self._optuna.samplers.RandomSampler()
        states = self._optuna.trial.TrialState
        with quiet():
            if state == "complete":
                self._study.tell(trial, values)
            else:
                self._study.tell(trial, state=states.PRUNED if state == "pruned" else states.FAIL)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Keep facts about the study, for the dashboard; those that are there already are not written again."""
        known = self._study.user_attrs
        for name, value in attributes.items():
            if known.get(name) != value:
                self._study.set_user_attr(name, value)

    def note(self, number: int, attributes: Mapping[str, Any]) -> None:
        """Keep facts beside a running trial, for the dashboard."""
        trial = self._trials.get(number)
        if trial is not None:
            for name, value in attributes.items():
                trial.set_user_attr(name, value)

    def load_importances(self) -> None:
        """Import what `importances` needs."""
        self._optuna.importance.FanovaImportanceEvaluator  # noqa: B018 - a lazy module: the look at it imports it

    def importances(self) -> dict[str, float]:
        """Return how much of the first objective's variance each parameter explains (fANOVA); {} where unknown.

        Hutter, Hoos and Leyton-Brown, An Efficient Approach for Assessing Hyperparameter Importance, 2014.
        """
        objective = self._spec.objectives[0]
        if sum(s == "complete" for s in self.finished().values()) < FEWEST:
            return {}
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=self._spec.seed)
        target = (
            None if len(self._spec.objectives) == 1 else (lambda t: objective.value({objective.metric: t.values[0]}))
        )
        try:
            with quiet():
                found = self._optuna.importance.get_param_importances(self._study, evaluator=evaluator, target=target)
        except (ValueError, RuntimeError, ImportError):  # all values alike, or no parameter common to all trials
            return {}
        return {k: float(v) for k, v in found.items()}

    def close(self) -> None:
        """Let the storage go."""
        self._study._storage.remove_session()

    def _suggest(self, trial: Any) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for dimension in self._space.active(params):
            params[dimension.name] = _suggested(trial, dimension)
        return params

    def _sampler(self, number: int) -> Any:
        samplers, spec = self._optuna.samplers, self._spec
        own = (spec.seed * 1_000_003 + number) % 2**31
        match spec.sampler:
            case "random":
                return samplers.RandomSampler(seed=own)
            case "grid":
                return samplers.GridSampler(grid_points(self._space), seed=spec.seed)
            case "qmc":
                with quiet():
                    return samplers.QMCSampler(seed=spec.seed, scramble=True)
            case "cmaes":
                return samplers.CmaEsSampler(seed=own, warn_independent_sampling=False)
            case "gp":
                with quiet():
                    return samplers.GPSampler(seed=own, deterministic_objective=True)
        return samplers.TPESampler(seed=own)

    def _pruner(self, least: int, most: int) -> Any:
        pruners = self._optuna.pruners
        if self._spec.pruner == "hyperband":
            return _hyperband(self._spec.seed, least, most)
        return pruners.MedianPruner(n_startup_trials=STARTUP)


def _hyperband(seed: int, least: int, most: int) -> Any:
    """Return Optuna's Hyperband with brackets that depend on the seed, not on the random name of the study."""
    from optuna.pruners import HyperbandPruner

    class Seeded(HyperbandPruner):
        def _get_bracket_id(self, study: Any, trial: Any) -> int:
            return super()._get_bracket_id(SimpleNamespace(study_name=seed), trial)

    return Seeded(min_resource=least, max_resource=most, reduction_factor=3)


def check_sampler(sampler: str) -> None:
    """Raise `MissingExtraError` where the library of a sampler is not installed; imports nothing."""
    if sampler == "gp" and importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "torch")


def _suggested(trial: Any, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        return trial.suggest_categorical(dimension.name, list(dimension.labels))
    if dimension.kind == "int":
        step = int(dimension.step or 1)
        return trial.suggest_int(dimension.name, int(dimension.low), int(dimension.high), step=step, log=dimension.log)
    return trial.suggest_float(dimension.name, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
