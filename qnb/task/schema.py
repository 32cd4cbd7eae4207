"""One JSON schema of the workflow YAML, generated from the sources, and the names behind it for completion.

Everything comes from `catalogue` (classes), `sources` (arguments), `docstrings` (what they mean) and the tables of
`validate`, `shorthand` and `portfolio`; nothing is imported that a member needs.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..config import REGIONS, Settings
from . import catalogue
from .booster_parameters import BOOSTER_PARAMETERS
from .docstrings import parameter_docs, summary
from .filters import FILTERS
from .portfolio import BACKTEST, EXCHANGE, EXECUTOR
from .records import facts_of
from .shorthand import SHORT_KEYS
from .sources import signature_of_member
from .types import kinds
from .validate import INIT_SECTIONS, TOP_KEYS

__all__ = ["Argument", "Entry", "entries", "schema", "write_schema"]

_JSON_TYPES = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "list": "array",
    "dict": "object",
    "None": "null",
}
_COMPONENTS = ("model", "dataset", "handler", "processor", "loader", "record", "strategy", "reweighter")
_NESTED: Mapping[str, Any] = {
    "handler": {"$ref": "#/$defs/handler"},
    "data_loader": {"$ref": "#/$defs/loader"},
    **{
        name: {"type": "array", "items": {"$ref": "#/$defs/processor"}}
        for name in ("infer_processors", "learn_processors", "shared_processors")
    },
    "filter_pipe": {"type": ["array", "null"], "items": {"$ref": "#/$defs/filter"}},
    "segments": {"$ref": "#/$defs/segments"},
}
_COST_KEYS = {
    "open": "share of the value of a buy",
    "close": "share of the value of a sell",
    "min": "least cost of an order, in money",
}
_PLACEHOLDER = {"type": "string", "pattern": "^<[^<>]+>$"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a component: name, annotation and default as written, and what it means."""

    name: str
    annotation: str = ""
    default: str = ""
    required: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that can be named in a workflow.

    Attributes
    ----------
    kind, name, short : str
        Kind, class name, and short key or ''.
    doc : str
        Its whole docstring.
    arguments : tuple of Argument
        What it takes by name.
    more : tuple of str
        Names that its ``**kwargs`` may have beside them.
    """

    kind: str
    name: str
    short: str = ""
    doc: str = ""
    arguments: tuple[Argument, ...] = ()
    more: tuple[str, ...] = ()


@cache
def entries(kind: str) -> tuple[Entry, ...]:
    """Return everything of `kind` (a kind of `qnb.task.catalogue.KINDS`) with its documentation."""
    found = []
    for name in dict.fromkeys(catalogue.locate(kind, n).name for n in catalogue.names(kind)):
        member = catalogue.locate(kind, name)
        signature = signature_of_member(member)
        docs = parameter_docs(signature.doc)
        arguments = tuple(
            Argument(p.name, p.annotation, p.default, p.required, docs.get(p.name, "")) for p in signature.parameters
        )
        more = tuple(sorted(BOOSTER_PARAMETERS.get(name, ()))) if signature.open else ()
        found.append(Entry(kind, name, member.short, member.doc, arguments, more))
    return tuple(found)


def schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a workflow, full or short form."""
    definitions = {kind: _component(kind) for kind in _COMPONENTS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "qnb workflow",
        "type": "object",
        "properties": {**_top(), **_short()},
        "$defs": {**definitions, "filter": _filter(), "segments": _segments(), "portfolio": _portfolio()},
    }


def write_schema(path: Path) -> None:
    """Write the schema as JSON for editors, all at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(schema(), file, indent=1)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _top() -> dict[str, Any]:
    settings: dict[str, Any] = {name: {} for name in Settings.__dataclass_fields__}
    settings["region"] = {"enum": [*REGIONS, None]}
    settings["provider_uri"] = {"type": ["string", "object"]}
    found: dict[str, Any] = {key: {"description": text} for key, text in TOP_KEYS.items()}
    for section in INIT_SECTIONS:
        found[section] |= {"type": "object", "properties": settings}
    found["experiment_name"]["type"] = "string"
    found["task"] |= {
        "type": "object",
        "properties": {
            "model": {"$ref": "#/$defs/model"},
            "dataset": {"$ref": "#/$defs/dataset"},
            "record": {"anyOf": [{"$ref": "#/$defs/record"}, {"type": "array", "items": {"$ref": "#/$defs/record"}}]},
            "reweighter": {"$ref": "#/$defs/reweighter"},
        },
        "required": ["model", "dataset"],
        "additionalProperties": False,
    }
    return found


def _short() -> dict[str, Any]:
    costs = {name: {"type": "number", "description": text} for name, text in _COST_KEYS.items()}
    chain = {"type": "array", "items": {"$ref": "#/$defs/processor"}}
    known: dict[str, Any] = {
        "model": {"anyOf": [{"$ref": "#/$defs/model"}, _by_short_key("model")]},
        "features": {"anyOf": [{"$ref": "#/$defs/handler"}, {"type": ["array", "object"]}]},
        "segments": {"$ref": "#/$defs/segments"},
        "region": {"enum": [*REGIONS]},
        "processors": {"type": "object", "properties": dict.fromkeys(("infer", "learn", "shared"), chain)},
        "step_len": {"type": "integer"},
        "strategy": {"anyOf": [{"$ref": "#/$defs/strategy"}, _arguments(_default_strategy()), {"type": "null"}]},
        "costs": {"type": "object", "properties": costs, "additionalProperties": False},
        "backtest": _backtest(),
        "records": {"type": "array", "items": {"$ref": "#/$defs/record"}},
    }
    return {key: {**known.get(key, {}), "description": text} for key, text in SHORT_KEYS.items() if key not in TOP_KEYS}


def _by_short_key(kind: str) -> dict[str, Any]:
    """Return the schema of ``{lightgbm: {num_leaves: 64}}``: one name, and its arguments."""
    named = {n: _arguments(e) for e in entries(kind) for n in (e.short, e.name) if n}
    return {"type": "object", "properties": named, "maxProperties": 1}


def _default_strategy() -> Entry:
    return next(e for e in entries("strategy") if e.name == "TopkDropoutStrategy")


def _component(kind: str) -> dict[str, Any]:
    """Return the schema of a component: a name, or class with kwargs that depend on the class."""
    found = entries(kind)
    names = [n for e in found for n in (e.name, e.short) if n]
    branches = [
        {
            "if": {"properties": {"class": {"enum": [n for n in (e.name, e.short) if n]}}, "required": ["class"]},
            "then": {"properties": {"kwargs": _arguments(e)}},
        }
        for e in found
    ]
    described = {
        "type": "object",
        "properties": {
            "class": {"anyOf": [{"enum": names}, {"type": "string"}]},
            "func": {"type": "string"},
            "module_path": {"type": ["string", "null"]},
            "kwargs": {"type": ["object", "null"]},
        },
        "additionalProperties": False,
        **({"allOf": branches} if branches else {}),
    }
    texts = {e.short or e.name: summary(e.doc) for e in found}
    return {"anyOf": [{"type": "string", "examples": list(texts)}, described]}


def _arguments(entry: Entry) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for argument in entry.arguments:
        shape = dict(_NESTED[argument.name]) if argument.name in _NESTED else _shape(argument.annotation)
        if argument.name == "config" and entry.kind == "record" and facts_of(entry.name).trades:
            shape = {"$ref": "#/$defs/portfolio"}
        properties[argument.name] = {
            **shape,
            **({"description": argument.doc} if argument.doc else {}),
            **({"x-default": argument.default} if argument.default else {}),
        }
    for name in entry.more:
        properties.setdefault(name, {})
    return {"type": ["object", "null"], "properties": properties}


def _shape(annotation: str) -> dict[str, Any]:
    allowed, choices = kinds(annotation)
    if allowed is None or not (allowed or choices):
        return {}
    options: list[dict[str, Any]] = [_PLACEHOLDER, {"type": "null"}]
    if choices:
        options.insert(0, {"enum": list(choices)})
    types = [_JSON_TYPES[k] for k in _JSON_TYPES if k in allowed and k != "None"]
    if types:
        options.insert(0, {"type": types})
    return {"anyOf": options}


def _mapping(keys: Mapping[str, str]) -> dict[str, Any]:
    return {"type": "object", "properties": {k: _shape(a) for k, a in keys.items()}, "additionalProperties": False}


def _segments() -> dict[str, Any]:
    span = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": ["string", "integer", "null"]}}
    return {
        "type": "object",
        "additionalProperties": span,
        "properties": dict.fromkeys(("train", "valid", "test"), span),
    }


def _filter() -> dict[str, Any]:
    return {
        "anyOf": [
            {**(found := _mapping(keys)), "properties": {"filter_type": {"const": kind}, **found["properties"]}}
            for kind, keys in FILTERS.items()
        ]
    }


def _backtest() -> dict[str, Any]:
    backtest = _mapping(BACKTEST)
    backtest["properties"]["exchange_kwargs"] = _mapping(EXCHANGE)
    return backtest


def _portfolio() -> dict[str, Any]:
    backtest = _backtest()
    executor = {
        "type": ["object", "string"],
        "properties": {"class": {"const": "SimulatorExecutor"}, "module_path": {}, "kwargs": _mapping(EXECUTOR)},
    }
    return {
        "type": "object",
        "properties": {"strategy": {"$ref": "#/$defs/strategy"}, "executor": executor, "backtest": backtest},
        "required": ["strategy"],
        "additionalProperties": False,
    }
