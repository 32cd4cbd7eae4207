"""What ``import qnb`` offers for looking at runs: `runs`, `compare`, `what_if`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config import current_settings

if TYPE_CHECKING:
    from .handle import RunHandle
    from .panels.browser import RunsBrowser
    from .panels.compare import Comparison
    from .panels.whatif import WhatIfPanel

__all__ = ["compare", "runs", "what_if"]


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


def what_if(run: RunHandle | str) -> WhatIfPanel:
    """Return sliders for topk, n_drop, costs, price limit and deal price of a finished run.

    The backtest alone is run again, on the predictions that the run kept.

    Parameters
    ----------
    run : RunHandle or str
        A finished run of this folder with a portfolio record: its handle, name, id or the beginning of an id.

    Raises
    ------
    UnknownNameError
        For a run that is not there.
    BacktestError
        It has not finished or has no backtest.

    Examples
    --------
    >>> panel = qnb.what_if("lgb158")  # doctest: +SKIP
    >>> panel.move(topk=30, open_cost=10)  # doctest: +SKIP
    >>> print(panel.to_yaml())  # doctest: +SKIP
    """
    from .handle import RunHandle
    from .panels.whatif import WhatIfPanel
    from .rundir import find_run_dir

    handle = RunHandle(find_run_dir(current_settings().runs_dir, run)) if isinstance(run, str) else run
    return WhatIfPanel(handle)
