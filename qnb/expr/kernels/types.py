"""Types of the kernels' parameters, by which they are translated, and the constants they use."""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = ["F4", "F8", "I8", "INF", "NAN", "F4Stream"]

F8: TypeAlias = Any
"""Pointer to float64."""

F4: TypeAlias = Any
"""Pointer to float32."""

F4Stream: TypeAlias = Any
"""Pointer to float32 that is only written to, past the caches."""

I8: TypeAlias = Any
"""Pointer to int64."""

NAN = float("nan")
INF = float("inf")
