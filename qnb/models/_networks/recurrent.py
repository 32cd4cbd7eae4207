"""Recurrent layers: a GRU that trains faster on a CPU than torch's own, with the same weights, and torch's LSTM.

1. The gates of a step are two matrix products into one memory (``addmm``, then ``addmm`` in place for the hidden
   state's part), so a step of the forward pass allocates nothing and stays in the processor's cache.
2. The gradient is written out by hand, step by step from the last: the weights' gradients are added up in place.
3. Where that does not apply (a GPU, where cuDNN is faster; autocast; float64; a given first state), torch's layer runs.

The weights have the names and shapes of `torch.nn.GRU`, so states can be exchanged. Source: Cho et al. (2014),
*Learning Phrase Representations using RNN Encoder-Decoder*, in the variant that torch documents (reset gate after
the product).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GRU", "LSTM", "find_layer"]

PADDING = 16
"""Unused numbers behind each row of gradients: rows a power of two apart would meet in the same lines of a cache."""


class GRU(nn.GRU):
    """`torch.nn.GRU` with ``batch_first``, one direction and a fast path for float32 on a CPU."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, dropout: float = 0.0) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, batch_first=True, dropout=dropout if num_layers > 1 else 0.0
        )

    def forward(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the output of every step, shape (rows, steps, hidden), and the last hidden states."""
        if hx is not None or not _is_fast(self, x):
            return super().forward(x, hx)
        out, last = x.transpose(0, 1).contiguous(), []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                out = F.dropout(out, self.dropout, self.training)
            out = _GRULayer.apply(out, *_weights(self, layer))
            last.append(out[-1])
        return out.transpose(0, 1), torch.stack(last)


class LSTM(nn.LSTM):
    """`torch.nn.LSTM` with ``batch_first`` and one direction; oneDNN makes torch's own fast on a CPU."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, *, dropout: float = 0.0) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, batch_first=True, dropout=dropout if num_layers > 1 else 0.0
        )


def find_layer(name: str) -> Any:
    """Return the layer called ``GRU`` or ``LSTM``, in any case."""
    found = {"GRU": GRU, "LSTM": LSTM}.get(name.upper())
    if found is None:
        raise ValueError(f"unknown recurrent layer {name!r}; valid: GRU, LSTM")
    return found


def _is_fast(module: nn.RNNBase, x: Tensor) -> bool:
    return (
        x.dim() == 3
        and x.device.type == "cpu"
        and x.dtype == torch.float32 == module.weight_ih_l0.dtype
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _weights(module: nn.RNNBase, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return tuple(getattr(module, f"{n}_l{layer}") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))


class _GRULayer(torch.autograd.Function):
    """One GRU layer, time first: r, z = sigmoid; n = tanh(a + r * b); h = n + z * (h - n).

    The gradients of a step stand side by side as b, r, z, a, so that the first three are all that meets the hidden
    state and the last three all that meets the input: one product each.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        steps, rows, _ = x.shape
        size = w_hh.shape[1]
        both = 2 * size
        keep = any(ctx.needs_input_grad)
        rz = x.new_empty(steps if keep else 1, rows, both)
        n = x.new_empty(steps if keep else 1, rows, size)
        hn = torch.empty_like(n)  # the hidden state's part of n, needed for the gradient of r
        out, h = x.new_empty(steps, rows, size), x.new_zeros(rows, size)
        bias, twice = b_ih[:both] + b_hh[:both], 2 * b_ih[both:]
        in_rz, in_n = w_ih[:both].t().contiguous(), 2 * w_ih[both:].t()
        on_rz, on_n = w_hh[:both].t().contiguous(), w_hh[both:].t().contiguous()
        for t in range(steps):
            at = t if keep else 0
            gate = torch.addmm(bias, x[t], in_rz, out=rz[at]).addmm_(h, on_rz).sigmoid_()
            part = torch.addmm(b_hh[both:], h, on_n, out=hn[at])
            new = torch.addmm(twice, x[t], in_n, out=n[at]).addcmul_(gate[:, :size], part, value=2)
            new.sigmoid_().mul_(2).sub_(1)  # tanh(a) = 2 sigmoid(2 a) - 1, in a third of the time
            h = torch.lerp(new, h, gate[:, size:], out=out[t])
        if keep:
            ctx.save_for_backward(x, w_ih, w_hh, rz, n, hn, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, w_ih, w_hh, rz, n, hn, out = ctx.saved_tensors
        steps, rows, _ = x.shape
        size = w_hh.shape[1]
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        on = w_hh.roll(size, 0)
        d_on, d_w_ih, d_bias = torch.zeros_like(on), torch.zeros_like(w_ih), x.new_zeros(4 * size)
        gates = x.new_empty(rows, 4 * size + PADDING)[:, : 4 * size]
        d_hn, d_r, d_z, d_n = gates.split(size, dim=1)
        meets_h, meets_x = gates[:, : 3 * size], gates[:, size:]
        dh, scratch, first = x.new_zeros(rows, size), x.new_empty(rows, size), x.new_zeros(rows, size)
        ones = x.new_ones(rows)
        for t in range(steps - 1, -1, -1):
            h, new, (r, z) = (out[t - 1] if t else first), n[t], rz[t].split(size, dim=1)
            dh.add_(grad[t])
            torch.sub(h, new, out=scratch).mul_(dh)
            _sigmoid_backward(scratch, z, out=d_z)
            torch.addcmul(dh, dh, z, value=-1, out=scratch)
            _tanh_backward(scratch, new, out=d_n)
            torch.mul(d_n, hn[t], out=scratch)
            _sigmoid_backward(scratch, r, out=d_r)
            torch.mul(d_n, r, out=d_hn)
            dh.mul_(z).addmm_(meets_h, on)
            d_on.addmm_(meets_h.t(), h)
            d_w_ih.addmm_(meets_x.t(), x[t])
            d_bias.addmv_(gates.t(), ones)
            if d_x is not None:
                torch.mm(meets_x, w_ih, out=d_x[t])
        return d_x, d_w_ih, d_on.roll(-size, 0), d_bias[size:], d_bias[: 3 * size].roll(-size)


def _sigmoid_backward(grad: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    return torch.ops.aten.sigmoid_backward.grad_input(grad, y, grad_input=out)


def _tanh_backward(grad: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward.grad_input(grad, y, grad_input=out)
