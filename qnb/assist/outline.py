"""Reads a workflow that is being written: what is there already, and where in it a cursor stands.

A YAML parser refuses a text that is not finished. This one takes what it can: indentation gives the nesting, an open
brace ends with the text, a line it cannot read is left out. It is for help while typing, never for running a task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Outline", "Spot", "outline", "spot_at"]

Path = tuple[str | int, ...]
_KEY = re.compile(r"""(?P<key>"[^"]*"|'[^']*'|[^\s#&*!|>'"%@`{}\[\],:][^#{}\[\],]*?)\s*:(?:\s+|$)""")
_ANCHOR = re.compile(r"^[&!][^\s,\[\]{}]*\s*")


@dataclass(slots=True)
class Outline:
    """A part of the text: keys below it, items below it, or its text."""

    keys: dict[str, Outline] = field(default_factory=dict)
    items: list[Outline] = field(default_factory=list)
    text: str = ""

    def at(self, path: Path) -> Outline | None:
        """Return the part at `path`, None where there is none."""
        node: Outline | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(step, int):
                node = node.items[step] if step < len(node.items) else None
            else:
                node = node.keys.get(step)
        return node


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a cursor stands.

    Attributes
    ----------
    path : tuple of str or int
        Of the mapping or list around the cursor.
    is_key : bool
        Whether a key can be written here; a list's item can be either and counts as a key.
    key : str or int or None
        Key, or number of the item, whose value is being written; None where it is a key.
    typed : str
        What is written of the value or key, up to the cursor.
    """

    path: Path
    is_key: bool
    key: str | int | None
    typed: str


@dataclass(slots=True)
class _Frame:
    indent: int
    node: Outline
    path: Path
    is_item: bool = False


def outline(text: str) -> Outline:
    """Return what `text` says so far."""
    root = Outline()
    frames = [_Frame(-1, root, ())]
    lines = iter(text.split("\n"))
    for line in lines:
        _read_line(line, frames, lines)
    return root


def spot_at(text: str, offset: int) -> Spot:
    """Return where the cursor at `offset` stands in `text`."""
    before = text[:offset]
    head, _, line = before.rpartition("\n")
    root = Outline()
    frames = [_Frame(-1, root, ())]
    lines = iter(head.split("\n")) if head else iter(())
    open_flow = ""
    for current in lines:
        open_flow = _read_line(current, frames, lines) or ""
    if open_flow:  # the cursor is in braces that opened on a line above
        return _flow_spot(open_flow + "\n" + line, frames[-1].path)
    body, indent = line.lstrip(" "), len(line) - len(line.lstrip(" "))
    while True:
        dash = re.match(r"-(\s+|$)", body)
        if dash is None or (not dash[1] and body != "-"):
            break
        _item(frames, indent)
        indent += len(dash[0])
        body = body[len(dash[0]) :]
    _pop(frames, indent)
    top = frames[-1]
    match = _KEY.match(body)
    if match is not None and (match.end() < len(body) or body.endswith((" ", "\t"))):
        key = _bare(match["key"])
        rest = _ANCHOR.sub("", body[match.end() :])
        if rest[:1] in ("{", "["):
            return _flow_spot(rest, (*top.path, key))
        return Spot(top.path, False, key, rest)
    if body[:1] in ("{", "["):
        return _flow_spot(body, top.path)
    if top.is_item and not top.node.keys:
        return Spot(top.path, True, None, body)
    return Spot(top.path, True, None, body)


def _read_line(line: str, frames: list[_Frame], lines: Iterator[str]) -> str:
    """Take a line into the frames; return the open flow text when the text ends within braces."""
    body = line.strip(" ")
    indent = len(line) - len(line.lstrip(" "))
    if not body or body.startswith(("#", "%")):
        return ""
    while True:
        dash = re.match(r"-(\s+|$)", body)
        if dash is None:
            break
        _item(frames, indent)
        indent += len(dash[0])
        body = body[len(dash[0]) :]
    if not body:
        return ""
    _pop(frames, indent)
    top = frames[-1]
    match = _KEY.match(body)
    if match is None:
        if body[:1] in ("{", "["):
            return _read_flow(body, top.node, lines)
        top.node.text = body.strip("\"'")
        return ""
    child = top.node.keys.setdefault(_bare(match["key"]), Outline())
    frames.append(_Frame(indent, child, (*top.path, _bare(match["key"]))))
    rest = _ANCHOR.sub("", body[match.end() :]).strip()
    if rest[:1] in ("{", "["):
        return _read_flow(rest, child, lines)
    child.text = _scalar(rest)
    return ""


def _item(frames: list[_Frame], indent: int) -> None:
    while len(frames) > 1 and (frames[-1].indent > indent or (frames[-1].indent == indent and frames[-1].is_item)):
        frames.pop()
    parent = frames[-1]
    node = Outline()
    parent.node.items.append(node)
    frames.append(_Frame(indent, node, (*parent.path, len(parent.node.items) - 1), is_item=True))


def _pop(frames: list[_Frame], indent: int) -> None:
    while len(frames) > 1 and frames[-1].indent >= indent:
        frames.pop()


def _read_flow(text: str, node: Outline, lines: Iterator[str]) -> str:
    """Read braces into `node`, with lines that follow as long as they are open; return the text if they stay open."""
    while not _closed(text):
        following = next(lines, None)
        if following is None:
            _fill(node, _Flow(text))
            return text
        text += "\n" + following
    _fill(node, _Flow(text))
    return ""


def _closed(text: str) -> bool:
    flow = _Flow(text)
    flow.run()
    return not flow.stack


class _Flow:
    """Walks ``{a: 1, b: [x, {c: d}]}`` and keeps the open brackets with their keys."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.stack: list[dict[str, Any]] = []
        self.quote = ""

    def run(self) -> list[tuple[Path, str]]:
        """Return every scalar with its path; what is open at the end stays on the stack."""
        found: list[tuple[Path, str]] = []
        token = ""
        parens = 0
        for char in self.text:
            if self.quote:
                if char == self.quote:
                    self.quote = ""
                token += char
                continue
            if char in "\"'" and not token.strip():
                self.quote = char
                token += char
            elif char in "([" and char == "(":
                parens += 1
                token += char
            elif char == ")" and parens:
                parens -= 1
                token += char
            elif char in "{[":
                self.stack.append({"map": char == "{", "key": None, "n": 0, "keys": []})
                token = ""
            elif char in "}]" and self.stack:
                self._value(found, token)
                token, parens = "", 0
                self.stack.pop()
                if not self.stack:
                    break
            elif char == "," and not parens and self.stack:
                self._value(found, token)
                token = ""
                top = self.stack[-1]
                top["key"] = None
                top["n"] += 1
            elif char in " \n" and token.rstrip().endswith(":") and self.stack and self.stack[-1]["map"]:
                if self.stack[-1]["key"] is None:
                    self.stack[-1]["key"] = _bare(token.strip()[:-1])
                    token = ""
                else:
                    token += char
            else:
                token += char
        self.token = token
        return found

    def path(self) -> Path:
        """Return the path of the innermost open bracket."""
        steps: list[str | int] = []
        for frame in self.stack[:-1]:
            steps.append(frame["key"] if frame["map"] else frame["n"])
        return tuple(s for s in steps if s is not None)

    def _value(self, found: list[tuple[Path, str]], token: str) -> None:
        top = self.stack[-1]
        text = token.strip().strip("\"'")
        step = top["key"] if top["map"] else top["n"]
        if top["map"] and step is None:
            step, text = (text.rstrip(":"), "") if text else (None, "")
        if step is not None and (text or top["map"]):
            found.append(((*self.path(), step), text))


def _fill(node: Outline, flow: _Flow) -> None:
    for path, text in flow.run():
        target = node
        for step in path:
            if isinstance(step, int):
                while len(target.items) <= step:
                    target.items.append(Outline())
                target = target.items[step]
            else:
                target = target.keys.setdefault(step, Outline())
        target.text = text


def _flow_spot(text: str, base: Path) -> Spot:
    flow = _Flow(text)
    flow.run()
    typed = flow.token.lstrip()
    if not flow.stack:
        return Spot(base, False, None, typed)
    top = flow.stack[-1]
    path = (*base, *flow.path())
    if not top["map"]:
        return Spot(path, False, top["n"], typed)
    if top["key"] is None:
        return Spot(path, True, None, typed)
    return Spot(path, False, top["key"], typed)


def _bare(key: str) -> str:
    return key.strip().strip("\"'")


def _scalar(text: str) -> str:
    bare = re.sub(r"\s+#.*$", "", text).strip()
    return bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'" else bare
