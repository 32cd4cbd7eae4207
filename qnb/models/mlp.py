"""A feed-forward network trained on a number of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

from ..errors import ConfigError, Problem
from ..training.context import FitContext
from ..training.options import TrainingOptions
from ..training.torch_model import TorchModel, build_network

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DNNModelPytorch"]

DEFAULTS: TrainingOptions = {
    "n_epochs": None,
    "max_steps": 300,
    "eval_steps": 20,
    "optimizer": "gd",
    "scheduler": "plateau",
    "scheduler_kwargs": {"patience": 10, "min_lr": 1e-5},
    "clip_value": None,
}


class DNNModelPytorch(TorchModel):
    """A multilayer perceptron (or another network of rows) trained on batches drawn with replacement.

    Parameters
    ----------
    early_stop_rounds : int
        Validations without improvement after which the fit ends; 0 never.
    pt_model_uri, pt_model_kwargs
        Class of the network and its arguments; by default 360 features and one hidden layer of 256.
    valid_key : str
        Data key of the validation: ``learn`` or ``infer``.
    data_parall, eval_train_metric : bool
        Accepted for old configurations; one device is used, and the training loss is reported of every batch.
    init_model : str, optional
        Folder of a saved model of this class to start from.
    **training
        See `TorchModel`; by default 300 steps however many epochs that is, a validation every 20, the optimizer
        ``gd``, no limit on the gradients, and the scheduler ``default``: halved after 10 validations without
        improvement, down to 1e-5.

    Notes
    -----
    Batch normalisation (Ioffe & Szegedy, 2015) and leaky ReLU between the layers, 5 % dropout at both ends, as in qlib.
    """

    names_no_class = False  # pt_model_uri is one

    def __init__(
        self,
        early_stop_rounds: int = 50,
        pt_model_uri: str = "qnb.models._networks.mlp.Net",
        pt_model_kwargs: Mapping[str, Any] | None = None,
        valid_key: str = "learn",
        data_parall: bool = False,
        eval_train_metric: bool = False,
        init_model: str | None = None,
        **training: Unpack[TrainingOptions],
    ) -> None:
        if valid_key not in ("learn", "infer"):
            raise ConfigError([Problem(f"unknown valid_key {valid_key!r}", "valid: learn, infer", "kwargs.valid_key")])
        options: TrainingOptions = {**DEFAULTS, "early_stop": early_stop_rounds, **training}
        if options["scheduler"] == "default":
            options["scheduler"] = DEFAULTS["scheduler"]
        elif "scheduler" in training:
            options["scheduler_kwargs"] = training.get("scheduler_kwargs")
        super().__init__(**options)
        self.valid_key = "learn" if valid_key == "learn" else "infer"
        kwargs = dict(pt_model_kwargs) if pt_model_kwargs is not None else {"input_dim": 360, "layers": [256]}
        self.architecture = {"pt_model_uri": pt_model_uri, "pt_model_kwargs": kwargs}
        self.extra = {
            "early_stop_rounds": early_stop_rounds,
            "valid_key": valid_key,
            "data_parall": data_parall,
            "eval_train_metric": eval_train_metric,
            "init_model": init_model,
        }
        self.check_network()

    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        return {**{k: v for k, v in super().arguments().items() if k != "early_stop"}, **self.extra}

    def build(self) -> nn.Module:
        """Return the network."""
        return build_network(self.architecture["pt_model_uri"], self.architecture["pt_model_kwargs"])

    def _prepared(self, context: FitContext) -> nn.Module:
        path = self.extra["init_model"]
        if path is None:
            return self.build()
        started = type(self).load(str(path)).network_
        assert started is not None
        context.log(f"starting from the weights in {path}")
        return started
