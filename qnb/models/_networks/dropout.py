"""Dropout that draws its mask a few times faster on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Dropout"]

LEVELS = 1 << 16


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` whose mask is cut out of whole random words on a CPU.

    torch draws a double for each element there, which takes a third of a step of a small network. Here an element costs
    16 bits, so `p` is met to within 1 / 131072. It follows torch's generator, and other devices use torch's own.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with a share `p` of its elements zero and the others scaled by ``1 / (1 - p)``, when training."""
        below = round(self.p * LEVELS)
        if not self.training or not 0 < below < LEVELS or x.device.type != "cpu" or torch.compiler.is_compiling():
            return F.dropout(x, self.p, self.training)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= below - LEVELS // 2
        return x * kept.to(x.dtype).mul_(LEVELS / (LEVELS - below))
