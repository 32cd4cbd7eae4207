"""A recurrent network per instrument with attention among all instruments of a date."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .recurrent import find_layer
from .sequence import as_sequence

__all__ = ["GATModel"]


class GATModel(nn.Module):
    """GRU or LSTM over the steps; each row then adds what it attends to among the rows of the batch, which is a date.

    The attention of row i to row j is ``softmax_j(leaky_relu(a1 . W h_j + a2 . W h_i))``. It is an outer sum of two
    vectors, so no pairs of states are built.
    """

    def __init__(
        self,
        d_feat: int = 6,
        hidden_size: int = 64,
        num_layers: int = 2,
        dropout: float = 0.0,
        base_model: str = "GRU",
    ) -> None:
        super().__init__()
        self.d_feat = d_feat
        self.rnn = find_layer(base_model)(d_feat, hidden_size, num_layers, dropout=dropout)
        self.transformation = nn.Linear(hidden_size, hidden_size)
        self.a = nn.Parameter(torch.randn(2 * hidden_size, 1))
        self.fc = nn.Linear(hidden_size, hidden_size)
        self.fc_out = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,) for the rows of one date, shape (rows, steps, d_feat) or (rows, d_feat * steps)."""
        out, _ = self.rnn(as_sequence(x, self.d_feat))
        hidden = out[:, -1]
        changed = self.transformation(hidden)
        seen, asking = self.a.chunk(2)
        scores = F.leaky_relu((changed @ seen).t() + changed @ asking)
        hidden = F.softmax(scores, dim=1) @ hidden + hidden
        return self.fc_out(F.leaky_relu(self.fc(hidden))).squeeze(-1)
