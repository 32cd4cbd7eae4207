"""Names for the kernels' parameters, and the constants they use."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["F4", "F8", "I8", "INF", "NAN"]

F8: TypeAlias = Any
"""Pointer to float64."""

F4: TypeAlias = Any
"""Pointer to float32."""

I8: TypeAlias = Any
"""Pointer to int64."""

NAN = float("nan")
INF = float("inf")
