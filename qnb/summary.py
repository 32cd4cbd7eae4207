"""Runs as tables of text: the result of one, the list of many."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import Settings
from .errors import UnknownNameError
from .handle import RunHandle
from .panels.measures import is_known, measure_of
from .reports.numbers import MISSING, duration, ic, icir, percent, ratio
from .rundir import RunDir, find_run_dir, list_run_dirs
from .state import RunState

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["print_run", "print_runs", "print_summary", "result_lines", "runs_table"]

_EXCESS = "1day.excess_return_with_cost."
_GROSS = "1day.excess_return_without_cost."
_ROWS: Sequence[tuple[str, str, Callable[[Any], str]]] = (
    ("IC", "IC", ic),
    ("ICIR", "ICIR", icir),
    ("Rank IC", "Rank IC", ic),
    ("Rank ICIR", "Rank ICIR", icir),
    ("Excess return a year, after cost", _EXCESS + "annualized_return", percent),
    ("Information ratio, after cost", _EXCESS + "information_ratio", ratio),
    ("Max drawdown of it", _EXCESS + "max_drawdown", percent),
    ("Excess return a year, before cost", _GROSS + "annualized_return", percent),
    ("Information ratio, before cost", _GROSS + "information_ratio", ratio),
)
_LIST_COLUMNS: Sequence[tuple[str, str, Callable[[Any], str]]] = (
    ("IC", "IC", ic),
    ("Rank IC", "Rank IC", ic),
    ("Excess", _EXCESS + "annualized_return", percent),
    ("IR", _EXCESS + "information_ratio", ratio),
    ("Max DD", _EXCESS + "max_drawdown", percent),
)
_FOLD = 40


def result_lines(metrics: Mapping[str, float], curves: Collection[str] = (), *, all: bool = False) -> list[str]:
    """Return final metrics, one aligned line each: those that a run is judged by, then those of the user's own records.

    Parameters
    ----------
    metrics : mapping of str to float
        Last value of each.
    curves : collection of str
        Metrics that are curves, which are left out.
    all : bool
        The others of our records, too.
    """
    rows = [(title, text(metrics[key])) for title, key, text in _ROWS if key in metrics]
    shown = {key for _, key, _ in _ROWS}.union(curves)
    more = [measure_of(key) for key in metrics if key not in shown and (all or not is_known(key))]
    rows += [(measure.title, measure.write(metrics[measure.key])) for measure in more]
    width = max((len(t) for t, _ in rows), default=0)
    return [f"  {title:<{width}}  {value:>9}" for title, value in rows]


def print_summary(result: Mapping[str, Any], curves: Collection[str] = ()) -> None:
    """Print metrics and places of a finished run; `curves` as in `result_lines`."""
    lines = result_lines(result["metrics"], curves)
    print()
    print("\n".join(lines) if lines else "  no metrics: the task has no analysis record")
    print()
    if result.get("report"):
        print(f"report   {_short(Path(result['report']))}")
    short = result["run_id"][:6]
    print(f"run      {result['name']} {short}, {duration(result['seconds'])}; `qnb show {short}`")


def print_runs(settings: Settings, *, experiment: str | None, filter_string: str, limit: int) -> int:
    """Print the newest runs of the recorder's store; returns the exit status."""
    rows = _run_rows(settings, experiment=experiment, filter_string=filter_string, limit=limit)
    if not rows:
        print("no run matches" if filter_string or experiment else "no runs yet; start with: qnb demo")
        return 0
    header = ["Name", "Experiment", "Run", "Status", *(title for title, _, _ in _LIST_COLUMNS), "Time", "Started"]
    table = [header, *rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(header))]
    numbers = range(4, 4 + len(_LIST_COLUMNS) + 1)
    for row in table:
        cells = [c.rjust(w) if k in numbers else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())
    return 0


def runs_table(settings: Settings, *, experiment: str | None, filter_string: str, limit: int) -> pd.DataFrame:
    """Return the newest runs as a frame, one row a run, for a notebook."""
    import pandas as pd

    columns = ["Name", "Experiment", "Run", "Status", *(title for title, _, _ in _LIST_COLUMNS), "Time", "Started"]
    rows = _run_rows(settings, experiment=experiment, filter_string=filter_string, limit=limit)
    return pd.DataFrame(rows, columns=pd.Index(columns)).set_index("Name")


def print_run(settings: Settings, ref: str, *, log: bool, config: bool) -> int:
    """Print one run: stages, metrics, artifacts, and on request its log and configuration; returns the exit status."""
    try:
        directory = find_run_dir(settings.runs_dir, ref)
    except UnknownNameError:
        return _print_foreign(settings, ref)
    handle = RunHandle(directory)
    state = handle.state
    print(f"{state.name}  {state.status}  {state.experiment} / {state.run_id}")
    for stage in state.stages:
        print(f"  {stage.title:<10} {stage.status:<9} {duration(stage.seconds) if stage.seconds else ''}".rstrip())
    if state.failure is not None:
        print(f"\n{state.failure.message}")
    if handle.damage and state.status != "damaged":
        print(f"\ndamaged: {handle.damage}")
    if state.stop is not None:
        print(f"\nstopped: {state.stop.reason}")
    lines = result_lines(state.metrics, state.curves, all=True)
    if lines:
        print("\n" + "\n".join(lines))
    if state.artifacts:
        names = sorted(state.artifacts)
        print(f"\n{len(names)} artifacts: " + ", ".join(names[:_FOLD]))
    if state.seed is not None:
        print(f"seed     {state.seed} (drawn, none was given)")
    result = directory.result() or {}
    if result.get("report"):
        print(f"report   {_short(Path(result['report']))}")
    if config:
        print("\n" + directory.task_text())
    if log:
        _print_log(directory, state)
    return 0


def _print_log(directory: RunDir, state: RunState) -> None:
    print()
    for entry in state.logs:
        print(f"{time.strftime('%H:%M:%S', time.localtime(entry.time))} {entry.stage:<10} {entry.text}")
    if state.failure is not None and state.failure.traceback:
        print("\n" + state.failure.traceback)


def _print_foreign(settings: Settings, ref: str) -> int:
    """Show a run that has no directory here: another folder's, or one that plain MLflow wrote."""
    from .recorder.query import find_run

    run = find_run(settings.tracking_uri, ref)
    print(f"{run.name}  {run.status.lower()}  {run.experiment} / {run.shown_id}")
    print("\n".join(result_lines(run.metrics, all=True)))
    return 0


def _run_rows(settings: Settings, *, experiment: str | None, filter_string: str, limit: int) -> list[list[str]]:
    from .panels.browser_rows import Rows
    from .recorder.browse import RunIndex
    from .recorder.query import list_runs
    from .session import Session

    Session(settings).going()  # marks the runs whose process is gone
    rows, own = [], Rows(settings.runs_dir, RunIndex(settings.tracking_uri).run)
    for run in list_runs(
        settings.tracking_uri, experiment=experiment, filter_string=filter_string, max_results=max(1, limit),
        work_dir=settings.work_dir,
    ):  # fmt: skip
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.start)) if run.start else ""
        seconds = run.end - run.start if run.start and run.end else None
        metrics = [text(run.metrics.get(key)) for _, key, text in _LIST_COLUMNS]
        status = own.status(run)[0]
        rows.append([run.name, run.experiment, run.shown_id[:6], status, *metrics, duration(seconds), started])
    if experiment is None and not filter_string:
        rows += _damaged_rows(settings)
    return rows


def _damaged_rows(settings: Settings) -> list[list[str]]:
    """Return rows of runs that the store does not know, and of which only the folder is left."""
    rows = []
    for directory in list_run_dirs(settings.runs_dir):
        if directory.recorder() is None and (handle := RunHandle(directory)).damage:
            state = handle.state
            missing = [MISSING] * (len(_LIST_COLUMNS) + 2)
            rows.append([state.name, state.experiment, state.run_id[:6], "damaged", *missing])
    return rows


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
