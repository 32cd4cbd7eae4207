"""Modules of the user, loaded from a task's folders under names that no other folder has; `sys.path` stays as it is.

1. The folders of a run make a group. Each is a package with a private name, so of two folders with a ``model.py`` each
   has its own. A group in which a file changed is made anew: the next run loads all of it again, one that is going on
   keeps what it has.
2. In a module so loaded ``import`` looks into the module's own folder first, then into the others of the group, then
   where Python looks. What the process has imported from the very same file already is taken as it is.
3. Their classes are pickled with the source of the group, and come back from that: in another process, on another
   version of Python, and where the files are gone.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..errors import ConfigError, Problem

__all__ = [
    "Source",
    "code_name",
    "find_module",
    "forget_modules",
    "is_user_module",
    "load_file",
    "module_path_of",
    "public_name",
    "reduce_user_object",
    "registered_in_run",
    "restore",
    "user_modules",
]

PREFIX = "qnb_user_"


@contextmanager
def user_modules(imports: Sequence[str], *more: str | Path) -> Iterator[None]:
    """Have the user's modules looked for in a run's folders while it is open, in this context.

    Parameters
    ----------
    imports : sequence of str
        Folders of the task's ``sys`` section.
    more : path
        Folders that count as the run's where Python looks into them anyway: the task's own, the working folder.
    """
    python = {os.path.realpath(entry) for entry in sys.path}
    folders = [*imports, *(str(f) for f in more if f and os.path.realpath(f) in python)]
    before = _of_run.get()
    _of_run.set(_group(folders, home=str(next(iter(more), ""))))
    try:
        yield
    finally:
        _of_run.set(before)


def find_module(name: str) -> ModuleType | None:
    """Return a dotted module of the run's folders, loaded; None for one that is not there or Python's own."""
    group = _of_run.get()
    package = group.package_with(name.partition(".")[0]) if group is not None else None
    return None if package is None else importlib.import_module(f"{package}.{name}")


def load_file(path: str, *, base_dir: Path | None = None) -> ModuleType:
    """Return the module of a ``.py`` file; outside of a run a changed one is loaded anew.

    Raises
    ------
    ConfigError
        When there is no such file or it cannot be imported.
    """
    file = ((base_dir or Path.cwd()) / Path(path).expanduser()).absolute()
    try:
        file.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(f"cannot read {str(file)!r}: {error.strerror}", "check module_path")]) from error
    if file.suffix != ".py":
        raise ConfigError([Problem(f"{str(file)!r} is no Python file", "check module_path")])
    group = _of_run.get() or _group([], home=str(file.parent))
    name = f"{group.package(str(file.parent))}.{file.stem.replace('.', '_')}"
    group.files.setdefault(name, file)
    return importlib.import_module(name)


def is_user_module(module: str) -> bool:
    """Return whether a module was loaded from a run's folders or by its path."""
    return module.startswith(PREFIX)


def public_name(module: str) -> str:
    """Return a module's name as its author knows it."""
    return module.partition(".")[2] if is_user_module(module) else module


def code_name(target: type) -> str:
    """Return the name of a class, for content addresses: for the user's own it says which code, but not where."""
    module = target.__module__
    group = _groups_by_package.get(module.partition(".")[0])
    if group is None or module not in group.sources:
        return f"{module}.{target.__qualname__}"
    mark = hashlib.blake2b(group.sources[module].text, digest_size=8).hexdigest()
    return f"{public_name(module)}@{mark}.{target.__qualname__}"


def module_path_of(target: type) -> str:
    """Return the ``module_path`` by which a class is found again: a file where it was loaded from a run's folder."""
    module = target.__module__
    group = _groups_by_package.get(module.partition(".")[0])
    if group is None or module not in group.sources:
        return module
    return group.sources[module].path


def registered_in_run() -> dict[str, Any] | None:
    """Return what modules of the run's folders made known by name, to be added to; None outside of a run."""
    group = _of_run.get()
    return None if group is None else group.registered


def forget_modules() -> None:
    """Have the next run load everything anew."""
    with _lock:
        _groups.clear()


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a module that was loaded.

    Attributes
    ----------
    folder : str
        The folder of the group that it lies in.
    name : str
        Its dotted name in that folder.
    path : str
        The file.
    text : bytes
        What the file held.
    """

    folder: str
    name: str
    path: str
    text: bytes

    @property
    def is_package(self) -> bool:
        """Whether it is a folder's ``__init__.py``."""
        return os.path.basename(self.path) == "__init__.py"


def reduce_user_object(value: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
    """Return how a module, class or function of the user is pickled; None for anything else."""
    if not isinstance(value, ModuleType | type | FunctionType):
        return None
    module = value.__name__ if isinstance(value, ModuleType) else value.__module__
    group = _groups_by_package.get(str(module).partition(".")[0])
    if group is None or module not in group.sources:
        return None
    attribute = "" if isinstance(value, ModuleType) else value.__qualname__
    if attribute and _attribute(sys.modules.get(str(module)), attribute) is not value:
        return None
    own = group.sources[str(module)]
    return restore, (group.folders, tuple(group.sources.values()), own.folder, own.name, attribute)


def restore(folders: Sequence[str], sources: Sequence[Source], folder: str, name: str, attribute: str) -> Any:
    """Return what `reduce_user_object` reduced: that of a run of this process, else made of the sources."""
    found = None
    with _lock:
        for group in _groups_by_package.values():
            if group.folders == tuple(folders) and group.holds(sources):
                found = group
    if found is None:
        found = _Group(folders)
        for source in sources:
            found.texts[f"{found.package(source.folder)}.{source.name}"] = source
    module = importlib.import_module(f"{found.package(folder)}.{name}")
    return _attribute(module, attribute) if attribute else module


def _attribute(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part, None)
    return module


class _Group:
    """The modules of a run's folders.

    Attributes
    ----------
    folders : tuple of str
        Where dotted names are looked for.
    files : dict of str to Path
        Files that were asked for by their path, by module.
    sources : dict of str to Source
        What was loaded, by module.
    texts : dict of str to Source
        What is loaded from a text rather than from its file.
    registered : dict
        What its modules made known by name.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = tuple(folders)
        self.files: dict[str, Path] = {}
        self.sources: dict[str, Source] = {}
        self.texts: dict[str, Source] = {}
        self.registered: dict[str, Any] = {}
        self._packages: dict[str, str] = {}
        self._found: dict[tuple[str, str], str | None] = {}
        importlib.invalidate_caches()

    @property
    def has_changed(self) -> bool:
        """Whether a file holds something else than what was loaded from it."""
        return any(_read(s.path) != s.text for s in list(self.sources.values()))

    def holds(self, sources: Sequence[Source]) -> bool:
        """Return whether all of `sources` were loaded here."""
        return set(sources) <= set(self.sources.values())

    def has_text(self, name: str) -> bool:
        """Return whether the module, or one in it, is loaded from a text."""
        return any(n == name or n.startswith(f"{name}.") for n in self.texts)

    def package(self, folder: str) -> str:
        """Return the private name of a folder."""
        import cloudpickle

        with _lock:
            name = self._packages.get(folder)
            if name is None:
                mark = hashlib.blake2b("\0".join((folder, *self.folders)).encode(), digest_size=5).hexdigest()
                name, number = f"{PREFIX}{mark}", 1
                while name in _groups_by_package:
                    number += 1
                    name = f"{PREFIX}{mark}_{number}"
                package = ModuleType(name, f"Modules of {folder}.")
                package.__path__ = [folder]
                package.__spec__ = ModuleSpec(name, None, is_package=True)
                sys.modules[name] = package
                cloudpickle.register_pickle_by_value(package)  # for libraries that send code to processes of their own
                self._packages[folder] = name
                _groups_by_package[name] = self
                if not any(isinstance(f, _Finder) for f in sys.meta_path):
                    sys.meta_path.insert(0, _Finder())
            return name

    def folder_of(self, package: str) -> str:
        """Return the folder of a private name."""
        return next(folder for folder, name in self._packages.items() if name == package)

    def package_with(self, top: str, first: str = "") -> str | None:
        """Return the private name of the first folder that has the module `top`; None where Python looks for it."""
        key = (first, top)
        if key not in self._found:
            self._found[key] = self._search(top, [f for f in (first, *self.folders) if f])
        return self._found[key]

    def _search(self, top: str, folders: Sequence[str]) -> str | None:
        if top == "qnb" or top in sys.builtin_module_names:
            return None
        for folder in folders:
            package = self._packages.get(folder, "")
            if self.has_text(f"{package}.{top}"):
                return package
            spec = PathFinder.find_spec(top, [folder])
            if spec is None or (spec.origin is None and _python_has(top)):  # a mere folder comes after real modules
                continue
            known = getattr(sys.modules.get(top), "__file__", None)
            if known and spec.origin and os.path.realpath(known) == os.path.realpath(spec.origin):
                return None
            return self.package(folder)
        return None


_lock = threading.RLock()
_groups: dict[tuple[str, ...], _Group] = {}
_groups_by_package: dict[str, _Group] = {}
_of_run: ContextVar[_Group | None] = ContextVar("qnb_modules_of_run", default=None)


def _group(folders: Sequence[str], *, home: str) -> _Group:
    """Return the group of the folders of a task that lies in `home`, as they are now."""
    found = tuple(dict.fromkeys(os.path.abspath(f) for f in folders))
    with _lock:
        group = _groups.get((home, *found))
        if group is None or group.has_changed:
            group = _groups[home, *found] = _Group(found)
        return group


class _Finder:
    """Finds what lies in packages of private names."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, tail = name.partition(".")
        group = _groups_by_package.get(package)
        if group is None or not tail:
            return None
        text, file = group.texts.get(name), group.files.get(name)
        if text is not None:
            loader = _Loader(name, text.path, group, text.text)
            return importlib.util.spec_from_file_location(
                name, text.path, loader=loader,
                submodule_search_locations=[os.path.dirname(text.path)] if text.is_package else None,
            )  # fmt: skip
        if group.has_text(name):
            return ModuleSpec(name, None, is_package=True)  # a folder
        if file is not None:
            return importlib.util.spec_from_file_location(name, file, loader=_Loader(name, str(file), group))
        spec = PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path, group)
        return spec


class _Loader(SourceFileLoader):
    """Loads a module whose imports look into its group first.

    It compiles the bytes that it read: Python's cache takes a file changed within a second for the old one.
    """

    def __init__(self, name: str, path: str, group: _Group, text: bytes | None = None) -> None:
        super().__init__(name, path)
        self._group = group
        self._text = text

    def get_data(self, path: str) -> bytes:
        """Return the bytes of the module, read once."""
        if path != self.path:
            return super().get_data(path)
        if self._text is None:
            self._text = super().get_data(path)
        return self._text

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the bytes."""
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        package, _, tail = module.__name__.partition(".")
        folder = self._group.folder_of(package)
        self._group.sources[module.__name__] = Source(folder, tail, self.path, self.get_data(self.path))
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _importer(self._group, folder)}
        super().exec_module(module)


def _importer(group: _Group, folder: str) -> Callable[..., Any]:
    """Return what ``import`` is in the modules of a folder."""

    def import_(
        name: str, globals: Mapping[str, object] | None = None, locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] = (), level: int = 0,
    ) -> Any:  # fmt: skip
        top = name.partition(".")[0]
        package = group.package_with(top, folder) if level == 0 else None
        if package is None:
            return builtins.__import__(name, globals, locals, fromlist, level)
        if fromlist:
            return builtins.__import__(f"{package}.{name}", globals, locals, fromlist, 0)
        importlib.import_module(f"{package}.{name}")
        return sys.modules[f"{package}.{top}"]

    return import_


def _python_has(top: str) -> bool:
    """Return whether Python finds a module of that name that is more than a folder."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # half loaded, or without a spec
        return top in sys.modules
    return spec is not None and spec.origin is not None


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
