"""Keep frames ordered by instrument."""

from __future__ import annotations

from dataclasses import replace

from ..processor import TableProcessor, Workspace
from ..table import Table

__all__ = ["HashStockFormat"]


class HashStockFormat(TableProcessor):
    """Give out frames ordered (instrument, datetime) instead of (datetime, instrument).

    Where single stocks are looked up at random. Matrices handed to models keep their order, and no values are copied:
    rows of one instrument are found by their codes in any case.

    Notes
    -----
    Reads the row itself.
    """

    reads = "row"

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table marked as ordered by instrument."""
        return replace(table, by_instrument=True)
