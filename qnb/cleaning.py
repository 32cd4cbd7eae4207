"""Deletes runs and cleans up: a deleted run is hidden at once, its files stay until somebody has them removed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from .config import Settings
from .errors import PoolError, QnbError
from .handle import RunHandle
from .ongoing import last_status
from .recorder.base import RefusedError
from .recorder.query import existing_store
from .rundir import list_run_dirs
from .state import OVER

__all__ = ["Cleaned", "clean_runs", "delete_run"]


_REMOVED = ".removed"


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
    for leftover in settings.runs_dir.glob(f".*{_REMOVED}"):  # a cleaning that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    for directory in list_run_dirs(settings.runs_dir, deleted=True):
        handle = RunHandle(directory)
        try:
            deleted = _deleted_in_store(handle) if _is_over(handle) else None
        except QnbError:
            continue
        if not deleted and (deleted is None or not directory.is_deleted):
            continue
        with contextlib.suppress(PoolError), directory.changing():
            if not _is_over(handle):  # it has been had go on
                continue
            if not deleted:
                directory.set_deleted(False)
                continue
            names.append(handle.name)
            size += sum(f.stat().st_size for f in directory.path.rglob("*") if f.is_file())
            doomed = directory.path.with_name(f".{directory.run_id}{_REMOVED}")
            directory.path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)  # another process may do the same
    return Cleaned(tuple(names), size)


def delete_run(handle: RunHandle, forget: Callable[[], None] = lambda: None) -> None:
    """Hide a run until it is cleaned up.

    Parameters
    ----------
    handle : RunHandle
        A run that is over.
    forget : callable
        Deletes it in its store, while nobody can have it go on.

    Raises
    ------
    PoolError
        It is going, perhaps once more since it was asked about; or its folder is gone.
    """
    with handle.directory.changing():
        if not _is_over(handle):
            raise PoolError(f"{handle.name} is going ({handle.status}); stop it before you delete it")
        forget()
        handle.directory.set_deleted(True)


def _deleted_in_store(handle: RunHandle) -> bool | None:
    """Return whether the run was deleted; None when nothing is known of it."""
    try:
        uri = handle.request.settings.tracking_uri
    except PoolError:  # a damaged run; who deletes it there deletes it here
        return handle.directory.is_deleted or None
    known = handle.directory.recorder()
    if known is None:
        return None
    store = existing_store(uri)
    if store is None:
        return None
    try:
        return store.run(known[0]).deleted
    except RefusedError:  # `mlflow gc` was there first; or the store is another one than it was
        return handle.directory.is_deleted


def _is_over(handle: RunHandle) -> bool:
    """Return whether nobody will go on with a run; mostly without a look at the whole of its journal."""
    return (last_status(handle.directory.path) in OVER or handle.is_over) and not handle.has_ticket
