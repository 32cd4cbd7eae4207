"""The plan: one graph of values over all fields that were asked for, in which equal terms are one value.

1. Each expression is lowered by its operators into values: fields, element-wise operations, shifts, kernels.
2. A value is known by its operation and inputs (hash-consing), so a term that occurs twice is computed once.
3. A value knows how many rows it reads back and ahead. Rows are cut to the spans asked for plus that.
4. What cannot be computed on cut rows (operators without a window, cross-sections, other instruments) is *kept*: it is
   computed in an earlier pass over all rows and read like a field by the passes after it.

In compat mode an operator without a window starts where the history of its whole expression starts, which is loaded as
the peer does it: rolling N takes N - 1 rows to the left, ``Ref(x, N)`` N, an exponential weight the rows to 1e-6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import ExpressionError
from .catalogue import operators
from .nodes import Call, Field, Node, Number, Text
from .operator import BOOL, DOUBLE, SINGLE, CrossSection, Element, Operator, Reach, Series, plain_values

__all__ = ["Column", "Mode", "Plan", "Value", "build_plan", "loaded_rows"]

Mode = Literal["compat", "strict"]
"""``compat`` reproduces the peer where it is odd, ``strict`` does what the operator's name says."""


@dataclass(frozen=True, slots=True)
class Value:
    """One node of the graph.

    Attributes
    ----------
    op : str
        ``field``, ``cast``, ``element``, ``where``, ``shift``, ``kernel``, ``series``, ``kept``.
    inputs : tuple of int
        Values it is made of.
    payload : tuple
        What else determines it.
    kind : str
        Type of the column.
    left, right : int
        Rows read back and ahead, down to fields and kept values.
    level : int
        Pass in which it can be computed.
    """

    op: str
    inputs: tuple[int, ...]
    payload: tuple[Any, ...]
    kind: str
    left: int = 0
    right: int = 0
    level: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A value as an operator sees it while it is lowered."""

    id: int
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to compute.

    Attributes
    ----------
    values : tuple of Value
        Inputs come before what is made of them.
    outputs : tuple of int
        The value of each field asked for.
    fields : tuple of str
        Fields of the store that are read for the instruments' own rows, sorted.
    left, right : int
        Rows that the last pass reads back and ahead.
    history : int
        Rows before the first day that any pass needs; -1 is all there are.
    ahead : int
        Rows after the last day that any pass needs; -1 is all there are.
    nodes : int
        Operations in the texts, counted with repetition.
    """

    values: tuple[Value, ...]
    outputs: tuple[int, ...]
    fields: tuple[str, ...]
    left: int
    right: int
    history: int
    ahead: int
    nodes: int


def build_plan(
    trees: Sequence[Node],
    *,
    mode: Mode = "compat",
    known: Sequence[str] | None = None,
    bars: int = 1,
    origin: int | None = None,
    texts: Sequence[str] = (),
) -> Plan:
    """Return the plan for `trees`.

    Parameters
    ----------
    trees : sequence of Node
        Parsed expressions.
    mode : {'compat', 'strict'}
        See `Mode`.
    known : sequence of str, optional
        Fields of the store; others are missing everywhere and are not computed with.
    bars : int
        Most calendar rows in one day.
    origin : int, optional
        Rows before the first day at which operators without a window start, where it is not for the expression to say.
    texts : sequence of str, optional
        The texts of `trees`, for messages.

    Raises
    ------
    ExpressionError
        An operator is given a column of a type it cannot take.
    """
    builder = Builder(mode=mode, known=None if known is None else frozenset(known), bars=bars)
    outputs = []
    for k, tree in enumerate(trees):
        try:
            outputs.append(builder.lower_top(tree, origin))
        except ExpressionError as error:
            if error.text or not texts:
                raise
            raise ExpressionError(error.message, text=texts[k], column=error.column) from None
    return builder.plan(outputs)


def loaded_rows(tree: Node, bars: int = 1) -> tuple[int, int]:
    """Return the rows that the peer loads before and after the rows asked for."""
    if not isinstance(tree, Call):
        return 0, 0
    operator = operators()[tree.operator]
    below = [loaded_rows(a, bars) for a in tree.args]
    left, right = max(b[0] for b in below), max(b[1] for b in below)
    if tree.operator in ("P", "PRef"):
        return 0, 0
    reach = operator.reach(plain_values(operator, tree.args))
    back, ahead = reach.rows(bars)
    own = reach.loaded if reach.loaded is not None else (back or 0)
    return left + own, right + (ahead or 0)


class Builder:
    """Lowers trees into values. Operators call its methods; each returns the column it made or found."""

    def __init__(self, *, mode: Mode, known: frozenset[str] | None, bars: int) -> None:
        self.mode = mode
        self.bars = bars
        self.known = known
        self.values: list[Value] = []
        self.origin: int | None = None
        self.history = 0
        self.ahead = 0
        self.nodes = 0
        self.fields: set[str] = set()
        self._ids: dict[Any, int] = {}
        self._lowered: dict[tuple[Node, int | None], Column] = {}
        self._instances: dict[type[Operator], Any] = {}
        self._calls: dict[Any, Any] = {}

    @property
    def strict(self) -> bool:
        """Whether oddities of the peer are mended."""
        return self.mode == "strict"

    def lower_top(self, tree: Node, origin: int | None = None) -> int:
        """Lower a whole expression and return the value of its column."""
        left, right = loaded_rows(tree, self.bars)
        left = left if origin is None else origin
        self.origin = None if self.strict else left
        column = self.lower(tree)
        self.history = self.history if self.history < 0 else max(self.history, left)
        self.ahead = self.ahead if self.ahead < 0 else max(self.ahead, right)
        return column.id

    def lower(self, tree: Node) -> Column:
        """Return the column of a field or call."""
        key = (tree, self.origin)
        if key not in self._lowered:
            self._lowered[key] = self._lower(tree)
        return self._lowered[key]

    def operand(self, tree: Node) -> Column | int | float:
        """Return the column of an expression, or the value of a number."""
        if isinstance(tree, Number):
            return tree.value
        return self.lower(tree)

    def field(self, name: str) -> Column:
        """Return a field of the store, float32; NaN where it is missing."""
        if self.known is not None and name.lower() not in self.known:
            return self.missing()
        self.fields.add(name.lower())
        return self._value("field", (), (name.lower(),), SINGLE)

    def missing(self) -> Column:
        """Return a column of NaN."""
        return self._value("missing", (), (), SINGLE)

    def is_missing(self, column: Column) -> bool:
        """Return whether `column` is NaN everywhere because its field is."""
        return self.values[column.id].op == "missing"

    def element(self, function: Any, operands: Sequence[Column | int | float], kind: str) -> Column:
        """Return ``function(*operands)``, a ufunc or a function of arrays, computed row by row."""
        wide = [self.cast(o, DOUBLE) if isinstance(o, Column) and kind == DOUBLE else o for o in operands]
        inputs = tuple(o.id for o in wide if isinstance(o, Column))
        scalars = tuple(None if isinstance(o, Column) else o for o in wide)
        return self._value("element", inputs, (function, scalars, tuple(map(_scalar_key, scalars))), kind)

    def where(self, condition: Column, then: Column | int | float, other: Column | int | float, kind: str) -> Column:
        """Return `then` where `condition` is not 0 (NaN counts as not 0), else `other`."""
        sides = tuple(None if isinstance(s, Column) else s for s in (then, other))
        columns = [self.cast(s, kind) for s in (then, other) if isinstance(s, Column)]
        inputs = (condition.id, *(c.id for c in columns))
        return self._value("where", inputs, (sides, tuple(map(_scalar_key, sides))), kind)

    def cast(self, column: Column, kind: str) -> Column:
        """Return `column` as another type."""
        if column.kind == kind:
            return column
        return self._value("cast", (column.id,), (), kind)

    def shift(self, column: Column, rows: int) -> Column:
        """Return the value `rows` rows ago (ahead if negative), NaN where there is none."""
        if rows == 0:
            return column
        if column.kind == BOOL:
            column = self.cast(column, SINGLE)
        return self._value("shift", (column.id,), (rows,), column.kind, left=max(rows, 0), right=max(-rows, 0))

    def bounded_shift(self, column: Column, rows: int) -> Column:
        """Return `shift`, but NaN where it would read before the history that the peer loads."""
        if self.origin is None or rows <= 0:
            return self.shift(column, rows)
        if column.kind == BOOL:
            column = self.cast(column, SINGLE)
        return self._value("shift", (column.id,), (rows, self.origin), column.kind, left=rows)

    def kernel(self, name: str, columns: Sequence[Column], n: int, output: Any, *parameters: Any) -> Column:
        """Return one output of a kernel over a window of `n` rows; columns are taken as float64.

        0 rows are all there are: from the first that is loaded in compat mode, from the first day of the data in
        strict mode.
        """
        if any(self.is_missing(c) for c in columns):
            return self.cast(self.missing(), DOUBLE)
        inputs = tuple(self.cast(c, DOUBLE).id for c in columns)
        if n > 0:
            return self._value("kernel", inputs, (name, n, parameters, output, None), DOUBLE, left=n - 1)
        return self.keep(self._value("kernel", inputs, (name, 0, parameters, output, self._anchor(True)), DOUBLE))

    def series(
        self,
        function: Any,
        columns: Sequence[Column],
        parameters: tuple[Any, ...] = (),
        *,
        reach: Reach,
        kind: str = DOUBLE,
    ) -> Column:
        """Return ``function(segment, *columns, *parameters)``, computed for each run of rows of one instrument.

        `segment` tells the calendar (see `qnb.expr.segments.Segment`); columns come as they are typed.
        """
        inputs = tuple(c.id for c in columns)
        key = (function, parameters, tuple(map(_scalar_key, parameters)))
        if reach.left is None or reach.right is None:
            if reach.right is None:
                self.ahead = -1
            anchor = self._anchor(reach.loaded is not None)
            return self.keep(self._value("series", inputs, (*key, anchor), kind))
        back, ahead = reach.rows(self.bars)
        return self._value("series", inputs, (*key, None), kind, left=back or 0, right=ahead or 0)

    def instance(self, operator: type[Operator]) -> Any:
        """Return the one instance of `operator` in this plan."""
        return self._instances.setdefault(operator, operator())

    def series_function(self, operator: type[Series], order: tuple[bool, ...]) -> Any:
        """Return ``compute`` of `operator` as `series` calls it; `order` tells which arguments are columns."""
        key = (operator, order)
        if key not in self._calls:
            compute, count = self.instance(operator).compute, sum(order)

            def call(segment: Any, *given: Any) -> np.ndarray:
                columns, plain = iter(given[:count]), iter(given[count:])
                return compute(*(next(columns) if is_column else next(plain) for is_column in order))

            self._calls[key] = call
        return self._calls[key]

    def keep(self, column: Column) -> Column:
        """Return `column` computed in a pass of its own over all rows."""
        source = self.values[column.id]
        if source.op == "kept":
            return column
        return self._value("kept", (column.id,), ("rows",), source.kind)

    def across(
        self, operator: type[CrossSection], column: Column, grouping: str | None, numbers: tuple[float, ...] = ()
    ) -> Column:
        """Return a cross-section of `column` over the members of each day, in groups if there is a grouping."""
        source = self.cast(column, DOUBLE)
        return self._value("kept", (source.id,), ("across", operator, grouping, numbers), DOUBLE)

    def elsewhere(self, tree: Node, instrument: str) -> Column:
        """Return `tree` of another instrument, on the same days."""
        child = Builder(mode=self.mode, known=self.known, bars=self.bars)
        child.origin = self.origin
        column = child.lower(tree)
        if child.history < 0:
            self.history = -1
        if child.ahead < 0:
            self.ahead = -1
        return self._value("kept", (), ("elsewhere", instrument, tree, self.origin), column.kind)

    def published(self, tree: Node, period: int | None = None) -> Column:
        """Return `tree` over point-in-time figures as they were known on each day; only of `period` if it is given."""
        return self._value("kept", (), ("published", tree, period), SINGLE)

    def plan(self, outputs: Sequence[int]) -> Plan:
        """Return the plan that computes `outputs`."""
        left = max((self.values[o].left for o in outputs), default=0)
        right = max((self.values[o].right for o in outputs), default=0)
        return Plan(
            values=tuple(self.values),
            outputs=tuple(outputs),
            fields=tuple(sorted(self.fields)),
            left=left,
            right=right,
            history=self.history if self.history < 0 else max(self.history, self._reach("left")),
            ahead=self.ahead if self.ahead < 0 else max(self.ahead, self._reach("right")),
            nodes=self.nodes,
        )

    def _anchor(self, loaded: bool) -> int | None:
        """Return the rows before the first day at which an operator without a window starts; None is all of them."""
        if self.strict or not loaded:
            self.history = -1
            return None
        return self.origin

    def _reach(self, side: str) -> int:
        return max((getattr(v, side) for v in self.values), default=0)

    def _lower(self, tree: Node) -> Column:
        if isinstance(tree, Field):
            if tree.periodic:
                raise ExpressionError(
                    f"$${tree.name} is a point-in-time figure; write P($${tree.name}) for its value as known on a day",
                    column=tree.column,
                )
            return self.field(tree.name)
        if not isinstance(tree, Call):
            raise ExpressionError("a number or text is no column", column=tree.column)
        self.nodes += 1
        operator = operators()[tree.operator]
        try:
            return lower_call(self, operator, tree)
        except ExpressionError as error:
            if error.column == 0:
                raise ExpressionError(error.message, column=tree.column) from None
            raise

    def _value(
        self,
        op: str,
        inputs: tuple[int, ...],
        payload: tuple[Any, ...],
        kind: str,
        *,
        left: int = 0,
        right: int = 0,
    ) -> Column:
        key = (op, inputs, payload, kind)
        found = self._ids.get(key)
        if found is None:
            made = [self.values[i] for i in inputs]
            level = max((v.level for v in made), default=0)
            if op == "kept":
                value = Value(op, inputs, payload, kind, level=level + 1)
            else:
                back = left + max((v.left for v in made), default=0)
                ahead = right + max((v.right for v in made), default=0)
                value = Value(op, inputs, payload, kind, back, ahead, level)
            found = len(self.values)
            self.values.append(value)
            self._ids[key] = found
        return Column(found, kind)


def lower_call(builder: Builder, operator: type[Operator], tree: Call) -> Column:
    """Lower a call: by the operator's own ``lower``, else by its family."""
    values = plain_values(operator, tree.args)
    own = getattr(operator, "lower", None)
    if own is not None:
        return own(builder, tree.args, values)
    if issubclass(operator, Element):
        operands = [builder.operand(a) for a in tree.args if not isinstance(a, Text)]
        kinds = [o.kind if isinstance(o, Column) else "number" for o in operands]
        function = operator.ufunc if operator.ufunc is not None else builder.instance(operator).compute
        return builder.element(function, operands, operator.result(kinds, values))
    columns = [builder.lower(a) for a in tree.args if isinstance(a, Field | Call)]
    if issubclass(operator, CrossSection):
        grouping = next((v for v in values if isinstance(v, str)), None)
        numbers = tuple(v for v in values if isinstance(v, int | float))
        return builder.across(operator, columns[0], grouping, numbers)
    if issubclass(operator, Series):
        wide = [builder.cast(c, DOUBLE) for c in columns]
        function = builder.series_function(operator, tuple(isinstance(a, Field | Call) for a in tree.args))
        return builder.series(function, wide, values, reach=operator.reach(values))
    raise ExpressionError(f"{operator.__name__} belongs to no family of operators", column=0)


def _scalar_key(value: Any) -> Any:
    return (type(value).__name__, repr(value))
