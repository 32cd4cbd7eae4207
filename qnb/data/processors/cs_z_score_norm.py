"""Standardise each date's cross-section."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...errors import ConfigError, Problem
from ..cross_section import mean, median, std
from ..processor import TableProcessor, Workspace
from ..table import FieldsGroup, Table

__all__ = ["CSZScoreNorm"]


class CSZScoreNorm(TableProcessor):
    """Standardise every column over the instruments of each date.

    ``zscore``: (x - mean) / std, std with n - 1. ``robust``: (x - median) / MAD / 1.4826, clipped to [-3, 3].
    NaN stays NaN; a date with one value, or with equal values, becomes NaN.

    Parameters
    ----------
    fields_group : str, list of str or None
        Column groups; None means all columns.
    method : str
        ``"zscore"`` or ``"robust"``.

    Notes
    -----
    Reads the date.
    """

    reads = "day"

    def __init__(self, fields_group: FieldsGroup = None, method: Literal["zscore", "robust"] = "zscore") -> None:
        if method not in ("zscore", "robust"):
            problem = Problem(f"unknown method {method!r}", "valid: zscore, robust", "CSZScoreNorm.method")
            raise ConfigError([problem])
        self.fields_group = fields_group
        self.method = method

    def transform(self, table: Table, work: Workspace) -> Table:
        """Return the table standardised by date."""
        return work.map_days(table, self.fields_group, _zscore if self.method == "zscore" else _robust)


def _zscore(x: np.ndarray) -> None:
    centre = mean(x)
    spread = std(x, centre)
    x -= centre.astype(np.float32)
    x /= spread.astype(np.float32)


def _robust(x: np.ndarray) -> None:
    x -= median(x)
    x /= median(np.abs(x))
    x /= np.float32(1.4826)
    np.clip(x, np.float32(-3), np.float32(3), out=x)
