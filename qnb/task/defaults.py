"""How a task differs from what its components do by default."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from ..errors import ConfigError
from .arguments import inspect_component
from .component import describe
from .document import Document, Path
from .families import NESTED
from .sources import signature_of
from .spec import Task

__all__ = ["Difference", "differences"]

_EXCHANGE = FilePath(__file__).parents[1] / "backtest" / "spec.py"
_GIVEN = ("<MODEL>", "<DATASET>", "<PRED>")
"""Arguments that the run itself fills in."""
_SECTIONS = (("model", "model"), ("dataset", "dataset"), ("reweighter", "reweighter"))


@dataclass(frozen=True, slots=True)
class Difference:
    """An argument that a task gives and that is not its default.

    Attributes
    ----------
    component : str
        Class or function that takes it.
    name : str
        Of the argument; inside of one, dotted.
    value : object
        What the task says.
    default : str
        As the source says; '' for an argument without a default of its own.
    required : bool
        Whether it must be given.
    """

    component: str
    name: str
    value: Any
    default: str = ""
    required: bool = False


def differences(task: Task) -> tuple[Difference, ...]:
    """Return the arguments of the task's components that are not their defaults, in the order of the document.

    Nothing is imported: defaults are read from the sources. A component whose source cannot be read (a class of the
    notebook, say) is shown with all of its arguments.
    """
    document = Document(task.document, imports=task.imports)
    section = task.document["task"]
    found: list[Difference] = []
    for key, kind in _SECTIONS:
        if section.get(key) is not None:
            found += _of_component(document, ("task", key), section[key], kind)
    for number, record in enumerate(task.records):
        found += _of_component(document, ("task", "record", number), record, "record")
    return tuple(found)


def _of_component(document: Document, path: Path, value: Any, kind: str) -> Iterator[Difference]:
    try:
        what = describe(value)
        inspected, _ = inspect_component(document, path, what, kind)
    except ConfigError:
        return
    taken = {p.name: p for p in inspected.signature.parameters} if inspected is not None else {}
    owner = inspected.name if inspected is not None else what.name
    inside: list[Iterator[Difference]] = []
    for name, given in what.kwargs.items():
        parts = list(_inner(document, (*path, "kwargs", name), name, given))
        if parts:
            inside += parts
            continue
        if isinstance(given, str) and given in _GIVEN:
            continue
        parameter = taken.get(name)
        if parameter is None or parameter.variadic:
            yield Difference(owner, name, given)
        elif not _is_default(given, parameter.default):
            yield Difference(owner, name, given, parameter.default, parameter.required)
    for part in inside:
        yield from part


def _inner(document: Document, path: Path, name: str, value: Any) -> Iterator[Iterator[Difference]]:
    """Yield the differences of each component that an argument holds."""
    kind = NESTED.get(name)
    if kind is not None:
        for number, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(item, Mapping) and "class" in item:
                yield _of_component(document, path if number is None else (*path, number), item, kind)
            elif number is not None and isinstance(item, str):
                yield iter([Difference(item, "", "")])
    elif name == "config" and isinstance(value, Mapping) and "backtest" in value:
        if isinstance(value.get("strategy"), Mapping):
            yield _of_component(document, (*path, "strategy"), value["strategy"], "strategy")
        yield _of_backtest(document, path, value["backtest"])


def _of_backtest(document: Document, path: Path, value: Any) -> Iterator[Difference]:
    """Yield what the backtest is told; what it says of the exchange is compared with the exchange's own defaults."""
    if not isinstance(value, Mapping):
        return
    yield from (Difference("backtest", str(name), given) for name, given in value.items() if name != "exchange_kwargs")
    signature = signature_of(_EXCHANGE, "ExchangeSpec")
    defaults = {p.name: p.default for p in signature.parameters} if signature is not None else {}
    for name, given in (value.get("exchange_kwargs") or {}).items():
        if not _is_default(given, defaults.get(name, "")):
            yield Difference("exchange", str(name), given, defaults.get(name, ""))


def _is_default(value: Any, default: str) -> bool:
    if not default:
        return False
    try:
        return bool(ast.literal_eval(default) == value)
    except (ValueError, SyntaxError):
        return False
