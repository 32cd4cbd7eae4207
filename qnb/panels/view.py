"""From the state of a run to what a panel shows: plain values and finished words, no widget.

The browser's side only lays out; every number is formatted here, once, by the rules of the reports.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import Any

from ..events import ResourceSampled
from ..reports.numbers import MISSING, duration, loss
from ..state import Curve, RunState

__all__ = ["log_view", "overlay_view", "run_view"]

STATUS = {
    "waiting": "Waiting",
    "running": "Running",
    "finished": "Finished",
    "failed": "Failed",
    "stopped": "Stopped",
    "interrupted": "Interrupted",
    "damaged": "Damaged",
    "unknown": "Waiting",
}
PARTS = {"valid": "valid", "validation": "valid", "val": "valid", "train": "train", "training": "train", "test": "test"}
PART_ORDER = ("valid", "train", "test")
CURVE_POINTS = 600
LOG_LINES = 200
PANES = 6
CURVE_FACTS = 6
TEXT_WIDTH = 2000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")
"""Colours and cursor moves of a terminal, and what else has no look."""
DASHES = ("none",) * 4 + ("5 3", "2 2", "8 3 2 3", "1 3")


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
        "failure": _failure(state),
        "stop_reason": _stop_reason(state),
        "attempt": state.attempt,
        "resumable": bool(state.stop and state.stop.resumable),
        "can_retry": state.is_over,
        "notes": _notes(state),
        "over": state.is_over,
    }


def log_view(state: RunState, text: str = "", *, warnings: bool = False) -> dict[str, Any]:
    """Return the log as a panel shows it: the last lines, or the last ones that match.

    Parameters
    ----------
    text : str
        Words to look for, in upper or lower case; every one must occur in a line.
    warnings : bool
        Warnings and errors alone.
    """
    kept = list(state.logs)
    words = text.lower().split()
    found = [
        entry
        for entry in kept
        if (not warnings or entry.level in ("warning", "error")) and all(w in entry.text.lower() for w in words)
    ]
    return {
        "lines": [_log_line(entry) for entry in found[-LOG_LINES:]],
        "searched": bool(words) or warnings,
        "matches": len(found),
        "kept": len(kept),
        "count": state.log_count,
        "warnings": state.warning_count,
    }


def overlay_view(states: Sequence[RunState], *, now: float | None = None) -> dict[str, Any]:
    """Return what a panel shows of several runs at once: a row for each and their curves over each other.

    A run has the same colour in all panes; from the fifth on its lines are dashed, too.
    """
    now = time.time() if now is None else now
    runs: list[dict[str, Any]] = []
    panes: dict[tuple[str, str], dict[str, Any]] = {}
    names = [state.name for state in states]
    for number, state in enumerate(states):
        label = state.name if names.count(state.name) == 1 else f"{state.name} {state.run_id[:4]}"
        colour, dash = f"var(--qnb-s{number % 8 + 1})", DASHES[number % len(DASHES)]
        runs.append(
            {
                "name": label, "run_id": state.run_id, "status": state.status, "colour": colour,
                "status_text": STATUS.get(state.status, state.status),
                "elapsed": duration(state.elapsed(now)) if state.started else "",
            }
        )  # fmt: skip
        for name, curve in state.curves.items():
            part, metric = _split(name)
            key = (metric, part)
            pane = panes.setdefault(key, {"metric": f"{part} {metric}".strip(), "lines": [], "best_step": 0})
            pane["lines"].append(_line(label, curve, 0) | {"colour": colour, "dash": dash})
    order = sorted(panes, key=lambda k: PART_ORDER.index(k[1]) if k[1] in PART_ORDER else len(PART_ORDER))
    shown = [panes[k] | {"main": k == order[0]} for k in order[:PANES]]
    return {"runs": runs, "panes": shown, "over": all(state.is_over for state in states)}


def _stop_reason(state: RunState) -> str:
    """Return why the run ended before its end, and what is kept of it."""
    if state.stop is None:
        return ""
    reason = state.stop.reason or "on request"
    if not state.stop.interrupted:
        reason = f"Stopped: {reason}" if not reason.lower().startswith("stopped") else reason[:1].upper() + reason[1:]
    best = state.training.best_step if state.training else 0
    unit = state.training.unit if state.training else "step"
    kept = f" The best so far was {unit} {best:,}." if best else ""
    more = " Resume goes on from the checkpoint." if state.stop.resumable else ""
    return reason.rstrip(".") + "." + kept + more


def _notes(state: RunState) -> list[str]:
    if state.status == "waiting" and state.retried is not None and state.retried.reason:
        return [f"{state.retried.reason}. It is tried again."]
    if state.status == "running" and state.attempt > 1 and state.pid:
        return ["Its worker was replaced; this is another try."] if not state.curves else []
    return []


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
        "title": stage.title,
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
    title = next((s.title for s in state.stages if s.name == progress.stage), progress.stage)
    spoken = f"{title}, {progress.unit} {progress.step}"
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
        spans = [span for span in (c.span() for _, c in members) if span > 0]
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


def _line(name: str, curve: Curve, best_step: int) -> dict[str, Any]:
    steps, values = curve.thinned(CURVE_POINTS)
    line: dict[str, Any] = {
        "name": name,
        "steps": steps,
        "values": [v if math.isfinite(v) else None for v in values],
        "last": loss(curve.values[-1]),
        "best": None,
    }
    best = curve.at(best_step) if best_step and name == "valid" else None
    if best is not None:
        line["best"] = {"step": best_step, "value": best, "text": f"best {loss(best)} at {best_step:,}"}
    return line


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
        value = curve.at(best) if best and part == "valid" else None
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
        "memory": _memory(last.memory, state.memory_limit) if last else "",
        "memory_limit": state.memory_limit,
        "gpu": _gpu(last) if last else "",
        "gpu_series": [r.gpu or 0.0 for r in state.resources] if last and last.gpu is not None else [],
        "cpu_series": [round(r.cpu, 1) for r in state.resources],
        "memory_series": [r.memory for r in state.resources],
    }


def _memory(value: int, limit: int) -> str:
    if limit:
        return f"{value / 2**30:.1f} / {limit / 2**30:.1f}\u00a0GB"
    return f"{value / 2**30:.1f}\u00a0GB"


def _gpu(sample: ResourceSampled) -> str:
    parts = [f"{sample.gpu:.0f}\u00a0%"] if sample.gpu is not None else []
    parts += [f"{sample.gpu_memory / 2**30:.1f}\u00a0GB"] if sample.gpu_memory is not None else []
    return " · ".join(parts)


def _log_line(entry: Any) -> dict[str, str]:
    text = _ANSI.sub("", entry.text[: 2 * TEXT_WIDTH])
    text = text if len(text) <= TEXT_WIDTH else text[:TEXT_WIDTH] + " …"
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
