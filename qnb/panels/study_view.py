"""From the state of a study to what its panel shows: plain values and finished words, no widget.

The browser's side only lays out; every number is formatted here, once, by the rules of the reports.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from ..reports.numbers import MISSING, duration, ic, icir, loss, percent, ratio, share
from ..tuning.objectives import short_name
from ..tuning.state import StudyState, TrialState
from .study_axes import axes_of, slices_of

__all__ = ["STATUS", "study_view", "value_of"]

STATUS = {
    "waiting": "Starting", "running": "Running", "paused": "Paused", "finished": "Finished", "stopped": "Stopped",
    "failed": "Failed", "interrupted": "Interrupted",
}  # fmt: skip
SAMPLERS = {"tpe": "TPE", "cmaes": "CMA-ES", "gp": "Gaussian process", "qmc": "QMC"}
LOG_LINES = 200
SPANS = 2000


def study_view(state: StudyState, *, status: str, now: float | None = None) -> dict[str, Any]:
    """Return what a panel shows of `state` as JSON values.

    Parameters
    ----------
    status : str
        As the handle has it, which knows whether the manager lives.
    now : float, optional
        Seconds since the epoch; the clock by default.
    """
    now = time.time() if now is None else now
    over = status not in ("waiting", "running", "paused")
    trials = sorted(state.trials.values(), key=lambda t: t.number)
    objective = state.spec.objectives[0]
    return {
        "name": state.name,
        "study_id": state.study_id,
        "experiment": state.experiment,
        "status": status,
        "status_text": STATUS.get(status, status.capitalize()),
        "over": over,
        "elapsed": duration(state.seconds(now)) if state.started else "",
        "left": _left(state, now) if status == "running" else "",
        "done_text": f"{state.done} of {state.spec.trials} trials · {_workers(state.spec.jobs)}",
        "message": state.message,
        "goal": _goal(state),
        "searched": f"{len(state.space)} parameter{'s' if len(state.space) != 1 else ''}",
        "red": "Trials are chosen on the TEST segment: its figures are no test." if state.spec.on_test else "",
        "kpis": _kpis(state, now),
        "verdict": _verdict(state),
        "metric": f"{short_name(objective.metric)}, {state.spec.validation.segment}",
        "names": [d["name"] for d in state.space],
        "history": _history(state, trials),
        "importances": [[name, share, f"{share:.2f}"] for name, share in state.importances.items()],
        "axes": axes_of(state, trials),
        "slices": slices_of(state, trials),
        "curves": _curves(state, trials),
        "workers": _timeline(state, now),
        "front": _front(state),
        "trials": [_row(state, t) for t in trials],
        "best": state.best.number if state.best is not None else None,
        "log": [{"time": time.strftime("%H:%M:%S", time.localtime(t)), "level": v, "text": x} for t, v, x in state.log],
    }


def value_of(metric: str, value: Any) -> str:
    """Return the value of a metric for people."""
    if not isinstance(value, float | int) or not math.isfinite(value):
        return MISSING
    name = metric.rpartition(".")[2]
    if metric in ("IC", "Rank IC"):
        return ic(value)
    if metric in ("ICIR", "Rank ICIR"):
        return icir(value)
    if name in ("information_ratio",):
        return ratio(value)
    if name == "turnover":
        return share(value)
    if name in ("annualized_return", "max_drawdown"):
        return percent(value)
    return loss(value)


def _workers(jobs: int) -> str:
    return f"{jobs} worker{'s' if jobs != 1 else ''}"


def _left(state: StudyState, now: float) -> str:
    """Return the time that is left, from two finished trials on."""
    done = [t for t in state.trials.values() if t.is_over and t.seconds]
    if len(done) < 2:
        return ""
    left = (state.spec.trials - state.done) * sum(t.seconds for t in done) / len(done) / state.spec.jobs
    return duration(left)


def _goal(state: StudyState) -> str:
    spec = state.spec
    goals = ", ".join(
        f"{'maximise' if o.direction == 'maximize' else 'minimise'} {short_name(o.metric)}"
        + (" (distance from 1)" if o.direction == "correlation" else "")
        for o in spec.objectives
    )
    validation = spec.validation
    kinds = {"walk_forward": "walk-forward folds", "purged_kfold": "purged folds"}
    where = f"on the {'TEST' if spec.on_test else 'validation'} segment"
    if validation.kind != "holdout":
        where = f"over {validation.folds} {kinds[validation.kind]}"
    days = f" {state.span}" if state.span else ""
    pruner = "no pruner" if spec.pruner == "none" else f"{spec.pruner} pruner"
    sampler = f"{SAMPLERS.get(spec.sampler, spec.sampler)}, seed {spec.seed}"
    return f"{goals[0].upper()}{goals[1:]} {where}{days} · {sampler} · {pruner}"


def _kpis(state: StudyState, now: float) -> list[list[str]]:
    objective, best = state.spec.objectives[0], state.best
    complete = sorted(t.values[0] for t in state.trials.values() if t.state == "complete" and t.values)
    counts = [state.count(s) for s in ("complete", "pruned", "failed")]
    run = sum(t.steps for t in state.trials.values() if t.is_over)
    of = sum(t.of for t in state.trials.values() if t.is_over)
    seconds = state.seconds(now)
    reused = sum("data" in t.reused for t in state.trials.values())
    scores = sum("predictions" in t.reused for t in state.trials.values())
    saved = f"{100 * (1 - run / of):.0f} %" if of else MISSING
    rate = f"{60 * state.done / seconds:.1f}" if seconds > 1 and state.done else MISSING
    middle = complete[len(complete) // 2] if complete else math.nan
    return [
        [
            f"Best {short_name(objective.metric)}, {state.spec.validation.segment}",
            value_of(objective.metric, best.values[0]) if best else MISSING, f"trial {best.number}" if best else "",
        ],
        ["Median of complete", value_of(objective.metric, middle), f"{len(complete)} trials"],
        ["Trials", " · ".join(map(str, counts)), "complete · pruned · failed"],
        ["Rounds saved", saved, f"{run:,} of {of:,} run; early stops count" if of else ""],
        ["Trials a minute", rate, _workers(state.spec.jobs)],
        ["Data reused", f"{reused} times", f"predictions {scores} times" if scores else "one preparation, all workers"],
    ]  # fmt: skip


def _verdict(state: StudyState) -> dict[str, Any] | None:
    verdict = dict(state.verdict)
    if not verdict:
        return None
    complete = verdict.get("complete", 0)
    tone = {"holds": "ok", "doubt": "doubt", "early": "doubt"}.get(str(verdict.get("kind")), "noise")
    deflated, overfit = verdict.get("deflated"), verdict.get("overfit")
    return {
        **{k: verdict.get(k, "") for k in ("kind", "headline", "sentence", "advice", "basis", "measure")},
        "tone": tone,
        "after": f"after {complete} complete trials" if state.status == "running" else "",
        "deflated": deflated, "overfit": overfit, "found": verdict.get("found"), "by_luck": verdict.get("by_luck"),
        "deflated_text": MISSING if deflated is None else f"{deflated:.3f}",
        "overfit_text": MISSING if overfit is None else f"{100 * overfit:.0f} %",
        "found_text": MISSING if verdict.get("found") is None else f"{verdict['found']:.2f}",
        "luck_text": MISSING if verdict.get("by_luck") is None else f"{verdict['by_luck']:.2f}",
    }  # fmt: skip


def _history(state: StudyState, trials: list[TrialState]) -> dict[str, Any]:
    """Return values by trial; pruned trials stand at their last value on the way."""
    objective = state.spec.objectives[0]
    points: list[list[Any]] = []
    best: list[list[float]] = []
    for trial in trials:
        value = _shown_value(state, trial)
        if trial.state in ("complete", "pruned") and value is not None:
            points.append([trial.number, value, trial.state, value_of(objective.metric, value)])
            if trial.state == "complete" and (not best or objective.better(value, best[-1][1])):
                best.append([trial.number, value])
    return {"points": points, "best": best, "maximize": objective.optuna_direction == "maximize", "end": len(trials)}


def _shown_value(state: StudyState, trial: TrialState) -> float | None:
    if trial.state == "complete" and trial.values and math.isfinite(trial.values[0]):
        return trial.values[0]
    metric = state.spec.objectives[0].metric
    found = trial.metrics.get(metric)
    if found is not None and math.isfinite(found):
        return found
    curve = trial.curves.get(0)
    return curve[-1][1] if curve else None


def _curves(state: StudyState, trials: list[TrialState]) -> list[dict[str, Any]]:
    best = state.best
    return [
        {
            "trial": t.number, "state": t.state, "best": best is not None and best.number == t.number,
            "points": [[step, value] for step, value in (t.curves.get(0) or ())],
        }
        for t in trials if t.curves.get(0)
    ]  # fmt: skip


def _timeline(state: StudyState, now: float) -> list[dict[str, Any]]:
    if not state.jobs:
        return []
    start = state.jobs[0].start
    found = []
    for number in sorted({j.worker for j in state.jobs}):
        jobs = [j for j in state.jobs if j.worker == number][-SPANS:]
        spans = [[j.start - start, (j.end or now) - start, j.trial, j.state] for j in jobs]
        began, end = jobs[0].start, max(j.end or now for j in jobs)
        busy = sum((j.end or now) - j.start for j in jobs) / max(end - began, 1e-9)
        found.append({"name": f"Worker {number}", "busy": f"{100 * min(busy, 1):.0f} % busy", "spans": spans})
    return found


def _front(state: StudyState) -> dict[str, Any] | None:
    objectives = state.spec.objectives
    if len(objectives) < 2:
        return None
    front = {t.number for t in state.front()}
    points = [
        [t.values[0], t.values[1], t.number, t.number in front]
        for t in state.trials.values() if t.state == "complete" and all(map(math.isfinite, t.values))
    ]  # fmt: skip
    return {"x": short_name(objectives[0].metric), "y": short_name(objectives[1].metric), "points": points}


def _row(state: StudyState, trial: TrialState) -> dict[str, Any]:
    objectives = state.spec.objectives
    values = trial.values or ([v] if (v := _shown_value(state, trial)) is not None else [])
    shown = [value_of(o.metric, v) for o, v in zip(objectives, values, strict=False)]
    return {
        "trial": trial.number,
        "state": trial.state,
        "value": values[0] if values and math.isfinite(values[0]) else None,
        "values": shown + [MISSING] * (len(objectives) - len(shown)),
        "steps": trial.steps or (trial.curves[0][-1][0] if trial.curves.get(0) else 0),
        "params": [_param(trial.params, d["name"]) for d in state.space],
        "raw": {k: v for k, v in trial.params.items() if isinstance(v, int | float | str)},
        "worker": trial.worker or "",
        "time": duration(trial.seconds) if trial.is_over and trial.seconds else "",
        "spark": [v for _, v in trial.curves.get(0, ())],
        "message": trial.message[:400],
    }


def _param(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if value is None:
        return MISSING if name not in params else "null"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
