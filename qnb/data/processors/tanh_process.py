"""Squash features that scatter around one."""

from __future__ import annotations

import numpy as np

from ..processor import TableProcessor, Workspace
from ..table import Table

__all__ = ["TanhProcess"]


class TanhProcess(TableProcessor):
    """Replace every column x whose name does not contain ``LABEL`` by tanh(x - 1).

    For features that are ratios around 1, such as those of Alpha360. NaN stays NaN.

    Notes
    -----
    Reads the row itself.
    """

    reads = "row"

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table with squashed features."""
        groups = [g for g in table.groups if any("LABEL" not in n for h, n in table.columns if h == g)]
        mask = np.array(["LABEL" not in n for g, n in table.columns if g in groups], dtype=bool)

        def change(x: np.ndarray, columns: slice) -> None:
            chosen = mask[columns]
            if chosen.all():
                np.subtract(x, np.float32(1), out=x)
                np.tanh(x, out=x)
            else:
                x[:, chosen] = np.tanh(x[:, chosen] - np.float32(1))

        return work.map_rows(table, groups, change)
