"""LSTM on windows of dates (TSDatasetH)."""

from __future__ import annotations

from .lstm import LSTM

__all__ = ["LSTMTS"]


class LSTMTS(LSTM):
    """`LSTM` over windows of dates; `d_feat` is the number of features a date."""

    windows = True
