"""What the engine asks of market data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

__all__ = ["FieldSource"]


class FieldSource(Protocol):
    """Fields of instruments on one calendar."""

    @property
    def calendar(self) -> np.ndarray:
        """Days or times, datetime64[ns], ascending."""
        ...

    @property
    def fingerprint(self) -> str:
        """Content address of the data; changes when the data does."""
        ...

    def series(self, instrument: str, field: str) -> tuple[int, np.ndarray] | None:
        """Return the calendar position of the first value, and the values as float32; None if there are none."""
        ...

    def extent(self, instrument: str, fields: Sequence[str] | None = None) -> tuple[int, int]:
        """Return the half-open range of calendar positions in which one of `fields` (None: any) has values."""
        ...

    def instruments(self) -> Sequence[str]:
        """Return the names of all instruments."""
        ...

    def fields(self) -> Sequence[str]:
        """Return the names of the fields that any instrument has."""
        ...

    def group(self, name: str) -> Mapping[str, str]:
        """Return instrument -> group of a grouping (``sector``), empty if it is unknown."""
        ...

    def periods(self, instrument: str, field: str) -> np.ndarray | None:
        """Return point-in-time records (date, period, value), ordered by date; None if there are none."""
        ...
