"""What may stand as a model, a strategy, a record ...: a class that has what its family is asked for, and nothing else.

1. The standard library has no such classes: a module of it is refused before it is imported.
2. What is named must be a class, not a function or a value.
3. The class must have the methods of its family. Nothing of it is called before that is known.

A signal is data: there a reader of pandas may stand, or what the user's own code makes.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, Problem
from .document import Path as Place

__all__ = ["NESTED", "PROTOCOLS", "Family", "components_of", "is_standard", "nested_in", "refusal", "require_member"]


@dataclass(frozen=True, slots=True)
class Family:
    """What is asked of the classes of a family.

    Attributes
    ----------
    title : str
        The family in words, without an article.
    methods : tuple of str
        Names that the class must have.
    written : str
        The same for a person: how the methods are called, or the base that has them.
    readers : tuple of str
        Functions of other packages that may stand here all the same, as ``module.name``.
    """

    title: str
    methods: tuple[str, ...]
    written: str
    readers: tuple[str, ...] = ()


PROTOCOLS: Mapping[str, Family] = {
    "model": Family("model", ("fit", "predict"), "fit(dataset) and predict(dataset, segment)"),
    "dataset": Family("dataset", ("prepare",), "prepare(segments)"),
    "handler": Family("handler", ("fetch",), "fetch(selector)"),
    "loader": Family("loader", ("load", "load_table"), "the base qnb.data.loader.DataLoader"),
    "processor": Family("processor", ("__call__",), "__call__(df)"),
    "record": Family("record", ("generate",), "generate()"),
    "strategy": Family("strategy", ("decide",), "decide(day), or the base WeightStrategyBase"),
    "reweighter": Family("reweighter", ("reweight",), "reweight(data)"),
    "network": Family("network", ("forward", "state_dict"), "the base torch.nn.Module"),
    "operator": Family("operator", ("signature", "reach"), "a base of qnb.expr: Element, Series or CrossSection"),
    "backend": Family("backend", ("worker", "prepare", "close"), "worker(number), prepare(libraries) and close()"),
    "signal": Family(
        "signal", (), "made by code of your own, or by a reader of pandas",
        ("pandas.read_parquet", "pandas.read_csv", "pandas.read_feather"),
    ),
}  # fmt: skip
"""Kind of component -> what its classes must have."""

NESTED: Mapping[str, str] = {
    "handler": "handler",
    "data_loader": "loader",
    "dataloader_l": "loader",
    "strategy": "strategy",
    "signal": "signal",
    "pt_model_uri": "network",
    "infer_processors": "processor",
    "learn_processors": "processor",
    "shared_processors": "processor",
    "inst_processors": "processor",
}
"""Argument -> kind of the component (or components) in it."""


def require_member(kind: str, target: Any, *, module: str = "", name: str = "") -> None:
    """Raise `ConfigError` unless `target` may stand as a component of that kind; nothing of it is called.

    Parameters
    ----------
    module, name : str
        What it was called in the description; default what it calls itself.
    """
    module = module or str(getattr(target, "__module__", ""))
    name = name or str(getattr(target, "__qualname__", repr(target)))
    names = {n for c in target.__mro__ for n in vars(c)} if isinstance(target, type) else None
    problem = refusal(kind, module, name, is_class=isinstance(target, type), has=names)
    if problem is not None:
        raise ConfigError([problem])


def refusal(
    kind: str, module: str, name: str, *, is_class: bool = True, has: Collection[str] | None = None
) -> Problem | None:
    """Return why `name` of `module` cannot stand as a component of that kind; None where it can, or nobody knows yet.

    Parameters
    ----------
    is_class : bool
        Whether it is a class rather than a function or a value.
    has : collection of str, optional
        What the class and its bases define; None where that cannot be said.
    """
    family = PROTOCOLS[kind]
    top = module.partition(".")[0]
    reason = ""
    if is_standard(module):
        reason = f"{top} belongs to Python itself"
    elif kind == "signal":
        if f"{top}.{name}" not in family.readers and _is_installed(module):
            reason = f"{top} is a library"
    elif not is_class:
        reason = "it is not a class"
    elif has is not None and ("__getattr__" not in has or _is_installed(module)):  # a wrapper of the user hands on
        reason = next((f"it has no {n}" for n in family.methods if n not in has), "")
    if not reason:
        return None
    where = f" of {module}" if module else ""
    remedy = f"a {family.title} {'has' if family.methods else 'is'} {family.written}"
    return Problem(f"{name}{where} is no {family.title}: {reason}", remedy)


def is_standard(module: str) -> bool:
    """Return whether a module is part of Python itself; it is not imported."""
    return module.partition(".")[0] in sys.stdlib_module_names and _lies_in(module, "stdlib", "platstdlib")


def nested_in(name: str, value: Any, path: Place) -> Iterator[tuple[Place, Any, str]]:
    """Yield (path, description, kind) of the components that the argument `name` at `path` holds."""
    if name == "config" and isinstance(value, Mapping) and "strategy" in value:
        name, value, path = "strategy", value["strategy"], (*path, "strategy")
    kind = NESTED.get(name)
    if kind is None or (kind == "signal" and not (isinstance(value, Mapping) and {"class", "func"} & value.keys())):
        return
    groups = value.items() if name == "inst_processors" and isinstance(value, Mapping) else [("", value)]
    for group, items in groups:
        here = (*path, group) if group else path
        for place, item in (
            [((*here, n), v) for n, v in enumerate(items)] if isinstance(items, list) else [(here, items)]
        ):
            if isinstance(item, str | Mapping) and not (isinstance(item, str) and item.startswith("<")):
                yield place, item, kind


def components_of(task: Mapping[str, Any]) -> Iterator[tuple[Place, Any, str]]:
    """Yield (path, description, kind) of every component of a document's section ``task``, outer ones first."""
    for kind in ("model", "dataset", "reweighter"):
        if task.get(kind) is not None:
            yield from _with_inner(("task", kind), task[kind], kind)
    records = task.get("record")
    for path, record in (
        [(("task", "record", n), r) for n, r in enumerate(records)]
        if isinstance(records, list)
        else [(("task", "record"), records)]
    ):
        if record is not None:
            yield from _with_inner(path, record, "record")


def _with_inner(path: Place, described: Any, kind: str) -> Iterator[tuple[Place, Any, str]]:
    yield path, described, kind
    kwargs = described.get("kwargs") if isinstance(described, Mapping) else None
    for name, value in (kwargs or {}).items():
        for place, inner, its in nested_in(str(name), value, (*path, "kwargs", str(name))):
            yield from _with_inner(place, inner, its)


def _is_installed(module: str) -> bool:
    """Return whether a module came with an installed package, qnb included, rather than being the user's own."""
    own = module == "__main__" or module.endswith(".py")
    return not own and (module.partition(".")[0] == "qnb" or _lies_in(module, "purelib", "platlib"))


def _lies_in(module: str, *places: str) -> bool:
    """Return whether the top of a dotted module is compiled into Python or in one of its folders `places`."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):  # half loaded, or without a place
        return False
    if spec is None or spec.origin in ("built-in", "frozen"):
        return spec is not None
    found = [spec.origin, *(spec.submodule_search_locations or ())]
    roots = [Path(sysconfig.get_path(p)).resolve() for p in places]
    return any(Path(f).resolve().is_relative_to(root) for f in found if f for root in roots)
