"""A Transformer encoder with convolutions for the neighbourhood and a GRU behind it."""

from __future__ import annotations

from torch import Tensor, nn

from .recurrent import GRU
from .sequence import as_sequence
from .transformer import MAX_STEPS, EncoderLayer, positions

__all__ = ["Localformer"]


class Localformer(nn.Module):
    """Encoder layers that each see a convolution over three steps added to their input, then a GRU."""

    def __init__(
        self, d_feat: int = 6, d_model: int = 64, nhead: int = 2, num_layers: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.d_feat = d_feat
        self.fc_in = nn.Linear(d_feat, d_model)
        self.register_buffer("positions", positions(MAX_STEPS, d_model), persistent=False)
        self.layers = nn.ModuleList(EncoderLayer(d_model, nhead, dropout=dropout) for _ in range(num_layers))
        self.local = nn.ModuleList(nn.Conv1d(d_model, d_model, 3, padding=1) for _ in range(num_layers))
        self.rnn = GRU(d_model, d_model, num_layers, dropout=dropout)
        self.fc_out = nn.Linear(d_model, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,) for `x` of shape (rows, steps, d_feat) or (rows, d_feat * steps)."""
        out = self.fc_in(as_sequence(x, self.d_feat))
        out = out + self.positions[: out.shape[1]]
        near = out
        for layer, convolution in zip(self.layers, self.local, strict=True):
            near = convolution(out.transpose(1, 2)).transpose(1, 2)
            out = layer(out + near)
        out, _ = self.rnn(out + near)
        return self.fc_out(out[:, -1]).squeeze(-1)
