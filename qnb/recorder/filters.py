"""MLflow's grammar for finding runs, read into conditions and sort keys.

``metrics.IC > 0.03 and params.`model.class` = 'LGBModel' and attributes.status = 'FINISHED'``: conditions joined by
``and``; metrics, params, tags, attributes; = != < <= > >=, LIKE, ILIKE, IN, IS NULL. Source: MLflow's documentation,
'Search Runs'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import nearest
from .base import RefusedError

__all__ = ["Condition", "SortKey", "parse_filter", "parse_order"]

_KINDS = {
    "metric": "metric", "metrics": "metric", "param": "param", "params": "param", "parameter": "param",
    "parameters": "param", "tag": "tag", "tags": "tag", "attribute": "attribute", "attributes": "attribute",
    "attr": "attribute", "run": "attribute",
}  # fmt: skip
_ATTRIBUTES = {
    "run_id": "run_id", "run_name": "run_name", "run name": "run_name", "status": "status", "user_id": "user_id",
    "artifact_uri": "artifact_uri", "start_time": "start_time", "end_time": "end_time", "created": "start_time",
}  # fmt: skip
_NUMERIC = ("start_time", "end_time")
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'])*'|"(?:[^"])*")
    | (?P<quoted>`[^`]*`)
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])
    | (?P<operator>!=|<=|>=|=|<|>)
    | (?P<mark>[().,])
    | (?P<word>[^\s().,'"`=<>!]+)
    )""",
    re.VERBOSE,
)
_EXAMPLE = "write it like: metrics.IC > 0.03 and params.model = 'lightgbm'"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes
    ----------
    kind : str
        ``metric``, ``param``, ``tag`` or ``attribute``.
    key : str
        Name of the metric, param, tag or attribute.
    operator : str
        In capitals: = != < <= > >= LIKE ILIKE IN ``NOT IN`` ``IS NULL`` ``IS NOT NULL``.
    value : float, str, tuple of str, or None
        What it is compared with.
    """

    kind: str
    key: str
    operator: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class SortKey:
    """What runs are ordered by."""

    kind: str
    key: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class _Token:
    type: str
    text: str
    column: int


def parse_filter(text: str | None) -> list[Condition]:
    """Return the conditions of `text`, all of which must hold.

    Raises
    ------
    RefusedError
        When it cannot be read, with the column.

    Examples
    --------
    >>> parse_filter("metrics.IC > 0.03")
    [Condition(kind='metric', key='IC', operator='>', value=0.03)]
    """
    reader = _Reader(text or "")
    if reader.done:
        return []
    found = [reader.condition()]
    while not reader.done:
        reader.expect_word("AND")
        found.append(reader.condition())
    return found


def parse_order(clauses: Sequence[str]) -> list[SortKey]:
    """Return sort keys: ``"metrics.IC DESC"``, ``"attributes.start_time"``, ``"params.`a b` ASC"``."""
    keys = []
    for clause in clauses:
        reader = _Reader(clause)
        kind, key = reader.identifier()
        direction = reader.word_of("ASC", "DESC")
        if not reader.done:
            raise reader.error("nothing more was expected here")
        keys.append(SortKey(kind, key, direction == "DESC"))
    return keys


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[_Token] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._at(len(text[:at]) + len(text[at:]) - len(text[at:].lstrip()), "this cannot be read")
            kind = str(match.lastgroup)
            self.tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            at = match.end()
        self.next = 0

    @property
    def done(self) -> bool:
        return self.next >= len(self.tokens)

    def condition(self) -> Condition:
        kind, key = self.identifier()
        operator = self.operator()
        if operator in ("IS NULL", "IS NOT NULL"):
            if kind not in ("param", "tag"):
                raise self.error(f"{operator} is for params and tags")
            return Condition(kind, key, operator)
        if operator in ("IN", "NOT IN"):
            if (kind, key) != ("attribute", "run_id"):
                raise self.error(f"{operator} is for run_id")
            return Condition(kind, key, operator, self.texts())
        return Condition(kind, key, operator, self.value(kind, key, operator))

    def identifier(self) -> tuple[str, str]:
        first = self.take("a name like metrics.IC")
        name = _unquoted(first)
        if first.type not in ("word", "quoted", "string"):
            raise self.error("a name like metrics.IC was expected", first)
        if not self._mark("."):
            return "attribute", self._attribute(name, first)
        kind = _KINDS.get(name.lower())
        if kind is None:
            near = nearest(name, _KINDS)
            hint = f"did you mean {near[0]!r}?" if near else "metrics, params, tags or attributes"
            raise self.error(f"{name!r} is not known: {hint}", first)
        token = self.take("a key")
        key = _unquoted(token)
        if token.type == "word":
            key = self._dotted(key, token)
        return kind, self._attribute(key, token) if kind == "attribute" else key

    def _dotted(self, key: str, token: _Token) -> str:
        """Join what the text has without a gap: keys may hold dots, slashes and dashes."""
        end = token.column + len(token.text)
        while not self.done and self.tokens[self.next].column == end:
            part = self.tokens[self.next]
            if part.type not in ("word", "number") and part.text != ".":
                break
            key += part.text
            end += len(part.text)
            self.next += 1
        return key

    def _attribute(self, name: str, token: _Token) -> str:
        found = _ATTRIBUTES.get(name.lower())
        if found is None:
            near = nearest(name, _ATTRIBUTES)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(dict.fromkeys(_ATTRIBUTES.values()))}"
            raise self.error(f"no attribute {name!r}; {hint}", token)
        return found

    def operator(self) -> str:
        token = self.take("a comparison")
        if token.type == "operator":
            return token.text
        word = token.text.upper()
        if word in ("LIKE", "ILIKE", "IN"):
            return word
        if word == "NOT":
            self.expect_word("IN")
            return "NOT IN"
        if word == "IS":
            negated = self.word_of("NOT") is not None
            self.expect_word("NULL")
            return "IS NOT NULL" if negated else "IS NULL"
        raise self.error(f"a comparison was expected, found {token.text!r}", token)

    def value(self, kind: str, key: str, operator: str) -> float | int | str:
        token = self.take("a value")
        if kind == "metric" or (key in _NUMERIC and kind == "attribute"):
            if operator in ("LIKE", "ILIKE"):
                raise self.error(f"{operator} is for texts", token)
            if token.type != "number":
                raise self.error(f"a number was expected, found {token.text}", token)
            return float(token.text)
        if operator not in ("=", "!=", "LIKE", "ILIKE"):
            raise self.error(f"{operator} is for numbers; texts take = != LIKE ILIKE", token)
        if token.type != "string":
            raise self.error(f"a text in quotes was expected, found {token.text}", token)
        return token.text[1:-1]

    def texts(self) -> tuple[str, ...]:
        if not self._mark("("):
            raise self.error("a list like ('a', 'b') was expected")
        found = []
        while True:
            token = self.take("a text in quotes")
            if token.type != "string":
                raise self.error(f"a text in quotes was expected, found {token.text}", token)
            found.append(token.text[1:-1])
            if self._mark(")"):
                return tuple(found)
            if not self._mark(","):
                raise self.error("a comma or ) was expected")

    def take(self, what: str) -> _Token:
        if self.done:
            raise self.error(f"{what} was expected")
        token = self.tokens[self.next]
        self.next += 1
        return token

    def word_of(self, *words: str) -> str | None:
        if not self.done and self.tokens[self.next].text.upper() in words:
            self.next += 1
            return self.tokens[self.next - 1].text.upper()
        return None

    def expect_word(self, word: str) -> None:
        if self.word_of(word) is None:
            found = f", found {self.tokens[self.next].text!r}" if not self.done else ""
            raise self.error(f"{word} was expected{found}")

    def error(self, message: str, token: _Token | None = None) -> RefusedError:
        if token is None and not self.done:
            token = self.tokens[self.next]
        return self._at(token.column if token else len(self.text), message)

    def _mark(self, mark: str) -> bool:
        if not self.done and self.tokens[self.next].type == "mark" and self.tokens[self.next].text == mark:
            self.next += 1
            return True
        return False

    def _at(self, column: int, message: str) -> RefusedError:
        return RefusedError(f"filter {self.text!r}, column {column + 1}: {message}; {_EXAMPLE}")


def _unquoted(token: _Token) -> str:
    return token.text[1:-1] if token.type in ("quoted", "string") else token.text
