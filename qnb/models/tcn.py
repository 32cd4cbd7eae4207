"""Temporal convolutional network on rows that hold a history (Alpha360)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..training.options import TrainingOptions
from ..training.torch_model import TorchModel

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TCN"]

DEFAULTS: TrainingOptions = {"lr": 0.0001}


class TCN(TorchModel):
    """Dilated causal convolutions over the history in a row; the last step gives the score.

    Parameters
    ----------
    d_feat : int
        Fields of which a row holds the history, field by field, oldest first (6 in Alpha360).
    n_chans : int
        Channels of every block.
    kernel_size : int
        Steps that a convolution sees; block k sees every ``2^k``-th step.
    num_layers : int
        Blocks.
    dropout : float
        Behind every convolution.
    **training
        See `TorchModel`; ``lr`` is 0.0001 by default.

    Notes
    -----
    Bai, Kolter & Koltun (2018), *An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
    Modeling*: the residual block with weight normalisation.
    """

    def __init__(
        self,
        d_feat: int = 6,
        n_chans: int = 128,
        kernel_size: int = 5,
        num_layers: int = 5,
        dropout: float = 0.5,
        **training: Unpack[TrainingOptions],
    ) -> None:
        options: TrainingOptions = {**DEFAULTS, **training}
        super().__init__(**options)
        self.architecture = {
            "d_feat": d_feat,
            "n_chans": n_chans,
            "kernel_size": kernel_size,
            "num_layers": num_layers,
            "dropout": dropout,
        }

    def build(self) -> nn.Module:
        """Return the network."""
        from ._networks.tcn import TCNModel

        return TCNModel(**self.architecture)
