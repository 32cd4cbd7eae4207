"""Studies from Python: `tune` starts one from a file, a text or a mapping and gives its handle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import current_settings
from ..task.dump import dump_yaml
from ..task.file import workflow_text
from .engine import manage
from .handle import StudyHandle
from .manager import start_manager
from .open import open_study
from .plan import load_study

__all__ = ["tune"]


def tune(
    study: str | Path | Mapping[str, Any], *, name: str = "", resume: bool = False, wait: bool = True, **options: Any
) -> StudyHandle:
    """Search the distributions of a workflow and return the study's handle.

    Parameters
    ----------
    study : path, text or mapping
        A file; YAML text (with a line break); or a mapping, with distributions in the plain form:
        ``{"model": {"lightgbm": {"num_leaves": {"low": 8, "high": 64}}}}``.
    name : str
        Name of the study; default the file's.
    resume : bool
        Go on with the newest study of that name.
    wait : bool
        Manage the study in this process and return when it is over; else a process of its own manages it.
    **options : any
        Keys of the section ``study``: trials, jobs, metric, sampler, pruner, seed, cv ...

    Raises
    ------
    ConfigError
        With everything that is wrong, each with its line.
    StudyError
        The study cannot be gone on with, or its storage not be reached.

    Examples
    --------
    >>> study = qnb.tune("study.yaml", trials=20, jobs=2)         # doctest: +SKIP
    >>> study.best_params, study.verdict["headline"]               # doctest: +SKIP
    """
    if isinstance(study, Mapping):
        text, source, folder = dump_yaml(study), "", Path.cwd()
    elif isinstance(study, str) and "\n" in study:
        text, source, folder = study, "", Path.cwd()
    else:
        file = Path(study).expanduser()
        text, source, folder = workflow_text(file), str(file), file.parent
        name = name or file.stem
    plan = load_study(text, source=source, base_dir=folder, name=name or "study", options=options)
    directory = open_study(plan, current_settings().with_(**plan.task.settings), resume=resume)
    if wait:
        manage(directory)
    else:
        start_manager(directory)
    return StudyHandle(directory)
