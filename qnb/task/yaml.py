"""YAML 1.2 text to plain values with a place for each of them.

1. ruamel.yaml composes the node graph; nothing is constructed by it, so no tag can run code.
2. The graph is expanded to plain values: text keys, dates as ISO strings, aliases and merge keys written out. The place
   of every key and value is noted, and for a value that an alias shows, where it is defined.
3. Duplicate keys, foreign tags, recursion and alias bombs are problems with their lines.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ..errors import ConfigError, Problem, nearest
from .distribution import DISTRIBUTIONS
from .document import Document, Path, Place, dotted
from .template import Filled

__all__ = ["read_scalar", "read_yaml"]

MAX_NODES = 100_000
MAX_DEPTH = 50

_CORE = "tag:yaml.org,2002:"
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*[ \t]+)*")
_HINTS = (
    (r"found another document", "a workflow is one document; remove the line ---"),
    (r"cannot start any token", "a tab cannot indent YAML, and % @ ` need quotes"),
    (r"mapping values are not allowed", "check the indentation; a value with a colon needs quotes"),
    (r"could not find expected ':'", "a key ends with a colon and a space"),
    (r"expected <block end>", "the indentation does not fit the lines above"),
    (r"undefined alias", "an *alias needs its &anchor above"),
    (r"expected ',' or '[\]}]'", "a bracket or brace is not closed"),
    (r"unexpected end of stream", "a quotation mark or bracket is not closed"),
)


def read_yaml(filled: Filled, *, first_line: int = 1, source: str = "", tags: frozenset[str] = frozenset()) -> Document:
    """Return the document of a YAML text.

    Parameters
    ----------
    filled : Filled
        The text, and how its lines map to those of the template.
    first_line : int
        Number that the user sees at the first line.
    source : str
        File name for the places; '' for the main text.
    tags : frozenset of str
        Tags of the user's that are allowed, with their mark: ``!uniform [0, 1]`` is read as ``{"!uniform": [0, 1]}``.

    Raises
    ------
    ConfigError
        With every problem of the text that can be seen at once.
    """
    root = _compose(filled, first_line)
    reader = _Reader(filled, first_line, source, tags)
    if root is None:
        return Document({})
    if not isinstance(root, MappingNode):
        raise ConfigError([Problem("a workflow is a mapping of keys", "begin with key: value", line=first_line)])
    values = reader.value(root, ())
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda p: p.line or 0))
    return Document(values, reader.places, reader.links, reader.warnings)


def read_scalar(text: str) -> Any:
    """Return the value that `text` is in YAML, for ``--set key=value``.

    Raises
    ------
    ConfigError
        When it is no YAML.

    Examples
    --------
    >>> read_scalar("1e-3"), read_scalar("[1, a]"), read_scalar("")
    (0.001, [1, 'a'], None)
    """
    filled = Filled(text)
    root = _compose(filled, 1)
    if root is None:
        return None
    reader = _Reader(filled, 1, "")
    value = reader.value(root, ())
    if reader.problems:
        raise ConfigError(reader.problems)
    return value


def _compose(filled: Filled, first_line: int) -> Node | None:
    loader = YAML(typ="safe", pure=True)
    loader.composer.warn_double_anchors = False
    try:
        return loader.compose(filled.text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = _line(filled, mark.line, first_line) if mark is not None else None
        column = mark.column + 1 if mark is not None else None
        message = (error.problem or error.context or "cannot be read").strip()
        raise ConfigError([Problem(f"YAML: {message}", _hint(message), line=line, column=column)]) from error
    except RecursionError as error:
        raise ConfigError([Problem("YAML: nested too deeply", f"at most {MAX_DEPTH} levels")]) from error
    except (YAMLError, ValueError, TypeError, AttributeError, AssertionError, LookupError) as error:
        # the library raises bare Python errors for some malformed directives, escapes and characters
        position = getattr(error, "position", None)
        line = None
        if isinstance(position, int):
            line = _line(filled, filled.text.count("\n", 0, position), first_line)
        message = str(getattr(error, "reason", error)) or type(error).__name__
        raise ConfigError([Problem(f"YAML: {message}", "check special characters", line=line)]) from error


def _hint(message: str) -> str:
    return next((hint for pattern, hint in _HINTS if re.search(pattern, message)), "")


def _line(filled: Filled, number: int, first_line: int) -> int:
    if filled.lines:
        number = filled.lines[min(number, len(filled.lines) - 1)]
    return number + first_line


class _Reader:
    """Expands one node graph."""

    def __init__(self, filled: Filled, first_line: int, source: str, tags: frozenset[str] = frozenset()) -> None:
        self.filled, self.first_line, self.source, self.tags = filled, first_line, source, tags
        self.places: dict[str, Place] = {}
        self.links: dict[Path, Path] = {}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._defined: dict[int, Path] = {}
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: Node, path: Path, key: Node | None = None) -> Any:
        """Return the value of `node` and note places below `path`."""
        self._count += 1
        if self._count > MAX_NODES:
            raise ConfigError([Problem("YAML: aliases expand without end", f"at most {MAX_NODES} values")])
        self._note(node, path, key)
        if id(node) in self._open:
            self._wrong(node, "an alias inside of what it stands for", "remove the recursion")
            return None
        if id(node) in self._defined:
            self.links.setdefault(path, self._defined[id(node)])
        elif node.anchor:
            self._defined[id(node)] = path
        if str(node.tag) in self.tags:
            return {str(node.tag): self._tagged(node, (*path, str(node.tag)))}
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if len(path) > MAX_DEPTH:
            self._wrong(node, "nested too deeply", f"at most {MAX_DEPTH} levels")
            return None
        if str(node.tag) != _CORE + ("seq" if isinstance(node, SequenceNode) else "map"):
            self._wrong(node, f"tag {_tag(node)} is not allowed", _tag_remedy(node, self.tags))
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(cast(MappingNode, node), path)
        finally:
            self._open.discard(id(node))

    def _tagged(self, node: Node, path: Path) -> Any:
        """Return what stands after an allowed tag."""
        if isinstance(node, ScalarNode):
            return read_scalar(node.value)
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(cast(MappingNode, node), path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        own: dict[str, int] = {}
        merges: list[Node] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._wrong(key_node, "a key must be text", "put it in quotes")
                continue
            if str(key_node.tag) == _CORE + "merge":
                merges += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                continue
            key = key_node.value
            line = self._at(key_node)[0]
            if key in own:
                self._wrong(key_node, f"{key!r} stands here for the second time", f"the first is in line {own[key]}")
                continue
            own[key] = line
            if str(key_node.tag) == _CORE + "int":
                self._warn(key_node, f"the key {key} is read as text", "")
            values[key] = self.value(value_node, (*path, key), key_node)
        for merged in merges:
            if not isinstance(merged, MappingNode):
                self._wrong(merged, "'<<' takes a mapping or a list of mappings", "name an anchor of a mapping")
                continue
            self._merge(merged, path, values)
        return values

    def _merge(self, merged: MappingNode, path: Path, values: dict[str, Any]) -> None:
        if id(merged) in self._open:
            self._wrong(merged, "an alias inside of what it stands for", "remove the recursion")
            return
        home = self._defined.get(id(merged))
        self._open.add(id(merged))
        for key_node, value_node in merged.value:
            if isinstance(key_node, ScalarNode) and str(key_node.tag) == _CORE + "merge":
                inner = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                for node in inner:
                    if isinstance(node, MappingNode):
                        self._merge(node, path, values)
            elif isinstance(key_node, ScalarNode) and key_node.value not in values:
                values[key_node.value] = self.value(value_node, (*path, key_node.value), key_node)
                if home is not None:
                    self.links[(*path, key_node.value)] = (*home, key_node.value)
        self._open.discard(id(merged))

    def _scalar(self, node: ScalarNode) -> Any:
        tag, text = str(node.tag), node.value
        if tag == _CORE + "str":
            return text
        try:
            if tag == _CORE + "null":
                return None
            if tag == _CORE + "bool":
                return {"true": True, "false": False}[text.lower()]
            if tag == _CORE + "int":
                return _integer(text)
            if tag == _CORE + "float":
                return _floating(text)
            if tag == _CORE + "timestamp":
                return _timestamp(text)
        except (ValueError, KeyError):
            kind = {"timestamp": "date", "bool": "boolean"}.get(tag[len(_CORE) :], "number")
            self._wrong(node, f"no {kind}: {text!r}", "correct it, or put quotes around it")
            return None
        if tag in (_CORE + "value", _CORE + "merge"):
            return text
        self._wrong(node, f"tag {_tag(node)} is not allowed", _tag_remedy(node, self.tags))
        return None

    def _note(self, node: Node, path: Path, key: Node | None) -> None:
        line, column = self._at(node)
        key_line, key_column = self._at(key) if key is not None else (line, column)
        exact = False
        if isinstance(node, ScalarNode):
            text, mark = self.filled.text, node.start_mark
            properties = _PROPERTIES.match(text, mark.index)  # the node starts at its anchor or tag
            assert properties is not None
            quoted = node.style in ("'", '"')
            begin = properties.end() + quoted
            if node.start_mark.line == node.end_mark.line and node.style not in ("|", ">"):
                column += begin - mark.index
                exact = text.startswith(node.value, begin) and mark.line not in self.filled.changed
        elif key is not None:
            line, column = key_line, key_column
        self.places[dotted(path)] = Place(line, column, key_line, key_column, exact, self.source)

    def _at(self, node: Node) -> tuple[int, int]:
        mark = node.start_mark
        return _line(self.filled, mark.line, self.first_line), mark.column + 1

    def _wrong(self, node: Node, message: str, remedy: str) -> None:
        line, column = self._at(node)
        self.problems.append(Problem(f"YAML: {message}", remedy, line=line, column=column))

    def _warn(self, node: Node, message: str, remedy: str) -> None:
        line, column = self._at(node)
        self.warnings.append(Problem(message, remedy, line=line, column=column, severity="warning"))


def _tag(node: Node) -> str:
    return str(node.tag).replace(_CORE, "!!")


def _tag_remedy(node: Node, allowed: frozenset[str]) -> str:
    """Return the tag that may be meant and, where it stands in a run, that only a study searches."""
    tag = _tag(node)
    near = nearest("!" + tag.lstrip("!"), allowed or DISTRIBUTIONS, n=1)
    meant = f"did you mean {near[0]}?" if near and near[0] != tag else ""
    if near and not allowed:
        return f"{meant} a run takes one value; to search a distribution use %%qtune or qnb tune -c".lstrip()
    if meant or not allowed or tag.startswith("!!"):
        return meant or "a workflow holds plain values only"
    return f"valid: {', '.join(t for t in DISTRIBUTIONS if t in allowed)}"


def _integer(text: str) -> int:
    plain = text.replace("_", "")
    sign = -1 if plain.startswith("-") else 1
    plain = plain.lstrip("+-")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if plain.lower().startswith(prefix):
            return sign * int(plain[2:], base)
    return sign * int(plain)


def _floating(text: str) -> float:
    plain = text.replace("_", "").lower()
    if plain.lstrip("+-") == ".inf":
        return float("-inf") if plain.startswith("-") else float("inf")
    return float("nan") if plain == ".nan" else float(plain)


def _timestamp(text: str) -> str:
    """Return an ISO date, or date and time, after checking that there is such a day."""
    found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt]|[ \t]+)(.+))?", text)
    if not found:
        raise ValueError(text)
    day = datetime.date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    if not found[4]:
        return day
    clock = re.sub(r"\s+", "", found[4]).upper()
    time = datetime.time.fromisoformat("0" + clock if clock[1] == ":" else clock)
    return f"{day} {time.isoformat()}"
