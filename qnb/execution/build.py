"""From a Task to the objects that run it, all constructed before any data is loaded.

A wrong argument therefore fails in seconds, with the line of the YAML it stands in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import ConfigError, MissingExtraError, Problem, QnbError, UnknownNameError
from ..task.component import build_component, resolve
from ..task.document import dotted
from ..task.families import components_of
from ..task.records import facts_of_class
from ..task.spec import Task

__all__ = ["Parts", "RecordStep", "build_parts"]


@dataclass(frozen=True, slots=True)
class RecordStep:
    """A record template, the stage in which it is generated, and how views call that."""

    stage: str
    title: str
    record: Any


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects of a task."""

    model: Any
    dataset: Any
    reweighter: Any
    records: tuple[RecordStep, ...]


def build_parts(task: Task, *, recorder: Any, settings: Settings) -> Parts:
    """Construct model, dataset, reweighter and records.

    Parameters
    ----------
    task : Task
        The validated task.
    recorder : Recorder
        Injected into records that take it.
    settings : Settings
        Injected into the dataset and records that take them: where the data is.

    Raises
    ------
    ConfigError
        When a constructor refuses its arguments, with path and line.
    """
    _check_families(task)
    model = _build(task, task.model, "task.model", "model")
    dataset = _build(task, task.dataset, "task.dataset", "dataset", inject={"settings": settings})
    reweighter = _build(task, task.reweighter, "task.reweighter", "reweighter") if task.reweighter else None
    known = {"model": model, "dataset": dataset, "recorder": recorder, "settings": settings}
    steps = []
    for number, config in enumerate(task.records):
        filled = _fill(config, {"<MODEL>": model, "<DATASET>": dataset})
        record = _build(task, filled, f"task.record.{number}", "record", inject=known)
        facts = facts_of_class(type(record))
        steps.append(RecordStep(facts.stage, facts.title, record))
    return Parts(model, dataset, reweighter, tuple(steps))


def _check_families(task: Task) -> None:
    """Refuse whatever is not of the family it stands for, also what would be built after the fit, before any is made.

    Raises
    ------
    ConfigError
        With every such component and its line.
    """
    problems: list[Problem] = []
    for path, config, kind in components_of(task.document["task"]):
        try:
            resolve(config, kind, base_dir=_base(task))
        except ConfigError as error:
            places = ((*path, p.path) if p.path else (*path, "class") for p in error.problems)
            problems += [
                task.problem(p.message, dotted(place), remedy=p.remedy)
                for p, place in zip(error.problems, places, strict=True)
            ]
        except UnknownNameError as error:
            problems.append(task.problem(str(error), dotted((*path, "class"))))
    if problems:
        raise ConfigError(problems, source=task.source)


def _build(task: Task, config: Any, path: str, family: str, inject: Mapping[str, Any] | None = None) -> Any:
    try:
        return build_component(config, family, inject=inject or {}, base_dir=_base(task))
    except (ConfigError, MissingExtraError):
        raise
    except (TypeError, ValueError, UnknownNameError) as error:
        what = config.get("class", config) if isinstance(config, Mapping) else config
        problem = Problem(f"{what} cannot be made: {error}", "", path, task.line_of(path))
        raise ConfigError([problem], source=task.name) from error
    except QnbError as error:
        raise ConfigError([Problem(str(error), "", path, task.line_of(path))], source=task.name) from error


def _base(task: Task) -> Path | None:
    return Path(task.base_dir) if task.base_dir else None


def _fill(value: Any, objects: Mapping[str, Any]) -> Any:
    """Return `value` with every placeholder replaced by its object; containers are new."""
    if isinstance(value, str):
        return objects.get(value, value)
    if isinstance(value, Mapping):
        return {k: _fill(v, objects) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(v, objects) for v in value]
    return value
