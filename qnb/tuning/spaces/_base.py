"""What a named space is: a declaration of where it goes and of its distributions in the plain form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["NamedSpace"]


class NamedSpace:
    """Base of named spaces.

    Attributes
    ----------
    target : str
        What it searches: ``model`` or ``strategy`` (their arguments), or ``label``.
    classes : tuple of str
        Classes whose arguments it knows; empty for any.
    values : mapping
        Argument -> distribution in the plain form; for a label, a distribution.
    """

    target: ClassVar[str] = "model"
    classes: ClassVar[tuple[str, ...]] = ()
    values: ClassVar[Mapping[str, Any]] = {}
