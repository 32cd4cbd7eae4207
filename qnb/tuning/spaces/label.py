"""Spaces of the label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ._base import NamedSpace

__all__ = ["QLibDataLabelSpace"]


class QLibDataLabelSpace(NamedSpace):
    """The peer's two labels: the return from tomorrow's average price to the next day's, and that of five days."""

    target: ClassVar[str] = "label"
    values: ClassVar[Mapping[str, Any]] = {
        "choices": ["Ref($vwap, -2)/Ref($vwap, -1) - 1", "Ref($close, -5)/$close - 1"],
    }
