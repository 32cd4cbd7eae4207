"""A Transformer encoder over the steps of a row, read at the last step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .sequence import as_sequence

__all__ = ["EncoderLayer", "Transformer", "positions"]

MAX_STEPS = 1000


class Transformer(nn.Module):
    """Linear layer, positions, encoder layers, one number from the last step.

    The last layer is computed for the last step only, which is all that is read of it: the numbers are the same and
    about half of the work is saved.
    """

    def __init__(
        self, d_feat: int = 6, d_model: int = 64, nhead: int = 2, num_layers: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.d_feat = d_feat
        self.fc_in = nn.Linear(d_feat, d_model)
        self.register_buffer("positions", positions(MAX_STEPS, d_model), persistent=False)
        self.layers = nn.ModuleList(EncoderLayer(d_model, nhead, dropout=dropout) for _ in range(num_layers))
        self.fc_out = nn.Linear(d_model, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,) for `x` of shape (rows, steps, d_feat) or (rows, d_feat * steps)."""
        out = self.fc_in(as_sequence(x, self.d_feat))
        out = out + self.positions[: out.shape[1]]
        for number, layer in enumerate(self.layers, start=1):
            out = layer(out, last_only=number == len(self.layers))
        return self.fc_out(out[:, -1]).squeeze(-1)


class EncoderLayer(nn.TransformerEncoderLayer):
    """torch's encoder layer (self-attention, then a feed-forward part of 2048) that can be read at the last step."""

    def __init__(self, d_model: int, nhead: int, *, dropout: float) -> None:
        super().__init__(d_model, nhead, dropout=dropout, batch_first=True)

    def forward(self, x: Tensor, *, last_only: bool = False) -> Tensor:
        """Return shape (rows, steps, d_model), or (rows, 1, d_model) with `last_only`."""
        asking = x[:, -1:] if last_only else x
        attended = self.self_attn(asking, x, x, need_weights=False)[0]
        out = self.norm1(asking + self.dropout1(attended))
        return self.norm2(out + self._ff_block(out))


def positions(steps: int, d_model: int) -> Tensor:
    """Return the sines and cosines of Vaswani et al. (2017), shape (steps, d_model)."""
    at = torch.arange(steps, dtype=torch.float32).unsqueeze(1)
    rates = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
    found = torch.zeros(steps, d_model)
    found[:, 0::2] = torch.sin(at * rates)
    found[:, 1::2] = torch.cos(at * rates)[:, : d_model // 2]
    return found
