"""``qnb tune``: reads the file, starts or goes on with the study, and says what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config import Settings
from ..task.file import workflow_text
from .engine import manage
from .old_schema import is_old_schema, run_pipeline
from .open import open_study
from .plan import load_study
from .terminal import StudyTerminal

__all__ = ["tune"]

_STATUS = {"finished": 0, "paused": 1, "failed": 1, "stopped": 130}


def tune(options: argparse.Namespace, settings: Settings, *, given: Mapping[str, Any], stop: Callable[[], bool]) -> int:
    """Run the study that the options of ``qnb tune`` describe and return the exit status.

    Raises
    ------
    ConfigError
        With everything that is wrong with the file.
    StudyError
        The study cannot be gone on with, or its storage not be reached.
    """
    file = Path(options.config).expanduser()
    text = workflow_text(file)
    view = StudyTerminal(quiet=options.quiet)
    if is_old_schema(text):
        return _STATUS[run_pipeline(file, settings, options=given, listeners=(view,), stop=stop)]
    plan = load_study(
        text, source=options.config, base_dir=file.parent, name=options.name or file.stem, options=given
    )  # fmt: skip
    directory = open_study(plan, _for_task(settings, plan.task.settings, options), resume=options.resume)
    state = manage(directory, listeners=(view,), stop=stop)
    return _STATUS.get(state.status, 1)


def _for_task(settings: Settings, own: dict[str, Any], options: argparse.Namespace) -> Settings:
    """Return the settings with what the workflow says, and over it what the command line says."""
    found = settings.with_(**own)
    changes = {"recorder_uri": options.uri, "provider_uri": options.provider_uri}
    return found.with_(**{k: v for k, v in changes.items() if v})
