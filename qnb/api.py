"""What ``import qnb`` offers in Python: `init`, `run`, `wait`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import Settings, current_settings, use_settings
from .errors import ConfigError
from .handle import RunHandle

if TYPE_CHECKING:
    from .task.spec import Task

__all__ = ["init", "run", "wait"]


def init(provider_uri: str | Mapping[str, str] | None = None, region: str | None = None, **options: Any) -> Settings:
    """Set where data and recorder are for this process.

    Parameters
    ----------
    provider_uri : str or mapping, optional
        Folder of the market data, by frequency if a mapping; ``"demo"`` (the default) is the embedded demo market.
    region : {'cn', 'us', 'tw'}, optional
        Trading habits: lot size, price limit, deal price.
    **options
        Further settings, see `qnb.config.Settings`; `exp_manager` is understood as in an init section.

    Returns
    -------
    Settings
        The settings now in force.

    Raises
    ------
    ConfigError
        For an unknown setting or region.
    RecorderError
        While a run is active.
    """
    from .recorder import R

    R.refuse_while_active()
    changes = dict(options)
    if provider_uri is not None:
        changes["provider_uri"] = provider_uri
    if region is not None:
        changes["region"] = region
    return use_settings(Settings.from_env().with_(**changes))


def run(
    task: str | Path | Mapping[str, Any] | Task,
    *,
    name: str = "",
    experiment: str = "",
    overrides: Sequence[str] = (),
    seed: int | None = None,
    progress: bool = True,
) -> RunHandle:
    """Run a workflow in this process and return its handle when it is over.

    Parameters
    ----------
    task : path, YAML text, mapping or Task
        The workflow.
    name, experiment : str
        Name of the run and its experiment; by default what the task says.
    overrides : sequence of str
        ``"task.model.kwargs.num_leaves=64"`` and the like.
    seed : int, optional
        Seed for the model where the task gives none.
    progress : bool
        Draw progress on standard error.

    Raises
    ------
    ConfigError
        With every problem found, before anything is run.

    Examples
    --------
    >>> handle = qnb.run({"market": "demo", "model": "lightgbm", "features": "Alpha158"})  # doctest: +SKIP
    """
    from .check import check_task
    from .execution.worker import execute_run
    from .rundir import create_run
    from .terminal import TerminalView

    loaded = _load(task, overrides)
    if experiment:
        loaded = loaded.replace(experiment=experiment)
    settings = current_settings().with_(**loaded.settings)
    errors = [p for p in check_task(loaded, settings) if p.severity == "error"]
    if errors:
        raise ConfigError(errors, source=loaded.source)
    directory = create_run(loaded, settings, name=name, seed=seed)
    view = TerminalView(quiet=not progress)
    handle = RunHandle(directory)
    execute_run(directory, listeners=[view])
    return handle


async def wait(*runs: RunHandle) -> list[RunHandle]:
    """Wait for runs without blocking the notebook's widgets: ``await qnb.wait(a, b)``."""
    return [await run for run in runs]


def _load(task: str | Path | Mapping[str, Any] | Task, overrides: Sequence[str]) -> Task:
    from .task.file import workflow_text
    from .task.spec import Task, load_task

    if isinstance(task, Task):
        return task
    if isinstance(task, Mapping):
        return Task.from_document(task, overrides=tuple(overrides))
    if isinstance(task, Path) or (isinstance(task, str) and "\n" not in task and task.endswith((".yaml", ".yml"))):
        path = Path(task).expanduser()
        return load_task(workflow_text(task), source=str(path), overrides=tuple(overrides), base_dir=path.parent)
    return load_task(str(task), source="text", overrides=tuple(overrides))
