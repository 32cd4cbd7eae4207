"""Transformer encoder on windows of dates (TSDatasetH)."""

from __future__ import annotations

from typing import Unpack

from ..training.options import TrainingOptions
from .transformer import TransformerModel

__all__ = ["TransformerModelTS"]


class TransformerModelTS(TransformerModel):
    """`TransformerModel` over windows of dates, in batches of 8192; `d_feat` is the number of features a date."""

    windows = True
    part = 512

    def __init__(
        self,
        d_feat: int = 20,
        d_model: int = 64,
        nhead: int = 2,
        num_layers: int = 2,
        dropout: float = 0.0,
        reg: float = 0.001,
        **training: Unpack[TrainingOptions],
    ) -> None:
        options: TrainingOptions = {"batch_size": 8192, **training}
        super().__init__(d_feat, d_model, nhead, num_layers, dropout, reg, **options)
