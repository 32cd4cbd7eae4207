"""What a task would cost: rows, memory and time, known before any price is read.

1. Rows: the universe's spans cut to the handler's and to each segment's, on the market's calendar.
2. Memory: rows times columns in float32, once as loaded and once as processed, beside what the libraries take. Where
   like runs were measured, their peak scaled by the rows.
3. Time: the median seconds a row of like runs (same model, same handler, same kind of features), times the rows.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..config import Settings
from ..errors import ConfigError, DataError, PoolError, UnknownNameError
from ..registry import locate
from ..rundir import RunDir, list_run_dirs
from ..state import load_state
from ..task.records import stages_of
from ..task.spec import Task
from .columns import feature_names
from .device import libraries_of
from .segments import read_span
from .subject import HANDLER, SEGMENTS, Market, Subject, open_market

__all__ = ["Estimate", "estimate_task", "libraries_of_task"]

BASE_MEMORY = 350_000_000
"""Bytes that a worker has with its libraries loaded and no data."""
COPIES = 2
LIKE_RUNS = 5
LOOKED_AT = 60


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a task would take.

    Attributes
    ----------
    model, handler : str
        Class names.
    stages : tuple of str
        Titles of what it goes through.
    instruments, days, rows, columns : int or None
        Instruments that are ever members, trading days, rows and features of the handler; None where it cannot be
        said (a handler of the user's own, a demo market that was not made yet).
    segments : mapping of str to int
        Rows by segment.
    memory : int or None
        Bytes of the worker at its peak.
    seconds : float or None
        Duration; None when no like run was measured.
    basis : int
        Number of like runs that memory and time rest on; 0 where memory is reckoned from the shape alone.
    """

    model: str
    handler: str
    stages: tuple[str, ...]
    instruments: int | None = None
    days: int | None = None
    rows: int | None = None
    columns: int | None = None
    segments: Mapping[str, int] = field(default_factory=dict)
    memory: int | None = None
    seconds: float | None = None
    basis: int = 0


@dataclass(frozen=True, slots=True)
class _Shape:
    instruments: int
    days: int
    rows: int
    segments: Mapping[str, int]


def estimate_task(task: Task, settings: Settings) -> Estimate:
    """Return what `task` would take under `settings`; reads calendars, universes and past journals, no prices."""
    subject = Subject(task, settings, _market(task, settings))
    shape = _shape(subject)
    names = feature_names(subject)
    columns = len(names) if names is not None else None
    memory = None
    if shape is not None and columns is not None:
        memory = BASE_MEMORY + COPIES * 4 * shape.rows * (columns + 1)
    seconds, peak, basis = _from_the_past(subject, shape)
    model = subject.model_name or _class(task.model)
    return Estimate(
        model, subject.handler_name or _class(subject.dataset.get("handler")),
        tuple(stages_of(task).values()),
        shape.instruments if shape else None, shape.days if shape else None, shape.rows if shape else None, columns,
        shape.segments if shape else {}, peak or memory, seconds, basis,
    )  # fmt: skip


def libraries_of_task(task: Task) -> tuple[str, ...]:
    """Return the optional heavy libraries that the task's model imports, as far as its name tells."""
    name = Subject(task, Settings(), None).model_name
    try:
        return tuple(sorted(libraries_of(locate("model", name).path))) if name else ()
    except (UnknownNameError, OSError):
        return ()


def _market(task: Task, settings: Settings) -> Market | None:
    freq = Subject(task, settings, None).handler.get("freq", "day")
    try:
        return open_market(settings, freq if isinstance(freq, str) else "day")
    except (ConfigError, DataError):
        return None


def _shape(subject: Subject) -> _Shape | None:
    market, universe = subject.market, subject.universe()
    if market is None or universe is None:
        return None
    kwargs, path = subject.handler, f"{HANDLER}.kwargs"
    dates = (kwargs.get("start_time"), kwargs.get("end_time"))
    whole, _ = read_span(subject, market, dates, (path, f"{path}.start_time", f"{path}.end_time"))
    if whole is None:
        return None
    ranges = [r for spans in universe.day_spans(market.calendar).values() for r in spans]
    members = sum(
        any(first < whole.stop and stop > whole.start for first, stop in spans)
        for spans in universe.day_spans(market.calendar).values()
    )
    segments = {}
    for name, value in subject.segments.items():
        if isinstance(value, list) and len(value) == 2:
            where = f"{SEGMENTS}.{name}"
            span, _ = read_span(subject, market, (value[0], value[1]), (where, where, where))
            if span is not None:
                low, high = max(span.start, whole.start), min(span.stop, whole.stop)
                segments[str(name)] = _rows(ranges, low, high)
    return _Shape(members, whole.stop - whole.start, _rows(ranges, whole.start, whole.stop), segments)


def _rows(ranges: Iterable[tuple[int, int]], start: int, stop: int) -> int:
    return sum(max(0, min(b, stop) - max(a, start)) for a, b in ranges)


def _from_the_past(subject: Subject, shape: _Shape | None) -> tuple[float | None, int | None, int]:
    """Return seconds, peak memory and the number of like runs they rest on."""
    if shape is None or not shape.rows:
        return None, None, 0
    a_row, peaks = [], []
    for directory in list_run_dirs(subject.settings.runs_dir)[:LOOKED_AT]:
        measured = _measured(directory, subject)
        if measured is not None:
            rows, seconds, peak = measured
            a_row.append(seconds / rows)
            if peak > BASE_MEMORY / 2:
                peaks.append(BASE_MEMORY + max(0, peak - BASE_MEMORY) * shape.rows / rows)
        if len(a_row) == LIKE_RUNS:
            break
    if not a_row:
        return None, None, 0
    return statistics.median(a_row) * shape.rows, int(max(peaks)) if peaks else None, len(a_row)


def _measured(directory: RunDir, like: Subject) -> tuple[int, float, int] | None:
    """Return rows, seconds and peak memory of a finished run that is like the one asked for."""
    result = directory.result()
    if result is None or result.get("status") != "finished" or not result.get("seconds"):
        return None
    try:
        request = directory.request()
    except (PoolError, KeyError, TypeError):
        return None
    past = Subject(request.task, request.settings, like.market)
    same_data = request.settings.uri_for() == like.settings.uri_for()
    if not same_data or (past.model_name, past.handler_name) != (like.model_name, like.handler_name):
        return None
    shape = _shape(past)
    if shape is None or not shape.rows:
        return None
    resources = load_state(directory.path).resources
    return shape.rows, float(result["seconds"]), max((r.memory for r in resources), default=0)


def _class(config: object) -> str:
    if isinstance(config, Mapping):
        config = config.get("class", "")
    return Path(str(config or "")).name.rpartition(".")[2]
