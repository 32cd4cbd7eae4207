"""Reading many runs at once, without their artifacts: for lists and browsers. Makes no store that is not there."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from ..errors import UnknownNameError
from ..run_ids import ID_LENGTH, only_with_id
from .base import RefusedError, RunInfo, Store
from .stores import THROUGH_MLFLOW, open_store
from .uris import sqlite_path

__all__ = ["existing_store", "find_run", "list_runs"]

SCANNED = 10_000


def list_runs(
    uri: str,
    *,
    experiment: str | None = None,
    filter_string: str = "",
    max_results: int = 1000,
    order_by: tuple[str, ...] = (),
    work_dir: Path | None = None,
) -> list[RunInfo]:
    """Return runs of all experiments, or of one, newest first unless ordered.

    Parameters
    ----------
    uri : str
        Tracking URI.
    experiment : str, optional
        Name of the only experiment to look at.
    filter_string : str
        MLflow's grammar: ``"metrics.IC > 0.03"``.
    max_results : int
        At most that many.
    order_by : tuple of str
        ``("metrics.IC DESC",)``.
    work_dir : Path, optional
        As in `qnb.recorder.stores.open_store`.

    Raises
    ------
    UnknownNameError
        There is no experiment of that name.
    RecorderError
        The store cannot be read, or the filter.
    """
    store = existing_store(uri, work_dir=work_dir)
    if store is None:
        return []
    names = {e.id: e.name for e in store.experiments()}
    wanted = [i for i, name in names.items() if experiment is None or name == experiment]
    if not wanted and experiment is not None:
        raise UnknownNameError("experiment", experiment, names.values())
    found = store.search(wanted, filter_string=filter_string, max_results=max_results, order_by=order_by)
    return [replace(run, experiment=names.get(run.experiment_id, "")) for run in found]


def find_run(uri: str, ref: str) -> RunInfo:
    """Return the run of that id, the start of an id (four characters or more), or that name (the newest).

    The id may be the store's own or that of the run's directory.

    Raises
    ------
    UnknownNameError
        With the nearest names; also for a start that several ids share.
    """
    store = existing_store(uri)
    if store is None:
        raise UnknownNameError("run", ref, hint="there are no runs yet")
    names = {e.id: e.name for e in store.experiments()}
    if len(ref) in (ID_LENGTH, 32):
        with contextlib.suppress(RefusedError):
            run = store.run(ref)
            return replace(run, experiment=names.get(run.experiment_id, ""))
    runs = list_runs(uri, max_results=SCANNED)
    for run in runs:
        if ref in (run.name, run.shown_id):
            return run
    return only_with_id(ref, [(r, (r.run_id, r.shown_id)) for r in runs], names=[r.name for r in runs])


def existing_store(uri: str, *, work_dir: Path | None = None, cache_dir: Path | None = None) -> Store | None:
    """Return the store at `uri`; None for an SQLite file that is not there, which reading does not make.

    `work_dir` and `cache_dir` as in `qnb.recorder.stores.open_store`.
    """
    path = sqlite_path(uri.removeprefix(THROUGH_MLFLOW))
    missing = path is not None and not path.exists()
    return None if missing else open_store(uri, work_dir=work_dir, cache_dir=cache_dir)
