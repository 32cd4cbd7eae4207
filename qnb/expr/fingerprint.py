"""A digest of an operator's code, so that what another version of it computed is not taken from the cache.

It covers the class and its bases, their functions and constants, and what these name: functions, classes, constants and
modules of the user's. Of the packages that are installed it covers names and versions.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import re
import sys
import types
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .operator import Operator

__all__ = ["is_users", "operator_fingerprint"]

_ROOT = __name__.partition(".")[0]


def operator_fingerprint(operator: type[Operator]) -> str:
    """Return the digest of an operator that is not built in, '' for one that is."""
    if operator.__module__.startswith(f"{_ROOT}.expr.operators."):
        return ""
    made = hashlib.blake2b(digest_size=8)
    for part in _parts(operator, set()):
        made.update(part.encode() + b"\0")
    return made.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield texts that together tell `value` from any other that computes something else."""
    if value is None or isinstance(value, str | int | float | complex | bytes):
        yield repr(value)
        return
    yield type(value).__name__
    if id(value) in seen:
        return
    seen.add(id(value))
    match value:
        case list() | tuple():
            yield from _parts_of_all(value, seen)
        case set() | frozenset():  # whose order differs between processes
            yield from sorted(map(repr, value))
        case dict():
            for key, one in sorted(value.items(), key=lambda item: repr(item[0])):
                yield repr(key)
                yield from _parts(one, seen)
        case np.ndarray():
            yield f"{value.dtype} {value.shape} {hashlib.blake2b(value.tobytes()).hexdigest()}"
        case types.ModuleType():
            yield f"{value.__name__} {getattr(value, '__version__', '')}"
            if is_users(value.__name__) and getattr(value, "__file__", None):
                yield Path(str(value.__file__)).read_text(encoding="utf-8", errors="replace")
        case type():
            yield value.__qualname__
            for cls in value.__mro__:
                for name, one in sorted(vars(cls).items()) if is_users(cls.__module__) else ():
                    if callable(one) or not name.startswith("__"):
                        yield name
                        yield from _parts(one, seen)
        case types.FunctionType():
            yield value.__qualname__
            if is_users(value.__module__):
                yield from _parts_of_function(value, seen)
        case staticmethod() | classmethod() | types.MethodType():
            yield from _parts(value.__func__, seen)
        case property():
            yield from _parts_of_all((value.fget, value.fset), seen)
        case functools.partial():
            yield from _parts_of_all((value.func, value.args, value.keywords), seen)
        case _ if hasattr(value, "__wrapped__"):
            yield from _parts(value.__wrapped__, seen)
        case _ if is_users(type(value).__module__):
            yield from _parts_of_all((type(value), getattr(value, "__dict__", None)), seen)
        case _:
            yield re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _parts_of_all(values: Iterable[Any], seen: set[int]) -> Iterator[str]:
    for value in values:
        yield from _parts(value, seen)


def _parts_of_function(function: types.FunctionType, seen: set[int]) -> Iterator[str]:
    yield from _parts_of_all((function.__defaults__, function.__kwdefaults__), seen)
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # it is empty
            yield from _parts(cell.cell_contents, seen)
    codes = [function.__code__]
    for code in codes:
        yield code.co_code.hex() + repr(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                codes.append(constant)
            else:
                yield from _parts(constant, set())
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval in function.__globals__:
                yield from _parts(function.__globals__[step.argval], seen)


def is_users(module: str) -> bool:
    """Return whether a module is of the user's: neither of Python, nor of this package, nor installed."""
    name = module.partition(".")[0]
    if name in sys.stdlib_module_names or name == _ROOT:
        return False
    if name == "__main__":  # a notebook's, though its file is that of the installed kernel
        return True
    file = str(getattr(sys.modules.get(name), "__file__", None) or "")
    return "site-packages" not in file and "dist-packages" not in file
