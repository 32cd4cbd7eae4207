"""Removes the folders of deleted runs: a deleted run is hidden at once, its files stay until somebody asks for this."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from .config import Settings
from .errors import QnbError
from .handle import RunHandle
from .ongoing import last_status
from .recorder.base import RefusedError
from .recorder.query import existing_store
from .rundir import list_run_dirs
from .state import OVER

__all__ = ["Cleaned", "clean_runs"]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed: names of the runs and bytes of their folders."""

    names: tuple[str, ...]
    bytes: int

    def __str__(self) -> str:
        if not self.names:
            return "no deleted runs to clean up"
        runs = "the folder of 1 deleted run" if len(self.names) == 1 else f"folders of {len(self.names)} deleted runs"
        return f"removed {runs}, {self.bytes / 1e6:.1f} MB: {', '.join(self.names)}"


def clean_runs(settings: Settings) -> Cleaned:
    """Remove the folders of runs that their store has as deleted and say which.

    A run that is going, one that never had a recorder, and one whose store cannot be asked keep their folder; so does
    one that its store does not know, unless it was deleted in a browser. What the recorder itself holds is MLflow's to
    remove: ``mlflow gc``. A run that MLflow has restored is listed again.
    """
    names, size = [], 0
    for directory in list_run_dirs(settings.runs_dir, deleted=True):
        handle = RunHandle(directory)
        if last_status(directory.path) not in OVER and not handle.is_over:
            continue
        try:
            deleted = _deleted_in_store(handle)
            name = handle.name
        except QnbError:
            continue
        if deleted:
            size += sum(f.stat().st_size for f in directory.path.rglob("*") if f.is_file())
            shutil.rmtree(directory.path)
            names.append(name)
        elif deleted is False and directory.is_deleted:
            directory.set_deleted(False)
    return Cleaned(tuple(names), size)


def _deleted_in_store(handle: RunHandle) -> bool | None:
    """Return whether the run was deleted; None when nothing is known of it."""
    if handle.damage:
        return handle.directory.is_deleted or None
    known = handle.directory.recorder()
    if known is None:
        return None
    store = existing_store(handle.request.settings.tracking_uri)
    if store is None:
        return None
    try:
        return store.run(known[0]).deleted
    except RefusedError:  # `mlflow gc` was there first; or the store is another one than it was
        return handle.directory.is_deleted
