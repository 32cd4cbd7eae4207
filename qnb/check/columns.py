"""Checks the columns: names that processors choose, and the number of features that a network expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import registry
from ..errors import Problem, UnknownNameError, nearest
from ..task.catalogue import locate
from ..task.sources import signature_of_member
from .subject import HANDLER, Subject

__all__ = ["check_columns", "feature_names"]


def check_columns(subject: Subject) -> Iterator[Problem]:
    """Yield processors that choose columns that are not there, and networks of another width than the data."""
    names = feature_names(subject)
    if names is None:
        return
    left: list[str] | None = list(names)
    for key in ("shared_processors", "infer_processors"):
        processors = subject.handler.get(key)
        for number, processor in enumerate(processors if isinstance(processors, list) else []):
            path = f"{HANDLER}.kwargs.{key}.{number}"
            yield from _chosen(subject, processor, path, names)
            left = _after(processor, left)
    if left is not None:
        yield from _width(subject, len(left))


def feature_names(subject: Subject) -> tuple[str, ...] | None:
    """Return the names of the features that the handler loads, None where that cannot be said."""
    name = subject.handler_name
    if name.startswith("Alpha158"):
        from ..data.feature_sets.alpha158 import fields

        return tuple(fields()[1])
    if name.startswith("Alpha360"):
        from ..data.feature_sets.alpha360 import fields as fields360

        return tuple(fields360()[1])
    loader = subject.handler.get("data_loader")
    if name != "DataHandlerLP" or not isinstance(loader, Mapping) or loader.get("class") != "QlibDataLoader":
        return None
    config = (loader.get("kwargs") or {}).get("config")
    feature = config.get("feature") if isinstance(config, Mapping) else None
    if not isinstance(feature, list) or not feature:
        return None
    if isinstance(feature[0], list):
        return tuple(map(str, feature[1])) if len(feature) == 2 and isinstance(feature[1], list) else None
    return tuple(map(str, feature))


def _chosen(subject: Subject, processor: Any, path: str, names: tuple[str, ...]) -> Iterator[Problem]:
    kwargs = processor.get("kwargs") if isinstance(processor, Mapping) else None
    chosen = kwargs.get("col_list") if isinstance(kwargs, Mapping) else None
    if not isinstance(chosen, list) or kwargs is None or kwargs.get("fields_group", "feature") != "feature":
        return
    for number, name in enumerate(chosen):
        if name not in names and not str(name).startswith("LABEL"):
            near = nearest(str(name), names)
            remedy = f"did you mean {near[0]!r}?" if near else f"{subject.handler_name} has no column of that name"
            where = f"{path}.kwargs.col_list.{number}"
            yield subject.problem(f"no feature {name!r}", where, remedy=remedy)


def _after(processor: Any, names: list[str] | None) -> list[str] | None:
    """Return the features that a processor leaves; None where that cannot be said."""
    if names is None:
        return None
    name = processor if isinstance(processor, str) else processor.get("class") if isinstance(processor, Mapping) else ""
    known = registry.members("processor")
    if name not in known or (
        isinstance(processor, Mapping) and processor.get("module_path", "qlib.").startswith("qlib.") is False
    ):
        return None
    kwargs = processor.get("kwargs") or {} if isinstance(processor, Mapping) else {}
    chosen = kwargs.get("col_list")
    if name == "FilterCol" and isinstance(chosen, list):
        return [n for n in names if n in chosen]
    if name == "DropCol" and isinstance(chosen, list):
        return [n for n in names if n not in chosen]
    return names


def _width(subject: Subject, columns: int) -> Iterator[Problem]:
    """Yield a network that would refuse the data only once it is loaded."""
    try:
        member = locate("model", subject.model_name) if subject.model_name else None
    except UnknownNameError:
        return
    if member is None:
        return
    taken = {p.name: p for p in signature_of_member(member).parameters}
    if "d_feat" in taken:
        given = subject.model.get("d_feat", _number(taken["d_feat"].default))
        windows = member.name.endswith("TS")
        if isinstance(given, int) and (columns != given if windows else columns % given):
            wanted = f"d_feat must be {columns}" if windows else f"d_feat must divide {columns}"
            path = "task.model.kwargs.d_feat" if "d_feat" in subject.model else "task.model"
            message = f"{member.name} expects {given} features a day, {columns} arrive"
            yield subject.problem(message, path, remedy=wanted, key=True)
    network = subject.model.get("pt_model_kwargs")
    width = network.get("input_dim") if isinstance(network, Mapping) else None
    if isinstance(width, int) and width != columns and "Net" in str(subject.model.get("pt_model_uri", "Net")):
        message = f"the network takes {width} features, {columns} arrive"
        yield subject.problem(message, "task.model.kwargs.pt_model_kwargs.input_dim", remedy=f"write {columns}")


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None
