"""From the state of a run to what a panel shows: plain values and finished words, no widget.

The browser's side only lays out; every number is formatted here, once, by the rules of the reports.
"""

from __future__ import annotations

import math
import time
from typing import Any

from ..reports.numbers import duration
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
CURVE_POINTS = 600
LOG_LINES = 200
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
        note = f"stops at {progress.stop_at:,} unless the validation improves"
    spoken = f"{TITLES.get(progress.stage, progress.stage)}, {progress.unit} {progress.step}"
    left = state.remaining()
    if left is not None:
        spoken += f", about {round(left)} seconds left"
    return {
        "title": f"{progress.unit.capitalize()} {progress.step:,}",
        "note": note,
        "share": share,
        "share_text": f"{share:.0%}".replace("%", "\u00a0%") + f" of the way to {end:,}" if share is not None else "",
        "spoken": spoken,
    }


def _panes(state: RunState) -> list[dict[str, Any]]:
    """Group curves by metric; train and valid get panes of their own when their ranges differ more than three times."""
    groups: dict[str, list[tuple[str, Curve]]] = {}
    for name, curve in state.curves.items():
        part, _, metric = name.replace("/", ".").partition(".")
        groups.setdefault(metric or part, []).append((part if metric else name, curve))
    panes: list[dict[str, Any]] = []
    for metric, members in groups.items():
        members.sort(key=lambda m: m[0] == "train")
        ranges = [max(c.values) - min(c.values) for _, c in members if len(c.values)]
        apart = len(members) > 1 and (min(ranges) == 0 or max(ranges) / max(min(ranges), 1e-300) > 3)
        batches = [[m] for m in members] if apart else [members]
        panes.extend({"metric": metric, "lines": [_line(n, c, state) for n, c in batch]} for batch in batches)
    return panes[:6]


def _line(name: str, curve: Curve, state: RunState) -> dict[str, Any]:
    steps, values = curve.thinned(CURVE_POINTS)
    best = state.training.best_step if state.training else 0
    line: dict[str, Any] = {
        "name": name,
        "steps": steps,
        "values": [v if math.isfinite(v) else None for v in values],
        "last": f"{curve.values[-1]:.5f}",
        "best": None,
    }
    if best and name.startswith("valid"):
        for step, value in zip(curve.steps, curve.values, strict=True):
            if step == best and math.isfinite(value):
                line["best"] = {"step": step, "value": value, "text": f"best {value:.5f} at {step:,}"}
    return line


def _facts(state: RunState) -> list[list[str]]:
    facts: list[list[str]] = []
    progress = state.training if state.is_over else state.progress
    if progress is not None and progress.unit in ("iteration", "epoch", "step"):
        of = f" of ≤ {progress.total:,}" if progress.total else ""
        facts.append([progress.unit.capitalize(), f"{progress.step:,}{of}"])
    for name, curve in state.curves.items():
        facts.append([name, f"{curve.values[-1]:.5f}"])
    if progress is not None and progress.best_step:
        facts.append(["Best at", f"{progress.best_step:,}"])
        if progress.stop_at:
            allowed = progress.stop_at - progress.best_step
            facts.append(["Since best", f"{progress.step - progress.best_step:,} of {allowed:,} allowed"])
    first = state.progress_began
    if first is not None and progress is not None and progress.time > first.time:
        speed = (progress.step - first.step) / (progress.time - first.time)
        facts.append(["Speed", f"{speed:.1f} {progress.unit}s / s"])
    return facts


def _worker(state: RunState) -> dict[str, Any]:
    last = state.resources[-1] if state.resources else None
    return {
        "name": state.worker or "worker",
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
