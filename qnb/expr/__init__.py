"""Factor expressions: language, plan and columnar evaluation.

::

    text ─parse▶ Node ─plan▶ Plan (shared terms, windows) ─evaluate▶ float32 (rows, fields)

The verbs are in modules of their name: `parse.parse`, `explain.explain`, `evaluate.evaluate`.
Names are loaded on first use, so that reading an expression imports no compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalogue import register_operator
    from .explain import Explanation
    from .memory import MemorySource
    from .operator import CrossSection, Element, Parameter, Reach, Series
    from .protocols import FieldSource
    from .rows import Rows

__all__ = [
    "CrossSection",
    "Element",
    "Explanation",
    "FieldSource",
    "MemorySource",
    "Parameter",
    "Reach",
    "Rows",
    "Series",
    "register_operator",
]

_HOMES = {
    "CrossSection": "operator",
    "Element": "operator",
    "Explanation": "explain",
    "FieldSource": "protocols",
    "MemorySource": "memory",
    "Parameter": "operator",
    "Reach": "operator",
    "Rows": "rows",
    "Series": "operator",
    "register_operator": "catalogue",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
