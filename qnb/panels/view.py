"""From the state of a run to what a panel shows: plain values and finished words, no widget.

The browser's side only lays out; every number is formatted here, once, by the rules of the reports.
"""

from __future__ import annotations

import math
import time
from typing import Any

from ..reports.numbers import MISSING, duration, loss
from ..state import Curve, RunState

__all__ = ["run_view"]

TITLES = {
    "data": "Data",
    "fit": "Fit",
    "predict": "Predict",
    "signal": "Signal",
    "portfolio": "Portfolio",
    "report": "Report",
}
STATUS = {
    "waiting": "Waiting",
    "running": "Running",
    "finished": "Finished",
    "failed": "Failed",
    "stopped": "Stopped",
    "unknown": "Waiting",
}
PARTS = {"valid": "valid", "validation": "valid", "val": "valid", "train": "train", "training": "train", "test": "test"}
PART_ORDER = ("valid", "train", "test")
CURVE_POINTS = 600
LOG_LINES = 200
PANES = 6
CURVE_FACTS = 6
TEXT_WIDTH = 2000


def run_view(state: RunState, *, now: float | None = None) -> dict[str, Any]:
    """Return what a panel shows of `state` as JSON values.

    Parameters
    ----------
    state : RunState
        The folded journal.
    now : float, optional
        Seconds since the epoch; the clock by default.
    """
    now = time.time() if now is None else now
    running = state.status == "running"
    left = state.remaining() if running else None
    return {
        "name": state.name,
        "run_id": state.run_id,
        "experiment": state.experiment,
        "status": state.status,
        "status_text": STATUS.get(state.status, state.status.capitalize()),
        "elapsed": duration(state.elapsed(now)) if state.started else "",
        "left": duration(left) if left is not None else "",
        "day": time.strftime("%Y-%m-%d %H:%M", time.localtime(state.started)) if state.started else "",
        "silent": _silent(state, now),
        "stages": [_stage(state, s, now) for s in state.stages],
        "progress": _progress(state),
        "panes": _panes(state),
        "unit": state.training.unit if state.training else "step",
        "end": (state.training.stop_at or state.training.total) if state.training and not state.is_over else 0,
        "facts": _facts(state),
        "metrics": _metrics(state),
        "worker": _worker(state),
        "log": [_log_line(entry) for entry in list(state.logs)[-LOG_LINES:]],
        "log_count": state.log_count,
        "warning_count": state.warning_count,
        "failure": _failure(state),
        "stop_reason": state.stop.reason if state.stop else "",
        "over": state.is_over,
    }


def _silent(state: RunState, now: float) -> str:
    quiet = now - state.last_event
    return f"No sign of life for {duration(quiet)}." if state.status == "running" and quiet > 30 else ""


def _stage(state: RunState, stage: Any, now: float) -> dict[str, Any]:
    share = 0.0
    if stage.status == "finished":
        share = 1.0
    elif stage.status in ("running", "failed", "stopped"):
        share = _share(state) or 0.0
    seconds = stage.seconds if stage.seconds else max(0.0, now - stage.started) if stage.status == "running" else 0.0
    return {
        "title": TITLES.get(stage.name, stage.name.capitalize()),
        "status": stage.status,
        "time": duration(seconds) if seconds else "",
        "share": share,
    }


def _share(state: RunState) -> float | None:
    progress = state.progress
    if progress is None:
        return None
    end = progress.stop_at or progress.total
    return min(1.0, progress.step / end) if end else None


def _progress(state: RunState) -> dict[str, Any] | None:
    progress = state.progress
    if progress is None:
        return None
    end = progress.stop_at or progress.total
    share = _share(state)
    note = progress.text
    if progress.stop_at and progress.stop_at < (progress.total or math.inf):
        note = f"stops at {progress.stop_at:,} unless {_validated(state)} improves"
    spoken = f"{TITLES.get(progress.stage, progress.stage)}, {progress.unit} {progress.step}"
    left = state.remaining()
    if left is not None:
        spoken += f", about {round(left)} seconds left"
    return {
        "title": f"{progress.unit.capitalize()} {progress.step:,}",
        "note": note,
        "share": share,
        "share_text": f"{share:.0%}".replace("%", "\u00a0%") if share is not None else "",
        "way_text": f"of the way to {end:,}" if share is not None else "",
        "spoken": spoken,
    }


def _validated(state: RunState) -> str:
    names = [metric for part, metric in map(_split, state.curves) if part == "valid"]
    return f"valid {names[0]}" if len(names) == 1 else "the validation"


def _split(name: str) -> tuple[str, str]:
    """Return part and metric of a metric's name, the part standing on either side: ``l2.valid``, ``valid/loss``.

    Examples
    --------
    >>> _split("l2.valid"), _split("train/loss"), _split("lr")
    (('valid', 'l2'), ('train', 'loss'), ('', 'lr'))
    """
    words = name.replace("/", ".").split(".")
    for at in (-1, 0):
        part = PARTS.get(words[at].lower())
        if part and len(words) > 1:
            return part, ".".join(words[:-1] if at else words[1:])
    return "", name


def _panes(state: RunState) -> list[dict[str, Any]]:
    """Group curves by metric; parts whose ranges differ over three times get panes of their own, valid first."""
    groups: dict[str, list[tuple[str, Curve]]] = {}
    for name, curve in state.curves.items():
        part, metric = _split(name)
        groups.setdefault(metric, []).append((part, curve))
    best = state.training.best_step if state.training else 0
    panes: list[dict[str, Any]] = []
    for metric, members in groups.items():
        members.sort(key=lambda m: PART_ORDER.index(m[0]) if m[0] in PART_ORDER else 0)
        spans = [span for span in (_span(c) for _, c in members) if span > 0]
        apart = len(members) > 1 and len(spans) > 1 and max(spans) / min(spans) > 3
        for batch in [[m] for m in members] if apart else [members]:
            lines = [_line(part or metric, curve, best) for part, curve in batch]
            panes.append(
                {
                    "metric": metric,
                    "lines": lines,
                    "best_step": best,
                    "main": batch[0] == members[0] or len(members) == 1,
                }
            )
    return panes[:PANES]


def _span(curve: Curve) -> float:
    finite = [v for v in curve.values if math.isfinite(v)]
    return max(finite) - min(finite) if finite else 0.0


def _line(name: str, curve: Curve, best_step: int) -> dict[str, Any]:
    steps, values = curve.thinned(CURVE_POINTS)
    line: dict[str, Any] = {
        "name": name,
        "steps": steps,
        "values": [v if math.isfinite(v) else None for v in values],
        "last": loss(curve.values[-1]),
        "best": None,
    }
    best = _value_at(curve, best_step) if name == "valid" else None
    if best is not None:
        line["best"] = {"step": best_step, "value": best, "text": f"best {loss(best)} at {best_step:,}"}
    return line


def _value_at(curve: Curve, step: int) -> float | None:
    if step:
        for at, value in zip(curve.steps, curve.values, strict=True):
            if at == step and math.isfinite(value):
                return value
    return None


def _facts(state: RunState) -> list[list[str]]:
    """Return rows of name, figure and muted remark."""
    facts: list[list[str]] = []
    progress = state.training if state.is_over else state.progress
    if progress is not None and progress.unit in ("iteration", "epoch", "step"):
        of = f"of ≤ {progress.total:,}" if progress.total else ""
        facts.append([progress.unit.capitalize(), f"{progress.step:,}", of])
    best = progress.best_step if progress is not None else 0
    shown = [(*_split(name), curve) for name, curve in state.curves.items()]
    shown.sort(key=lambda m: PART_ORDER.index(m[0]) if m[0] in PART_ORDER else len(PART_ORDER))
    for part, metric, curve in shown[:CURVE_FACTS]:
        name = f"{part} {metric}".strip()
        facts.append([name[:1].upper() + name[1:], loss(curve.values[-1]), ""])
        value = _value_at(curve, best) if part == "valid" else None
        if value is not None:
            facts.append([f"Best {name}", loss(value), f"at {best:,}"])
    if progress is not None and best:
        if not any(name.startswith("Best ") for name, _, _ in facts):
            facts.append(["Best at", f"{best:,}", ""])
        if progress.stop_at and not state.is_over:
            facts.append(["Since best", f"{progress.step - best:,}", f"of {progress.stop_at - best:,} allowed"])
    first = state.progress_began
    if first is not None and progress is not None and first.stage == progress.stage and progress.time > first.time:
        speed = (progress.step - first.step) / (progress.time - first.time)
        facts.append(["Speed", f"{speed:.1f}", f"{progress.unit}s / s"])
    return facts


def _metrics(state: RunState) -> list[list[str]]:
    """Return name and value of every metric, as they came."""
    return [
        [name, f"{value:.6g}".replace("-", "−") if math.isfinite(value) else MISSING]
        for name, value in state.metrics.items()
    ]


def _worker(state: RunState) -> dict[str, Any]:
    last = state.resources[-1] if state.resources else None
    return {
        "name": (state.worker or "worker").capitalize(),
        "pid": state.pid,
        "threads": state.threads,
        "cpu": f"{last.cpu:.0f}\u00a0%" if last else "",
        "memory": f"{last.memory / 2**30:.1f}\u00a0GB" if last else "",
        "cpu_series": [round(r.cpu, 1) for r in state.resources],
        "memory_series": [r.memory for r in state.resources],
    }


def _log_line(entry: Any) -> dict[str, str]:
    text = entry.text if len(entry.text) <= TEXT_WIDTH else entry.text[:TEXT_WIDTH] + " …"
    return {
        "time": time.strftime("%H:%M:%S", time.localtime(entry.time)),
        "stage": entry.stage,
        "level": entry.level,
        "text": text,
    }


def _failure(state: RunState) -> dict[str, Any] | None:
    if state.failure is None:
        return None
    return {"message": state.failure.message, "traceback": state.failure.traceback, "line": state.failure.line}
