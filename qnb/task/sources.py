"""What a class or function takes, read from its source: nothing is imported.

1. The file of a module is found: below ``qnb``, as a ``.py`` path, or by name in the folders of ``sys.path``.
2. The constructor's parameters are read with `ast`. One that hands ``**kwargs`` on takes its base's parameters too, so
   bases are followed through the imports of their files.
3. Where a base or a file cannot be read, the signature is `open`: unknown arguments are not known to be wrong.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError, Problem
from ..registry import Member, Parameter

__all__ = [
    "Signature", "class_values", "classes_in", "defined_in", "find_module_file", "signature_of", "signature_of_member",
]  # fmt: skip

_QNB = Path(__file__).parent.parent
_NO_CONSTRUCTOR = frozenset({"object", "Protocol", "ABC", "Generic", "ABCMeta"})


@dataclass(frozen=True, slots=True)
class Signature:
    """What may be given to a callable by name.

    Attributes
    ----------
    parameters : tuple of Parameter
        Those with a name, own ones first, then inherited ones.
    open : bool
        True when there may be more, because ``**kwargs`` ends somewhere else than in a base that can be read.
    doc : str
        Its docstring, or ''.
    """

    parameters: tuple[Parameter, ...]
    open: bool = False
    doc: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(p.name for p in self.parameters)


def signature_of_member(member: Member) -> Signature:
    """Return what a component of ours takes."""
    return signature_of(member.path, member.name) or Signature((), open=True)


def signature_of(path: Path, name: str, *, folders: tuple[str, ...] = ()) -> Signature | None:
    """Return what `name` of the file `path` takes, or None when there is nothing of that name.

    Parameters
    ----------
    folders : tuple of str
        Where modules that the file imports are looked for, before ``sys.path``.

    Raises
    ------
    ConfigError
        When the file cannot be read or is no Python.
    """
    return _signature(path, name, folders, 0)


def defined_in(path: Path, name: str, *, folders: tuple[str, ...] = ()) -> tuple[bool, frozenset[str] | None]:
    """Return whether `name` of the file `path` is a class, and what it and its bases define.

    None where that cannot be said: a base that is not found, or a name that is assigned; it may be a class then.
    """
    return _defined(path, name, folders, 0)


def classes_in(path: Path) -> tuple[str, ...]:
    """Return the public classes and functions at the top of a file."""
    return tuple(
        n.name for n in _tree(path).body if isinstance(n, ast.ClassDef | ast.FunctionDef) and not n.name.startswith("_")
    )


def class_values(
    path: Path, name: str, wanted: Sequence[str], *, folders: tuple[str, ...] = (), depth: int = 0
) -> dict[str, Any]:
    """Return literals that the class `name`, or the first base that has them, assigns to the names `wanted`.

    Raises
    ------
    ConfigError
        When a file cannot be read or is no Python.
    """
    tree = _tree(path)
    node = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)
    if node is None:
        origin = _origin(path, tree, name, folders) if depth < 20 else None
        return class_values(*origin, wanted, folders=folders, depth=depth + 1) if origin is not None else {}
    found: dict[str, Any] = {}
    for base in reversed(node.bases):
        text = ast.unparse(base).partition("[")[0]
        if "." not in text and text not in _NO_CONSTRUCTOR and depth < 20:
            found |= class_values(path, text, wanted, folders=folders, depth=depth + 1)
    for item in node.body:
        target = item.targets[0] if isinstance(item, ast.Assign) else getattr(item, "target", None)
        value = getattr(item, "value", None)
        if isinstance(target, ast.Name) and target.id in wanted and value is not None:
            with contextlib.suppress(ValueError):
                found[target.id] = ast.literal_eval(value)
    return found


def find_module_file(module: str, folders: Sequence[str] = ()) -> Path | None:
    """Return the source file of a dotted module, or None; no package is imported on the way."""
    steps = module.split(".")
    roots = [_QNB.parent] if steps[0] == "qnb" else [Path(f) for f in (*folders, *sys.path)]
    for root in roots:
        stem = root.joinpath(*steps)
        for file in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
            if file.is_file():
                return file
    return None


def _signature(path: Path, name: str, folders: tuple[str, ...], depth: int) -> Signature | None:
    tree = _tree(path)
    node = next((n for n in tree.body if getattr(n, "name", None) == name), None)
    if isinstance(node, ast.FunctionDef):
        parameters, keyword = _of_arguments(node.args)
        return Signature(parameters, keyword, ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        return _of_class(path, tree, node, folders, depth)
    origin = _origin(path, tree, name, folders)
    if origin is None or depth > 20:
        assigned = any(isinstance(n, ast.Assign) and name in _targets(n) for n in tree.body)
        return Signature((), open=True) if assigned or _imported(tree, name) else None
    return _signature(*origin, folders, depth + 1)


def _defined(path: Path, name: str, folders: tuple[str, ...], depth: int) -> tuple[bool, frozenset[str] | None]:
    tree = _tree(path)
    node = next((n for n in tree.body if getattr(n, "name", None) == name), None)
    if node is None:
        origin = _origin(path, tree, name, folders)
        return _defined(*origin, folders, depth + 1) if origin is not None and depth < 20 else (True, None)
    if not isinstance(node, ast.ClassDef):
        return False, frozenset()
    if any("dataclass" not in ast.unparse(d) for d in node.decorator_list) or node.keywords:
        return True, None  # what a decorator or a metaclass adds is not in the source
    names = set(_bound(node.body)) | {
        t.attr
        for n in tree.body
        if isinstance(n, ast.Assign)
        for t in n.targets
        if isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name) and t.value.id == name
    }
    for base in node.bases:
        text = ast.unparse(base).partition("[")[0]
        if text.rpartition(".")[2] in _NO_CONSTRUCTOR:
            continue
        above = _defined(path, text, folders, depth + 1)[1] if "." not in text and depth < 20 else None
        if above is None:
            return True, None
        names |= above
    return True, frozenset(names)


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements bind, those inside of ``if``, ``try`` and ``with`` too."""
    for n in body:
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield n.name
        elif isinstance(n, ast.Assign):
            yield from _targets(n)
        elif isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name) and n.value is not None:
            yield n.target.id
        elif isinstance(n, ast.Import | ast.ImportFrom):
            yield from (a.asname or a.name for a in n.names)
        for part in ("body", "orelse", "finalbody"):
            if isinstance(n, ast.If | ast.Try | ast.With | ast.For):
                yield from _bound(getattr(n, part, []))


def _of_class(path: Path, tree: ast.Module, node: ast.ClassDef, folders: tuple[str, ...], depth: int) -> Signature:
    doc = ast.get_docstring(node) or ""
    constructor = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    own: tuple[Parameter, ...] = ()
    if constructor is not None:
        own, keyword = _of_arguments(constructor.args, skip=1)
        if not keyword:
            return Signature(own, doc=doc)
    elif any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        own = _of_fields(node)
    for base in node.bases:
        text = ast.unparse(base).partition("[")[0]
        if text.rpartition(".")[2] in _NO_CONSTRUCTOR:
            continue
        above = _signature(path, text, folders, depth + 1) if "." not in text and depth < 20 else None
        if above is None:
            return Signature(own, open=True, doc=doc)
        if not above.parameters and not above.open:
            continue  # without a constructor; the next base may have one
        names = {p.name for p in own}
        inherited = tuple(p for p in above.parameters if p.name not in names)
        return Signature((*own, *inherited), above.open, doc or above.doc)
    return Signature(own, open=constructor is not None, doc=doc)


def _of_fields(node: ast.ClassDef) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            i.target.id, ast.unparse(i.annotation), ast.unparse(i.value) if i.value else "", i.value is None
        )
        for i in node.body
        if isinstance(i, ast.AnnAssign)
        and isinstance(i.target, ast.Name)
        and not ast.unparse(i.annotation).startswith("ClassVar")
    )  # fmt: skip


def _of_arguments(args: ast.arguments, *, skip: int = 0) -> tuple[tuple[Parameter, ...], bool]:
    positional = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [*[None] * (len(positional) - len(args.defaults)), *args.defaults]
    pairs = list(zip(positional, defaults, strict=True))[skip:]
    pairs += zip(args.kwonlyargs, args.kw_defaults, strict=True)
    found = tuple(
        Parameter(a.arg, ast.unparse(a.annotation) if a.annotation else "", ast.unparse(d) if d else "", d is None)
        for a, d in pairs
    )
    return found, args.kwarg is not None


def _origin(path: Path, tree: ast.Module, name: str, folders: tuple[str, ...]) -> tuple[Path, str] | None:
    """Return file and name that `name` was imported from, if its source can be found."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        for imported in node.names:
            if (imported.asname or imported.name) != name:
                continue
            if node.level:
                folder = path.parent
                for _ in range(node.level - 1):
                    folder = folder.parent
                stem = folder.joinpath(*(node.module or "").split(".")) if node.module else folder
                files = (stem / "__init__.py", stem.with_name(stem.name + ".py"))
                file = next((f for f in files if f.is_file()), None)
            else:
                file = find_module_file(node.module or "", (str(path.parent), *folders))
            return (file, imported.name) if file is not None else None
    return None


def _imported(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(n, ast.Import | ast.ImportFrom) and any((a.asname or a.name) in (name, "*") for a in n.names)
        for n in ast.walk(tree)
    )


def _targets(node: ast.Assign) -> list[str]:
    return [t.id for t in node.targets if isinstance(t, ast.Name)]


def _tree(path: Path) -> ast.Module:
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(f"cannot read {str(path)!r}: {error}", "check module_path")]) from error
    except (SyntaxError, ValueError) as error:
        raise ConfigError([Problem(f"{path} is no Python: {error}", "correct the file")]) from error


@cache
def _parsed(path: Path, modified: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))
