"""The search space of a study: distributions that stand in a workflow where a value would stand.

1. `read_space` walks a document, finds every distribution and says what is wrong with it, with its line.
2. `Space.fill` puts values in their places; what is left is an ordinary workflow that is validated like any other.

A distribution is written with a tag (``!uniform [0.01, 0.3]``, ``!loguniform``, ``!int [16, 256]``, ``!choice [a, b]``)
or as a plain mapping (``{low: 0.01, high: 0.3, log: true}``, ``{low: 16, high: 256, step: 16}``,
``{choices: [a, b]}``).
An option of a choice may hold distributions of its own: they are only asked for where that option is chosen.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, Problem, nearest
from ..task.distribution import DISTRIBUTIONS, RANGE_KEYS, is_distribution, is_number, misspelt_key
from ..task.document import Document, Path, copied, put, walk

__all__ = ["TAGS", "Dimension", "Space", "read_space"]

TAGS = frozenset(DISTRIBUTIONS)
"""Tags of distributions."""

_QUOTED = re.compile(r"(!\w+)\s")
_HOLLOW = frozenset({"kwargs", "task", "config", *TAGS})  # say nothing in a name


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter that is searched.

    Attributes
    ----------
    name : str
        Short and unique in the study: the last key of its place, with more keys before it where two would be alike.
    path : tuple
        Its place in the document; for one inside of an option, the place within the choice.
    kind : str
        ``float``, ``int`` or ``choice``.
    low, high : float
        Bounds, both inclusive; 0 for a choice.
    log : bool
        Uniform in the logarithm.
    step : float or None
        Distance of the values.
    choices : tuple
        Options of a choice: JSON values, which may hold distributions.
    labels : tuple
        What stands for the options: the options themselves where they are scalars, else short texts.
    parent : tuple of (str, int) or None
        Name and option of the choice it is inside of.
    """

    name: str
    path: Path
    kind: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    labels: tuple[Any, ...] = ()
    parent: tuple[str, int] | None = None

    @property
    def representative(self) -> Any:
        """A value in the middle, for a look at the workflow before any trial."""
        if self.kind == "choice":
            return self.labels[0]
        return int(self.low) if self.kind == "int" else float(self.low)

    def to_json(self) -> dict[str, Any]:
        """Return what decides the search, as JSON values."""
        return {
            "name": self.name, "path": [str(p) for p in self.path], "kind": self.kind, "low": self.low,
            "high": self.high, "log": self.log, "step": self.step, "labels": list(self.labels),
            "parent": list(self.parent) if self.parent else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Space:
    """All dimensions of a study, a choice before what is inside of its options.

    Attributes
    ----------
    dimensions : tuple of Dimension
        In the order of the text.
    uses : mapping of Path to Path
        Places that show a distribution by an alias, and the place where it is defined.
    """

    dimensions: tuple[Dimension, ...]
    uses: Mapping[Path, Path]

    def __len__(self) -> int:
        return len(self.dimensions)

    def active(self, params: Mapping[str, Any]) -> Iterator[Dimension]:
        """Yield the dimensions that count, asking `params` (filled meanwhile by the caller) for choices made."""
        chosen: dict[str, int] = {}
        for dimension in self.dimensions:
            if dimension.parent is not None and chosen.get(dimension.parent[0]) != dimension.parent[1]:
                continue
            yield dimension
            if dimension.kind == "choice":
                chosen[dimension.name] = option_of(dimension, params[dimension.name])

    def representative(self) -> dict[str, Any]:
        """Return the values of a trial that stands for all."""
        params: dict[str, Any] = {}
        for dimension in self.active(params):
            params[dimension.name] = dimension.representative
        return params

    def variants(self) -> Iterator[dict[str, Any]]:
        """Yield a trial for each further option of each choice, with what is active then."""
        for chosen in self.dimensions:
            for label in chosen.labels[1:]:
                params: dict[str, Any] = {}
                seen = False
                for dimension in self.active(params):
                    own = dimension.name == chosen.name
                    params[dimension.name] = label if own else dimension.representative
                    seen = seen or own
                if seen:
                    yield params

    def fill(self, document: Document, params: Mapping[str, Any]) -> Document:
        """Return `document` with the values of `params` in their places; every other place is kept.

        Raises
        ------
        ConfigError
            A parameter is missing or has a value that its dimension does not have.
        """
        by_path = {d.path: d for d in self.dimensions}
        values = copied(document.values)
        for use, home in self.uses.items():
            put(values, use, self._value(by_path[home], params, by_path))
        return Document(
            values, dict(document.places), dict(document.links), list(document.warnings), document.imports
        )  # fmt: skip

    def _value(self, dimension: Dimension, params: Mapping[str, Any], by_path: Mapping[Path, Dimension]) -> Any:
        if dimension.name not in params:
            near = nearest(dimension.name, params)
            raise ConfigError([Problem(f"no value for {dimension.name!r}", f"there is {near[0]!r}" if near else "")])
        given = params[dimension.name]
        if dimension.kind == "int":
            return int(given)
        if dimension.kind == "float":
            return float(given)
        number = option_of(dimension, given)
        inside = (*dimension.path, "!choice", number)
        option = copied(dimension.choices[number])
        if inside in by_path:
            return self._value(by_path[inside], params, by_path)
        for path, child in by_path.items():
            if path[: len(inside)] == inside and child.parent == (dimension.name, number):
                put(option, path[len(inside) :], self._value(child, params, by_path))
        return option

    def to_json(self) -> list[dict[str, Any]]:
        """Return all dimensions as JSON values."""
        return [d.to_json() for d in self.dimensions]


def option_of(dimension: Dimension, label: Any) -> int:
    """Return the number of the option that `label` stands for; raises `ConfigError` for none."""
    for number, known in enumerate(dimension.labels):
        if type(known) is type(label) and known == label:
            return number
    raise ConfigError([Problem(f"{dimension.name} has no option {label!r}", f"options: {list(dimension.labels)}")])


def read_space(document: Document) -> tuple[Space, list[Problem]]:
    """Return the space of a document that `qnb.task.parse.parse` read with `TAGS`, and what is wrong with it."""
    reader = _Reader(document)
    reader.read(document.values, (), None)
    names = _names([path for path, *_ in reader.found])
    dimensions = []
    for path, fields, parent in reader.found:
        if parent is not None:
            fields = {**fields, "parent": (names[parent[0]], parent[1])}
        dimensions.append(Dimension(names[path], path, **fields))
    return Space(tuple(dimensions), reader.uses), reader.problems


class _Reader:
    """Collects the distributions of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[tuple[Path, dict[str, Any], tuple[Path, int] | None]] = []
        self.uses: dict[Path, Path] = {}
        self.problems: list[Problem] = []

    def read(self, value: Any, path: Path, parent: tuple[Path, int] | None) -> None:
        """Find distributions in `value`, which stands at `path`."""
        if is_distribution(value):
            home = self._home(path)
            if parent is None:
                self.uses[path] = home
            if all(home != known for known, *_ in self.found):
                self._distribution(value, home, parent)
        elif (misspelt := misspelt_key(value)) is not None:
            wrong, right = misspelt
            message, remedy = f"unknown key {wrong!r} in a distribution", f"did you mean {right!r}?"
            self.problems.append(self.document.problem(message, (*path, wrong), remedy=remedy, key=True))
        elif isinstance(value, str) and (quoted := _QUOTED.match(value)) and quoted[1] in TAGS:
            self._wrong(f"{quoted[1]} in quotes is text, no distribution", path, f"write {value} without quotes")
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.read(item, (*path, key), parent)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                self.read(item, (*path, number), parent)

    def _home(self, path: Path) -> Path:
        """Return where the value that an alias shows at `path` is defined."""
        links = self.document.links
        for _ in range(len(links) + 1):
            for length in range(len(path), 0, -1):
                home = links.get(path[:length])
                if home is not None and home != path[:length]:
                    path = home + path[length:]
                    break
            else:
                return path
        return path

    def _distribution(self, value: Mapping[str, Any], path: Path, parent: tuple[Path, int] | None) -> None:
        before = len(self.problems)
        tag = next(iter(value)) if len(value) == 1 else ""
        if tag == "!choice" or "choices" in value:
            fields = self._choice(value[tag] if tag == "!choice" else value["choices"], path)
        else:
            fields = self._range(tag if tag in TAGS else "", value[tag] if tag in TAGS else value, path)
        if len(self.problems) > before:
            return
        self.found.append((path, fields, parent))
        if fields["kind"] == "choice":
            for number, option in enumerate(fields["choices"]):
                self.read(option, (*path, "!choice", number), (path, number))

    def _choice(self, options: Any, path: Path) -> dict[str, Any]:
        if not isinstance(options, list) or not options:
            self._wrong("a choice without options", path, "write !choice [a, b]")
            return {}
        labels = _labels(options)
        if len({json.dumps(label) for label in labels}) < len(labels):
            self._wrong(f"a choice with the same option twice: {labels}", path, "leave one of them out")
        return {"kind": "choice", "choices": tuple(copied(options)), "labels": tuple(labels)}

    def _range(self, tag: str, given: Any, path: Path) -> dict[str, Any]:
        shown = tag or "a range"
        if isinstance(given, list) and len(given) in (2, 3):
            given = dict(zip(("low", "high", "step"), given, strict=False))
        example = {"!int": "!int [16, 256]", "!choice": ""}.get(tag, f"{tag or '!uniform'} [0.01, 0.3]")
        if not isinstance(given, Mapping) or not {"low", "high"} <= set(given) <= RANGE_KEYS:
            self._wrong(f"{shown} needs a lower and an upper bound, received {_shown(given)}", path, f"write {example}")
            return {}
        low, high, step = given["low"], given["high"], given.get("step")
        for bound in (low, high, *([] if step is None else [step])):
            if not is_number(bound) or not math.isfinite(bound):
                self._wrong(f"{shown} needs finite numbers, received {bound!r}", path, f"write {example}")
                return {}
        if not isinstance(given.get("log", False), bool):
            self._wrong(f"log must be true or false, received {given['log']!r}", path, "write log: true")
            return {}
        whole = all(isinstance(v, int) for v in (low, high, *([] if step is None else [step])))
        integer = tag in ("!int", "!logint") or (not tag and whole)
        log = bool(given.get("log", False)) or tag in ("!loguniform", "!logint")
        if integer and not whole:
            self._wrong(f"{shown} needs whole numbers, received {low} to {high}", path, "write !uniform for a float")
        elif low > high:
            self._wrong(f"an inverted range: {low} to {high}", path, f"swap the bounds: [{high}, {low}]")
        elif low == high:
            self._wrong(f"an empty range: {low} to {high}", path, f"write the value {low}, or a wider range")
        elif log and low <= 0:
            self._wrong(f"the logarithm of {low}", path, "a range in the logarithm starts above 0, such as 1e-4")
        elif step is not None and step <= 0:
            self._wrong(f"a step of {step}", path, "a step is above 0")
        elif step is not None and step > high - low:
            self._wrong(f"a step of {step} from {low} to {high}, which leaves {low} alone", path, "take a smaller step")
        elif step is not None and log:
            self._wrong("a step together with log", path, "leave one of them out")
        return {
            "kind": "int" if integer else "float", "low": low if integer else float(low),
            "high": high if integer else float(high), "log": log, "step": step,
        }  # fmt: skip

    def _wrong(self, message: str, path: Path, remedy: str) -> None:
        self.problems.append(self.document.problem(message, path, remedy=remedy))


def _names(paths: list[Path]) -> dict[Path, str]:
    """Return a name for each path: as few of its last keys as tell it from the others."""
    words = {}
    for path in paths:
        kept = [str(p) for i, p in enumerate(path) if p not in _HOLLOW and not (i and path[i - 1] == "!choice")]
        while len(kept) > 1 and kept[-1].isdigit():
            kept = [*kept[:-2], f"{kept[-2]}_{kept[-1]}" if kept[-1] != "0" else kept[-2]]
        words[path] = kept or ["choice"]
    found: dict[Path, str] = {}
    for path, own in words.items():
        for length in range(1, len(own) + 1):
            name = ".".join(own[-length:])
            if all(".".join(other[-length:]) != name for p, other in words.items() if p != path):
                break
        else:
            name = ".".join(map(str, path))
        found[path] = name
    return found


def _labels(options: list[Any]) -> list[Any]:
    """Return the options where all are scalars, else a short text for each."""
    if all(o is None or isinstance(o, str | int | float | bool) for o in options):
        return list(options)
    found = []
    for number, option in enumerate(options):
        text = option if isinstance(option, str) else ""
        if isinstance(option, Mapping):
            text = str(option.get("class") or (next(iter(option)) if len(option) == 1 else ""))
        found.append(text if text and not text.startswith("!") else f"option {number}")
    return [t if found.count(t) == 1 else f"{t} {i}" for i, t in enumerate(found)]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def distributions_in(values: Any) -> list[Path]:
    """Return the places of the distributions in `values`."""
    return [path for path, value in walk(values) if is_distribution(value)]
