"""Checks one component of a document: its keys, its class, its arguments and the components inside of those.

Everything is read from sources; nothing of the component is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from ..errors import ConfigError, Problem, UnknownNameError, nearest
from ..registry import Member, Parameter
from . import catalogue
from .aliases import NOT_THERE, alias, is_peer_path
from .booster_parameters import BOOSTER_PARAMETERS
from .component import Description, describe
from .document import Document, Path, dotted
from .families import NESTED, PROTOCOLS, is_standard, nested_in, refusal
from .filters import check_filters
from .sources import Signature, classes_in, defined_in, find_module_file, signature_of, signature_of_member
from .types import misfit

__all__ = ["INJECTED", "Inspected", "check_component", "inspect_component", "unknown_key"]

INJECTED: Mapping[str, frozenset[str]] = {
    "record": frozenset({"recorder", "model", "dataset", "settings"}),
    "dataset": frozenset({"settings"}),
    "processor": frozenset({"fit_start_time", "fit_end_time"}),
    "strategy": frozenset({"signal"}),
    "signal": frozenset({"model", "dataset"}),
}
"""Arguments that the engine gives, by kind, so that they may be missing."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A component that was found in the sources.

    Attributes
    ----------
    name : str
        Its class or function.
    member : Member or None
        Where it is, if it is ours.
    signature : Signature
        What it takes.
    path : Path
        The file that was read.
    """

    name: str
    member: Member | None
    signature: Signature
    path: FilePath


def check_component(document: Document, path: Path, value: Any, kind: str) -> list[Problem]:
    """Return what is wrong with the component at `path`, and with those inside of its arguments.

    Parameters
    ----------
    document : Document
        For the places; also the folders where modules are looked for.
    kind : str
        Family in which a bare name is looked up.
    """
    if value is None:
        return [document.problem(f"{path[-1]} is empty", path, remedy="write class: and kwargs:", key=True)]
    problems = _shape(document, path, value, kind)
    if problems:
        return problems
    what = describe(value)
    found, problem = _of_family(document, path, what, kind)
    if problem is not None:
        problems.append(problem)
    if found is not None:
        problems += _check_arguments(document, path, what, found, kind)
    for name, argument in what.kwargs.items():
        problems += _check_nested(document, (*path, "kwargs", name), name, argument)
    return problems


def _of_family(document: Document, path: Path, what: Description, kind: str) -> tuple[Inspected | None, Problem | None]:
    """Return what `inspect_component` does; a component that is not of its family is a problem, and not looked into."""
    problem = _misfit(document, path, what, None, kind)
    if problem is not None:
        return None, problem
    found, problem = inspect_component(document, path, what, kind)
    if found is not None:
        problem = _misfit(document, path, what, found, kind)
    return (found, None) if problem is None else (None, problem)


def inspect_component(
    document: Document, path: Path, what: Description, kind: str
) -> tuple[Inspected | None, Problem | None]:
    """Return the component that is described, found in the sources, or what is wrong with its name.

    (None, None) is a component whose source cannot be read, such as a class of the notebook.
    """
    here: Path = (*path, "class") if (*path, "class") in _written(document, path) else path
    try:
        if not what.module:
            member = catalogue.locate(kind, what.name)
        elif is_peer_path(what.module):
            member = catalogue.locate(*alias(what.module, what.name))
        else:
            return _foreign(document, path, what)
    except UnknownNameError as error:
        if what.module and error.kind == "module":
            return None, document.problem(_said(error), (*path, "module_path"), remedy=_remedy(error))
        if is_peer_path(what.module):
            remedy = _near_miss(what.name, (*catalogue.names(kind), *catalogue.names(error.kind)))
            return None, document.problem(f"qnb has no {what.name} of {what.module}", here, remedy=remedy)
        if _is_entry_point(kind, what.name):
            return None, None
        return None, document.problem(_said(error), here, remedy=_remedy(error, kind, what))
    return Inspected(member.name, member, signature_of_member(member), member.path), None


def unknown_key(document: Document, path: Path, known: Iterable[str], *, inside: str = "") -> Problem:
    """Return the problem of a key that is none of `known`."""
    names = list(known)
    near = nearest(str(path[-1]), names)
    remedy = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(names)}" if len(names) <= 12 else ""
    where = f" in {inside}" if inside else ""
    return document.problem(f"unknown key {path[-1]!r}{where}", path, remedy=remedy, key=True)


def _shape(document: Document, path: Path, value: Any, kind: str) -> list[Problem]:
    article = "an" if kind[0] in "aeo" else "a"
    if isinstance(value, str) and value:
        return []
    if not isinstance(value, Mapping):
        return [
            document.problem(f"{article} {kind} is wanted, received {value!r}", path, remedy="write class and kwargs")
        ]
    problems = [
        unknown_key(document, (*path, key), ("class", "func", "module_path", "kwargs"), inside=f"{article} {kind}")
        for key in value
        if key not in ("class", "func", "module_path", "kwargs")
    ]
    target = value.get("class", value.get("func"))
    if target is None and not problems:
        problems.append(
            document.problem(f"{article} {kind} without a class", path, remedy="write class: NAME", key=True)
        )
    elif target is not None and not isinstance(target, str):
        problems.append(document.problem(f"class must be a name, received {target!r}", (*path, "class")))
    if not isinstance(value.get("module_path"), str | None):
        problems.append(document.problem("module_path must be text", (*path, "module_path")))
    if not isinstance(value.get("kwargs"), Mapping | None):
        message = f"kwargs must be a mapping, received {value['kwargs']!r}"
        problems.append(document.problem(message, (*path, "kwargs"), remedy="write name: value"))
    return problems


def _foreign(document: Document, path: Path, what: Description) -> tuple[Inspected | None, Problem | None]:
    """Look up a class that is neither ours nor an alias: in a ``.py`` file or a module found by its file."""
    module_path: Path = (*path, "module_path")
    if what.module == "__main__":
        return None, None
    if what.module.endswith(".py"):
        file: FilePath | None = FilePath(what.module)
        if not FilePath(what.module).is_file():
            remedy = "the path starts from the folder of the YAML"
            return None, document.problem(f"no file {what.module!r}", module_path, remedy=remedy)
    else:
        file = find_module_file(what.module, document.imports)
        if file is None:
            return None, _no_module(document, path, what)
    assert file is not None
    try:
        signature = signature_of(file, what.name, folders=document.imports)
    except ConfigError as error:
        return None, document.problem(error.problems[0].message, module_path, remedy=error.problems[0].remedy)
    if signature is None:
        near = nearest(what.name, classes_in(file))
        remedy = f"did you mean {near[0]!r}?" if near else f"the file has {', '.join(classes_in(file)) or 'no class'}"
        return None, document.problem(f"no class {what.name!r} in {what.module}", (*path, "class"), remedy=remedy)
    return Inspected(what.name, None, signature, file), None


def _misfit(document: Document, path: Path, what: Description, found: Inspected | None, kind: str) -> Problem | None:
    """Return the problem of a component that is not of its family, as far as sources tell; see `qnb.task.families`."""
    if kind not in PROTOCOLS or (found is not None and found.member is not None and found.member.kind == kind):
        return None
    is_class, has = (True, None) if found is None else defined_in(found.path, found.name, folders=document.imports)
    problem = refusal(kind, what.module, what.name, is_class=is_class, has=has)
    if problem is None:
        return None
    here = (*path, "class") if (*path, "class") in _written(document, path) else path
    return document.problem(problem.message, here, remedy=problem.remedy)


def _no_module(document: Document, path: Path, what: Description) -> Problem | None:
    """Return the problem of a module without a source file; None for compiled and built-in ones."""
    import importlib.machinery
    import sys

    top = what.module.partition(".")[0]
    if is_standard(top):
        return None  # refused for what it is
    if importlib.machinery.PathFinder.find_spec(top, [*document.imports, *sys.path]) is not None and "." in what.module:
        return None
    here = (*path, "module_path") if (*path, "module_path") in _written(document, path) else path
    remedy = "give a module that can be imported (sys: rel_path: adds folders), or the path of a .py file"
    return document.problem(f"no module {what.module!r}", here, remedy=remedy)


def _check_arguments(document: Document, path: Path, what: Description, found: Inspected, kind: str) -> list[Problem]:
    problems: list[Problem] = []
    meant: set[str] = set()  # what misspelt arguments probably are
    parameters = {p.name: p for p in found.signature.parameters}
    library = BOOSTER_PARAMETERS.get(found.name) if found.member is not None else None
    for name, value in what.kwargs.items():
        here: Path = (*path, "kwargs", name)
        if name in parameters:
            if name not in (*NESTED, "filter_pipe"):
                problems += _check_type(document, here, found.name, parameters[name], value)
        elif not found.signature.open or (library is not None and name not in library):
            known = [*parameters, *(library or ())]
            meant.update(nearest(name, known, n=1))
            problems.append(_unknown_argument(document, here, found.name, known))
    given = set(what.kwargs) | INJECTED.get(kind, frozenset()) | meant
    missing = [n for n, p in parameters.items() if p.required and n not in given]
    if missing:
        message = f"{found.name} needs {', '.join(map(repr, missing))}"
        place: Path = (*path, "kwargs") if what.kwargs else path
        problems.append(document.problem(message, place, remedy=f"write it under kwargs of {found.name}", key=True))
    return problems


def _check_type(document: Document, path: Path, owner: str, parameter: Parameter, value: Any) -> list[Problem]:
    wrong = misfit(parameter.annotation, value)
    if wrong is None:
        return []
    message = f"{path[-1]} of {owner} must be {wrong.wanted}, received {value!r}"
    return [document.problem(message, path, remedy=wrong.remedy)]


def _unknown_argument(document: Document, path: Path, owner: str, known: Iterable[str]) -> Problem:
    names = list(known)
    near = nearest(str(path[-1]), names)
    remedy = f"did you mean {near[0]!r}?" if near else ""
    if not near:
        remedy = f"it takes {', '.join(names[:15])}{' ...' if len(names) > 15 else ''}" if names else "it takes none"
    return document.problem(f"{owner} takes no argument {path[-1]!r}", path, remedy=remedy, key=True)


def _check_nested(document: Document, path: Path, name: str, value: Any) -> list[Problem]:
    if name == "instruments" and isinstance(value, Mapping) and value.get("filter_pipe"):
        return check_filters(document, (*path, "filter_pipe"), value["filter_pipe"])
    if name == "filter_pipe" and value is not None:
        return check_filters(document, path, value)
    if name == "pt_model_uri" and isinstance(value, str):  # a class alone; its arguments stand beside it
        what = describe(value)
        _, problem = _of_family(document, path, what, "network")
        return [problem] if problem is not None else []
    problems: list[Problem] = []
    if NESTED.get(name) == "processor" and value is not None:
        groups = value.items() if name == "inst_processors" and isinstance(value, Mapping) else [("", value)]
        problems = [
            document.problem(f"{name} must be a list, received {v!r}", (*path, g) if g else path, remedy="begin with -")
            for g, v in groups
            if not isinstance(v, list)
        ]
    if name == "config" or problems:  # a portfolio's config has checks of its own
        return problems
    for place, item, kind in nested_in(name, value, path):
        problems += check_component(document, place, item, kind)
    return problems


def _is_entry_point(kind: str, name: str) -> bool:
    from importlib.metadata import entry_points

    return any(point.name == name for point in entry_points(group=f"qnb.{kind}"))


def _near_miss(name: str, known: Iterable[str]) -> str:
    """Return a remedy only for a slip of the pen: the peer has classes that look like others of ours."""
    names = [] if name in NOT_THERE else list(known)
    found = get_close_matches(name, names, n=1, cutoff=0.85) or [
        n for n in names if len(name) > 4 and n.startswith(name)
    ]
    return f"did you mean {found[0]!r}?" if found else "there is no counterpart of it yet"


def _said(error: UnknownNameError) -> str:
    return f"no {error.kind.replace('_', ' ')} {error.name!r}"


def _remedy(error: UnknownNameError, kind: str = "", what: Description | None = None) -> str:
    if error.suggestions:
        return "did you mean " + " or ".join(map(repr, error.suggestions[:2])) + "?"
    if what is None:
        return error.hint
    others = sorted({m.kind for m in catalogue.kinds_of(what.name)} - {kind})
    if others:
        return f"{what.name} is a {others[0].replace('_', ' ')}"
    return "a class of your own needs its module_path"


def _written(document: Document, path: Path) -> set[Path]:
    return {(*path, k) for k in ("class", "module_path") if dotted((*path, k)) in document.places}
