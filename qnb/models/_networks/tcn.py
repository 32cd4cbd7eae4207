"""A temporal convolutional network: dilated causal convolutions with residual connections, read at the last step.

Only the last step is read, so only what it depends on is computed. The block of dilation d is asked for every 2 d-th
step counted from the last one (the top one for the last alone), and reaches back in strides of d; among the steps d
apart its convolutions are plain ones, and every second of their outputs is needed. So each block hands the next one
half of its steps. Taps that would only meet the zeros before the first step are left out. The numbers are those of the
whole network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from .dropout import Dropout
from .sequence import as_sequence

__all__ = ["TCNModel"]


class TCNModel(nn.Module):
    """`num_layers` blocks whose dilation doubles, then one number from the last step."""

    def __init__(self, d_feat: int, n_chans: int, kernel_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.d_feat = d_feat
        self.blocks = nn.Sequential(
            *(_Block(d_feat if level == 0 else n_chans, n_chans, kernel_size, dropout) for level in range(num_layers))
        )
        self.fc_out = nn.Linear(n_chans, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,) for `x` of shape (rows, steps, d_feat) or (rows, d_feat * steps)."""
        out = self.blocks(as_sequence(x, self.d_feat))
        return self.fc_out(out[:, -1]).squeeze(-1)


class _Block(nn.Module):
    """Two causal convolutions with weight normalisation, ReLU and dropout, added to the input."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.first = weight_norm(nn.Conv1d(inputs, outputs, kernel_size))
        self.second = weight_norm(nn.Conv1d(outputs, outputs, kernel_size))
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return every second step, the last one included.

        Shape (rows, (steps + 1) // 2, outputs) for `x` of shape (rows, steps, inputs).
        """
        out = self.dropout(F.relu(_causal(self.first, x, stride=1)))
        out = self.dropout(F.relu(_causal(self.second, out, stride=2)))
        kept = x[:, (x.shape[1] + 1) % 2 :: 2]
        if isinstance(self.shortcut, nn.Conv1d):
            kept = F.linear(kept, self.shortcut.weight[:, :, 0], self.shortcut.bias)
        return F.relu(out + kept)


def _causal(convolution: nn.Conv1d, x: Tensor, *, stride: int) -> Tensor:
    """Return the convolution at every `stride`-th step, the last one included, as one matrix product."""
    rows, steps, _ = x.shape
    taps = min(convolution.kernel_size[0], steps)
    weight = convolution.weight[:, :, convolution.kernel_size[0] - taps :].transpose(1, 2)
    seen = _Windows.apply(x, taps, stride)
    out = F.linear(seen, weight.reshape(weight.shape[0], -1), convolution.bias)
    return out.view(rows, -1, weight.shape[0])


class _Windows(torch.autograd.Function):
    """What each output sees, zeros before the first step: (rows * outputs, taps * channels)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: int, stride: int) -> Tensor:
        rows, steps, channels = x.shape
        ctx.shape, ctx.taps, ctx.stride = x.shape, taps, stride
        seen = x.new_empty(rows, (steps + stride - 1) // stride, taps, channels)
        for tap, there, inside in _places(steps, taps, stride):
            seen[:, :there, tap] = 0
            seen[:, there:, tap] = x[:, inside::stride][:, : seen.shape[1] - there]
        return seen.view(-1, taps * channels)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        if not ctx.needs_input_grad[0]:
            return None, None, None
        rows, steps, channels = ctx.shape
        pull, found = grad.view(rows, -1, ctx.taps, channels), grad.new_zeros(ctx.shape)
        for tap, there, inside in _places(steps, ctx.taps, ctx.stride):
            found[:, inside :: ctx.stride][:, : pull.shape[1] - there] += pull[:, there:, tap]
        return found, None, None


def _places(steps: int, taps: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Yield each tap with the first output that it meets a step for, and that step."""
    first = (steps - 1) % stride  # the step that the first output stands on
    for tap in range(taps):
        back = taps - 1 - tap
        there = max(0, -(-(back - first) // stride))
        yield tap, there, first + there * stride - back
