"""Any torch module as a model, on rows or on windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from ..training.options import TrainingOptions
from ..training.torch_model import TorchModel, build_network

if TYPE_CHECKING:
    from torch import nn

__all__ = ["GeneralPTNN"]

DEFAULTS: TrainingOptions = {
    "scheduler": "plateau",
    "scheduler_kwargs": {"patience": 5, "min_lr": 1e-6, "threshold": 1e-5},
}


class GeneralPTNN(TorchModel):
    """A network of your own with the loop, checkpoints, predictions and files of every torch model here.

    Parameters
    ----------
    pt_model_uri : str
        Dotted path of the network's class, such as ``__main__.MyNet``; its ``forward`` maps (rows, features), or
        (rows, steps, features) with a TSDatasetH, to one number a row.
    pt_model_kwargs : mapping
        Arguments of the class.
    **training
        See `TorchModel`; by default the learning rate is halved after 5 epochs without improvement, down to 1e-6.
    """

    names_no_class = False  # pt_model_uri is one

    def __init__(
        self,
        pt_model_uri: str = "qnb.models._networks.gru.GRUModel",
        pt_model_kwargs: Mapping[str, Any] | None = None,
        **training: Unpack[TrainingOptions],
    ) -> None:
        options: TrainingOptions = {**DEFAULTS, **training}
        if "scheduler" in training:
            options["scheduler_kwargs"] = training.get("scheduler_kwargs")
        super().__init__(**options)
        self.architecture = {"pt_model_uri": pt_model_uri, "pt_model_kwargs": dict(pt_model_kwargs or {})}
        self.check_network()

    def build(self) -> nn.Module:
        """Return the network."""
        return build_network(self.architecture["pt_model_uri"], self.architecture["pt_model_kwargs"])

    def _wants_windows(self, dataset: Any) -> bool:
        return hasattr(dataset, "windows") and getattr(dataset, "step_len", None) is not None
