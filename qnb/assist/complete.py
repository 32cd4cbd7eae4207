"""What can be written at a cursor in a workflow, best first.

1. Find the place: path, key or value, what is typed (`outline`).
2. In an expression (or after ``$``): fields, operators.
3. Else the schema's keys, or the values of the key: classes, choices, placeholders, universes.
4. Keep what begins with what is typed; where nothing does, what contains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ..config import Settings
from ..task.aliases import MODULES
from ..task.parse import PLACEHOLDERS
from ..task.shorthand import SHORT_KEYS
from ..task.validate import INIT_SECTIONS, TOP_KEYS
from . import names
from .outline import Outline, Spot, outline, spot_at
from .places import properties_at, schemas_at

__all__ = ["Completion", "Surroundings", "complete", "in_expression", "market_of"]

_WORD = re.compile(r"[$\w.<:%-]*$")
_IDENTIFIER = re.compile(r"\$?\$?\w*$")
_EXPRESSION_KEYS = frozenset(
    ("label", "labels", "feature", "features", "rule_expression", "deal_price", "limit_threshold", "volume_threshold",
     "config", "fields")
)  # fmt: skip
_EITHER = frozenset((*INIT_SECTIONS, "experiment_name"))
_UNIVERSE_KEYS = frozenset(("universe", "instruments", "market"))
_VALUES: Mapping[str, Sequence[str]] = {"provider_uri": ("demo",), "freq": ("day",), "time_per_step": ("day",)}


@dataclass(frozen=True, slots=True)
class Completion:
    """A word that can be written.

    Attributes
    ----------
    text : str
        What takes the place of what is typed.
    kind : str
        ``key``, ``class``, ``operator``, ``field``, ``universe``, ``value``, ``run`` or ``option``.
    doc : str
        One line about it.
    typed : int
        Characters before the cursor that `text` replaces.
    """

    text: str
    kind: str
    doc: str = ""
    typed: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the text.

    Attributes
    ----------
    settings : Settings
        Where data and runs are.
    variables : tuple of str
        Names in the notebook that ``{{ }}`` can refer to.
    """

    settings: Settings = field(default_factory=Settings.from_env)
    variables: tuple[str, ...] = ()


def complete(text: str, offset: int, around: Surroundings | None = None) -> list[Completion]:
    """Return what can be written at `offset` of a workflow's `text`, without the magic's line.

    Examples
    --------
    >>> [c.text for c in complete("mod", 3)][:1]
    ['model: ']
    """
    around = around or Surroundings()
    line = text[:offset].rpartition("\n")[2]
    if "{{" in line and "}}" not in line[line.rindex("{{") :]:
        return _kept((Completion(v, "value") for v in around.variables), _tail(_IDENTIFIER, line))
    if re.search(r"(^|\s)#", line):
        return []
    root, spot = outline(text), spot_at(text, offset)
    if in_expression(spot):
        typed = _tail(_IDENTIFIER, line)
        return _kept(_expression(typed, root, around), typed)
    typed = spot.typed if spot.typed[:1] not in ("'", '"') else spot.typed[1:]
    typed = _tail(_WORD, typed)
    found: list[Completion] = []
    if spot.is_key:
        found += _keys(root, spot, text, offset)
    if not spot.is_key or spot.path:
        found += _values(root, spot, around)
    return _kept(found, typed)


def in_expression(spot: Spot) -> bool:
    """Return whether a factor expression is being written at `spot`."""
    if re.search(r"\$\w*$", spot.typed):
        return True
    around = {str(s) for s in (*spot.path, spot.key) if s is not None}
    if spot.key == "class" or "kwargs" in spot.path[-1:]:
        return False
    typed = spot.typed.lstrip("\"'[")
    if not _EXPRESSION_KEYS & around or (spot.is_key and not spot.path):
        return False
    if re.search(r"[($]", typed):
        return True
    return typed[:1].isupper() and not (spot.key == "features" and not spot.path)  # there the name of a handler


def _keys(root: Outline, spot: Spot, text: str, offset: int) -> Iterator[Completion]:
    here = root.at(spot.path)
    there = set(here.keys) if here is not None else set()
    follows = text[offset : offset + 40].split("\n", 1)[0]
    properties = properties_at(root, spot.path) if spot.path else _top(root)
    for key, shape in properties.items():
        if key not in there or (key.startswith(spot.typed) and re.match(r"\w*\s*:", follows)):
            tail = "" if re.match(r"\w*\s*:", follows) else ": "
            yield Completion(f"{key}{tail}", "key", _about(shape))


def _top(root: Outline) -> dict[str, Mapping[str, Any]]:
    """Return the keys of the form that the text has: the full one with a task, the short one, or both, short first."""
    known = properties_at(root, ())
    full = "task" in root.keys
    short = not full and bool({"model", "features"} & root.keys.keys())
    first = [k for k in SHORT_KEYS if not full or k in TOP_KEYS]
    rest = [k for k in known if k not in SHORT_KEYS and not (short and k in TOP_KEYS and k not in _EITHER)]
    return {k: known[k] for k in [*first, *rest] if k in known}


def _values(root: Outline, spot: Spot, around: Surroundings) -> Iterator[Completion]:
    if spot.is_key:  # an item of a list may be a bare name
        path: tuple[str | int, ...] = spot.path
        if not path or not isinstance(path[-1], int):
            return
    else:
        path = spot.path if spot.key is None else (*spot.path, spot.key)
    name = str(spot.key if spot.key is not None else path[-1] if path else "")
    if name == "class":
        yield from _classes(root, spot.path)
        return
    if name == "module_path":
        yield from (Completion(m, "value") for m in MODULES)
        return
    for one in schemas_at(root, path):
        yield from _choices(one)
    if name in _UNIVERSE_KEYS and path != ("market",):
        folder = names.market_folder(market_of(root, around), around.settings)
        yield from (Completion(u, "universe", "universe of the market") for u in names.universes(folder))
    for value in _VALUES.get(name, ()) if path != ("market",) else ("demo",):
        yield Completion(value, "value")
    if name in ("model", "dataset", "signal"):
        yield from (Completion(p, "value", "filled in by the run") for p in PLACEHOLDERS if name.upper() in p
                    or (name == "signal" and p == "<PRED>"))  # fmt: skip


def _classes(root: Outline, path: tuple[str | int, ...]) -> Iterator[Completion]:
    docs, _ = _classes_by_name()
    for one in schemas_at(root, (*path, "class")):
        for name in (*one.get("enum", ()), *((one["const"],) if "const" in one else ())):
            yield Completion(str(name), "class", docs.get(str(name), ""))


def _choices(shape: Mapping[str, Any]) -> Iterator[Completion]:
    docs, names_in_full = _classes_by_name()
    for value in shape.get("enum", ()):
        if value is not None:
            yield Completion(str(value), "value")
    for value in shape.get("examples", ()):
        yield Completion(str(value), "class", docs.get(str(value), ""))
    for value in shape.get("examples", ()):
        full = names_in_full.get(str(value), "")
        if full and full != value:
            yield Completion(full, "class", docs.get(full, ""))
    if "const" in shape:
        yield Completion(str(shape["const"]), "value")
    types = shape.get("type")
    if "boolean" in ([types] if isinstance(types, str) else types or ()):
        yield from (Completion("true", "value"), Completion("false", "value"))


def _expression(typed: str, root: Outline, around: Surroundings) -> Iterator[Completion]:
    folder = names.market_folder(market_of(root, around), around.settings)
    for name in names.fields(folder):
        yield Completion(f"${name}", "field", "field of the market")
    if typed.startswith("$"):
        return
    from ..expr.catalogue import operators
    from ..task.docstrings import summary

    for name, operator in sorted(operators().items()):
        arguments = ", ".join(p.name for p in operator.signature)
        yield Completion(f"{name}(", "operator", f"{name}({arguments}): {summary(operator.__doc__ or '')}")


def market_of(root: Outline, around: Surroundings) -> str:
    """Return the data URI that the text names, else that of the settings."""
    for path in (("market",), ("qlib_init", "provider_uri"), ("qnb_init", "provider_uri"), ("init", "provider_uri")):
        node = root.at(path)
        if node is not None and node.text and not (path == ("market",) and root.at(("task",))):
            return node.text
    return around.settings.uri_for("day")


@cache
def _classes_by_name() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what every class is for, by its names, and the full name of each short one."""
    from ..task.docstrings import summary
    from ..task.schema import entries

    docs: dict[str, str] = {}
    full: dict[str, str] = {}
    for kind in ("model", "dataset", "handler", "processor", "loader", "record", "strategy", "reweighter"):
        for entry in entries(kind):
            full.setdefault(entry.short or entry.name, entry.name)
            for name in (entry.name, entry.short):
                if name:
                    docs.setdefault(name, summary(entry.doc))
    return docs, full


def _about(shape: Mapping[str, Any]) -> str:
    default = shape.get("x-default", "")
    text = str(shape.get("description", ""))
    return f"default {default}. {text}".strip() if default else text


def _kept(found: Iterable[Completion], typed: str) -> list[Completion]:
    """Return what begins with what is typed, letters of any case; where nothing does, what contains it."""
    unique: dict[str, Completion] = {}
    for one in found:
        unique.setdefault(one.text, one)
    word = typed.lower()
    begins = [c for c in unique.values() if c.text.lower().startswith(word)]
    if not begins and len(word) > 1:
        begins = [c for c in unique.values() if word in c.text.lower()]
    return [Completion(c.text, c.kind, c.doc, len(typed)) for c in begins]


def _tail(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[0] if match else ""
