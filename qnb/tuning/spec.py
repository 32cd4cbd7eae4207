"""How a study searches: a frozen `StudySpec`, the days it compares trials on, and the keys by which users say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..files import make
from .objectives import METRICS, Objective

__all__ = ["KINDS", "PRUNERS", "SAMPLERS", "SEGMENTS", "STUDY_KEYS", "StudySpec", "Validation"]

SAMPLERS = ("tpe", "cmaes", "gp", "random", "grid", "qmc")
PRUNERS = ("hyperband", "median", "none")
KINDS = ("holdout", "walk_forward", "purged_kfold")
SEGMENTS = ("valid", "test")
STUDY_KEYS: Mapping[str, str] = {
    "trials": "number of trials; default 50",
    "jobs": "worker processes; default: the cores",
    "threads": "CPU threads of a worker; default: cores / jobs",
    "metric": "what is searched for, on the validation segment; a list for several; default IC",
    "direction": "maximize, minimize or correlation, one for each metric; default: what suits the metric",
    "sampler": "tpe, cmaes, gp, random, grid or qmc; default tpe",
    "pruner": "hyperband, median or none; default hyperband",
    "seed": "seed of the search and, where the task has none, of the models; default 7",
    "timeout": "seconds after which no new trial starts",
    "trial_timeout": "seconds after which a trial counts as failed",
    "storage": "URL of Optuna's storage (sqlite:///..., postgresql://...); default: a journal file in the study",
    "segment": "valid, or test, which spoils the test and is said everywhere in red",
    "cv": "cross-validation: {kind: walk_forward or purged_kfold, folds: 4, embargo: days}",
    "space": "named spaces: LightGBMSpace, or {model: ..., strategy: ..., label: ...}",
}
"""Keys of the section ``study`` with what they mean."""


@dataclass(frozen=True, slots=True)
class Validation:
    """On which days trials are compared.

    Attributes
    ----------
    kind : str
        ``holdout`` (one segment), ``walk_forward`` or ``purged_kfold``.
    folds : int
        Number of folds; 1 for a holdout.
    embargo : int or None
        Trading days left out after a validation fold, beside those that the label reaches; None derives them from it.
    segment : str
        ``valid`` or ``test``, for a holdout.
    """

    kind: str = "holdout"
    folds: int = 1
    embargo: int | None = None
    segment: str = "valid"


@dataclass(frozen=True, slots=True)
class StudySpec:
    """How a study searches; see `STUDY_KEYS`."""

    name: str = "study"
    trials: int = 50
    jobs: int = 1
    threads: int = 1
    objectives: tuple[Objective, ...] = (Objective("IC", "maximize"),)
    sampler: str = "tpe"
    pruner: str = "hyperband"
    seed: int = 7
    timeout: float | None = None
    trial_timeout: float | None = None
    storage: str = ""
    validation: Validation = field(default_factory=Validation)

    @property
    def on_test(self) -> bool:
        """Whether trials are chosen on the test segment."""
        return self.validation.segment == "test"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        v = self.validation
        return {
            "name": self.name, "trials": self.trials, "jobs": self.jobs, "threads": self.threads,
            "objectives": [o.to_json() for o in self.objectives], "sampler": self.sampler, "pruner": self.pruner,
            "seed": self.seed, "timeout": self.timeout, "trial_timeout": self.trial_timeout, "storage": self.storage,
            "validation": {"kind": v.kind, "folds": v.folds, "embargo": v.embargo, "segment": v.segment},
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudySpec:
        """Return the spec of `to_json`; keys that are not known here are left out.

        Raises
        ------
        ValueError
            A value is of a wrong type, or a metric is not known.
        """
        spec = make(cls, data)
        unknown = [o.metric for o in spec.objectives if o.metric not in METRICS]
        if unknown or not spec.objectives:
            raise ValueError(f"objectives: unknown metric {unknown[0]!r}" if unknown else "objectives: there are none")
        return spec
