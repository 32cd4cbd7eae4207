"""Reads the text of an expression into a tree. Nothing is ever evaluated.

The grammar is Python's for expressions, in its precedence, lowest first::

    < <= > >= == !=      not chained
    |   &   + -   * /   unary - + ~   ** (from the right)
    Name(argument, ..., name=argument)   $field   $$figure   number   'text'   None   ( )

1. The text is cut into tokens, each with its column.
2. A parser by binding powers (Pratt) builds the tree; infix forms become calls (``a + b`` is ``Add(a, b)``).
3. Each call is checked against the operator's signature; arguments by name are put in their place.
4. Operations on numbers alone are done at once (``5 * 2`` is 10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ExpressionError, nearest
from .catalogue import operators as known_operators
from .nodes import Call, Field, Node, Number, Text
from .operator import REQUIRED, Operator, Parameter, plain_values

__all__ = ["MAX_DEPTH", "parse"]

MAX_DEPTH = 100
"""Operations may be nested this deep."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<field>\$\$?[\w、：（）]*)
  | (?P<name>[^\W\d]\w*)
  | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
  | (?P<sign>\*\*|<=|>=|==|!=|//|[-+*/<>&|~(),=@%^\[\]!.])
    """,
    re.VERBOSE,
)
_INFIX: Mapping[str, tuple[int, str]] = {
    "<": (10, "Lt"), "<=": (10, "Le"), ">": (10, "Gt"), ">=": (10, "Ge"), "==": (10, "Eq"), "!=": (10, "Ne"),
    "|": (20, "Or"), "&": (30, "And"), "+": (40, "Add"), "-": (40, "Sub"), "*": (50, "Mul"), "/": (50, "Div"),
    "**": (70, "Power"),
}  # fmt: skip
_COMPARISON = 10
_UNARY = 60
_NOT_HERE = {
    "and": "write & (and put comparisons in parentheses)",
    "or": "write | (and put comparisons in parentheses)",
    "not": "write ~ or Not(...)",
    "if": "write If(condition, then, else)",
    "//": "write / ",
    "%": "there is no remainder",
    "@": "there is no matrix product",
    "^": "write ** for a power",
    "=": "write == to compare",
    "!": "write != to compare or ~ to negate",
    "[": "write Ref($x, n) for the value n days ago",
    "]": "there are no brackets",
    ".": "there are no attributes",
}
_ESCAPES = {"n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def parse(text: str, operators: Mapping[str, type[Operator]] | None = None) -> Node:
    """Return the tree of an expression.

    Parameters
    ----------
    text : str
        Such as ``"Mean($close, 5) / $close"``.
    operators : mapping of str to Operator class, optional
        What may be called; by default the built-in and registered operators.

    Raises
    ------
    ExpressionError
        With the column where it stops making sense, and the nearest names for an unknown operator.

    Examples
    --------
    >>> parse("$close > 2 * 3")
    Call(operator='Gt', args=(Field(name='close', periodic=False, column=1), Number(value=6, column=10)), column=8)
    """
    if not isinstance(text, str):
        raise ExpressionError(f"expected the text of an expression, received {text!r}")
    reader = _Reader(text, operators if operators is not None else known_operators())
    return reader.whole()


class _Reader:
    def __init__(self, text: str, operators: Mapping[str, type[Operator]]) -> None:
        self.text = text
        self.operators = operators
        self.tokens = self._tokens()
        self.at = 0
        self.depth = 0

    def whole(self) -> Node:
        if self.next.kind == "end":
            raise self.error("the expression is empty", self.next)
        node = self.expression(0)
        if self.next.kind != "end":
            raise self._unexpected(self.next)
        if isinstance(node, Text | Number):
            what = "text" if isinstance(node, Text) else "number"
            raise self.error(f"a {what} alone is no expression; it must read at least one field", self.tokens[0])
        return node

    def expression(self, floor: int) -> Node:
        """Read an expression of operators that bind tighter than `floor`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} deep", self.next)
        left = self.prefix()
        while self.next.kind == "sign" and self.next.text in _INFIX:
            token = self.next
            power, name = _INFIX[token.text]
            if power <= floor:
                break
            self.at += 1
            right = self.expression(power - 1 if token.text == "**" else power)
            left = self.call(name, [left, right], token)
            ahead = self.next
            if power == _COMPARISON and ahead.kind == "sign" and _INFIX.get(ahead.text, (0,))[0] == _COMPARISON:
                raise self.error("comparisons cannot be chained; write (a < b) & (b < c)", ahead)
        self.depth -= 1
        return left

    def prefix(self) -> Node:
        token = self.next
        self.at += 1
        if token.kind == "number":
            return Number(_number(token.text), token.column)
        if token.kind == "field":
            return self.field(token)
        if token.kind == "text":
            body = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m.group(1), m.group(1)), token.text[1:-1])
            return Text(body, token.column)
        if token.kind == "name":
            return self.named(token)
        if token.text == "(":
            node = self.expression(0)
            self.expect(")", f"the parenthesis of column {token.column} is not closed")
            return node
        if token.kind == "sign" and token.text in "-+~":
            operand = self.expression(_UNARY)
            if token.text == "+":
                return operand
            return self.call("Neg" if token.text == "-" else "Not", [operand], token)
        self.at -= 1
        raise self._unexpected(token)

    def field(self, token: _Token) -> Node:
        periodic = token.text.startswith("$$")
        name = token.text.lstrip("$")
        if not name:
            raise self.error(f"a field's name is missing after {token.text}", token)
        return Field(name, periodic, token.column)

    def named(self, token: _Token) -> Node:
        if token.text == "None" and self.next.text != "(":
            return Text(None, token.column)
        if token.text in ("and", "or", "not", "if"):
            raise self._unexpected(token)
        if self.next.text != "(":
            if token.text in self.operators:
                raise self.error(f"{token.text} is an operator; write {token.text}(...)", token)
            raise self.error(f"unknown name {token.text!r}; a field is written ${token.text}", token)
        self.at += 1
        args: list[Node] = []
        named: dict[str, Node] = {}
        while self.next.text != ")" or self.next.kind != "sign":
            if self.next.kind == "name" and self.tokens[self.at + 1].text == "=":
                key = self.next
                self.at += 2
                if key.text in named:
                    raise self.error(f"argument {key.text!r} is given twice", key)
                named[key.text] = self.expression(0)
            else:
                if named and self.next.kind != "end":
                    raise self.error("an argument by position follows one by name", self.next)
                args.append(self.expression(0))
            if self.next.text == "," and self.next.kind == "sign":
                self.at += 1
            elif not (self.next.text == ")" and self.next.kind == "sign"):
                if self.next.kind == "end":
                    raise self.error(f"the parenthesis of {token.text} is not closed", self.next)
                raise self._unexpected(self.next)
        self.at += 1
        return self.call(token.text, args, token, named)

    def call(self, name: str, args: list[Node], token: _Token, named: Mapping[str, Node] | None = None) -> Node:
        operator = self.operators.get(name)
        if operator is None:
            near = nearest(name, self.operators)
            hint = f"did you mean {' or '.join(near)}?" if near else "see qnb.expr.operators for those there are"
            raise self.error(f"unknown operator {name!r}; {hint}", token)
        placed = self.placed(operator, args, named or {}, token)
        if all(isinstance(a, Number) for a in placed) and operator.fold is not None:
            try:
                value = operator.fold(*(a.value for a in placed if isinstance(a, Number)))
            except (ArithmeticError, ValueError, TypeError) as error:
                raise self.error(f"{name} of these numbers: {error}", token) from None
            if isinstance(value, complex):
                raise self.error(f"{name} of these numbers is not real", token)
            return Number(value, token.column)
        for parameter, arg in zip(operator.signature, placed, strict=True):
            self.check(operator, parameter, arg)
        if not any(isinstance(a, Field | Call) for a in placed):
            raise self.error(f"{name} needs at least one field or expression among its arguments", token)
        problem = operator.check(plain_values(operator, placed))
        if problem:
            raise self.error(f"{name}: {problem}", token)
        return Call(name, tuple(placed), token.column)

    def placed(
        self, operator: type[Operator], args: list[Node], named: Mapping[str, Node], token: _Token
    ) -> list[Node]:
        """Return all arguments in the order of the signature, with defaults filled in."""
        names = [p.name for p in operator.signature]
        usage = f"{operator.__name__}({', '.join(names)})"
        if len(args) > len(names):
            raise self.error(f"{usage} takes {len(names)} arguments, received {len(args)}", token)
        for key, value in named.items():
            if key not in names:
                near = nearest(key, names)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise self.error(f"{usage} has no argument {key!r}{hint}", token)
            if names.index(key) < len(args):
                raise ExpressionError(f"argument {key!r} is given twice", text=self.text, column=value.column)
        found: list[Node] = list(args)
        for parameter in operator.signature[len(args) :]:
            if parameter.name in named:
                found.append(named[parameter.name])
            elif parameter.default is REQUIRED:
                raise self.error(f"{usage}: argument {parameter.name!r} is missing", token)
            elif isinstance(parameter.default, int | float):
                found.append(Number(parameter.default, token.column))
            else:
                found.append(Text(parameter.default, token.column))
        return found

    def check(self, operator: type[Operator], parameter: Parameter, arg: Node) -> None:
        problem = parameter.problem(arg)
        if problem:
            raise ExpressionError(f"{operator.__name__}: {problem}", text=self.text, column=arg.column)

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def expect(self, sign: str, message: str) -> None:
        if self.next.kind == "sign" and self.next.text == sign:
            self.at += 1
        elif self.next.kind == "end":
            raise self.error(message, self.next)
        else:
            raise self._unexpected(self.next)

    def error(self, message: str, token: _Token) -> ExpressionError:
        return ExpressionError(message, text=self.text, column=token.column)

    def _unexpected(self, token: _Token) -> ExpressionError:
        if token.kind == "end":
            return self.error("the expression ends too early", token)
        hint = _NOT_HERE.get(token.text)
        return self.error(f"unexpected {token.text!r}" + (f"; {hint}" if hint else ""), token)

    def _tokens(self) -> list[_Token]:
        found: list[_Token] = []
        at = 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise ExpressionError(f"unexpected {self.text[at]!r}", text=self.text, column=at + 1)
            if match.lastgroup != "space":
                found.append(_Token(str(match.lastgroup), match.group(), at + 1))
            at = match.end()
        found.append(_Token("end", "", len(self.text) + 1))
        return found


def _number(text: str) -> int | float:
    if text.isdigit() and len(text) <= 15:
        return int(text)
    return float(text)
