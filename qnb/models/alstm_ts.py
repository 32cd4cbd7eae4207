"""ALSTM on windows of dates (TSDatasetH)."""

from __future__ import annotations

from .alstm import ALSTM

__all__ = ["ALSTMTS"]


class ALSTMTS(ALSTM):
    """`ALSTM` over windows of dates; `d_feat` is the number of features a date."""

    windows = True
