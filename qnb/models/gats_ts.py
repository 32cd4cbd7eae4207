"""Graph attention among the instruments of a date, on windows of dates (TSDatasetH)."""

from __future__ import annotations

from typing import Unpack

from ..training.options import TrainingOptions
from .gats import GATs

__all__ = ["GATsTS"]


class GATsTS(GATs):
    """`GATs` over windows of dates; `d_feat` is the number of features a date."""

    windows = True

    def __init__(self, d_feat: int = 20, **training: Unpack[TrainingOptions]) -> None:
        super().__init__(d_feat, **training)
