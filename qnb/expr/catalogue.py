"""All operators by name: the built-in ones, those of other packages, and those a user registered."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

from ..errors import ConfigError, Problem
from ..registry import load_all
from .operator import Operator

__all__ = ["operator_fingerprint", "operators", "register_custom_ops", "register_operator"]

_own: dict[str, type[Operator]] = {}


def operators() -> Mapping[str, type[Operator]]:
    """Return all operators by name; a registered one takes the place of a built-in one of its name."""
    return {**_found(), **_own} if _own else _found()


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
    key = name or getattr(operator, "__name__", repr(operator))
    if not (isinstance(operator, type) and issubclass(operator, Operator)):
        raise ConfigError(
            [Problem(f"{key} is no operator", "derive it from qnb.expr.Element, Series or CrossSection", "custom_ops")]
        )
    if not key.isidentifier():
        raise ConfigError([Problem(f"{key!r} cannot be the name of an operator", "", "custom_ops")])
    _own[key] = operator
    return operator


def register_custom_ops(custom_ops: Iterable[Any]) -> None:
    """Make the operators of the setting ``custom_ops`` known: classes, dotted paths, ``file.py:Class``, mappings."""
    from ..task.component import resolve

    for config in custom_ops:
        if isinstance(config, str) and ".py:" in config:
            path, _, name = config.rpartition(":")
            config = {"class": name, "module_path": path}
        found = config if isinstance(config, type) else resolve(config, "operator")[0]
        register_operator(cast("type[Operator]", found))


def operator_fingerprint(operator: type[Operator]) -> str:
    """Return a digest of the code of an operator that is not built in, '' for one that is."""
    if operator.__module__.startswith("qnb.expr.operators."):
        return ""
    made = hashlib.blake2b(f"{operator.__qualname__}\0{operator.version}".encode(), digest_size=8)
    for cls in operator.__mro__:
        if cls.__module__.startswith("qnb.expr."):
            break
        for name, value in sorted(vars(cls).items()):
            function = getattr(value, "__func__", value)
            code = getattr(function, "__code__", None)
            made.update(f"\0{name}\0".encode())
            made.update(_code_bytes(code) if code is not None else repr(value).encode() if _plain(value) else b"")
    return made.hexdigest()


def _code_bytes(code: types.CodeType) -> bytes:
    parts = [code.co_code, repr(code.co_names).encode()]
    for constant in code.co_consts:
        parts.append(_code_bytes(constant) if isinstance(constant, types.CodeType) else repr(constant).encode())
    return b"\0".join(parts)


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | tuple | frozenset | bool | type(None))
