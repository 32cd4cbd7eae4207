"""All operators by name: those of the package and of other packages, and those a user registered.

An operator registered by hand is known in the whole process, like the module or cell that does so; one of a module
that was loaded from a run's folders is known in runs that have it. Those of the
setting ``custom_ops``, and those that came with a run, are known in the context that `own_operators` opens for a run or
a check, and in threads that take it over; where none is open, in the whole process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, cast

from ..errors import ConfigError, Problem
from ..registry import load_all
from ..task.modules import is_user_module, registered_in_run
from .operator import Operator

__all__ = [
    "forget_operators",
    "operators",
    "own_operators",
    "register_custom_ops",
    "register_operator",
    "registered_operators",
]

_by_hand: dict[str, type[Operator]] = {}
_of_settings: dict[str, type[Operator]] = {}
_here: ContextVar[dict[str, type[Operator]] | None] = ContextVar("qnb_operators", default=None)


def operators() -> Mapping[str, type[Operator]]:
    """Return all operators by name; a registered one takes the place of a built-in one of its name."""
    of_modules = registered_in_run() or {}
    return {**_found(), **_of_settings, **_by_hand, **of_modules, **(_here.get() or {})}


def registered_operators() -> dict[str, type[Operator]]:
    """Return the operators that were registered by hand in this process."""
    return dict(_by_hand)


def forget_operators(kept: Mapping[str, type[Operator]]) -> bool:
    """Have only the operators `kept` registered by hand; returns whether there were others."""
    changed = _by_hand != kept
    _by_hand.clear()
    _by_hand.update(kept)
    return changed


@contextmanager
def own_operators(given: Mapping[str, type[Operator]] | None = None) -> Iterator[None]:
    """Have `given`, and what `register_custom_ops` makes known meanwhile, in this context alone while it is open."""
    token = _here.set(dict(given or {}))
    try:
        yield
    finally:
        _here.reset(token)


@cache
def _found() -> Mapping[str, type[Operator]]:
    """Return the operators that need no registering, all at once: several threads may ask first."""
    found = load_all("operator")
    return {n: op for n, op in found.items() if isinstance(op, type) and issubclass(op, Operator)}


def register_operator(operator: type[Operator], *, name: str = "") -> type[Operator]:
    """Make an operator known under its class name; may stand as a decorator.

    Raises
    ------
    ConfigError
        It is not an operator class, or its name cannot be written in an expression.

    Examples
    --------
    >>> import numpy as np
    >>> from qnb.expr.operator import Element, Parameter
    >>> @register_operator
    ... class Cube(Element):
    ...     signature = (Parameter("x", "series"),)
    ...     def compute(self, x):
    ...         return x * x * x
    """
    of_modules = registered_in_run() if is_user_module(operator.__module__) else None
    (_by_hand if of_modules is None else of_modules)[_key_of(operator, name)] = operator
    return operator


def _key_of(operator: Any, name: str = "") -> str:
    key = name or getattr(operator, "__name__", repr(operator))
    if not (isinstance(operator, type) and issubclass(operator, Operator)):
        raise ConfigError(
            [Problem(f"{key} is no operator", "derive it from qnb.expr.Element, Series or CrossSection", "custom_ops")]
        )
    if not key.isidentifier():
        raise ConfigError([Problem(f"{key!r} cannot be the name of an operator", "", "custom_ops")])
    return key


def register_custom_ops(custom_ops: Iterable[Any]) -> None:
    """Make the operators of the setting ``custom_ops`` known: classes, dotted paths, ``file.py:Class``, mappings."""
    from ..task.component import resolve

    here = _here.get()
    for config in custom_ops:
        if isinstance(config, str) and ".py:" in config:
            path, _, name = config.rpartition(":")
            config = {"class": name, "module_path": path}
        found = config if isinstance(config, type) else resolve(config, "operator")[0]
        (_of_settings if here is None else here)[_key_of(found)] = cast("type[Operator]", found)
