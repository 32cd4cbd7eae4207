"""Jinja2 in a workflow: variables of the environment and of the notebook, in a sandbox, with lines that survive.

Only variables that the text uses and does not define are filled in. So that a line of the filled text can be traced,
a mark that says its line is put before the first visible character of each line of the template, and taken out again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, Problem

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["MAX_CHARACTERS", "Filled", "fill_template"]

MAX_CHARACTERS = 1_000_000
"""A workflow that is longer than this, before or after filling in, is refused."""

_MARK, _END = "\ue000", "\ue001"  # private-use characters, which no workflow contains
_FAILURES = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError)  # of expressions
_MARKS = re.compile(f"{_MARK}([0-9]+){_END}")


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with its variables filled in.

    Attributes
    ----------
    text : str
        What YAML reads.
    lines : tuple of int
        For each line of `text` the line of the template, 0-based; empty when they are the same.
    changed : frozenset of int
        Lines of `text`, 0-based, in which something was filled in, so that columns do not fit.
    missing : tuple of (str, int)
        Variables that nobody gave, with the 0-based line of their first use.
    """

    text: str
    lines: tuple[int, ...] = ()
    changed: frozenset[int] = frozenset()
    missing: tuple[tuple[str, int], ...] = ()


def fill_template(text: str, variables: Mapping[str, Any], *, first_line: int = 1) -> Filled:
    """Return `text` with its Jinja2 filled in.

    Parameters
    ----------
    variables : mapping
        Name -> value; None, booleans, lists and mappings are written as YAML reads them.
    first_line : int
        Number of the first line, for messages.

    Raises
    ------
    ConfigError
        When the template is wrong, asks for what the sandbox refuses, or grows beyond `MAX_CHARACTERS`.
    """
    if not any(sign in text for sign in ("{{", "{%", "{#")):
        return Filled(text)
    from jinja2 import TemplateError, TemplateSyntaxError, meta

    environment = _environment()
    try:
        wanted = meta.find_undeclared_variables(environment.parse(text))
        given = {name: variables[name] for name in wanted if name in variables}
        template = environment.from_string(_marked(environment, text))
        pieces: list[str] = []
        size = 0
        for piece in template.generate(given):
            pieces.append(piece)
            size += len(piece)
            if size > 4 * MAX_CHARACTERS:
                raise ConfigError([Problem("the template grows without end", "look for a loop")])
    except TemplateSyntaxError as error:
        line = first_line + error.lineno - 1
        raise ConfigError([Problem(f"template: {error.message}", "check {{ }} and {% %}", line=line)]) from error
    except (
        TemplateError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ConfigError([Problem(f"template: {error}", "check {{ }} and {% %}")]) from error
    missing = tuple(sorted(((n, _line_of_use(text, n)) for n in wanted - given.keys()), key=lambda x: (x[1], x[0])))
    return _unmarked("".join(pieces), text, missing)


def _environment() -> SandboxedEnvironment:
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """Refuses products and powers that would fill the memory."""

        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            sized = [x for x in (left, right) if isinstance(x, str | list | tuple)]
            numbers = [abs(x) for x in (left, right) if isinstance(x, int | float)]
            if (sized and numbers and len(sized[0]) * numbers[0] > MAX_CHARACTERS) or (
                operator == "**" and any(n > 10_000 for n in numbers)
            ):
                raise SecurityError(f"a result of {operator} would be too large")
            return super().call_binop(context, operator, left, right)

    return Sandbox(keep_trailing_newline=True, finalize=_written)


def _written(value: Any) -> Any:
    """Return `value` as YAML reads it; text and numbers stay as they are."""
    if value is None or isinstance(value, bool | list | tuple | dict):
        return json.dumps(value, default=str)
    return value


def _marked(environment: SandboxedEnvironment, text: str) -> str:
    """Return the template with a mark before the first visible character of each of its lines."""
    if _MARK in text:
        return text
    parts: list[str] = []
    fresh = True  # no visible character of this line yet
    for line, kind, value in environment.lex(text):
        if kind == "data":
            number = line - 1
            for piece in value.splitlines(keepends=True):
                body = piece.lstrip()
                if fresh and body:
                    parts.append(piece[: len(piece) - len(body)] + f"{_MARK}{number}{_END}" + body)
                    fresh = False
                else:
                    parts.append(piece)
                if piece.endswith("\n"):
                    number += 1
                    fresh = True
            continue
        if kind == "variable_begin" and fresh and not value.endswith("-"):
            parts.append(f"{_MARK}{line - 1}{_END}")
            fresh = False
        parts.append(value)
        if "\n" in value:
            fresh = True
    return "".join(parts)


def _unmarked(text: str, template: str, missing: tuple[tuple[str, int], ...]) -> Filled:
    written = template.split("\n")
    lines: list[int] = []
    changed: set[int] = set()
    kept: list[str] = []
    for number, raw in enumerate(text.split("\n")):
        found = _MARKS.search(raw)
        lines.append(int(found[1]) if found else lines[-1] if lines else 0)
        kept.append(_MARKS.sub("", raw))
        if lines[-1] < len(written) and written[lines[-1]] != kept[-1]:
            changed.add(number)
    plain = "\n".join(kept)
    if len(plain) > MAX_CHARACTERS:
        raise ConfigError([Problem(f"the filled-in text has {len(plain)} characters", f"at most {MAX_CHARACTERS}")])
    return Filled(plain, tuple(lines), frozenset(changed), missing)


def _line_of_use(text: str, name: str) -> int:
    found = re.search(rf"{{[{{%][^}}]*\b{re.escape(name)}\b", text)
    return text.count("\n", 0, found.end()) if found else 0
