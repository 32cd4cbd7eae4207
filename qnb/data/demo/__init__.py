"""The embedded demo market: a store that is generated on first use, the same bytes for the same arguments.

``ensure_demo`` returns in milliseconds when the market is there; only making it loads numpy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import ConfigError, Problem, remedy_for
from .parameters import (
    DEFAULT_INSTRUMENTS,
    DEFAULT_SEED,
    DEFAULT_YEARS,
    GENERATOR_VERSION,
    INDEX,
    SECTORS,
    UNIVERSE,
    DemoParameters,
)

__all__ = [
    "DEFAULT_INSTRUMENTS",
    "DEFAULT_SEED",
    "DEFAULT_YEARS",
    "GENERATOR_VERSION",
    "INDEX",
    "MARKER",
    "SECTORS",
    "UNIVERSE",
    "DemoParameters",
    "demo_path",
    "ensure_demo",
    "is_demo_uri",
    "parse_demo_uri",
    "read_demo_parameters",
]

MARKER = "demo.json"
"""File in the store that holds the arguments it was made with."""

_ARGUMENTS = ("instruments", "years", "seed")


def is_demo_uri(uri: str) -> bool:
    """Return whether `uri` names the demo market: ``demo`` or ``demo:...``."""
    return uri == "demo" or uri.startswith("demo:")


def parse_demo_uri(uri: str) -> dict[str, int]:
    """Return the arguments that a demo URI gives; those that it does not name are left out.

    Parameters
    ----------
    uri : str
        ``demo`` or ``demo:instruments=5000,years=12,seed=7``, in any order.

    Raises
    ------
    ConfigError
        For an unknown argument, a value that is no whole number, or another kind of URI.

    Examples
    --------
    >>> parse_demo_uri("demo:instruments=5000,seed=1")
    {'instruments': 5000, 'seed': 1}
    >>> parse_demo_uri("demo")
    {}
    """
    if not is_demo_uri(uri):
        raise ConfigError([Problem(f"{uri!r} is not the demo market", "write demo or demo:instruments=500,seed=1")])
    values: dict[str, int] = {}
    problems = []
    for part in filter(None, (p.strip() for p in uri[len("demo:") :].split(","))):
        name, _, text = (s.strip() for s in part.partition("="))
        if name not in _ARGUMENTS:
            remedy = remedy_for(name, _ARGUMENTS)
            problems.append(Problem(f"unknown argument {name!r} in {uri!r}", remedy))
        elif not text.isdigit():
            problems.append(Problem(f"{name} in {uri!r} must be a whole number, received {text!r}"))
        elif name in values:
            problems.append(Problem(f"{name} is given twice in {uri!r}"))
        else:
            values[name] = int(text)
    if problems:
        raise ConfigError(problems)
    return values


def demo_path(parameters: DemoParameters, cache_dir: Path) -> Path:
    """Return where the store of `parameters` is or will be below `cache_dir`."""
    return Path(cache_dir) / "demo" / parameters.name


def ensure_demo(
    *,
    instruments: int = DEFAULT_INSTRUMENTS,
    years: int = DEFAULT_YEARS,
    seed: int = DEFAULT_SEED,
    cache_dir: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return the folder of a demo market, which is made first if it is not there.

    Safe to call from several processes at once: one makes the market, the others wait for it.

    Parameters
    ----------
    instruments, years, seed : int
        As in `DemoParameters`.
    cache_dir : Path
        The market is kept in ``<cache_dir>/demo/``, one folder for each set of arguments.
    progress : callable, optional
        Called with the days made and the days there are, while the market is being made.

    Raises
    ------
    DataError
        For arguments out of range, or when the folder cannot be written.
    """
    parameters = DemoParameters(instruments=instruments, years=years, seed=seed)
    path = demo_path(parameters, cache_dir)
    if (path / MARKER).is_file():
        return path
    from .make import make_demo

    return make_demo(parameters, path, progress=progress)


def read_demo_parameters(store: Path) -> DemoParameters | None:
    """Return the arguments with which the demo market in `store` was made, None if it is not a demo market."""
    try:
        data: dict[str, Any] = json.loads((Path(store) / MARKER).read_text("utf-8"))
        return DemoParameters(**{name: data[name] for name in _ARGUMENTS})
    except (OSError, ValueError, KeyError):
        return None
