"""Normalise the columns of Alpha158 by date, each kind in its own way."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..cross_section import mean, median, std
from ..processor import TableProcessor, Workspace
from ..table import Table

__all__ = ["ConfigSectionProcessor"]

_PLAIN = (
    "KMID", "KSFT", "OPEN", "HIGH", "LOW", "CLOSE", "VWAP", "ROC", "MA", "BETA", "RESI", "QTLU", "QTLD", "RSV",
    "SUMP", "SUMN", "SUMD", "VSUMP", "VSUMN", "VSUMD",
)  # fmt: skip


def _power(exponent: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: x ** np.float32(exponent)


_STEPS: tuple[tuple[str, tuple[str, ...], Callable[[np.ndarray], np.ndarray]], ...] = (
    (r"KLEN|KLOW|KUP", (), _power(0.25)),
    (r"KLOW2|KUP2", (), _power(0.5)),
    ("|".join(_PLAIN), ("HIGH0", "LOW0"), lambda x: x),
    (r"STD|VOLUME|VMA|VSTD", (), np.log),
    (r"RSQR", (), lambda x: np.where(np.isnan(x), np.float32(0), x)),
    (r"MAX|HIGH0", (), lambda x: (x - np.float32(1)) ** np.float32(0.5)),
    (r"MIN|LOW0", (), lambda x: (np.float32(1) - x) ** np.float32(0.5)),
    (r"CORR|CORD", (), np.exp),
    (r"WVMA", (), np.log1p),
)
"""Start of the column's name, names left out, what is done before normalising; in order, a column may match twice."""


class ConfigSectionProcessor(TableProcessor):
    """Bring the columns of Alpha158 to comparable scales over the instruments of each date.

    Columns are recognised by the start of their names. Labels: (x - mean) / std. Features: first a root, a logarithm or
    an exponential that suits their kind, then (x - median) / (1.4826 MAD), then tails beyond 3 are shrunk so that the
    extreme value lies at 3.5. Other columns (RANK, IMAX, IMIN, IMXD, CNTP, CNTN, CNTD) stay.

    Parameters
    ----------
    fields_group : str, optional
        Accepted and ignored, as in the peer: all columns are looked at.
    fillna_feature, fillna_label : bool
        NaN becomes 0 after normalising.
    clip_feature_outlier, clip_label_outlier : bool
        Clip to [-3, 3].
    shrink_feature_outlier : bool
        Shrink the tails.

    Notes
    -----
    Reads the date. KLOW2 and KUP2, and the MAX columns, match two steps and go through both.
    """

    reads = "day"

    def __init__(
        self,
        fields_group: Any = None,
        fillna_feature: bool = True,
        fillna_label: bool = True,
        clip_feature_outlier: bool = False,
        shrink_feature_outlier: bool = True,
        clip_label_outlier: bool = False,
    ) -> None:
        self.fields_group = fields_group
        self.fillna_feature = fillna_feature
        self.fillna_label = fillna_label
        self.clip_feature_outlier = clip_feature_outlier
        self.shrink_feature_outlier = shrink_feature_outlier
        self.clip_label_outlier = clip_label_outlier

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table normalised by date."""
        blocks = list(table.blocks)
        for i, block in enumerate(table.blocks):
            steps = self._steps(block.names)
            if steps:

                def change(x: np.ndarray, steps: list[tuple[np.ndarray, Any]] = steps) -> None:
                    for columns, step in steps:
                        x[:, columns] = step(x[:, columns])

                blocks[i] = work.map_days(table.with_blocks([block]), None, change).blocks[0]
        return table.with_blocks(blocks)

    def _steps(self, names: tuple[str, ...]) -> list[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
        labels = np.array([i for i, n in enumerate(names) if n.startswith("LABEL")], dtype=np.intp)
        found: list[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]] = []
        if len(labels):
            found.append((labels, self._label))
        for pattern, without, before in _STEPS:
            chosen = [i for i, n in enumerate(names) if re.match(pattern, n) and n not in without]
            if chosen:
                found.append(
                    (np.array(chosen, dtype=np.intp), lambda x, before=before: self._feature(before(x)))  # type: ignore[misc]
                )
        return found

    def _label(self, x: np.ndarray) -> np.ndarray:
        centre = mean(x)
        x = ((x - centre) / std(x, centre)).astype(np.float32)
        if self.clip_label_outlier:
            x = np.clip(x, np.float32(-3), np.float32(3))
        return np.where(np.isnan(x), np.float32(0), x) if self.fillna_label else x

    def _feature(self, x: np.ndarray) -> np.ndarray:
        three = np.float32(3)
        x = x - median(x)
        x /= median(np.abs(x)) * np.float32(1.4826)
        if self.clip_feature_outlier:
            x = np.clip(x, -three, three)
        if self.shrink_feature_outlier:
            top = np.fmax.reduce(x, axis=0)
            x = np.where(x <= three, x, three + (x - three) / (top - three) * np.float32(0.5))
            bottom = np.fmin.reduce(x, axis=0)
            x = np.where(x >= -three, x, -three - (x + three) / (bottom + three) * np.float32(0.5))
        return np.where(np.isnan(x), np.float32(0), x) if self.fillna_feature else x
