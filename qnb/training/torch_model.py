"""The base of all torch models: a network and its defaults below, everything else here.

1. A subclass keeps the arguments of its network in `architecture` and returns the network from `build`.
2. `fit` turns the segments into rows, or windows, makes the network from the seed and hands both to the loop.
3. `predict` gives a row without all its features the score NaN.
4. `save` writes the weights as safetensors beside the JSON of class and arguments; `load` builds the network anew and
   fills it, so no code is unpickled.

torch is imported when a model is made, not when its file is.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..errors import ConfigError, MissingExtraError, ModelError, Problem, RunStopped
from ..task.component import resolve
from ..task.modules import code_name
from .context import FitContext
from .model import BaseModel, write_atomically
from .options import LoopOptions
from .samples import has_segment, scores

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from ..data.protocols import DataKey, Dataset
    from .batches import Rows
    from .loop import Outcome

__all__ = ["TorchModel", "build_network"]


class TorchModel(BaseModel):
    """A torch network with the training loop around it.

    Parameters
    ----------
    n_epochs : int, optional
        Passes over ``train``.
    max_steps, eval_steps : int
        Instead of epochs: this many batches drawn with replacement, as many as `n_epochs` passes at most, validated
        every `eval_steps`.
    lr : float
        Learning rate.
    batch_size : int
        Rows in a batch.
    early_stop : int
        Validations without improvement after which the fit ends; 0 never.
    metric : str
        What is watched on ``valid``: ``loss`` (or empty), ``ic`` or ``rank_ic``.
    loss : str
        ``mse``, ``mae``, ``huber``, ``ic``, ``ranking`` or ``binary``; `ic` and `ranking` get whole dates in a batch.
    optimizer : str
        ``adam``, ``adamw``, ``sgd`` (``gd``) or any of `torch.optim`; more arguments in `optimizer_kwargs`.
    weight_decay : float
        Of the optimizer.
    scheduler : str, optional
        ``plateau``, ``cosine``, ``one_cycle`` or any of `torch.optim.lr_scheduler`; arguments in `scheduler_kwargs`.
    clip_value, clip_norm : float or None
        Limit of each gradient's value, of their norm.
    accumulate : int
        Batches whose gradients are added up before a step.
    precision : str
        ``fp32``, ``bf16`` or ``fp16``.
    compile : bool
        Compile the network with `torch.compile`.
    deterministic : bool
        Only algorithms that repeat bit for bit, on a GPU too.
    GPU : int, str or None
        Number or name of the device; -1 or None is the CPU. A GPU that is not there is one warning.
    n_jobs : int
        Accepted for old configurations; batches are gathered without worker processes.
    seed : int, optional
        Seed of weights, order and dropout; without one, the run's.

    Notes
    -----
    Rows with a missing feature are left out of the fit and get the score NaN.
    """

    names_no_class = True

    windows: ClassVar[bool] = False
    """True for a model of windows of dates (TSDatasetH)."""

    batching: ClassVar[str] = "rows"
    """``day`` for a network that looks at all instruments of a date at once."""

    part: ClassVar[int] = 0
    """Rows of a batch that a CPU works on at a time, for a network of much memory that looks at each row by itself."""

    valid_key: DataKey = "learn"
    """Data key of the rows that are validated on."""

    def __init__(
        self,
        *,
        n_epochs: int | None = 200,
        max_steps: int | None = None,
        eval_steps: int = 20,
        lr: float = 0.001,
        batch_size: int = 2000,
        early_stop: int = 20,
        metric: str = "",
        loss: str = "mse",
        optimizer: str = "adam",
        optimizer_kwargs: Mapping[str, Any] | None = None,
        weight_decay: float = 0.0,
        scheduler: str | None = None,
        scheduler_kwargs: Mapping[str, Any] | None = None,
        clip_value: float | None = 3.0,
        clip_norm: float | None = None,
        accumulate: int = 1,
        precision: str = "fp32",
        compile: bool = False,
        deterministic: bool = False,
        GPU: int | str | None = 0,
        n_jobs: int = 0,
        seed: int | None = None,
    ) -> None:
        given = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        if importlib.util.find_spec("torch") is None:
            raise MissingExtraError("torch", "torch")
        self.training = given
        self.architecture: dict[str, Any] = {}
        self.options = LoopOptions(
            **{k: v for k, v in given.items() if k in LoopOptions.__slots__ and k not in ("metric", "seed")},
            metric=metric or "loss",
            batching=_batching(self.batching, loss),
            seed=seed,
            part=self.part,
        ).with_mappings()
        self.network_: nn.Module | None = None
        self.outcome_: Outcome | None = None

    @abstractmethod
    def build(self) -> nn.Module:
        """Return a new network of `architecture`; it maps a batch of rows or windows to one number a row."""

    def warm_up(self) -> None:
        """Import torch, and what its optimizers import for their first step (about a second each)."""
        importlib.import_module("torch._dynamo")

    @property
    def is_fitted(self) -> bool:
        """True after a fit or a load."""
        return self.network_ is not None

    def arguments(self) -> Mapping[str, Any]:
        """Return the constructor's arguments."""
        accepted = inspect.signature(type(self)).parameters
        anything = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
        return {**self.architecture, **{k: v for k, v in self.training.items() if anything or k in accepted}}

    def fit(self, dataset: Dataset, reweighter: Any = None, *, context: FitContext | None = None) -> Self:
        """Train on ``train``, watching ``valid`` if there is one.

        Raises
        ------
        EmptyDataError
            A segment has no row with a label and all features.
        ModelError
            The network does not take rows of this shape.
        DivergedError
            The loss left the numbers; the message names the step.
        RunStopped
            The fit was asked to stop; the model is usable and holds the best weights so far.
        """
        return self._fit(dataset, reweighter, context or FitContext.quiet(), start=None, options=self.options)

    def finetune(
        self,
        dataset: Dataset,
        reweighter: Any = None,
        *,
        context: FitContext | None = None,
        n_epochs: int | None = None,
        lr: float | None = None,
    ) -> Self:
        """Train the fitted network further on the segments of `dataset`.

        Parameters
        ----------
        n_epochs, lr : optional
            Instead of those of the constructor.

        Raises
        ------
        NotFittedError
            Before a fit.
        """
        self._require_fitted()
        changes: dict[str, Any] = {} if lr is None else {"lr": lr}
        if n_epochs is not None:
            changes |= {"n_epochs": n_epochs, "max_steps": None}
        options = replace(self.options, **changes)
        return self._fit(dataset, reweighter, context or FitContext.quiet(), start=self.network_, options=options)

    def predict(self, dataset: Dataset, segment: str = "test", *, context: FitContext | None = None) -> pd.Series:
        """Return the scores of `segment`; NaN for a row that lacks a feature.

        Raises
        ------
        NotFittedError
            Before a fit.
        RunStopped
            The context asked to stop.
        """
        self._require_fitted()
        from .batches import predict_data
        from .devices import running_on
        from .loop import predict_rows

        assert self.network_ is not None
        context = context or FitContext.quiet()
        rows = predict_data(dataset, segment, windows=self._wants_windows(dataset), model=type(self).__name__)
        rows = self._ordered(rows)
        values = np.full(len(rows.index), np.nan, dtype=np.float32)
        if len(rows):
            options = replace(self.options, device=str(next(self.network_.parameters()).device))
            self._check_shape(self.network_, rows)
            with running_on(context):
                found = predict_rows(
                    self.network_,
                    rows,
                    options,
                    should_stop=context.should_stop,
                    tell=lambda done: context.progress(done, total=len(rows), unit="row"),
                )
            if found is None:
                raise RunStopped(f"stopped on request while {segment!r} was predicted")
            values[rows.keep] = found.cpu().numpy()
        return scores(values, rows.index)

    def _fit(
        self, dataset: Any, reweighter: Any, context: FitContext, *, start: nn.Module | None, options: LoopOptions
    ) -> Self:
        from .batches import fit_data
        from .devices import choose_device, running_on, seeded
        from .loop import Loop

        name, windows = type(self).__name__, self._wants_windows(dataset)
        seed = _seed(self.training["seed"], context)
        options = replace(options, device=choose_device(self.training["GPU"], context), seed=seed)
        with running_on(context, deterministic=options.deterministic), seeded(seed):
            shared: dict[str, Any] = {"reweighter": reweighter, "context": context, "model": name}
            train = fit_data(dataset, "train", windows=windows, **shared)
            valid = None
            if has_segment(dataset, "valid"):
                valid = fit_data(dataset, "valid", windows=windows, key=self.valid_key, **shared)
            self.feature_names_ = train.feature_names
            network = start if start is not None else self._prepared(context)
            self._check_shape(network, train)
            loop = Loop(network, train, valid, options, context, seed=seed, key=self._key(dataset, options, start))
            self.outcome_ = loop.run()
        self.network_ = network
        return self._finish(context)

    def _finish(self, context: FitContext) -> Self:
        outcome = self.outcome_
        assert outcome is not None
        unit = self.options.unit
        if outcome.stopped:
            raise RunStopped(f"stopped on request in {unit} {outcome.rounds + 1}; the best weights so far are kept")
        watched = "" if np.isnan(outcome.best_value) else f", {self.options.metric}.valid {outcome.best_value:.6g}"
        context.log(f"the best {unit} is {outcome.best_round} of {outcome.rounds}{watched}")
        return self

    def check_network(self) -> None:
        """Build the network for its errors alone: without values, so that no random number is drawn.

        Raises
        ------
        ConfigError
            It cannot be built.
        """
        import torch

        from .devices import undisturbed

        try:
            with torch.device("meta"):
                self.build()
        except (ConfigError, RuntimeError):  # wrong, or one that cannot do without values
            with undisturbed():
                self.build()

    def _prepared(self, context: FitContext) -> nn.Module:
        """Return a new network with its first weights."""
        return self.build()

    def _wants_windows(self, dataset: Any) -> bool:
        return self.windows

    def _ordered(self, rows: Rows) -> Rows:
        """Return `rows` with the features in the order of the fit."""
        if not self.feature_names_ or rows.feature_names == self.feature_names_:
            return rows
        place = {n: i for i, n in enumerate(rows.feature_names)}
        missing = [n for n in self.feature_names_ if n not in place]
        if missing:
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise ModelError(
                f"this {type(self).__name__} was fitted on {len(self.feature_names_)} features; the data has "
                f"{rows.width} and lacks {shown}; predict with the handler that it was fitted with"
            )
        columns = [place[n] for n in self.feature_names_]
        return replace(rows, data=rows.data[:, columns], width=len(columns), feature_names=self.feature_names_)

    def _check_shape(self, network: nn.Module, rows: Rows) -> None:
        """Send two rows through, so that a wrong size is said before the first epoch."""
        import torch

        training = network.training
        network.eval()
        device = next(network.parameters()).device
        some = rows.gather(torch.arange(min(2, len(rows)), device=rows.data.device)).to(device)
        try:
            with torch.inference_mode():
                network(some)
        except (RuntimeError, ValueError, IndexError) as error:
            raise ModelError(
                f"the network of {type(self).__name__} does not take rows of shape {rows.shape} "
                f"({rows.width} features): {error}; {self._size_hint(rows)}"
            ) from error
        finally:
            network.train(training)

    def _size_hint(self, rows: Rows) -> str:
        for name in ("d_feat", "input_dim"):
            size = self.architecture.get(name)
            if size is not None:
                return f"{name} is {size}, set it to the number of features a step"
        return "compare it with the features of the handler"

    def _key(self, dataset: Any, options: LoopOptions, start: nn.Module | None) -> str:
        """Return the identity of a fit: class, arguments, seed, data, and the weights it starts from."""
        parts = [
            code_name(type(self)),
            json.dumps(dict(self.arguments()), sort_keys=True, default=repr),
            repr(options.seed),
            str(getattr(dataset, "fingerprint", "")),
        ]
        found = hashlib.blake2b("\0".join(parts).encode(), digest_size=16)
        for tensor in start.state_dict().values() if start is not None else ():
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def _save_state(self, folder: Path) -> None:
        from safetensors.torch import save

        assert self.network_ is not None
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in self.network_.state_dict().items()}
        write_atomically(folder / "weights.safetensors", save(tensors))

    def _load_state(self, folder: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load

        from .devices import undisturbed

        with undisturbed():
            network = self.build()
        try:
            network.load_state_dict(load((folder / "weights.safetensors").read_bytes()))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelError(f"the weights in {folder} cannot be read: {error}") from error
        self.network_ = network.eval()


def build_network(uri: str, kwargs: Mapping[str, Any]) -> nn.Module:
    """Return the network of class `uri`.

    Raises
    ------
    ConfigError
        It is no torch module, or refuses its arguments.
    """
    from torch import nn

    cls, _ = resolve(uri, "network")
    try:
        network = cls(**kwargs)
    except (TypeError, ValueError) as error:
        name = getattr(cls, "__name__", uri)
        raise ConfigError(
            [Problem(f"the network {name} cannot be made: {error}", "", "kwargs.pt_model_kwargs")]
        ) from error
    if not isinstance(network, nn.Module):
        problem = Problem(f"{uri} is no torch.nn.Module", "name the class of a network", "kwargs.pt_model_uri")
        raise ConfigError([problem])
    return network


def _batching(own: str, loss: str) -> str:
    return "days" if own == "rows" and loss in ("ic", "ranking") else own


def _seed(own: int | None, context: FitContext) -> int:
    given = context.seed if own is None else own
    return context.drawn_seed() if given is None else int(given)
