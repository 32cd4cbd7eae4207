"""What ``import qnb`` offers for looking at runs: `runs`, `compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import current_settings

if TYPE_CHECKING:
    from .handle import RunHandle
    from .panels.browser import RunsBrowser
    from .panels.compare import Comparison

__all__ = ["compare", "runs"]


def runs(filter: str = "", *, experiment: str = "", uri: str = "") -> RunsBrowser:
    """Return the browser of all runs, those of plain MLflow included; shown by being a cell's last value.

    Parameters
    ----------
    filter : str
        MLflow's grammar (``"metrics.IC > 0.04"``), or words that must all occur.
    experiment : str
        Only this experiment.
    uri : str
        Tracking URI; default that of the settings.

    Returns
    -------
    RunsBrowser
        Its `frame` gives the runs as a frame.

    Raises
    ------
    QnbError
        For an unknown experiment, or a filter that cannot be read.

    Examples
    --------
    >>> qnb.runs("metrics.IC > 0.04").frame()[["tags.mlflow.runName", "metrics.IC"]]  # doctest: +SKIP
    """
    from .panels.browser import RunsBrowser

    settings = current_settings()
    return RunsBrowser(settings.with_(recorder_uri=uri) if uri else settings, experiment=experiment, text=filter)


def compare(*given: RunHandle | str, uri: str = "") -> Comparison:
    """Compare two to eight runs: configuration, metrics, daily returns and ICs, predictions.

    Parameters
    ----------
    *given : RunHandle or str
        Handles, names (the newest run of that name), ids or the beginning of an id.
    uri : str
        Tracking URI; default that of the settings.

    Returns
    -------
    Comparison
        Shown as tables and figures in a notebook; its parts are frames and arrays.

    Raises
    ------
    UnknownNameError
        For a run that is not there, with the nearest names.
    ConfigError
        For fewer than two runs, or more than eight.

    Examples
    --------
    >>> print(" ".join(qnb.compare("lgb158", "linear158").verdict))  # doctest: +SKIP
    """
    from .panels.compare import compare_parts, labels_of, load_part
    from .recorder.query import find_run
    from .recorder.stores import open_store

    settings = current_settings()
    place = settings.with_(recorder_uri=uri).tracking_uri if uri else settings.tracking_uri
    found = [find_run(place, g if isinstance(g, str) else g.run_id) for g in given]
    store = open_store(place)
    return compare_parts([load_part(store, run, label) for run, label in zip(found, labels_of(found), strict=True)])
