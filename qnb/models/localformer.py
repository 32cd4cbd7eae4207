"""Transformer encoder with convolutions on rows that hold a history (Alpha360)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..training.options import TrainingOptions
from ..training.torch_model import TorchModel

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LocalformerModel"]

DEFAULTS: TrainingOptions = {"batch_size": 2048, "n_epochs": 100, "lr": 0.0001, "early_stop": 5}


class LocalformerModel(TorchModel):
    """Self-attention with convolutions for the neighbourhood over the history in a row, and a GRU behind it.

    Parameters
    ----------
    d_feat : int
        Fields of which a row holds the history, field by field, oldest first (6 in Alpha360).
    d_model : int
        Width of the encoder.
    nhead, num_layers : int
        Heads and layers of the encoder.
    dropout : float
        In the encoder.
    reg : float
        Weight decay.
    **training
        See `TorchModel`; by default batches of 2048, 100 epochs, a learning rate of 0.0001 and an end after 5 epochs
        without improvement.

    Notes
    -----
    Jiang et al. (2022), *Integrating Local Attention in Transformers for Stock Prediction* (qlib's Localformer): the
    convolution beside each encoder layer and the GRU at the end.
    """

    part = 128

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
        options: TrainingOptions = {**DEFAULTS, "weight_decay": reg, **training}
        super().__init__(**options)
        self.architecture = {
            "d_feat": d_feat,
            "d_model": d_model,
            "nhead": nhead,
            "num_layers": num_layers,
            "dropout": dropout,
        }

    def build(self) -> nn.Module:
        """Return the network."""
        from ._networks.localformer import Localformer

        return Localformer(**self.architecture)
