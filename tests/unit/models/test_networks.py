"""Networks that compute less than they say: the same numbers as the plain way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qnb.models._networks.dropout import Dropout
from qnb.models._networks.tcn import TCNModel


def plain_tcn(network: TCNModel, x: Tensor) -> Tensor:
    """Return what `network` says when every step of every block is computed."""
    out = x.transpose(1, 2)
    for level, block in enumerate(network.blocks):
        inner = out
        for convolution in (block.first, block.second):
            padding = (convolution.kernel_size[0] - 1) * 2**level
            padded = F.pad(inner, (padding, 0))
            inner = F.relu(F.conv1d(padded, convolution.weight, convolution.bias, dilation=2**level))
        out = F.relu(inner + block.shortcut(out))
    return network.fc_out(out[:, :, -1]).squeeze(-1)


@pytest.mark.parametrize("steps", [1, 2, 3, 6, 20, 61])
@pytest.mark.parametrize(("kernel_size", "num_layers"), [(7, 5), (2, 1), (3, 3), (1, 2)])
def test_the_tcn_read_at_the_last_step_gives_the_same(steps: int, kernel_size: int, num_layers: int) -> None:
    torch.manual_seed(0)
    network = TCNModel(5, 8, kernel_size, num_layers, dropout=0.0)
    x = torch.randn(7, steps, 5, requires_grad=True)
    whole, ours = plain_tcn(network, x), network(x)
    torch.testing.assert_close(ours, whole, atol=1e-5, rtol=1e-4)
    wanted = [x, *network.parameters()]
    for a, b in zip(torch.autograd.grad(ours.sum(), wanted), torch.autograd.grad(whole.sum(), wanted), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.7])
def test_dropout_drops_its_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(1)
    x = torch.ones(999, 333, requires_grad=True)
    layer = Dropout(p)
    out = layer(x)
    assert float((out == 0).float().mean()) == pytest.approx(p, abs=0.004)
    assert float(out.detach().mean()) == pytest.approx(1.0, abs=0.01)
    assert len(out.unique()) == 2
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, out)
    by_column = (out.detach() == 0).float().mean(0)
    assert float(by_column.std()) == pytest.approx((p * (1 - p) / 999) ** 0.5, rel=0.2), "columns are independent"


def test_dropout_follows_the_generator_and_rests_when_it_does_not_train() -> None:
    layer, x = Dropout(0.3), torch.randn(17, 5)
    torch.manual_seed(2)
    first = layer(x)
    torch.manual_seed(2)
    assert torch.equal(first, layer(x))
    assert not torch.equal(first, layer(x))
    assert layer.eval()(x) is x or torch.equal(layer(x), x)
    for p, expected in ((0.0, x), (1.0, torch.zeros_like(x))):
        assert torch.equal(Dropout(p)(x), expected)


def test_weights_of_a_network_keep_their_names() -> None:
    names = set(TCNModel(3, 4, 2, 1, 0.0).state_dict())
    assert {"fc_out.weight", "blocks.0.first.bias", "blocks.0.shortcut.weight"} <= names
    assert isinstance(TCNModel(3, 4, 2, 1, 0.0), nn.Module)
