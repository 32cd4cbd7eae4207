"""Classes that live in the notebook and are named in a task: found, and pickled by value for the worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ConfigError, Problem, nearest
from ..task.document import walk
from ..task.spec import Task

__all__ = ["classes_of_the_notebook"]

MAIN = "__main__"


def classes_of_the_notebook(task: Task, namespace: Mapping[str, Any]) -> bytes | None:
    """Return the classes of `namespace` that `task` names, pickled by value; None when it names none.

    Named is what stands as ``class: MyNet`` with ``module_path: __main__``, or as ``__main__.MyNet``.

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
    if not found:
        return None
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(found))
    except Exception as error:
        names = ", ".join(found)
        problem = Problem(f"{names} cannot be sent to a worker: {error}", "move it to a .py file and name that")
        raise ConfigError([problem], source=task.source) from error


def _named(task: Task) -> Iterator[tuple[str, str]]:
    """Yield the name and the dotted path of every class of the notebook that `task` names."""
    for path, value in walk(task.document):
        dotted = ".".join(map(str, path))
        if isinstance(value, Mapping) and value.get("module_path") == MAIN and isinstance(value.get("class"), str):
            yield value["class"], f"{dotted}.class"
        elif isinstance(value, str) and value.startswith(f"{MAIN}.") and value.count(".") == 1:
            yield value.partition(".")[2], dotted
