"""Opens a study: a new one, or the newest of its name to go on with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..check import check_task
from ..check.by_value import objects_of_the_notebook
from ..config import Settings
from ..errors import ConfigError, StudyError
from ..secrets import Vault
from .enough import too_many_folds
from .plan import StudyPlan, without_secrets
from .search import check_sampler
from .storage import check_storage
from .studydir import GoingOnError, StudyDir, create_study, find_study

__all__ = ["open_study"]


def open_study(
    plan: StudyPlan, settings: Settings, *, resume: bool = False, namespace: Mapping[str, Any] | None = None
) -> StudyDir:
    """Return the directory of the study, ready to be managed.

    With `resume` it is the newest study of that name. Its trials stay; the number of trials, the jobs and the times may
    differ from before, what decides the trials may not. What the workflow needs of the classes in `namespace`, by
    default those of the main module, goes to the workers by value.

    Raises
    ------
    ConfigError
        The workflow does not fit the market data.
    MissingExtraError
        The sampler needs a library that is not installed.
    StudyError
        The storage cannot be reached, or what is asked for is not the study that is there; `GoingOnError` when another
        process manages it.
    """
    problems = [p for p in check_task(plan.task, settings) if p.severity == "error"] or too_many_folds(plan, settings)
    if problems:
        raise ConfigError(problems, source=plan.source)
    names = vars(sys.modules["__main__"]) if namespace is None else namespace
    objects = objects_of_the_notebook(plan.task, settings, names)
    check_sampler(plan.spec.sampler)
    vault = Vault.of(settings.work_dir)
    _try_storage(plan, vault)
    plan = without_secrets(plan, vault)
    if not resume:
        return create_study(plan, settings, objects)
    directory = find_study(settings, plan.spec.name)
    with directory.changing():
        request = directory.request()
        if directory.is_taken():
            raise GoingOnError(f"study {plan.spec.name} is going on already, managed by another process")
        old = request.plan()
        different = [n for n, a, b in _identity(old, plan) if a != b]
        if different:
            raise StudyError(
                f"study {plan.spec.name} / {directory.study_id} was started with another {' and '.join(different)}; "
                "undo the change to go on with it, or leave --resume out to start anew"
            )
        directory.go_on()
        plan = replace(plan, spec=replace(plan.spec, threads=request.spec.threads))
        directory.write_request(plan, settings, objects)
    return directory


def _try_storage(plan: StudyPlan, vault: Vault) -> None:
    try:
        check_storage(vault.reveal(plan.spec.storage))
    except StudyError as error:
        if "study.storage" not in plan.document.places:  # from the command line
            raise
        problem = plan.document.problem(str(error), ("study", "storage"))
        raise StudyError(str(ConfigError([problem], source=plan.source))) from error


def _identity(old: StudyPlan, new: StudyPlan) -> list[tuple[str, Any, Any]]:
    def text(value: Any) -> str:
        return json.dumps(value, sort_keys=True, default=str)

    a, b = old.spec.to_json(), new.spec.to_json()
    keys = ("objectives", "sampler", "seed", "validation", "storage")
    found: list[tuple[str, Any, Any]] = [(k, text(a[k]), text(b[k])) for k in keys]
    found.append(("search space", text(old.space.to_json()), text(new.space.to_json())))
    found.append(("workflow", text(old.document.values), text(new.document.values)))
    return found
