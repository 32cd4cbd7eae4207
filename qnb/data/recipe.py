"""From an object back to the description that builds it: class, module_path and the arguments it was given."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, Problem
from ..task.modules import module_path_of

__all__ = ["recipe_of"]

_SESSION = ("store", "settings", "init_data", "fetch_orig")  # belong to the session or have no effect


def recipe_of(part: Any) -> dict[str, Any]:
    """Return ``{class, module_path, kwargs}`` of `part`, as JSON values.

    The constructor of `part` must keep its arguments in attributes of the same names; arguments that have their default
    are left out.

    Raises
    ------
    ConfigError
        An argument is not kept, or is an object without a description (a frame, an open store).

    Examples
    --------
    >>> from qnb.data.processors.fillna import Fillna
    >>> recipe_of(Fillna(fields_group="feature"))["kwargs"]
    {'fields_group': 'feature'}
    """
    cls = type(part)
    kwargs: dict[str, Any] = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if name in _SESSION or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if not hasattr(part, name):
            remedy = f"keep it as self.{name}, or build the dataset from descriptions"
            raise ConfigError([Problem(f"{cls.__name__} does not keep its argument {name!r}", remedy)])
        value = getattr(part, name)
        default = parameter.default
        if default is not parameter.empty and (value is default or _same(value, default)):
            continue
        kwargs[name] = _plain(value, f"{cls.__name__}.{name}")
    return {"class": cls.__name__, "module_path": module_path_of(cls), "kwargs": kwargs}


def _same(value: Any, default: Any) -> bool:
    simple = (str, int, float, bool, type(None), tuple, list)
    return isinstance(value, simple) and isinstance(default, simple) and _sequence(value) == _sequence(default)


def _sequence(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dt.date):  # datetime and pandas.Timestamp are dates too
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v, where) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v, where) for v in value]
    if type(value).__module__ == "builtins" or hasattr(value, "__array__") or hasattr(value, "__dataframe__"):
        remedy = "give a file's path or a description instead"
        raise ConfigError([Problem(f"a {type(value).__name__} cannot be written as a description", remedy, where)])
    return recipe_of(value)
