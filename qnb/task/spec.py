"""A Task: everything that a run is told, resolved, frozen and as JSON."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path as FilePath
from typing import Any, TypedDict

from ..errors import ConfigError, Problem
from ..files import fit, make
from .document import Document, Place, copied, dotted, get, locate_problem, walk
from .overrides import apply_overrides
from .parse import fill_references, parse
from .shorthand import SHORT_KEYS, expand, is_short
from .validate import INIT_SECTIONS, TOP_KEYS, init_settings, validate

__all__ = ["Task", "load_task", "task_of"]


@dataclass(frozen=True, slots=True)
class Task:
    """A validated workflow.

    Attributes
    ----------
    name : str
        Name of the file it came from, without folder and ending; '' for a cell.
    document : dict
        The resolved document: init section, experiment_name, task. Plain JSON values; not to be changed.
    source : str
        File or cell, for messages.
    text : str
        What the user wrote.
    base_dir : str
        Folder that relative paths started from.
    imports : tuple of str
        Folders to be added to ``sys.path`` before the components are built.
    places : mapping of str to Place
        Where the values stand in the text, by dotted path.
    warnings : tuple of Problem
        What was noticed and does not stop the run.
    """

    name: str
    document: dict[str, Any]
    source: str = ""
    text: str = ""
    base_dir: str = ""
    imports: tuple[str, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    warnings: tuple[Problem, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, overrides: Sequence[str] = (), source: str = "") -> Task:
        """Return the task of a mapping: the full form or the short one, with dates, tuples and classes if need be.

        Raises
        ------
        ConfigError
            With every problem found.
        """
        read = Document(_plain(document))
        return _finished(read, name="", source=source, text="", base_dir=FilePath.cwd(), overrides=overrides)

    @property
    def settings(self) -> dict[str, Any]:
        """The init section in the words of `qnb.init`; keys that have no meaning here are left out."""
        return init_settings(self.document)

    @property
    def experiment(self) -> str:
        """The experiment's name; '' when the document does not say."""
        return str(self.document.get("experiment_name") or "")

    @property
    def model(self) -> Any:
        """Description of the model."""
        return self.document["task"]["model"]

    @property
    def dataset(self) -> Any:
        """Description of the dataset."""
        return self.document["task"]["dataset"]

    @property
    def records(self) -> tuple[Any, ...]:
        """Descriptions of the record templates, in order."""
        return tuple(_as_list(self.document["task"].get("record")))

    @property
    def reweighter(self) -> Any:
        """Description of the reweighter, or None."""
        return self.document["task"].get("reweighter")

    @property
    def hash(self) -> str:
        """Content address of the ``task`` section: 16 hex digits, the same in every folder and for every market."""
        section = copied(self.document["task"])
        base = self.base_dir.rstrip("/") + "/"
        for path, value in list(walk(section)):
            if path and path[-1] == "module_path" and isinstance(value, str) and value.startswith(base):
                parent = get(section, path[:-1])
                parent[path[-1]] = value[len(base) :]
        text = json.dumps(section, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def replace(self, *, name: str | None = None, experiment: str | None = None) -> Task:
        """Return the task under another name or experiment."""
        document = self.document
        if experiment is not None:
            document = {**document, "experiment_name": experiment}
        return replace(self, name=self.name if name is None else name, document=document)

    def line_of(self, path: str) -> int | None:
        """Return the line at which the dotted `path`, or the nearest thing above it, stands; None without a text."""
        place = self._place(path)
        return place.key_line if place is not None and not place.source else None

    def problem(
        self, message: str, path: str, *, remedy: str = "", severity: str = "error", key: bool = False,
        offset: int | None = None,
    ) -> Problem:  # fmt: skip
        """Return a Problem that points at the dotted `path`; see `Document.problem`."""
        steps = tuple(path.split(".")) if path else ()
        return locate_problem(self.places, message, steps, remedy=remedy, severity=severity, key=key, offset=offset)

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON values."""
        return {
            "name": self.name,
            "document": self.document,
            "source": self.source,
            "text": self.text,
            "base_dir": self.base_dir,
            "imports": list(self.imports),
            "places": {
                n: [p.line, p.column, p.key_line, p.key_column, p.exact, p.source] for n, p in self.places.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        """Return the task of `to_json`.

        Raises
        ------
        ValueError
            It is none: a value is of a wrong type, or there is no model or dataset.
        """
        values = fit(cls, {k: v for k, v in data.items() if k not in ("places", "warnings")})
        section = values["document"].get("task")
        if not isinstance(section, Mapping) or not {"model", "dataset"} <= section.keys():
            raise ValueError("document: it has no model or no dataset")
        places = {}
        for name, place in fit(_Places, data).get("places", {}).items():
            with suppress(ValueError):  # only messages point at it
                places[name] = make(Place, dict(zip(_PLACE, place, strict=False)))
        return cls(**values, places=places)

    def to_yaml(self) -> str:
        """Return the resolved document as YAML that loads to the same task."""
        from .dump import dump_yaml

        document = dict(self.document)
        if self.imports:
            document = {"sys": {"path": list(self.imports)}, **document}
        return dump_yaml(document)

    def _place(self, path: str) -> Place | None:
        steps = path.split(".")
        while steps and ".".join(steps) not in self.places:
            steps.pop()
        return self.places.get(".".join(steps))


class _Places(TypedDict, total=False):
    places: Mapping[str, list[Any]]


_PLACE = tuple(f.name for f in fields(Place))


def load_task(
    text: str,
    *,
    source: str = "",
    first_line: int = 1,
    variables: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    base_dir: FilePath | None = None,
) -> Task:
    """Return the task of a workflow text.

    Parameters
    ----------
    text : str
        YAML: the full form (``task:``) or the short one (``model:``), possibly with Jinja2.
    source : str
        Name of the file or cell, for messages.
    first_line : int
        Number of the text's first line as the user sees it; 2 in a cell whose first line is the magic.
    variables : mapping, optional
        For Jinja2, before those of the environment.
    overrides : sequence of str
        ``"task.model.kwargs.n_epochs=1"`` and the like, applied to the full form or, in a short text, to its keys.
    base_dir : Path, optional
        Folder that relative paths start from; default the working folder.

    Raises
    ------
    ConfigError
        With every problem found, in the order of the lines.

    Examples
    --------
    >>> load_task("model: lightgbm").document["task"]["dataset"]["kwargs"]["segments"]["test"]
    ['2017-01-01', '2020-12-31']
    """
    folder = (base_dir or FilePath.cwd()).absolute()
    document = parse(text, source=source, first_line=first_line, variables=variables, base_dir=folder)
    name = FilePath(source).stem if source.endswith((".yaml", ".yml")) else ""
    return _finished(document, name=name, source=source, text=text, base_dir=folder, overrides=overrides)


def task_of(document: Document, *, source: str = "", base_dir: FilePath | None = None) -> Task:
    """Return the task of a document that `parse` read; `document` is not changed.

    Raises
    ------
    ConfigError
        With every problem found.
    """
    own = Document(
        copied(document.values), dict(document.places), dict(document.links), list(document.warnings), document.imports
    )
    folder = (base_dir or FilePath.cwd()).absolute()
    return _finished(own, name="", source=source, text="", base_dir=folder, overrides=())


def _finished(
    document: Document, *, name: str, source: str, text: str, base_dir: FilePath, overrides: Sequence[str]
) -> Task:
    """Apply overrides, expand the short form, fill references, validate."""
    problems: list[Problem] = []
    later = list(overrides)
    if is_short(document.values):
        first = [o for o in later if o.partition("=")[0].strip().split(".")[0] not in ("task", *INIT_SECTIONS)]
        later = [o for o in later if o not in first]
        problems += apply_overrides(document, first, top=(*SHORT_KEYS, "experiment_name"))
        document, wrong = expand(document)
        problems += wrong
    problems += apply_overrides(document, later, top=(*TOP_KEYS,))
    problems += fill_references(document)
    problems += validate(document, base_dir=base_dir)
    problems = [*document.warnings, *problems]
    errors = [p for p in problems if p.severity == "error"]
    if errors:
        raise ConfigError(_in_order(errors), source=source)
    warnings = _in_order([p for p in problems if p.severity != "error"])
    return Task(name, document.values, source, text, str(base_dir), document.imports, document.places, tuple(warnings))


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda p: (p.line is None, p.line or 0, p.column or 0))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _plain(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    """Return `value` as JSON values; dates become text, a class becomes its name and module."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a numpy scalar
        return _plain(value.item(), path)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        made = {str(k): _plain(v, (*path, str(k))) for k, v in value.items()}
        target = value.get("class")
        if isinstance(target, type):
            made |= {"class": target.__qualname__, "module_path": target.__module__}
        return made
    if isinstance(value, list | tuple):
        return [_plain(v, (*path, i)) for i, v in enumerate(value)]
    if isinstance(value, type):
        return (
            {"class": value.__qualname__, "module_path": value.__module__}
            if path[-1:] != ("class",)
            else value.__name__
        )
    if isinstance(value, datetime.date):
        text = value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
        return text.removesuffix(" 00:00:00")
    remedy = "describe it by class, module_path and kwargs"
    raise ConfigError([Problem(f"a {type(value).__name__} cannot be part of a task", remedy, dotted(path))])
