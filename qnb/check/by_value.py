"""What lives in the notebook and a task needs: classes that it names, operators; pickled by value for a worker."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ..config import Settings
from ..errors import ConfigError, Problem, nearest
from ..expr.catalogue import registered_operators
from ..expr.fingerprint import is_users
from ..task.document import walk
from ..task.spec import Task

__all__ = ["objects_of_the_notebook"]

MAIN = "__main__"


def objects_of_the_notebook(task: Task, settings: Settings, namespace: Mapping[str, Any]) -> bytes | None:
    """Return the classes of `namespace` that `task` needs in a worker, pickled by value; None when it needs none.

    Those are what stands as ``class: MyNet`` with ``module_path: __main__``, or as ``__main__.MyNet``; operators of the
    setting ``custom_ops``; and operators registered by hand, those of the notebook and those of other modules that the
    task names. One that the task does not name and that cannot be pickled is left out.

    Raises
    ------
    ConfigError
        When a class is not there, with its line and the nearest one that is; when it cannot be pickled.
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, path in _named(task):
        if name in namespace:
            found[name] = namespace[name]
            continue
        classes = [n for n, v in namespace.items() if isinstance(v, type) and not n.startswith("_")]
        near = nearest(name, classes)
        remedy = f"did you mean {near[0]!r}?" if near else "run the cell that defines it first"
        problems.append(task.problem(f"no class {name!r} in the notebook", path, remedy=remedy))
    if problems:
        raise ConfigError(problems, source=task.source)
    for operator in settings.custom_ops:
        if isinstance(operator, type) and operator.__module__ == MAIN:
            found[operator.__name__] = operator
    words = {w for _, text in walk(task.document) if isinstance(text, str) for w in re.findall(r"\w+", text)}
    registered = registered_operators()
    found |= {name: operator for name, operator in registered.items() if name in words}
    others = {name: operator for name, operator in registered.items() if operator.__module__ == MAIN}
    return _pickled(others | found, found, task) if found or others else None


def _pickled(all_of_them: Mapping[str, Any], needed: Mapping[str, Any], task: Task) -> bytes | None:
    import cloudpickle

    known = cloudpickle.list_registry_pickle_by_value()
    names = {op.__module__ for op in registered_operators().values() if is_users(op.__module__)} - {MAIN, *known}
    modules = [sys.modules[name] for name in names if name in sys.modules]  # which a worker may not find
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(all_of_them))
    except Exception as error:
        if len(needed) < len(all_of_them):
            return _pickled(needed, needed, task) if needed else None
        what = ", ".join(needed)
        problem = Problem(f"{what} cannot be sent to a worker: {error}", "move it to a .py file and name that")
        raise ConfigError([problem], source=task.source) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _named(task: Task) -> Iterator[tuple[str, str]]:
    """Yield the name and the dotted path of every class of the notebook that `task` names."""
    for path, value in walk(task.document):
        dotted = ".".join(map(str, path))
        if isinstance(value, Mapping) and value.get("module_path") == MAIN and isinstance(value.get("class"), str):
            yield value["class"], f"{dotted}.class"
        elif isinstance(value, str) and value.startswith(f"{MAIN}.") and value.count(".") == 1:
            yield value.partition(".")[2], dotted
