"""GRU on windows of dates (TSDatasetH)."""

from __future__ import annotations

from .gru import GRU

__all__ = ["GRUTS"]


class GRUTS(GRU):
    """`GRU` over windows of dates; `d_feat` is the number of features a date."""

    windows = True
