"""Long short-term memory on rows that hold a history (Alpha360)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..training.options import TrainingOptions
from ..training.torch_model import TorchModel

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LSTM"]


class LSTM(TorchModel):
    """LSTM over the history in a row; the last output gives the score.

    Parameters
    ----------
    d_feat : int
        Fields of which a row holds the history, field by field, oldest first (6 in Alpha360).
    hidden_size, num_layers : int
        Width and number of the recurrent layers.
    dropout : float
        Between recurrent layers.
    **training
        See `TorchModel`.

    Notes
    -----
    Hochreiter & Schmidhuber (1997), *Long Short-Term Memory*: the recurrent layers; two of 64 are qlib's choice.
    """

    def __init__(
        self,
        d_feat: int = 6,
        hidden_size: int = 64,
        num_layers: int = 2,
        dropout: float = 0.0,
        **training: Unpack[TrainingOptions],
    ) -> None:
        super().__init__(**training)
        self.architecture = {
            "d_feat": d_feat,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "dropout": dropout,
        }

    def build(self) -> nn.Module:
        """Return the network."""
        from ._networks.lstm import LSTMModel

        return LSTMModel(**self.architecture)
