"""A recurrent network with attention over its own outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .dropout import Dropout
from .recurrent import find_layer
from .sequence import as_sequence

__all__ = ["ALSTMModel"]


class ALSTMModel(nn.Module):
    """Features through a tanh layer, GRU or LSTM over the steps, attention over all outputs beside the last one."""

    def __init__(
        self,
        d_feat: int = 6,
        hidden_size: int = 64,
        num_layers: int = 2,
        dropout: float = 0.0,
        rnn_type: str = "GRU",
    ) -> None:
        super().__init__()
        self.d_feat = d_feat
        self.fc_in = nn.Linear(d_feat, hidden_size)
        self.rnn = find_layer(rnn_type)(hidden_size, hidden_size, num_layers, dropout=dropout)
        self.attention = nn.Sequential(
            nn.Linear(hidden_size, hidden_size // 2),
            Dropout(dropout),
            nn.Tanh(),
            nn.Linear(hidden_size // 2, 1, bias=False),
            nn.Softmax(dim=1),
        )
        self.fc_out = nn.Linear(2 * hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,) for `x` of shape (rows, steps, d_feat) or (rows, d_feat * steps)."""
        out, _ = self.rnn(torch.tanh(self.fc_in(as_sequence(x, self.d_feat))))
        attended = (self.attention(out) * out).sum(1)
        return self.fc_out(torch.cat((out[:, -1], attended), dim=1)).squeeze(-1)
