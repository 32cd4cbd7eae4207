"""A temporal convolutional network: dilated causal convolutions with residual connections."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from .sequence import as_sequence

__all__ = ["TCNModel"]


class TCNModel(nn.Module):
    """`num_layers` blocks whose dilation doubles, then one number from the last step."""

    def __init__(self, d_feat: int, n_chans: int, kernel_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.d_feat = d_feat
        self.blocks = nn.Sequential(
            *(
                _Block(d_feat if level == 0 else n_chans, n_chans, kernel_size, 2**level, dropout)
                for level in range(num_layers)
            )
        )
        self.fc_out = nn.Linear(n_chans, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,) for `x` of shape (rows, steps, d_feat) or (rows, d_feat * steps)."""
        out = self.blocks(as_sequence(x, self.d_feat).transpose(1, 2))
        return self.fc_out(out[:, :, -1]).squeeze(-1)


class _Block(nn.Module):
    """Two causal convolutions with weight normalisation, ReLU and dropout, added to the input."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.padding = (kernel_size - 1) * dilation
        self.first = weight_norm(nn.Conv1d(inputs, outputs, kernel_size, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(outputs, outputs, kernel_size, dilation=dilation))
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows, outputs, steps) for `x` of shape (rows, inputs, steps)."""
        out = x
        for convolution in (self.first, self.second):
            out = self.dropout(F.relu(convolution(F.pad(out, (self.padding, 0)))))
        return F.relu(out + self.shortcut(x))
