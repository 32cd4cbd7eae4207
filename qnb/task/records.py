"""What the records of a task say of themselves on their class, read without importing it.

Attributes are read from the source, following the bases; those of a notebook's class from the class itself. Where the
source cannot be read, a record has a stage of its own name and nothing else is known of it.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, UnknownNameError
from . import catalogue
from .aliases import alias, is_peer_path
from .component import Description, describe
from .sources import class_values, find_module_file

if TYPE_CHECKING:
    from .spec import Task

__all__ = [
    "PREDICTIONS",
    "RUN_STAGES",
    "RecordFacts",
    "_title",
    "facts_of",
    "facts_of_class",
    "records_of",
    "stages_of",
]

PREDICTIONS = "pred.pkl"
"""Artifact with the predictions."""
RUN_STAGES = {"data": "Data", "fit": "Fit", "report": "Report"}
"""Stages of every run, before and after those of its records, with their titles."""
_WANTED = ("stage", "title", "needs", "trades")


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What is known of a record's class.

    Attributes
    ----------
    name : str
        The class.
    stage, title : str
        Stage of the run in which it is generated, and how views call that.
    needs : tuple of str
        Artifacts of earlier records that it reads.
    trades : bool
        Its argument ``config`` describes a backtest.
    """

    name: str
    stage: str
    title: str
    needs: tuple[str, ...] = ()
    trades: bool = False


def records_of(task: Task) -> tuple[RecordFacts, ...]:
    """Return what is known of each record of `task`, in their order."""
    return tuple(facts_of(config, base_dir=task.base_dir, folders=task.imports) for config in task.records)


def stages_of(task: Task) -> dict[str, str]:
    """Return the stages that `task` goes through, in order, each with its title."""
    between = {facts.stage: facts.title for facts in records_of(task)}
    *before, last = RUN_STAGES.items()
    return dict(before) | between | dict([last])


def facts_of(config: Any, *, base_dir: str = "", folders: Sequence[str] = ()) -> RecordFacts:
    """Return what is known of the record that `config` describes.

    Parameters
    ----------
    base_dir : str
        Folder that a relative ``.py`` path starts from.
    folders : sequence of str
        Where modules are looked for before ``sys.path``.
    """
    try:
        what = describe(config)
        if isinstance(what.target, type):
            return facts_of_class(what.target)
        if what.module == "__main__":
            found = getattr(sys.modules["__main__"], what.name, None)
            return facts_of_class(found) if isinstance(found, type) else _facts(what.name, {})
        file, name = _place(what, base_dir, folders)
        return _facts(name, class_values(file, name, _WANTED, folders=tuple(folders)) if file is not None else {})
    except (ConfigError, UnknownNameError):  # told by the check of the task
        return _facts(str(config.get("class", "") if isinstance(config, Mapping) else config), {})


def facts_of_class(cls: type) -> RecordFacts:
    """Return what a record's class says of itself."""
    return _facts(cls.__name__, {name: getattr(cls, name) for name in _WANTED if hasattr(cls, name)})


def _title(stage: str) -> str:
    """Return how views call a stage that has no title: ``DecayRecord`` is Decay.

    Examples
    --------
    >>> [_title(name) for name in ("fit", "HitRateRecord", "my_stage", "Record", "IC")]
    ['Fit', 'Hit rate', 'My stage', 'Record', 'IC']
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", re.sub(r"(?<=.)(Record|Template)+$", "", stage))
    return words[:1].upper() + (words[1:].lower() if words[1:] != words[1:].upper() else words[1:])


def _facts(name: str, values: Mapping[str, Any]) -> RecordFacts:
    stage = str(values.get("stage") or name.rpartition(".")[2])
    listed = values.get("needs")
    needs = (
        tuple(str(n[0]) for n in listed if isinstance(n, list | tuple) and n)
        if isinstance(listed, tuple | list)
        else ()
    )
    title = str(values.get("title") or _title(stage))
    return RecordFacts(name, stage, title, needs, bool(values.get("trades", False)))


def _place(what: Description, base_dir: str, folders: Sequence[str]) -> tuple[Path | None, str]:
    """Return file and name of a class; no file where none is known."""
    if is_peer_path(what.module):
        member = catalogue.locate(*alias(what.module, what.name))
        return member.path, member.name
    if what.module.endswith(".py"):
        return Path(base_dir) / Path(what.module).expanduser(), what.name
    if what.module:
        return find_module_file(what.module, folders), what.name
    try:
        member = catalogue.locate("record", what.name)
        return member.path, member.name
    except UnknownNameError:
        for point in importlib.metadata.entry_points(group="qnb.record", name=what.name):
            return find_module_file(point.module, folders), point.attr
        raise
