"""From the description of a component to the object: class, module_path and kwargs, a dotted path, a name, a file.

1. A ready object is returned as it is.
2. A description is read into (module, name, kwargs). A path of the peer's goes through the table of `aliases`, a
   module_path that ends in ``.py`` is loaded from the file, a module is looked for in the run's folders first (see
   `qnb.task.modules`), a name alone is looked up in its family.
3. What is injected (recorder, model, dataset ...) is passed where the constructor names it and the description does
   not give it. A TypeError of the constructor is never hidden by a second try.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import registry
from ..errors import ConfigError, Problem, UnknownNameError, nearest
from . import catalogue
from .aliases import alias, is_peer_path
from .families import is_standard, require_member
from .modules import find_module, load_file, public_name

__all__ = [
    "Description",
    "accepted_names",
    "build_component",
    "describe",
    "is_description",
    "resolve",
]

_KEYS = ("class", "func", "module_path", "kwargs")


@dataclass(frozen=True, slots=True)
class Description:
    """What a configuration says about a component.

    Attributes
    ----------
    name : str
        Class or function; '' when `target` is given.
    module : str
        Dotted module or path of a ``.py`` file; '' when the name is looked up in its family.
    kwargs : dict
        Arguments, copied.
    target : callable or None
        The class itself, when the configuration holds it.
    """

    name: str
    module: str
    kwargs: dict[str, Any]
    target: Callable[..., Any] | None = None


def build_component(
    config: Any,
    family: str,
    *,
    inject: Mapping[str, Any] | None = None,
    accept: type | tuple[type, ...] = (),
    base_dir: Path | None = None,
) -> Any:
    """Return the object that `config` describes.

    Parameters
    ----------
    config : mapping, str, class or object
        ``{class | func, module_path, kwargs}``, ``"a.b.C"``, a name of the family, a class, or a ready object.
    family : str
        What it must be, a key of `qnb.task.families.PROTOCOLS`; also where a name alone is looked up.
    inject : mapping, optional
        Arguments that are passed if the constructor names them and `config` does not give them.
    accept : type or tuple of types
        An instance of these is a ready object, even if it is a mapping or a string.
    base_dir : Path, optional
        Folder that a relative ``.py`` path starts from; default the working folder.

    Raises
    ------
    ConfigError
        When `config` cannot be a description, or what it names is not of the family.
    UnknownNameError
        When there is no such class, with the nearest right names.
    TypeError
        What the constructor itself raises.

    Examples
    --------
    >>> build_component({"class": "Fraction", "module_path": "fractions"}, "model")
    Traceback (most recent call last):
    qnb.errors.ConfigError: Fraction of fractions is no model: fractions belongs to Python itself; a model has ...
    """
    if accept and isinstance(config, accept):
        return config
    if not is_description(config):
        return config
    target, kwargs = resolve(config, family, base_dir=base_dir)
    missing = {k: v for k, v in (inject or {}).items() if k not in kwargs}
    if missing:
        accepted = accepted_names(target)
        kwargs.update({k: v for k, v in missing.items() if k in accepted})
    return target(**kwargs)


def resolve(config: Any, family: str, *, base_dir: Path | None = None) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the class that `config` describes, and its arguments; nothing of it is called. See `build_component`."""
    what = describe(config)
    if is_standard(what.module):  # nothing of it is imported
        require_member(family, None, module=what.module, name=what.name)
    target = what.target
    if target is None:
        target = _named(what, family, base_dir)
    require_member(family, target, module=what.module, name=what.name if what.module else "")
    return target, what.kwargs


def _named(what: Description, family: str, base_dir: Path | None) -> Any:
    if not what.module:
        return _by_name(what.name, family)
    if what.module.endswith(".py"):
        return _attribute(load_file(what.module, base_dir=base_dir), what.name)
    if is_peer_path(what.module):
        member = catalogue.locate(*alias(what.module, what.name))
        return registry.load(member)
    return _attribute(_import(what.module), what.name)


def is_description(config: Any) -> bool:
    """Return whether `config` describes a component rather than being one."""
    return isinstance(config, str | type | Mapping) or inspect.isfunction(config) or config is None


def describe(config: Any) -> Description:
    """Return `config` read into module, name and kwargs, without looking anything up.

    Raises
    ------
    ConfigError
        When it is no description.
    """
    if isinstance(config, str):
        return _split(config, "", {})
    if isinstance(config, type) or inspect.isfunction(config):
        return Description(config.__name__, "", {}, config)
    if not isinstance(config, Mapping):
        raise ConfigError([Problem(f"a component is wanted, received {config!r}", "write class, module_path, kwargs")])
    unknown = [str(k) for k in config if k not in _KEYS]
    if unknown:
        near = nearest(unknown[0], _KEYS)
        remedy = f"did you mean {near[0]!r}?" if near else "a component has class, module_path and kwargs"
        raise ConfigError([Problem(f"unknown key {unknown[0]!r} in a component", remedy)])
    target = config.get("class", config.get("func"))
    if target is None:
        raise ConfigError([Problem("a component without a class", "write class: and, for your own, module_path:")])
    kwargs = config.get("kwargs")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise ConfigError([Problem(f"kwargs must be a mapping, received {kwargs!r}", "write name: value pairs")])
    arguments = {str(k): _copied(v) for k, v in (kwargs or {}).items()}
    if callable(target):
        return Description(getattr(target, "__name__", "component"), "", arguments, target)
    module = config.get("module_path") or ""
    if isinstance(module, ModuleType):
        return Description(str(target), "", arguments, _attribute(module, str(target)))
    return _split(str(target), str(module), arguments)


def accepted_names(target: Callable[..., Any]) -> frozenset[str]:
    """Return the argument names that `target` takes.

    A constructor with ``**kwargs`` is assumed to hand them on to the next class, whose names are added.
    """
    found: set[str] = set()
    constructors: list[Any] = [target]
    if isinstance(target, type):
        constructors = [vars(c)["__init__"] for c in target.__mro__ if "__init__" in vars(c)]
    for constructor in constructors:
        if constructor is object.__init__:
            break
        try:
            parameters = inspect.signature(constructor).parameters.values()
        except (TypeError, ValueError):  # written in C without a signature
            break
        found |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return frozenset(found - {"self"})


def _split(name: str, module: str, kwargs: dict[str, Any]) -> Description:
    name = name.strip()
    if not module and "." in name:
        module, _, name = name.rpartition(".")
    return Description(name, module.strip(), kwargs)


def _by_name(name: str, family: str) -> Any:
    if family in registry.FAMILIES:
        try:
            return registry.find(family, name)
        except UnknownNameError as error:
            others = sorted({m.kind for m in catalogue.kinds_of(name)} - {family})
            if others:
                raise UnknownNameError(error.kind, name, hint=f"{name} is a {others[0]}") from None
            raise
    member = catalogue.locate(family, name)
    return registry.load(member)


def _import(module: str) -> ModuleType:
    try:
        return find_module(module) or importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = public_name(error.name or "")
        if missing and (module == missing or module.startswith(missing + ".")):
            hint = "give a module that can be imported, or the path of a .py file"
            raise UnknownNameError("module", module, hint=hint) from error
        raise


def _attribute(module: ModuleType, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        public = [n for n, v in vars(module).items() if not n.startswith("_") and callable(v)]
        raise UnknownNameError(f"class in {module.__name__}", name, public) from None


def _copied(value: Any) -> Any:
    """Return `value` with containers copied, so that a constructor cannot change the task; objects are kept."""
    if type(value) is dict:
        return {k: _copied(v) for k, v in value.items()}
    if type(value) is list:
        return [_copied(v) for v in value]
    return value
