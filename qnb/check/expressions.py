"""Checks every expression of a task: syntax, operators, fields; and how far labels look ahead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ..errors import ConfigError, ExpressionError, Problem, UnknownNameError, nearest
from ..expr.catalogue import operators
from ..expr.explain import explain
from ..expr.nodes import Call, Field, Node, Text, walk
from ..expr.parse import parse
from ..names import wrong_with
from .subject import HANDLER, Expression, Subject

__all__ = ["DEFAULT_LABEL", "check_expressions", "expressions_of", "labels_of"]

DEFAULT_LABEL = "Ref($close, -2)/Ref($close, -1) - 1"
"""Label of the feature sets where the task names none."""

_COMMA = "\x1f"
"""Between the parts of an expression that was cut; it cannot stand in one."""


def check_expressions(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with the expressions that a user wrote."""
    yield from _register(subject)
    looked_at: set[str] = set()
    expressions = list(expressions_of(subject))
    while expressions:
        expression = expressions.pop(0)
        try:
            node = parse(expression.text)
        except ExpressionError as error:
            whole = _split_at_commas(expression, expressions)
            if whole:
                del expressions[: whole.count(_COMMA)]
                message = f"{_short(whole.replace(_COMMA, ', '))} was split at its commas"
                yield subject.problem(message, expression.path, remedy="put it in quotes: in [ ] a comma separates")
                continue
            message, _, remedy = error.message.partition("; ")
            message = f"{message}, column {error.column} of {_short(expression.text)}"
            yield subject.problem(message, expression.path, remedy=remedy, offset=error.column - 1)
            continue
        yield from _fields(subject, expression, node, looked_at)
        yield from _groupings(subject, expression, node)
        if not expression.label and ".feature." in f".{expression.path}.":
            yield from _ahead(subject, expression)


def expressions_of(subject: Subject) -> Iterator[Expression]:
    """Yield every expression that the task itself contains."""
    handler = subject.handler
    if "label" in handler:
        yield from _in_fields(handler["label"], f"{HANDLER}.kwargs.label", label=True)
    yield from _in_loader(handler.get("data_loader"), f"{HANDLER}.kwargs.data_loader")
    yield from _in_filters(handler.get("filter_pipe"), f"{HANDLER}.kwargs.filter_pipe")
    instruments = handler.get("instruments")
    if isinstance(instruments, Mapping):
        yield from _in_filters(instruments.get("filter_pipe"), f"{HANDLER}.kwargs.instruments.filter_pipe")
    for path, kwargs in subject.backtests():
        yield from _in_exchange(kwargs, f"{path}.kwargs.config.backtest.exchange_kwargs")


def labels_of(subject: Subject) -> Iterator[Expression]:
    """Yield the labels; the default one of a feature set has the path of its handler."""
    found = [e for e in expressions_of(subject) if e.label]
    if not found and subject.handler_name.startswith(("Alpha158", "Alpha360")):
        found = [Expression(HANDLER, DEFAULT_LABEL, True)]
    yield from found


def _ahead(subject: Subject, expression: Expression) -> Iterator[Problem]:
    """Yield a feature that reads the future."""
    found = explain(expression.text)
    if found.reads_future:
        days = "all later days" if found.right is None else f"{found.right} days ahead"
        message = f"a feature reads {days}: {_short(expression.text)}"
        remedy = "it would not be known on its day; only labels look ahead"
        yield subject.problem(message, expression.path, remedy=remedy, severity="warning")


def _split_at_commas(first: Expression, following: list[Expression]) -> str:
    """Return the expression that YAML cut because it stands unquoted in ``[ ]``, '' if it is not that."""
    parts = [first.text]
    parent = first.path.rpartition(".")[0]
    for expression in following:
        if "(" not in first.text or expression.path.rpartition(".")[0] != parent or len(parts) > 20:
            break
        parts.append(expression.text)
        if sum(p.count("(") - p.count(")") for p in parts) == 0:
            try:
                parse(", ".join(parts))
            except ExpressionError:
                break
            return _COMMA.join(parts)
    return ""


def _register(subject: Subject) -> Iterator[Problem]:
    """Make the user's own operators known, so that expressions with them can be read."""
    from ..expr.catalogue import register_custom_ops

    try:
        register_custom_ops(subject.settings.custom_ops)
    except (ConfigError, UnknownNameError) as error:
        section = next((s for s in ("qlib_init", "qnb_init", "init") if s in subject.task.document), "")
        yield from subject.translated(error, f"{section}.custom_ops")


def _fields(subject: Subject, expression: Expression, node: Node, looked_at: set[str]) -> Iterator[Problem]:
    market = subject.market
    if market is None:
        return
    for field in walk(node):
        if not isinstance(field, Field) or field.periodic or field.name in looked_at:
            continue
        looked_at.add(field.name)
        if market.has_field(field.name.lower()):
            continue
        known = market.fields
        near = nearest(field.name, known)
        if near:
            remedy, severity = f"did you mean ${near[0]}?", "error"
        else:
            remedy, severity = f"all its values are NaN; there is {_listed(known)}", "warning"
        message = f"no field ${field.name}"
        yield subject.problem(message, expression.path, remedy=remedy, severity=severity, offset=field.column - 1)


def _groupings(subject: Subject, expression: Expression, node: Node) -> Iterator[Problem]:
    """Yield the groupings of the market that are named and not there."""
    store = subject.market.store if subject.market is not None else None
    for call in walk(node):
        signature = operators()[call.operator].signature if isinstance(call, Call) else ()
        for parameter, arg in zip(signature, call.args if isinstance(call, Call) else (), strict=False):
            if parameter.name != "group" or not isinstance(arg, Text) or arg.value is None:
                continue
            known = store.groups() if store is not None else ()
            reason = wrong_with(arg.value, ".txt")
            if reason or (store is not None and arg.value not in known):
                near = nearest(arg.value, known)
                remedy = f"did you mean {near[0]!r}?" if near else f"write groups/{arg.value}.txt into the store"
                message = f"no grouping {arg.value!r}" + (f": {reason}" if reason else "")
                remedy = remedy if not reason else "name a file of the store's folder groups"
                yield subject.problem(message, expression.path, remedy=remedy, offset=arg.column - 1)


def _in_fields(fields: Any, path: str, *, label: bool) -> Iterator[Expression]:
    """Yield expressions of ``[expression, ...]`` or ``[[expression, ...], [name, ...]]``."""
    if isinstance(fields, str):
        yield Expression(path, fields, label)
    elif isinstance(fields, list) and fields and isinstance(fields[0], list):
        for number, text in enumerate(fields[0]):
            yield Expression(f"{path}.0.{number}", str(text), label)
    elif isinstance(fields, list):
        for number, text in enumerate(fields):
            yield Expression(f"{path}.{number}", str(text), label)


def _in_loader(loader: Any, path: str) -> Iterator[Expression]:
    kwargs = loader.get("kwargs") if isinstance(loader, Mapping) else None
    if not isinstance(kwargs, Mapping):
        return
    inner = kwargs.get("dataloader_l")
    if isinstance(inner, list):
        for number, item in enumerate(inner):
            yield from _in_loader(item, f"{path}.kwargs.dataloader_l.{number}")
    config = kwargs.get("config")
    if "QlibDataLoader" not in str(loader.get("class")) and "DL" not in str(loader.get("class")):
        return
    if isinstance(config, Mapping):
        for group, fields in config.items():
            yield from _in_fields(fields, f"{path}.kwargs.config.{group}", label=group.startswith("label"))
    else:
        yield from _in_fields(config, f"{path}.kwargs.config", label=False)


def _in_filters(filters: Any, path: str) -> Iterator[Expression]:
    for number, item in enumerate(filters if isinstance(filters, list) else []):
        if isinstance(item, Mapping) and isinstance(item.get("rule_expression"), str):
            yield Expression(f"{path}.{number}.rule_expression", item["rule_expression"])


def _in_exchange(kwargs: Mapping[str, Any], path: str) -> Iterator[Expression]:
    config = kwargs.get("config")
    backtest = config.get("backtest") if isinstance(config, Mapping) else None
    exchange = backtest.get("exchange_kwargs") if isinstance(backtest, Mapping) else None
    if not isinstance(exchange, Mapping):
        return
    for key in ("deal_price", "limit_threshold"):
        value = exchange.get(key)
        for number, text in enumerate(value if isinstance(value, list) else [value]):
            place = f"{path}.{key}.{number}" if isinstance(value, list) else f"{path}.{key}"
            if isinstance(text, str):
                yield Expression(place, text if not text.isidentifier() else f"${text}")
    volume = exchange.get("volume_threshold")
    pairs = volume.items() if isinstance(volume, Mapping) else [("", volume)]
    for side, pair in pairs:
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], str):
            place = f"{path}.volume_threshold.{side}.1" if side else f"{path}.volume_threshold.1"
            yield Expression(place, pair[1])


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


@cache
def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"${n}" for n in names[:12])
    return shown + (" ..." if len(names) > 12 else "")
