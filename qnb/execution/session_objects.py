"""What a warm worker takes over from the notebook for one run, and what it forgets of the run before.

Classes that were defined in a notebook's cell come by value: `cloudpickle` bytes in the run's directory, which only
this user's own workers read; operators among them are known in the run's expressions. Modules of the user that changed
on disk since the last run are imported anew, and all of them are where one made operators known.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import PoolError
from ..expr.catalogue import forget_operators, own_operators, registered_operators
from ..expr.operator import Operator
from ..private import strangers_hold
from ..task.modules import forget_modules

__all__ = ["fresh_modules", "notebook_objects"]

_seen: dict[str, tuple[str, int]] = {}


@contextmanager
def notebook_objects(path: Path) -> Iterator[None]:
    """Have the classes of the file `path`, which came with the run, in ``__main__`` while it is open.

    Raises
    ------
    PoolError
        When the file is another user's, or cannot be read back here.
    """
    if not path.exists():
        yield
        return
    reason = strangers_hold(path.stat())
    if reason:
        raise PoolError(f"{path} {reason} and is not read; run the cell again yourself")
    import cloudpickle

    try:
        objects: dict[str, Any] = cloudpickle.loads(path.read_bytes())
    except Exception as error:
        raise PoolError(
            f"the notebook's classes cannot be rebuilt in the worker: {type(error).__name__}: {error}; "
            "import what they use inside their methods, or move them to a .py file"
        ) from error
    main = sys.modules["__main__"]
    before = {name: getattr(main, name) for name in objects if hasattr(main, name)}
    for name, value in objects.items():
        setattr(main, name, value)
    operators = {n: v for n, v in objects.items() if isinstance(v, type) and issubclass(v, Operator)}
    try:
        with own_operators(operators):
            yield
    finally:
        for name in objects:
            if name in before:
                setattr(main, name, before[name])
            elif hasattr(main, name):
                delattr(main, name)


@contextmanager
def fresh_modules(folders: Iterable[str | Path]) -> Iterator[tuple[str, ...]]:
    """Drop modules whose file below `folders` changed since they were imported; yields their names.

    When one changed, all of that place go, since they may have taken names from it.
    """
    roots = tuple(f"{Path(folder).resolve()}{os.sep}" for folder in folders if folder)
    own = _own_modules(roots)
    dropped: tuple[str, ...] = ()
    if any(name in _seen and _seen[name] != mark for name, mark in own.items()):
        dropped = tuple(own)
        _drop(own)
    known = registered_operators()
    try:
        yield dropped
    finally:
        own = _own_modules(roots)
        if forget_operators(known):
            _drop(own)
        else:
            _seen.update({name: mark for name, mark in own.items() if name not in _seen})


def _drop(own: Mapping[str, tuple[str, int]]) -> None:
    """Forget modules, so that they are imported anew."""
    for name in own:
        sys.modules.pop(name, None)
    for file, _ in own.values():  # Python takes what it compiled for fresh if the second and the size are the same
        with contextlib.suppress(FileNotFoundError, NotImplementedError):  # none was kept, or none ever is
            os.unlink(importlib.util.cache_from_source(file))
    _seen.clear()
    importlib.invalidate_caches()
    forget_modules()


def _own_modules(roots: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """Return the user's modules below `roots` with the file and the time it was changed."""
    own = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if not file.startswith(roots) or "site-packages" in file or name.startswith(("qnb", "__main__")):
            continue
        with contextlib.suppress(OSError):
            own[name] = (file, os.stat(file).st_mtime_ns)
    return own
