"""What limits deep models on a CPU: a training step of a GRU beside torch's own layer and its matrix products alone.

Usage: python -m tests.benchmarks.bench_layers [--repeat 10] [--threads 2]

1. A step of the network of `gru_windows`: a batch of 800 windows of 20 days and 20 factors, two layers of 64, Adam.
2. The same step with `torch.nn.GRU`, and the step's matrix products alone, of the same shapes: no implementation that
   multiplies in float32 is faster than those.
3. Rows a second that Transformer and Localformer train on and predict, on Alpha360 and on windows, and those of
   training with ``precision: bf16``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from qnb.models._networks.gru import GRUModel
from qnb.models._networks.localformer import Localformer
from qnb.models._networks.transformer import Transformer
from qnb.training.context import FitContext
from qnb.training.devices import autocast, running_on

ROWS, STEPS, FEATURES, HIDDEN, LAYERS = 800, 20, 20, 64, 2
PART = 512


class Plain(nn.Module):
    """The network of `GRUModel` with torch's own layer."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, HIDDEN, LAYERS, batch_first=True)
        self.fc_out = nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows,)."""
        return self.fc_out(self.rnn(x)[0][:, -1]).squeeze(-1)


def main() -> int:
    """Measure and print; exit status 1 when torch's own layer is faster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.manual_seed(0)
    x, y = torch.randn(ROWS, STEPS, FEATURES), torch.randn(ROWS)
    with running_on(FitContext(threads=options.threads)):
        calls = {
            "ours": _step(GRUModel(FEATURES, HIDDEN, LAYERS), x, y),
            "torch.nn.GRU": _step(Plain(), x, y),
            "products": _products,
        }
        found: dict[str, list[float]] = {name: [] for name in calls}
        for turn in range(options.repeat + 1):  # the first to warm up
            for name, call in calls.items():
                began = time.perf_counter()
                call()
                if turn:
                    found[name].append(time.perf_counter() - began)
        ours, theirs, products = (1e3 * median(seconds) for seconds in found.values())
        print(
            f"a training step of GRU on windows: ours {ours:.0f} ms, torch.nn.GRU {theirs:.0f} ms, "
            f"ratio {theirs / ours:.2f}; its matrix products alone {products:.0f} ms, {products / ours:.0%} of ours"
        )
        for name, network, sample in (
            ("Transformer, Alpha360", Transformer(6), torch.randn(PART, 360)),
            ("Localformer, Alpha360", Localformer(6), torch.randn(PART, 360)),
            ("Transformer, windows", Transformer(20), torch.randn(PART, 20, 20)),
            ("Localformer, windows", Localformer(20), torch.randn(PART, 20, 20)),
        ):
            train, predict = _rows_a_second(network, sample, "fp32")
            half, _ = _rows_a_second(network, sample, "bf16")
            print(
                f"{name}: {train:,.0f} rows a second trained on, {predict:,.0f} predicted; "
                f"{half:,.0f} trained on in bf16, {half / train:.1f} times as many",
                flush=True,
            )
    return int(theirs < ours)


def _step(network: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(network.parameters())

    def step() -> None:
        optimizer.zero_grad()
        ((network(x) - y) ** 2).mean().backward()
        optimizer.step()

    return step


def _products() -> None:
    for width in (FEATURES, *[HIDDEN] * (LAYERS - 1)):
        x, h, gates = torch.randn(ROWS, width), torch.randn(ROWS, HIDDEN), torch.randn(ROWS, 3 * HIDDEN)
        w_in, w_on = torch.randn(width, 3 * HIDDEN), torch.randn(HIDDEN, 3 * HIDDEN)
        back_in, back_on = w_in.t().contiguous(), w_on.t().contiguous()
        out, d_h, d_x = torch.empty(ROWS, 3 * HIDDEN), torch.empty(ROWS, HIDDEN), torch.empty(ROWS, width)
        d_in, d_on = torch.zeros(3 * HIDDEN, width), torch.zeros(3 * HIDDEN, HIDDEN)
        for _ in range(STEPS):
            torch.mm(x, w_in, out=out).addmm_(h, w_on)
            torch.mm(gates, back_on, out=d_h)
            d_on.addmm_(gates.t(), h)
            d_in.addmm_(gates.t(), x)
            if width == HIDDEN:  # nobody asks for the gradient of the features
                torch.mm(gates, back_in, out=d_x)


def _rows_a_second(network: nn.Module, x: Tensor, precision: str) -> tuple[float, float]:
    """Return rows a second of a forward and backward pass, and of a forward pass alone; the better of two."""
    train, predict = [], []
    for _ in range(2):
        began = time.perf_counter()
        with autocast("cpu", precision):
            out = network(x)
        out.float().square().mean().backward()
        train.append(time.perf_counter() - began)
        with torch.inference_mode(), autocast("cpu", precision):
            began = time.perf_counter()
            network(x)
            predict.append(time.perf_counter() - began)
    return len(x) / min(train), len(x) / min(predict)


if __name__ == "__main__":
    sys.exit(main())
