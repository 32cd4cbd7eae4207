"""Graph attention among the instruments of a date, on rows that hold a history (Alpha360)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ..errors import ConfigError, ModelError, Problem
from ..training.context import FitContext
from ..training.options import TrainingOptions
from ..training.torch_model import TorchModel

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["GATs"]

BASE_MODELS = ("GRU", "LSTM")


class GATs(TorchModel):
    """GRU or LSTM over the history of each instrument, then attention among all instruments of the date.

    Parameters
    ----------
    d_feat : int
        Fields of which a row holds the history, field by field, oldest first (6 in Alpha360).
    hidden_size, num_layers : int
        Width and number of the recurrent layers.
    dropout : float
        Between recurrent layers.
    base_model : str
        ``GRU`` or ``LSTM``.
    model_path : str, optional
        Weights of a fitted LSTM or GRU model to start from: the folder of a saved model, or a state dict by
        ``torch.save``. A path that is not there is a warning, and random weights are used.
    **training
        See `TorchModel`.

    Notes
    -----
    Velickovic et al. (2018), *Graph Attention Networks*: one head of attention over the complete graph of a date's
    instruments. A batch is one whole date, so a score depends on the other instruments of its date, never on another
    date.
    """

    batching = "day"

    def __init__(
        self,
        d_feat: int = 6,
        hidden_size: int = 64,
        num_layers: int = 2,
        dropout: float = 0.0,
        base_model: str = "GRU",
        model_path: str | None = None,
        **training: Unpack[TrainingOptions],
    ) -> None:
        if base_model not in BASE_MODELS:
            raise ConfigError([Problem(f"unknown base_model {base_model!r}", "valid: GRU, LSTM", "kwargs.base_model")])
        super().__init__(**training)
        self.architecture = {
            "d_feat": d_feat,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "dropout": dropout,
            "base_model": base_model,
            "model_path": model_path,
        }

    def build(self) -> nn.Module:
        """Return the network."""
        from ._networks.gats import GATModel

        return GATModel(**{k: v for k, v in self.architecture.items() if k != "model_path"})

    def _prepared(self, context: FitContext) -> nn.Module:
        network, path = self.build(), self.architecture["model_path"]
        if path is None:
            return network
        if not Path(path).exists():
            context.log(
                f"model_path {path!r} is not there; the recurrent layers start from random weights", level="warning"
            )
            return network
        weights = _weights(Path(path))
        own = network.state_dict()
        taken = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
        if not any(k.startswith("rnn.") for k in taken):
            raise ModelError(
                f"model_path {path!r} holds no weights that fit this {type(self).__name__}; check its sizes"
            )
        network.load_state_dict({**own, **taken})
        context.log(f"{len(taken)} of {len(own)} tensors are taken from {path}")
        return network


def _weights(path: Path) -> dict[str, Tensor]:
    import pickle

    import torch
    from safetensors.torch import load_file

    if path.is_dir():
        return load_file(path / "weights.safetensors")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(f"model_path {str(path)!r} is no state dict of torch: {error}") from error
