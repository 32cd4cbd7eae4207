"""A GRU whose last output is read by a linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from .recurrent import GRU
from .sequence import as_sequence

__all__ = ["GRUModel"]


class GRUModel(nn.Module):
    """GRU over the steps, then one number from the last output."""

    def __init__(self, d_feat: int = 6, hidden_size: int = 64, num_layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        self.rnn = GRU(d_feat, hidden_size, num_layers, dropout=dropout)
        self.fc_out = nn.Linear(hidden_size, 1)
        self.d_feat = d_feat

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,) for `x` of shape (rows, steps, d_feat) or (rows, d_feat * steps)."""
        out, _ = self.rnn(as_sequence(x, self.d_feat))
        return self.fc_out(out[:, -1]).squeeze(-1)
