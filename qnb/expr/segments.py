"""Functions over a segment: consecutive calendar rows of one instrument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Segment", "backward_fill", "first_value", "forward_fill"]


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a run of rows lies.

    Attributes
    ----------
    instrument : str
        The instrument.
    times : ndarray of datetime64[ns], shape (rows,)
        Time of each row.
    """

    instrument: str
    times: np.ndarray


def first_value(segment: Any, x: np.ndarray) -> np.ndarray:
    """Return the first row's value in all rows."""
    return np.broadcast_to(x[:1], x.shape) if len(x) else x


def forward_fill(segment: Any, x: np.ndarray) -> np.ndarray:
    """Return `x` with each NaN replaced by the last value before it."""
    return x[_last_valid(x)]


def backward_fill(segment: Any, x: np.ndarray) -> np.ndarray:
    """Return `x` with each NaN replaced by the next value after it."""
    return forward_fill(segment, x[::-1])[::-1]


def _last_valid(x: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(np.where(np.isnan(x), 0, np.arange(len(x))))
