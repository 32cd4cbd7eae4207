"""Optimizers and learning rate schedules by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn, optim

from ..errors import ConfigError, Problem, nearest
from .options import LoopOptions

__all__ = ["Schedule", "make_optimizer", "make_schedule"]

_ALIASES = {"gd": "SGD", "sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
_SCHEDULES = {
    "plateau": "ReduceLROnPlateau",
    "cosine": "CosineAnnealingLR",
    "one_cycle": "OneCycleLR",
    "onecycle": "OneCycleLR",
}
_EACH_STEP = ("OneCycleLR", "CyclicLR")
"""Schedules whose lengths are counted in steps of the optimizer, not in epochs."""

_UNFIT = {
    "LBFGS": "it computes the loss several times a step, the loop once",
    "SparseAdam": "it takes sparse gradients only, which no network here has",
}
"""Optimizers of torch that cannot train in this loop, and why."""


@dataclass(slots=True)
class Schedule:
    """A learning rate schedule and when it moves.

    Attributes
    ----------
    inner : torch scheduler or None
        The schedule.
    watches : bool
        True for one that is given the watched metric after a validation.
    each_step : bool
        True for one that moves after every step of the optimizer.
    """

    inner: Any = None
    watches: bool = False
    each_step: bool = False

    def after_step(self) -> None:
        """Move after a step of the optimizer, where it does."""
        if self.inner is not None and self.each_step:
            self.inner.step()

    def after_round(self, value: float | None) -> None:
        """Move after an epoch or validation; `value` is the watched metric, smaller is better."""
        if self.inner is None or self.each_step:
            return
        if not self.watches:
            self.inner.step()
        elif value is not None:
            self.inner.step(value)


def make_optimizer(options: LoopOptions, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    """Return the optimizer: ``adam``, ``adamw``, ``sgd`` (``gd``) or any class of `torch.optim`, in any case.

    Raises
    ------
    ConfigError
        No such optimizer, or it refuses its arguments.
    """
    cls = _find(optim, options.optimizer, _ALIASES, optim.Optimizer, "optimizer")
    if cls.__name__ in _UNFIT:
        problem = Problem(f"{cls.__name__} cannot train here: {_UNFIT[cls.__name__]}", "use adam", "kwargs.optimizer")
        raise ConfigError([problem])
    kwargs = {"lr": options.lr, **options.optimizer_kwargs}
    if options.weight_decay or "weight_decay" in inspect.signature(cls).parameters:
        kwargs.setdefault("weight_decay", options.weight_decay)
    return _make(cls, options.optimizer, "optimizer_kwargs", list(parameters), **kwargs)


def make_schedule(options: LoopOptions, optimizer: optim.Optimizer, *, rounds: int, steps: int) -> Schedule:
    """Return the schedule: None, ``plateau``, ``cosine``, ``one_cycle`` or any of `torch.optim.lr_scheduler`.

    Parameters
    ----------
    rounds : int
        Most epochs or validations; the length of a cosine.
    steps : int
        Most steps of the optimizer; the length of a one-cycle.

    Raises
    ------
    ConfigError
        No such schedule, or it refuses its arguments.
    """
    if options.scheduler is None:
        return Schedule()
    module = optim.lr_scheduler
    cls = _find(module, options.scheduler, _SCHEDULES, module.LRScheduler, "scheduler")
    kwargs = dict(options.scheduler_kwargs)
    if cls is module.ReduceLROnPlateau:
        kwargs = {"mode": "min", "factor": 0.5, "patience": 10, **kwargs}
    elif cls is module.CosineAnnealingLR:
        kwargs.setdefault("T_max", rounds)
    elif cls is module.OneCycleLR:
        kwargs = {"max_lr": options.lr, "total_steps": max(steps, 2), **kwargs}
    inner = _make(cls, options.scheduler, "scheduler_kwargs", optimizer, **kwargs)
    return Schedule(inner, cls is module.ReduceLROnPlateau, cls.__name__ in _EACH_STEP)


def _find(module: Any, name: str, aliases: dict[str, str], base: type, kind: str) -> Any:
    known = {n.lower(): n for n in dir(module) if isinstance(getattr(module, n), type)}
    found = getattr(module, aliases.get(name.lower(), known.get(name.lower(), "")), None)
    if isinstance(found, type) and issubclass(found, base) and found is not base:
        return found
    valid = [*aliases, *(n for n in known.values() if issubclass(getattr(module, n), base))]
    near = nearest(name, valid)
    remedy = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(aliases)} and those of torch"
    raise ConfigError([Problem(f"unknown {kind} {name!r}", remedy, f"kwargs.{kind}")])


def _make(cls: Any, name: str, argument: str, *args: Any, **kwargs: Any) -> Any:
    try:
        return cls(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise ConfigError([Problem(f"{name} refuses its arguments: {error}", "", f"kwargs.{argument}")]) from error


def learning_rate(optimizer: torch.optim.Optimizer) -> float:
    """Return the current learning rate of the first group."""
    return float(optimizer.param_groups[0]["lr"])
