"""The options of the training loop: one frozen record, and the same names as typed keywords for the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from ..errors import ConfigError, Problem, remedy_for

__all__ = ["LOSSES", "METRICS", "PRECISIONS", "LoopOptions", "TrainingOptions"]

LOSSES = ("mse", "mae", "huber", "ic", "ranking", "binary")
METRICS = ("loss", "ic", "rank_ic")
PRECISIONS = ("fp32", "bf16", "fp16")
BATCHING = ("rows", "day", "days")


class TrainingOptions(TypedDict, total=False):
    """Keywords that every torch model takes; `qnb.training.torch_model.TorchModel` says what each means."""

    n_epochs: int | None
    max_steps: int | None
    eval_steps: int
    lr: float
    batch_size: int
    early_stop: int
    metric: str
    loss: str
    optimizer: str
    optimizer_kwargs: Mapping[str, Any] | None
    weight_decay: float
    scheduler: str | None
    scheduler_kwargs: Mapping[str, Any] | None
    clip_value: float | None
    clip_norm: float | None
    accumulate: int
    precision: str
    compile: bool
    deterministic: bool
    GPU: int | str | None
    n_jobs: int
    seed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """How a network is trained.

    Attributes
    ----------
    n_epochs : int or None
        Passes over ``train``; None sets no limit beside `max_steps`.
    max_steps : int or None
        Train on this many batches drawn with replacement instead of on epochs.
    eval_steps : int
        With `max_steps`: validate every so many batches.
    batch_size : int
        Rows in a batch.
    batching : str
        ``rows`` shuffled, ``day`` all rows of one date, ``days`` as many whole dates as fill `batch_size`.
    lr, optimizer, optimizer_kwargs, weight_decay, scheduler, scheduler_kwargs
        See `qnb.training.optim`.
    loss : str
        One of `LOSSES`; see `qnb.training.losses`.
    metric : str
        What early stopping watches on ``valid``: one of `METRICS`.
    early_stop : int
        Validations without improvement after which it ends; 0 never.
    clip_value, clip_norm : float or None
        Limit of each gradient's value, of their norm.
    accumulate : int
        Batches whose gradients are added up before a step.
    precision : str
        One of `PRECISIONS`; half precisions are used where the device has them.
    compile : bool
        Compile the network with `torch.compile`.
    deterministic : bool
        Only algorithms that give the same bits again, on a GPU too.
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    seed : int or None
        Seed of weights, order and dropout; None draws one, which the log tells.
    part : int
        Rows of a batch that a CPU works on at a time, their gradients added up; 0 the whole batch. For networks that
        need much memory a row and look at each row by itself; losses of whole dates take the whole batch.
    """

    n_epochs: int | None = 200
    max_steps: int | None = None
    eval_steps: int = 20
    batch_size: int = 2000
    batching: str = "rows"
    lr: float = 0.001
    optimizer: str = "adam"
    optimizer_kwargs: Mapping[str, Any] = field(default_factory=dict)
    weight_decay: float = 0.0
    scheduler: str | None = None
    scheduler_kwargs: Mapping[str, Any] = field(default_factory=dict)
    loss: str = "mse"
    metric: str = "loss"
    early_stop: int = 20
    clip_value: float | None = 3.0
    clip_norm: float | None = None
    accumulate: int = 1
    precision: str = "fp32"
    compile: bool = False
    deterministic: bool = False
    device: str = "cpu"
    seed: int | None = None
    part: int = 0

    def __post_init__(self) -> None:
        problems = [
            *_one_of("loss", self.loss, LOSSES),
            *_one_of("metric", self.metric, METRICS),
            *_one_of("precision", self.precision, PRECISIONS),
            *_one_of("batching", self.batching, BATCHING),
            *_at_least("n_epochs", self.n_epochs, 1),
            *_at_least("max_steps", self.max_steps, 1),
            *_at_least("eval_steps", self.eval_steps, 1),
            *_at_least("batch_size", self.batch_size, 1),
            *_at_least("accumulate", self.accumulate, 1),
            *_at_least("early_stop", self.early_stop, 0),
            *_at_least("part", self.part, 0),
        ]
        if self.n_epochs is None and self.max_steps is None:
            problems.append(Problem("n_epochs and max_steps are both None", "give one of them", "kwargs.n_epochs"))
        if not self.lr > 0:
            problems.append(Problem(f"lr must be positive, received {self.lr}", "", "kwargs.lr"))
        if problems:
            raise ConfigError(problems)

    def with_mappings(self) -> LoopOptions:
        """Return a copy in which a missing mapping of arguments is an empty one."""
        return replace(
            self, optimizer_kwargs=dict(self.optimizer_kwargs or {}), scheduler_kwargs=dict(self.scheduler_kwargs or {})
        )

    @property
    def maximize(self) -> bool:
        """True when a larger value of the watched metric is better."""
        return self.metric != "loss"

    @property
    def unit(self) -> str:
        """What progress is counted in."""
        return "step" if self.max_steps else "epoch"


def _one_of(name: str, value: str, valid: tuple[str, ...]) -> list[Problem]:
    if value in valid:
        return []
    remedy = remedy_for(str(value), valid)
    return [Problem(f"unknown {name} {value!r}", remedy, f"kwargs.{name}")]


def _at_least(name: str, value: Any, least: int) -> list[Problem]:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
        return []
    return [Problem(f"{name} must be a whole number of at least {least}, received {value!r}", "", f"kwargs.{name}")]
