"""Experiments and recorders: what is kept of a run, on MLflow or in memory."""

from __future__ import annotations

import os
from pathlib import Path

from .experiment import Experiment
from .facade import R
from .recorder import Recorder
from .template import prepare

__all__ = ["Experiment", "R", "Recorder", "prepare", "replay_spool"]


def replay_spool(path: str | os.PathLike[str], *, uri: str | None = None) -> int:
    """Write what a spool file holds to its run, remove the file, and return how many entries that were.

    Parameters
    ----------
    path : path
        The file that an error message named.
    uri : str, optional
        Store of the run; default the one `R` uses.

    Raises
    ------
    RecorderError
        When the store still does not take it; the file stays.
    """
    from .spool import read_spool
    from .stores import open_store

    run_id, entries = read_spool(Path(path))
    open_store(R.settings.with_(recorder_uri=uri or R.get_uri()).tracking_uri).log(run_id, entries)
    Path(path).unlink()
    return len(entries)
