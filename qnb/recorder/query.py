"""Reading many runs at once, without their artifacts: for lists and browsers."""

from __future__ import annotations

from dataclasses import replace

from ..errors import RecorderError, UnknownNameError
from .base import RunInfo
from .stores import open_store

__all__ = ["find_run", "list_runs"]

SCANNED = 2000


def list_runs(
    uri: str, *, experiment: str | None = None, filter_string: str = "", max_results: int = 1000
) -> list[RunInfo]:
    """Return runs of all experiments, or of one, newest first.

    Raises
    ------
    UnknownNameError
        There is no experiment of that name.
    RecorderError
        The store cannot be read, or the filter.
    """
    store = open_store(uri)
    experiments = {e.id: e.name for e in store.experiments()}
    wanted = {i: n for i, n in experiments.items() if experiment is None or n == experiment}
    if not wanted and experiment is not None:
        raise UnknownNameError("experiment", experiment, experiments.values())
    found = store.search(
        list(wanted), filter_string=filter_string, max_results=max_results, order_by=["attributes.start_time DESC"]
    )
    return [replace(r, experiment=experiments.get(r.experiment_id, "")) for r in found]


def find_run(uri: str, ref: str) -> RunInfo:
    """Return the run of that id, start of an id, or name (the newest).

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    store = open_store(uri)
    if len(ref) == 32:
        try:
            return store.run(ref)
        except RecorderError:
            pass
    runs = list_runs(uri, max_results=SCANNED)
    for run in runs:
        if ref in (run.name, run.tags.get("qnb.run_id")):
            return run
    matching = [
        r for r in runs if len(ref) >= 4 and (r.run_id.startswith(ref) or r.tags.get("qnb.run_id", "").startswith(ref))
    ]
    if len(matching) == 1:
        return matching[0]
    raise UnknownNameError("run", ref, [r.name for r in runs], hint="`qnb runs` lists them")
