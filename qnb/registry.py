"""Finds a plug-in by class name, file name, dotted path or entry point, without a list to edit.

A plug-in family is a folder. Every public class or function at the top of a file there is a member, known by its own
name and, if it is the file's only public class, by the file's name too. Files are read with `ast`, so listing names,
checking arguments and showing help never imports a heavy library; `find` imports the one file that is needed.
Other packages add members through the entry point group ``qnb.<kind>``. A file that cannot be read, or that fails when
it is imported, is told in the log and costs its own members alone.
"""

from __future__ import annotations

import ast
import importlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from .errors import ConfigError, QnbError, UnknownNameError

__all__ = ["FAMILIES", "Member", "Parameter", "find", "load", "load_all", "locate", "members", "parameters", "parsed"]

_LOG = logging.getLogger(__name__)

FAMILIES = {
    "model": "qnb.models",
    "processor": "qnb.data.processors",
    "feature_set": "qnb.data.feature_sets",
    "provider": "qnb.data.providers",
    "operator": "qnb.expr.operators",
    "strategy": "qnb.backtest.strategies",
    "record": "qnb.record_templates",
    "figure": "qnb.reports.figures",
    "backend": "qnb.pool.backends",
    "space": "qnb.tuning.spaces",
}
"""Plug-in family -> the package whose files are its members."""


@dataclass(frozen=True, slots=True)
class Member:
    """One plug-in, located but not imported.

    Attributes
    ----------
    kind, name : str
        Family and the class's or function's own name.
    module : str
        Dotted module that defines it.
    path : Path
        The file.
    line : int
        Line of its definition.
    doc : str
        Its docstring, cleaned; empty without one.
    short : str
        The short key (file name) or ''.
    """

    kind: str
    name: str
    module: str
    path: Path
    line: int
    doc: str = ""
    short: str = ""

    @property
    def dotted(self) -> str:
        """``module.name``."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a callable as its source text shows it.

    Attributes
    ----------
    name, annotation, default : str
        As written; annotation and default are '' when absent.
    required : bool
        True without a default.
    variadic : bool
        True for ``*args`` and ``**kwargs``.
    keyword : bool
        True for ``**kwargs`` (anything goes).
    """

    name: str
    annotation: str = ""
    default: str = ""
    required: bool = False
    variadic: bool = False
    keyword: bool = False


def members(kind: str) -> dict[str, Member]:
    """Return the members of family `kind` by their own name, in the order of the files."""
    return dict(_members(kind))


def locate(kind: str, key: str) -> Member:
    """Return the member of `kind` that `key` names, without importing it.

    Raises
    ------
    UnknownNameError
        With the nearest right names.
    """
    family = _members(kind)
    if key in family:
        return family[key]
    for member in family.values():
        if member.short == key or member.dotted == key:
            return member
    known = [*family, *(m.short for m in family.values() if m.short)]
    folder = _folder(FAMILIES[kind])
    hint = "; ".join(fault for path, fault in _faults.items() if path.parent == folder)
    raise UnknownNameError(kind.replace("_", " "), key, known, hint=hint)


def find(kind: str, key: str) -> Any:
    """Return the class or function of family `kind` that `key` names.

    Parameters
    ----------
    kind : str
        A key of `FAMILIES`.
    key : str
        Class name, file name, dotted path of ours, or the name of an entry point of the group ``qnb.<kind>``.

    Raises
    ------
    UnknownNameError
        With the nearest right names.
    ConfigError
        Its file fails when it is imported.
    """
    try:
        member = locate(kind, key)
    except UnknownNameError:
        for point in _entry_points(kind):
            if point.name == key:
                return _of_package(point)
        raise
    return load(member)


def load(member: Member) -> Any:
    """Return the class or function itself; its file is imported.

    Raises
    ------
    ConfigError
        The file fails when it is imported.
    """
    return _loaded(str(member.path), lambda: getattr(importlib.import_module(member.module), member.name))


def load_all(kind: str, attribute: str = "") -> dict[str, Any]:
    """Return all members of family `kind`, also those of other packages; one that fails is told and left out.

    Parameters
    ----------
    kind : str
        A key of `FAMILIES`.
    attribute : str
        What each file of the family has under this name, in place of its members; the file's name is the key.
    """
    if attribute:
        own = {path.stem: Member(kind, attribute, module, path, 1) for module, path in _files(FAMILIES[kind])}
    else:
        own = _members(kind)
    calls: dict[str, Callable[[], Any]] = {name: partial(load, member) for name, member in own.items()}
    calls |= {point.name: partial(_of_package, point) for point in _entry_points(kind)}
    found: dict[str, Any] = {}
    for name, call in calls.items():
        try:
            found[name] = call()
        except QnbError as error:
            _tell(f"{error}; it is left out")
    return found


def parameters(member: Member) -> tuple[Parameter, ...]:
    """Return the constructor's (or function's) parameters without ``self``, read from the source.

    A class without an ``__init__`` of its own shows its dataclass fields or its first base's constructor, looked up
    through the imports of its file.
    """
    return _parameters(member.module, member.name)


@cache
def _members(kind: str) -> dict[str, Member]:
    package = FAMILIES[kind]
    found: dict[str, Member] = {}
    for module, path in _files(package):
        tree = parsed(path)
        public = [n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef) and not n.name.startswith("_")]
        exported = _all_of(tree)
        if exported is not None:
            public = [n for n in public if n.name in exported]
        classes = [n for n in public if isinstance(n, ast.ClassDef)]
        for node in public:
            sole = (len(classes) == 1 and node is classes[0]) or len(public) == 1
            found[node.name] = Member(
                kind=kind,
                name=node.name,
                module=module,
                path=path,
                line=node.lineno,
                doc=ast.get_docstring(node) or "",
                short=path.stem if sole else "",
            )
    return found


def _files(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(_folder(package).glob("*.py")):
        if not path.stem.startswith("_"):
            yield f"{package}.{path.stem}", path


def _folder(package: str) -> Path:
    return Path(__file__).parent.joinpath(*package.split(".")[1:])


@cache
def parsed(path: Path) -> ast.Module:
    """Return the tree of a file of ours; one that cannot be read is told and has nothing in it."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, SyntaxError, ValueError) as error:
        _faults[path] = f"{path} is left out, it cannot be read: {error}"
        _tell(_faults[path])
        return ast.Module([], [])


_faults: dict[Path, str] = {}
_told: set[str] = set()


def _tell(text: str) -> None:
    if text not in _told:
        _told.add(text)
        _LOG.warning(text)


def _of_package(point: Any) -> Any:
    return _loaded(f"{point.value} of the package {point.dist.name}", point.load)


def _loaded(where: str, get: Callable[[], Any]) -> Any:
    try:
        return get()
    except QnbError:
        raise
    except (Exception, SystemExit) as error:  # whatever code of others does when it is imported
        raise ConfigError(f"the plug-in {where} cannot be loaded: {type(error).__name__}: {error}") from error


def _all_of(tree: ast.Module) -> list[str] | None:
    """Return the names in ``__all__``; None where there is none, or one that is computed."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.List | ast.Tuple) and all(isinstance(e, ast.Constant) for e in value.elts):
                return [str(e.value) for e in value.elts if isinstance(e, ast.Constant)]
    return None


@cache
def _parameters(module: str, name: str) -> tuple[Parameter, ...]:
    path = _source_of(module)
    if path is None:
        return (Parameter("kwargs", variadic=True, keyword=True),)
    tree = parsed(path)
    node = next((n for n in tree.body if getattr(n, "name", None) == name), None)
    if isinstance(node, ast.FunctionDef):
        return _of_arguments(node.args, skip_self=False)
    if isinstance(node, ast.ClassDef):
        return _of_class(node, tree, module)
    origin = _imported_from(tree, name, module)  # re-exported from another file
    return _parameters(*origin) if origin else (Parameter("kwargs", variadic=True, keyword=True),)


def _of_class(node: ast.ClassDef, tree: ast.Module, module: str) -> tuple[Parameter, ...]:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _of_arguments(item.args, skip_self=True)
    if any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        return tuple(
            Parameter(
                i.target.id,
                ast.unparse(i.annotation),
                ast.unparse(i.value) if i.value else "",
                i.value is None,
            )
            for i in node.body
            if isinstance(i, ast.AnnAssign) and isinstance(i.target, ast.Name)
        )
    for base in node.bases:
        if isinstance(base, ast.Name):
            local = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == base.id), None)
            if local is not None:
                return _of_class(local, tree, module)
            origin = _imported_from(tree, base.id, module)
            if origin is not None and _source_of(origin[0]) is not None and origin[1] not in ("Protocol", "ABC"):
                return _parameters(*origin)
    return ()


def _of_arguments(args: ast.arguments, *, skip_self: bool) -> tuple[Parameter, ...]:
    positional = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [*[None] * (len(positional) - len(args.defaults)), *args.defaults]
    pairs = list(zip(positional, defaults, strict=True))[1 if skip_self else 0 :]
    pairs += list(zip(args.kwonlyargs, args.kw_defaults, strict=True))
    found = [
        Parameter(a.arg, ast.unparse(a.annotation) if a.annotation else "", ast.unparse(d) if d else "", d is None)
        for a, d in pairs
    ]
    if args.vararg:
        found.append(Parameter(args.vararg.arg, variadic=True))
    if args.kwarg:
        found.append(Parameter(args.kwarg.arg, variadic=True, keyword=True))
    return tuple(found)


def _imported_from(tree: ast.Module, name: str, module: str) -> tuple[str, str] | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    base = node.module or ""
                    if node.level:
                        parts = module.split(".")
                        package = parts if _is_package(module) else parts[:-1]
                        package = package[: len(package) - (node.level - 1)]
                        base = ".".join([*package, *([base] if base else [])])
                    return base, alias.name
    return None


def _is_package(module: str) -> bool:
    path = _source_of(module)
    return path is not None and path.name == "__init__.py"


@cache
def _source_of(module: str) -> Path | None:
    if not module.startswith("qnb."):
        return None
    stem = Path(__file__).parent.joinpath(*module.split(".")[1:])
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.exists():
            return path
    return None


@cache
def _entry_points(kind: str) -> tuple[Any, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=f"qnb.{kind}"))
