"""A feed-forward network with batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .dropout import Dropout

__all__ = ["Net"]

ACTIVATIONS = {"LeakyReLU": lambda: nn.LeakyReLU(0.1), "SiLU": nn.SiLU}


class Net(nn.Module):
    """Layers of linear, batch normalisation and activation, between two dropouts of 5 %.

    Parameters
    ----------
    input_dim : int
        Features.
    output_dim : int
        Numbers a row; a forecast has one.
    layers : sequence of int
        Width of each hidden layer.
    act : str
        ``LeakyReLU`` or ``SiLU``.
    """

    def __init__(
        self, input_dim: int, output_dim: int = 1, layers: Sequence[int] = (256,), act: str = "LeakyReLU"
    ) -> None:
        super().__init__()
        if act not in ACTIVATIONS:
            raise ValueError(f"unknown act {act!r}; valid: {', '.join(ACTIVATIONS)}")
        parts: list[nn.Module] = [Dropout(0.05)]
        width = input_dim
        for size in layers:
            parts += [nn.Linear(width, size), nn.BatchNorm1d(size), ACTIVATIONS[act]()]
            width = size
        self.layers = nn.Sequential(*parts, Dropout(0.05), nn.Linear(width, output_dim))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, a=0.1, nonlinearity="leaky_relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return shape (rows, output_dim) for `x` of shape (rows, input_dim)."""
        return self.layers(x)
