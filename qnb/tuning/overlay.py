"""Lays named spaces and distributions over a workflow: ``space: LightGBMSpace`` or ``space: {model: ...}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import registry
from ..errors import Problem, UnknownNameError, nearest
from ..task.distribution import is_distribution
from ..task.document import ABSENT, Document, Path, copied, dotted, get, put
from .spaces._base import NamedSpace

__all__ = ["lay_over", "named_space_for"]

_PARTS = ("model", "strategy", "label")


def lay_over(document: Document, space: Any, where: Path) -> list[Problem]:
    """Put the distributions of `space` into `document`, in place, and return what does not fit.

    Parameters
    ----------
    space : str, list or mapping
        Names of spaces; or ``{model: ..., strategy: ..., label: ...}`` with a name or a mapping of distributions each.
        Any other key is a dotted path of the workflow.
    where : tuple
        Place of `space` in the text, for messages.
    """
    problems: list[Problem] = []
    if isinstance(space, str | list):
        for name in space if isinstance(space, list) else [space]:
            problems += _named(document, str(name), None, where)
        return problems
    if not isinstance(space, Mapping):
        return [document.problem(f"space cannot be {space!r}", where, remedy="write LightGBMSpace, or model: ...")]
    for part, given in space.items():
        here = (*where, part)
        if isinstance(given, str):
            problems += _named(document, given, str(part), here)
        elif part in _PARTS and isinstance(given, Mapping):
            problems += _put(document, str(part), given, here)
        else:
            problems += _dotted(document, str(part), given, here)
    return problems


def named_space_for(document: Document) -> str | None:
    """Return the named space for the arguments of the document's model, None without one."""
    model = get(document.values, ("task", "model"))
    if model is ABSENT:
        model = document.values.get("model")
    name = model if isinstance(model, str) else ""
    if isinstance(model, Mapping):
        name = str(model.get("class") or (next(iter(model)) if len(model) == 1 else ""))
    try:
        name = registry.locate("model", name.rpartition(".")[2]).name
    except UnknownNameError:
        return None
    spaces = registry.load_all("space")
    return next((known for known, space in spaces.items() if name in getattr(space, "classes", ())), None)


def _named(document: Document, name: str, part: str | None, where: Path) -> list[Problem]:
    try:
        found = registry.find("space", name)
    except UnknownNameError as error:
        return [document.problem(str(error), where)]
    if not (isinstance(found, type) and issubclass(found, NamedSpace)):
        return [document.problem(f"{name} is no space", where, remedy="derive it from NamedSpace")]
    if part is not None and part not in _PARTS:
        near = nearest(part, _PARTS)
        remedy = f"did you mean {near[0]!r}?" if near else f"write {found.target}: {name}"
        return [document.problem(f"no part {part!r} to search", where, remedy=remedy, key=True)]
    if part is not None and part != found.target:
        message = f"{name} is a space of the {found.target}, not of the {part}"
        return [document.problem(message, where, remedy=f"write {found.target}: {name}", key=True)]
    return _put(document, found.target, copied(found.values), where)


def _put(document: Document, part: str, given: Mapping[str, Any], where: Path) -> list[Problem]:
    if part == "label" and is_distribution(given):
        return _label(document, given, where)
    target = _model_kwargs(document) if part == "model" else _strategy_kwargs(document) if part == "strategy" else None
    if target is None:
        return [document.problem(f"the task has no {part} to search", where, key=True)]
    for key, value in given.items():
        put(document.values, (*target, key), copied(value))
        _move_places(document, (*where, key), (*target, key))
    return []


def _label(document: Document, given: Mapping[str, Any], where: Path) -> list[Problem]:
    if "task" not in document.values:
        document.values["label"] = copied(given)
        _move_places(document, where, ("label",))
        return []
    kwargs: Path = ("task", "dataset", "kwargs", "handler", "kwargs")
    if not isinstance(get(document.values, kwargs), Mapping):
        return [document.problem("the task's handler takes no label", where, key=True)]
    put(document.values, (*kwargs, "label"), [copied(given)])
    _move_places(document, where, (*kwargs, "label", 0))
    return []


def _model_kwargs(document: Document) -> Path | None:
    """Return the place of the model's arguments, after making one where there is none."""
    base: Path = ("task", "model") if "task" in document.values else ("model",)
    model = get(document.values, base)
    if model is ABSENT:
        return None
    if isinstance(model, str):
        put(document.values, base, {"class": model, "kwargs": {}})
    elif isinstance(model, Mapping) and "class" not in model and len(model) == 1:
        (name,) = model
        if not isinstance(model[name], Mapping):
            put(document.values, (*base, name), {})
        return (*base, name)
    elif not isinstance(model, Mapping):
        return None
    if not isinstance(get(document.values, (*base, "kwargs")), Mapping):
        put(document.values, (*base, "kwargs"), {})
    return (*base, "kwargs")


def _strategy_kwargs(document: Document) -> Path | None:
    values = document.values
    if "task" not in values:
        strategy = values.setdefault("strategy", {})
        if not isinstance(strategy, Mapping):
            return None
        if "class" not in strategy:
            return ("strategy",)
        values["strategy"].setdefault("kwargs", {})
        return ("strategy", "kwargs")
    records = get(values, ("task", "record"))
    for number, record in enumerate(records if isinstance(records, list) else []):
        strategy = get(record, ("kwargs", "config", "strategy"))
        if isinstance(strategy, Mapping):
            base: Path = ("task", "record", number, "kwargs", "config", "strategy")
            if not isinstance(get(values, (*base, "kwargs")), Mapping):
                put(values, (*base, "kwargs"), {})
            return (*base, "kwargs")
    return None


def _dotted(document: Document, name: str, given: Any, where: Path) -> list[Problem]:
    steps: Path = tuple(name.split("."))
    parent = get(document.values, steps[:-1])
    if parent is ABSENT or not isinstance(parent, Mapping | list):
        known = [*_PARTS, *(dotted(p) for p in _mappings(document.values))]
        near = nearest(name, known)
        remedy = f"did you mean {near[0]!r}?" if near else "keys: model, strategy, label, or a dotted path"
        return [document.problem(f"no {name!r} in the workflow to search", where, remedy=remedy, key=True)]
    put(document.values, steps, copied(given))
    _move_places(document, where, steps)
    return []


def _mappings(values: Any, path: Path = ()) -> list[Path]:
    found: list[Path] = []
    if isinstance(values, Mapping):
        for key, value in values.items():
            found += [(*path, key), *_mappings(value, (*path, key))]
    return found


def _move_places(document: Document, source: Path, target: Path) -> None:
    begin, end = dotted(source), dotted(target)
    for name in [n for n in document.places if n == end or n.startswith(end + ".")]:
        del document.places[name]
    for name, place in list(document.places.items()):
        if name == begin or name.startswith(begin + "."):
            document.places[end + name[len(begin) :]] = place
    if end not in document.places:
        above = source
        while above and dotted(above) not in document.places:
            above = above[:-1]
        if above:
            document.places[end] = document.places[dotted(above)]
