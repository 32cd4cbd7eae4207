"""Experiments and recorders: what is kept of a run, on MLflow or in memory."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import RecorderError
from .experiment import Experiment
from .facade import R
from .recorder import Recorder
from .template import prepare

__all__ = ["Experiment", "R", "Recorder", "prepare", "replay_spool"]


def replay_spool(path: str | os.PathLike[str], *, uri: str | None = None) -> int:
    """Write what a spool file holds to its run, remove the file, and return how many entries and files that were.

    For what the store refused; anything else is written by itself when its store is opened.

    Parameters
    ----------
    path : path
        The file that an error message named.
    uri : str, optional
        Store of the run; default the one that the file names.

    Raises
    ------
    RecorderError
        When the store still does not take it, or its address has a password, which the file does not hold; the file
        stays.
    """
    from .spool import name_of, read_spool, write_to
    from .stores import open_store

    name, own, settings = read_spool(Path(path)).uri, R.get_uri(), R.settings
    if uri is None:
        uri = own if name_of(settings.with_(recorder_uri=own).tracking_uri, settings.work_dir) == name else name
    if ":***@" in uri:
        raise RecorderError(f"{path} belongs to the store {uri}; give its address: replay_spool(path, uri=...)")
    return write_to(open_store(settings.with_(recorder_uri=uri).tracking_uri), Path(path))
