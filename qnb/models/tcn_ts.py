"""Temporal convolutional network on windows of dates (TSDatasetH)."""

from __future__ import annotations

from typing import Unpack

from ..training.options import TrainingOptions
from .tcn import TCN

__all__ = ["TCNTS"]

DEFAULTS: TrainingOptions = {"lr": 0.001}


class TCNTS(TCN):
    """`TCN` over windows of dates, with other defaults; `d_feat` is the number of features a date."""

    windows = True

    def __init__(
        self,
        d_feat: int = 6,
        n_chans: int = 128,
        kernel_size: int = 5,
        num_layers: int = 2,
        dropout: float = 0.0,
        **training: Unpack[TrainingOptions],
    ) -> None:
        options: TrainingOptions = {**DEFAULTS, **training}
        super().__init__(d_feat, n_chans, kernel_size, num_layers, dropout, **options)
