"""Recurrent network with attention over its outputs, on rows that hold a history (Alpha360)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ..errors import ConfigError, Problem
from ..training.options import TrainingOptions
from ..training.torch_model import TorchModel

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ALSTM"]

RNN_TYPES = ("GRU", "LSTM")


class ALSTM(TorchModel):
    """GRU or LSTM over the history in a row, with attention over all of its outputs.

    Parameters
    ----------
    d_feat : int
        Fields of which a row holds the history, field by field, oldest first (6 in Alpha360).
    hidden_size, num_layers : int
        Width and number of the recurrent layers.
    dropout : float
        Between recurrent layers.
    rnn_type : str
        ``GRU`` or ``LSTM``.
    **training
        See `TorchModel`.

    Notes
    -----
    Qin et al. (2017), *A Dual-Stage Attention-Based Recurrent Neural Network for Time Series Prediction*, and Feng
    et al. (2019), *Enhancing Stock Movement Prediction with Adversarial Training*: the temporal attention, without
    the adversarial part.
    """

    def __init__(
        self,
        d_feat: int = 6,
        hidden_size: int = 64,
        num_layers: int = 2,
        dropout: float = 0.0,
        rnn_type: str = "GRU",
        **training: Unpack[TrainingOptions],
    ) -> None:
        if rnn_type.upper() not in RNN_TYPES:
            raise ConfigError([Problem(f"unknown rnn_type {rnn_type!r}", "valid: GRU, LSTM", "kwargs.rnn_type")])
        super().__init__(**training)
        self.architecture = {
            "d_feat": d_feat,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "dropout": dropout,
            "rnn_type": rnn_type,
        }

    def build(self) -> nn.Module:
        """Return the network."""
        from ._networks.alstm import ALSTMModel

        return ALSTMModel(**self.architecture)
