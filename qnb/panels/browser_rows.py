"""From runs of the store to the rows that the browser shows: finished texts, never markup."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import QnbError
from ..handle import RunHandle
from ..names import wrong_with
from ..ongoing import ongoing_runs
from ..pool.place import Place
from ..recorder.base import RUN_ID, RunInfo
from ..recorder.filters import SortKey
from ..reports.numbers import MISSING, duration
from ..rundir import RunDir, list_run_dirs
from .measures import HEADLINE, measure_of
from .view import STATUS

__all__ = ["COLUMNS", "Column", "Rows", "column_of", "sort_key"]

COLUMNS = (
    "status", "model", "features", "tags", *(f"metrics.{key}" for key in HEADLINE), "curve", "seconds", "start",
)  # fmt: skip
"""Columns shown unless the user chose others; the name is always there."""

_TITLES = {
    "status": "Status",
    "experiment": "Experiment",
    "model": "Model",
    "features": "Features",
    "tags": "Tags",
    "curve": "Excess curve",
    "seconds": "Time",
    "start": "Started",
    "user": "User",
    "run_id": "Run",
}
_SORTS = {
    "name": ("attribute", "run_name"),
    "status": ("attribute", "status"),
    "seconds": ("attribute", "seconds"),
    "start": ("attribute", "start_time"),
    "run_id": ("attribute", "run_id"),
    "user": ("attribute", "user_id"),
    "model": ("param", "model.class"),
    "features": ("param", "dataset.kwargs.handler.class"),
}
_OF_STORE = {
    "FINISHED": "finished",
    "RUNNING": "running",
    "FAILED": "failed",
    "KILLED": "stopped",
    "SCHEDULED": "waiting",
}
_MODELS = {
    "LGBModel": "LightGBM", "XGBModel": "XGBoost", "CatBoostModel": "CatBoost", "LinearModel": "Linear",
    "lightgbm": "LightGBM", "xgboost": "XGBoost", "catboost": "CatBoost", "linear": "Linear",
}  # fmt: skip
TEXT_WIDTH = 300


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key, head, whether it holds numbers, and whether the store can sort by it."""

    key: str
    title: str
    numeric: bool = False
    sortable: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON values."""
        return {"key": self.key, "title": self.title, "numeric": self.numeric, "sortable": self.sortable}


def column_of(key: str) -> Column:
    """Return the column of that key: a name of ours, or ``metrics.``, ``params.`` or ``tags.`` and a name."""
    kind, _, name = key.partition(".")
    if kind == "metrics" and name:
        return Column(key, measure_of(name).title, numeric=True)
    if kind in ("params", "tags") and name:
        return Column(key, name)
    return Column(key, _TITLES.get(key, key), numeric=key in ("seconds", "start"), sortable=key in _SORTS)


def sort_key(key: str, *, descending: bool) -> SortKey | None:
    """Return what the store sorts by for a column; None where it cannot."""
    kind, _, name = key.partition(".")
    if kind in ("metrics", "params", "tags") and name:
        return SortKey(kind[:-1], name, descending)
    found = _SORTS.get(key)
    return SortKey(*found, descending) if found else None


class Rows:
    """Makes rows; keeps the handles of runs that are going, so that a refresh reads only what is new.

    Parameters
    ----------
    runs_dir : Path
        Where the runs' own directories are.
    recorded : callable
        Gives a run by its id as the store has it now.
    """

    def __init__(self, runs_dir: Path, recorded: Callable[[str], RunInfo]) -> None:
        self.runs_dir, self._recorded = runs_dir, recorded
        self._handles: dict[str, RunHandle] = {}

    def handle(self, run: RunInfo) -> RunHandle | None:
        """Return the handle of a run that has its directory here, else None."""
        handle = self.handle_of(run.tags.get(RUN_ID, ""))
        if handle is not None and not run.deleted and handle.directory.is_deleted:
            with contextlib.suppress(QnbError), handle.directory.changing():
                if not self._recorded(
                    run.run_id
                ).deleted:  # `run` was read before it was deleted, or MLflow restored it
                    handle.directory.set_deleted(False)
        return handle

    def handle_of(self, run_id: str) -> RunHandle | None:
        """Return the handle of the run with that directory, None without one."""
        if run_id not in self._handles:
            path = self.runs_dir / run_id
            if wrong_with(run_id) or not path.is_dir():
                return None
            self._handles[run_id] = RunHandle(RunDir(path))
        return self._handles[run_id]

    def row(self, run: RunInfo, columns: Sequence[str], *, now: float | None = None) -> dict[str, Any]:
        """Return a run of the store as a row."""
        now = time.time() if now is None else now
        status, note = self.status(run)
        cells = {key: self._cell(run, key, now) for key in columns if key not in ("status", "tags", "curve")}
        return {
            "id": run.run_id,
            "name": _short(run.name),
            "status": status,
            "status_text": STATUS.get(status, status.capitalize()),
            "cells": cells,
            "tags": tags_of(run.tags),
            "note": note,
            "panel": self.handle(run) is not None,
            "experiment": run.experiment,
        }

    def waiting(self, known: set[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return rows of runs that the store does not know: they wait, have just begun or are damaged."""
        found = []
        tickets = Place(self.runs_dir.parents[1]).tickets.names()
        ongoing = {d.run_id: d for d in ongoing_runs(self.runs_dir, tickets)}
        others = [d for d in list_run_dirs(self.runs_dir) if not (d.path / "recorder.json").exists()]
        for run_id in dict.fromkeys([*ongoing, *(d.run_id for d in others)]):
            handle = None if run_id in known else self.handle_of(run_id)
            going = handle is not None and handle.status in ("waiting", "running")
            if handle is None or not (going or (handle.damage and not handle.directory.is_deleted)):
                continue
            cells = {key: MISSING for key in columns if key not in ("status", "tags", "curve")}
            state = handle.state
            model = handle.request.task.model if "model" in cells and not handle.damage else ""
            name = model.get("class", "") if isinstance(model, Mapping) else model
            cells |= {"model": _model(str(name))} if name else {}
            damage = handle.damage
            status = "damaged" if damage and state.status != "running" else state.status
            note = {"kind": "error", "text": _short(damage)} if damage else _progress(handle)
            found.append(
                {
                    "id": f"dir:{handle.run_id}",
                    "name": _short(handle.name),
                    "status": status,
                    "status_text": STATUS[status],
                    "cells": cells,
                    "tags": [],
                    "note": note,
                    "panel": True,
                    "experiment": state.experiment,
                }
            )
        return found

    def status(self, run: RunInfo) -> tuple[str, dict[str, Any]]:
        """Return how a run of the store stands and a note on it: where it has its directory here, its journal knows."""
        status = _OF_STORE.get(run.status, run.status.lower())
        status = run.tags.get("qnb.status", status) if status == "failed" else status
        handle = self.handle(run)
        if handle is not None and handle.damage and handle.status != "running":
            return "damaged", {"kind": "error", "text": _short(handle.damage)}
        if handle is None or status == "finished":
            return status, {}
        if status in ("running", "waiting") and not handle.is_over:
            return handle.status, _progress(handle)
        state = handle.state
        if state.stop is not None:
            return state.status, {"kind": "text", "text": _short(state.stop.reason)}
        if state.failure is not None:
            return "failed", {"kind": "error", "text": _short(state.failure.message.split("\n")[0])}
        return (state.status if state.is_over else status), {}

    def _cell(self, run: RunInfo, key: str, now: float) -> str:
        kind, _, name = key.partition(".")
        match kind:
            case "metrics" if name:
                return measure_of(name).write(run.metrics.get(name))
            case "params" if name:
                return _short(run.params.get(name, MISSING))
            case "tags" if name:
                return _short(run.tags.get(name, MISSING))
            case "model":
                return _model(run.params.get("model.class") or run.params.get("model") or "")
            case "features":
                found = run.params.get("dataset.kwargs.handler.class") or run.params.get("dataset.class") or ""
                return _short(found.rpartition(".")[2])
            case "seconds":
                going = run.status == "RUNNING" and run.start is not None and self.handle(run) is not None
                return duration(now - run.start if going and run.start else run.seconds)
            case "start":
                return started(run.start, now)
            case "experiment":
                return _short(run.experiment)
            case "user":
                return _short(run.tags.get("mlflow.user", MISSING))
            case "run_id":
                return _short(run.shown_id, 8)
        return MISSING


def tags_of(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the user's own tags, in the order of their names."""
    return [
        {"key": key, "text": _short(key if value in ("", "true", "True") else f"{key}: {value}", 60)}
        for key, value in sorted(tags.items())
        if not key.startswith(("mlflow.", "qnb."))
    ]


def started(start: float | None, now: float) -> str:
    """Return a moment as lists show it: the time today, 'yesterday', else the day."""
    if start is None:
        return MISSING
    then, today = time.localtime(start), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    if then[:3] == time.localtime(now - 86_400)[:3]:
        return "yesterday"
    return time.strftime("%Y-%m-%d", then)


def _progress(handle: RunHandle) -> dict[str, Any]:
    state = handle.state
    progress = state.progress
    end = (progress.stop_at or progress.total) if progress else None
    share = min(1.0, progress.step / end) if progress and end else 0.0
    stage = next((s.title.lower() for s in state.stages if s.status == "running"), "")
    text = "waiting" if state.status == "waiting" else f"{stage or 'running'}, {share:.0%}"
    return {"kind": "progress", "share": share, "text": text}


def _model(name: str) -> str:
    last = name.rpartition(".")[2]
    return _short(_MODELS.get(last, last)) or "from MLflow"


def _short(text: str, width: int = TEXT_WIDTH) -> str:
    one = " ".join(text.split())
    return one if len(one) <= width else one[: width - 1] + "…"
