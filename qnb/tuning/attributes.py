"""What Optuna's storage keeps beside values and parameters, so that ``optuna-dashboard`` tells the whole story."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .objectives import short_name
from .spec import StudySpec

__all__ = ["stored_name", "study_attributes", "trial_attributes", "verdict_attributes"]

ERROR_LIMIT = 500
_FOLDS = {"walk_forward": "walk-forward folds", "purged_kfold": "purged folds"}


def stored_name(spec: StudySpec, study_id: str) -> str:
    """Return the name of the study in the storage: a database may hold many."""
    return f"{spec.name} / {study_id}"


def study_attributes(spec: StudySpec) -> dict[str, Any]:
    """Return what a study is about."""
    validation = spec.validation
    where = f"on the {'TEST' if spec.on_test else validation.segment} segment"
    if validation.kind != "holdout":
        where = f"over {validation.folds} {_FOLDS[validation.kind]}"
    goals = ", ".join(
        f"{short_name(o.metric)} nearest to 1"
        if o.direction == "correlation"
        else f"{o.direction} {short_name(o.metric)}"
        for o in spec.objectives
    )
    found = {"searched for": f"{goals} {where}"}
    if spec.on_test:
        found["warning"] = "chosen on the TEST segment: its figures are no test"
    return found


def trial_attributes(
    spec: StudySpec, metrics: Mapping[str, float], *, span: str = "", failure: Sequence[str] = ("", "")
) -> dict[str, Any]:
    """Return what a trial found beside its objectives: other metrics, the days, or why it failed.

    A database waits for the disk with each attribute, so there the metrics are one.
    """
    known = {o.metric for o in spec.objectives if o.direction != "correlation"}
    found: dict[str, Any] = {k: float(v) for k, v in metrics.items() if k not in known and math.isfinite(v)}
    if spec.storage and found:
        found = {"metrics": {k: round(v, 6) for k, v in found.items()}}
    if span:
        found["days"] = f"{span} (TEST)" if spec.on_test else span
    error, message = failure
    if error:
        found["error"] = (message if message.startswith(error) else f"{error}: {message}")[:ERROR_LIMIT]
    return found


def verdict_attributes(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return how much of the best is luck, as the panel says it."""
    if not verdict:
        return {}
    words = f"{verdict['headline']}. {verdict['sentence']} {verdict['advice']}"
    numbers = {"deflated Sharpe ratio": "deflated", "probability of overfitting": "overfit"}
    return {"verdict": words, **{k: round(verdict[v], 4) for k, v in numbers.items() if verdict.get(v) is not None}}
