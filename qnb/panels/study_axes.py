"""Axes of a study's parameters for parallel coordinates and slices: where a value stands between 0 and 1, and ticks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..tuning.objectives import short_name
from ..tuning.state import StudyState, TrialState

__all__ = ["axes_of", "place", "slices_of"]


def axes_of(state: StudyState, trials: list[TrialState]) -> dict[str, Any]:
    """Return axes, the objective last, and a line for each trial: its places on the axes, None where absent."""
    space = state.space
    objective = state.spec.objectives[0]
    values = {t.number: _value(state, t) for t in trials}
    known = [v for v in values.values() if v is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    # pruned trials can be far off: the axis ends where the complete ones do, with some room
    complete = [t.values[0] for t in trials if t.state == "complete" and t.values and math.isfinite(t.values[0])]
    if complete:
        room = (max(complete) - min(complete)) or abs(max(complete)) * 0.1 or 1.0
        low, high = max(low, min(complete) - room), min(high, max(complete) + room)
    axes = [{"name": d["name"], "ticks": _ticks(d)} for d in space]
    axes.append({"name": short_name(objective.metric), "ticks": _linear(low, high)})
    lines = []
    for trial in trials:
        value = values[trial.number]
        if trial.state not in ("complete", "pruned") or value is None:
            continue
        at = [place(d, trial.params.get(d["name"])) if d["name"] in trial.params else None for d in space]
        last = 0.5 if high == low else min(1.0, max(0.0, (value - low) / (high - low)))
        good = last if objective.optuna_direction == "maximize" else 1.0 - last
        lines.append({"trial": trial.number, "state": trial.state, "at": [*at, last], "good": good})
    return {"axes": axes, "lines": lines}


def slices_of(state: StudyState, trials: list[TrialState]) -> list[dict[str, Any]]:
    """Return for each parameter its ticks and [place, value, trial, state] of every trial."""
    found = []
    for dimension in state.space:
        name = dimension["name"]
        points = [
            [place(dimension, t.params[name]), value, t.number, t.state]
            for t in trials
            if name in t.params and t.state in ("complete", "pruned") and (value := _value(state, t)) is not None
        ]
        found.append({"name": name, "ticks": _ticks(dimension), "points": points})
    return found


def place(dimension: Mapping[str, Any], value: Any) -> float:
    """Return where a value stands between the bounds of a dimension, 0 to 1.

    Examples
    --------
    >>> place({"kind": "float", "low": 0.01, "high": 1.0, "log": True, "labels": []}, 0.1)
    0.5
    """
    if dimension["kind"] == "choice":
        labels = dimension["labels"]
        return labels.index(value) / max(1, len(labels) - 1) if value in labels else 0.5
    low, high, at = float(dimension["low"]), float(dimension["high"]), float(value)
    if dimension["log"]:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return round((at - low) / (high - low), 9) if high > low else 0.5


def _value(state: StudyState, trial: TrialState) -> float | None:
    if trial.state == "complete" and trial.values and math.isfinite(trial.values[0]):
        return trial.values[0]
    found = trial.metrics.get(state.spec.objectives[0].metric)
    return found if trial.state == "pruned" and found is not None and math.isfinite(found) else None


def _ticks(dimension: Mapping[str, Any]) -> list[list[Any]]:
    if dimension["kind"] == "choice":
        return [[place(dimension, label), str(label)] for label in dimension["labels"]]
    low, high = float(dimension["low"]), float(dimension["high"])
    if not dimension["log"]:
        return [[place(dimension, v), f"{v:.4g}"] for v in (low, (low + high) / 2, high)]
    inner = [10.0**e for e in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    values = sorted({low, high, *(v for v in inner if low * 1.5 < v < high / 1.5)})
    return [[place(dimension, v), f"{v:.4g}"] for v in values]


def _linear(low: float, high: float) -> list[list[Any]]:
    if high == low:
        return [[0.5, f"{low:.4g}"]]
    return [[i / 4, f"{low + i * (high - low) / 4:.4g}"] for i in range(5)]
