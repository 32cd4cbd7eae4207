"""The one loop that trains every network here.

1. A round is an epoch, or `eval_steps` batches drawn with replacement. Its batches are known before it starts, so the
   state at the end of a round is all that a later process needs to go on.
2. A batch: forward (in the chosen precision), loss in float32, backward, limits on the gradients, a step.
3. After a round: all of ``valid`` is predicted, loss and correlations are taken over the whole of it, the schedule
   moves, the best weights are kept, and model, optimizer, schedule, random states and best go into the checkpoint.
4. It ends after the last round, after `early_stop` rounds without improvement, or at the next batch when asked to
   stop; the best weights are put back.

A loss that is not a number, or that is a million times the first one, ends the fit with the step at which it happened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DivergedError, ModelError
from .batches import Batch, Rows, epoch_order, feed, in_order, resident, step_order
from .checkpoint import load_checkpoint, save_checkpoint
from .context import FitContext
from .devices import autocast, choose_precision
from .losses import BY_DAY, find_loss
from .optim import learning_rate, make_optimizer, make_schedule
from .options import LoopOptions
from .scoring import daily_ic, daily_rank_ic, mean_ic

__all__ = ["Loop", "Outcome", "predict_rows"]

EXPLODED = 1e6
"""A loss this many times the first one is no longer learning."""

CHECK_EVERY = 20
"""Steps between two looks at the loss on a GPU, where looking waits for the device."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fit came to.

    Attributes
    ----------
    best_round : int
        Epoch (or step) of the best validation; the last one without a validation; 0 if none was finished.
    best_value : float
        The watched metric there; NaN without a validation.
    rounds : int
        Epochs (or steps) that were run, those before a resume included.
    stopped : bool
        True when it ended because it was asked to.
    history : dict of str to list of float
        Every metric by round.
    """

    best_round: int
    best_value: float
    rounds: int
    stopped: bool
    history: dict[str, list[float]]


@dataclass(slots=True)
class _State:
    """What changes from round to round, apart from weights and optimizer."""

    round: int = 0
    step: int = 0
    since_best: int = 0
    best_round: int = 0
    best_value: float = math.nan
    first_loss: float = math.nan
    done: bool = False
    history: dict[str, list[float]] = field(default_factory=dict)


class Loop:
    """Trains `network` on `train`, watching `valid`.

    Parameters
    ----------
    network : Module
        Maps (rows, features) or (rows, steps, features) to one number a row. Changed in place.
    train, valid : Rows
        Data; `valid` may be None.
    options : LoopOptions
        How.
    context : FitContext
        Where events and checkpoints go, when to stop.
    seed : int
        Seed of the order of the batches; weights and dropout follow torch's own generator.
    key : str
        Identity of model, options and data; a checkpoint of another key is not continued.
    """

    def __init__(
        self,
        network: nn.Module,
        train: Rows,
        valid: Rows | None,
        options: LoopOptions,
        context: FitContext,
        *,
        seed: int,
        key: str = "",
    ) -> None:
        an_epoch = len(epoch_order(train, options, torch.Generator()))
        if options.max_steps and options.n_epochs:
            options = replace(options, max_steps=min(options.max_steps, options.n_epochs * an_epoch))
        self.options, self.context, self.key = options, context, key
        self.network = network.to(options.device)
        self.train_rows = resident(train, options.device)
        self.valid_rows = None if valid is None else resident(valid, options.device)
        self.loss = find_loss(options.loss)
        self.optimizer = make_optimizer(options, network.parameters())
        self.order = torch.Generator().manual_seed(seed)
        self.rounds = math.ceil((options.max_steps or 0) / options.eval_steps) or (options.n_epochs or 0)
        steps = options.max_steps or math.ceil(an_epoch / options.accumulate) * self.rounds
        self.schedule = make_schedule(options, self.optimizer, rounds=self.rounds, steps=steps)
        self.precision = choose_precision(options.precision, options.device, context)
        half = self.precision == "fp16"
        self.scaler = torch.amp.GradScaler(torch.device(options.device).type, enabled=half)
        self.forward: Any = _compiled(network, train, options, context) if options.compile else network
        self.best: dict[str, Tensor] = {}
        self._unsaved = False
        self.state = _State()

    def run(self) -> Outcome:
        """Train until an end is reached, put the best weights back and say how it went.

        Raises
        ------
        DivergedError
            The loss left the numbers; the message names the step.
        """
        if self.context.resume:
            self._resume()
        state = self.state
        stopped = False
        while not state.done and not stopped:
            stopped = not self._train_round()
            if not stopped:
                stopped = not self._end_round()
        if self.best:
            self.network.load_state_dict(self.best)
        self.network.eval()
        done = self._count(state.round)
        best = self._count(state.best_round) if self.best else done
        return Outcome(best, state.best_value, done, stopped and not state.done, state.history)

    def _train_round(self) -> bool:
        """Train on the batches of a round; False when asked to stop."""
        options, state = self.options, self.state
        if options.max_steps:
            left = min(options.eval_steps, options.max_steps - state.step)
            order = step_order(self.train_rows, options, self.order, left)
        else:
            order = epoch_order(self.train_rows, options, self.order)
        pace = _Pace(len(order))
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), dtype=torch.float64, device=options.device)
        for number, batch in enumerate(_closing(feed(self.train_rows, order, options.device)), start=1):
            if self.context.should_stop():
                return False
            loss = self._backward(batch)
            if loss is None:
                return False
            if number % options.accumulate == 0 or number == len(order):
                self._step()
            state.step += 1
            total += loss.double() * len(batch.y)
            pace.add(len(batch.y))
            if options.device == "cpu" or number % CHECK_EVERY == 0 or number == len(order):
                value = self._checked(float(loss), last=number == len(order))
                self._progress(pace.text(value, learning_rate(self.optimizer)))
        self._log("loss.train", float(total) / max(pace.rows, 1), at=state.round + 1)
        return True

    def _backward(self, batch: Batch) -> Tensor | None:
        """Add the gradients of a batch to the others and return its loss; None when asked to stop between parts."""
        total = torch.zeros((), device=batch.y.device)
        for number, part in enumerate(self._parts(batch)):
            if number and self.context.should_stop():
                return None
            with autocast(self.options.device, self.precision):
                pred = _flat(self.forward(part.x), len(part.y))
            loss = self.loss(pred.float(), part.y, part.weight, part.day) * (len(part.y) / len(batch.y))
            self.scaler.scale(loss / self.options.accumulate).backward()
            total += loss.detach()
        return total

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        """Yield the batch, in parts where a network needs much memory: a mean over rows is that of its parts."""
        size = self.options.part
        if not size or len(batch.y) <= size or self.options.loss in BY_DAY or self.options.device != "cpu":
            yield batch
            return
        for at in range(0, len(batch.y), size):
            yield batch.part(at, at + size)

    def _step(self) -> None:
        options = self.options
        self.scaler.unscale_(self.optimizer)
        if options.clip_value is not None:
            nn.utils.clip_grad_value_(self.network.parameters(), options.clip_value)
        if options.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), options.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.after_step()

    def _checked(self, loss: float, *, last: bool) -> float:
        """Return `loss`, or raise when it left the numbers; a single wild batch within a round is let pass."""
        state = self.state
        if math.isnan(state.first_loss):
            state.first_loss = loss
        exploded = last and loss > EXPLODED * max(state.first_loss, 1e-3)
        if exploded or not math.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss:.4g} in step {state.step} (the first was {state.first_loss:.4g}); "
                f"lower lr ({self.options.lr:g}), or check features and label for extreme values",
                state.step,
            )
        return loss

    def _end_round(self) -> bool:
        """Validate, keep the best, write the checkpoint; False when asked to stop before the validation was done."""
        options, state = self.options, self.state
        found: dict[str, float] = {}
        if self.valid_rows is not None:
            total = len(self.valid_rows)
            pred = predict_rows(
                self.forward,
                self.valid_rows,
                options,
                self.precision,
                should_stop=self.context.should_stop,
                tell=lambda done: self._progress(f"validating, row {done:,} of {total:,}"),
            )
            if pred is None:
                return False
            found = self._validated(pred, self.valid_rows)
        state.round += 1
        for name, value in found.items():
            self._log(f"{name}.valid", value, at=state.round)
        self._log("lr", learning_rate(self.optimizer), at=state.round)
        watched = found.get(options.metric)
        self.schedule.after_round(None if watched is None else (-watched if options.maximize else watched))
        if watched is not None:
            self._keep_best(watched)
        state.done = state.round >= self.rounds or bool(options.early_stop and state.since_best >= options.early_stop)
        self._progress("", force=True)
        if self.context.checkpoint_dir is not None:
            self._save_checkpoint(self.context.checkpoint_dir)
        return True

    def _save_checkpoint(self, folder: Path) -> None:
        """Write the checkpoint; where there is no room for it the training goes on, and the one before stays."""
        try:
            save_checkpoint(folder, self._checkpoint())
        except ModelError as error:
            if not self._unsaved:
                self.context.log(f"{error}; the training goes on", level="warning")
            self._unsaved = True
        else:
            self._unsaved = False

    def _validated(self, pred: Tensor, rows: Rows) -> dict[str, float]:
        y, day = rows.y.to(pred.device), rows.day.to(pred.device)
        weight = None if rows.weight is None else rows.weight.to(pred.device)
        loss = float(self.loss(pred, y, weight, day))
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss on 'valid' became {loss} after step {self.state.step}; lower lr ({self.options.lr:g})",
                self.state.step,
            )
        p, label, days = (np.asarray(t.cpu()) for t in (pred, y, day))
        return {
            "loss": loss,
            "ic": mean_ic(daily_ic(p, label, days)),
            "rank_ic": mean_ic(daily_rank_ic(p, label, days)),
        }

    def _keep_best(self, value: float) -> None:
        state = self.state
        better = value > state.best_value if self.options.maximize else value < state.best_value
        if math.isnan(state.best_value) or better:
            state.best_value, state.best_round, state.since_best = value, state.round, 0
            self.best = {k: v.detach().to("cpu", copy=True) for k, v in self.network.state_dict().items()}
        else:
            state.since_best += 1

    def _count(self, rounds: int) -> int:
        """Return rounds in the unit of the progress: epochs, or steps."""
        options = self.options
        return min(rounds * options.eval_steps, options.max_steps) if options.max_steps else rounds

    def _log(self, name: str, value: float, *, at: int) -> None:
        self.state.history.setdefault(name, []).append(value)
        self.context.metric(name, value, step=self._count(at))

    def _progress(self, text: str, *, force: bool = False) -> None:
        options, state = self.options, self.state
        total = self._count(self.rounds)
        stop_at = 0
        if options.early_stop and state.best_round:
            stop_at = self._count(min(state.best_round + options.early_stop, self.rounds))
        step = state.step if options.max_steps else state.round
        self.context.progress(
            min(step, total),
            total=total,
            unit=options.unit,
            best_step=self._count(state.best_round),
            stop_at=stop_at,
            text=f"{options.unit} {state.round + 1}, {text}" if text and not options.max_steps else text,
            force=force,
        )

    def _checkpoint(self) -> dict[str, Any]:
        state = self.state
        return {
            "key": self.key,
            "state": {name: getattr(state, name) for name in _State.__slots__},
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule.inner is None else _plain(self.schedule.inner.state_dict()),
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "order": self.order.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def _resume(self) -> None:
        if self.context.checkpoint_dir is None:
            return
        saved = load_checkpoint(self.context.checkpoint_dir)
        if saved is None:
            return
        if saved["key"] != self.key:
            self.context.log(
                "the checkpoint is of another model, other options or other data; starting afresh", level="warning"
            )
            return
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.schedule.inner is not None:
            self.schedule.inner.load_state_dict(saved["schedule"])
        self.scaler.load_state_dict(saved["scaler"])
        self.best, self.state = saved["best"], _State(**saved["state"])
        self.order.set_state(saved["order"])
        torch.set_rng_state(saved["torch"])
        if saved["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(saved["cuda"])
        done = self._count(self.state.round)
        self.context.log(f"going on after {self.options.unit} {done} of {self._count(self.rounds)} from the checkpoint")


def predict_rows(
    network: Any,
    rows: Rows,
    options: LoopOptions,
    precision: str = "fp32",
    *,
    should_stop: Callable[[], bool],
    tell: Callable[[int], None],
) -> Tensor | None:
    """Return what `network` says of `rows`, in their order, float32; None when asked to stop meanwhile.

    `tell` is given the number of rows that are done after each batch. The answers are written to one vector that is
    there before: kept one by one, they would lie between the large tensors of the batches, and as these are not given
    back to the system (`running_on`), each batch would need new memory beside the holes of the ones before.
    """
    module = getattr(network, "_orig_mod", network)
    training = module.training
    module.eval()
    found = torch.empty(len(rows), device=options.device)
    done = 0
    try:
        with torch.inference_mode(), autocast(options.device, precision):
            for batch in _closing(feed(rows, in_order(rows, options), options.device)):
                if should_stop():
                    return None
                ahead = done + len(batch.y)
                found[done:ahead] = _flat(network(batch.x), len(batch.y))
                done = ahead
                tell(done)
    finally:
        module.train(training)
    return found


class _Pace:
    """Counts rows and says how fast they go."""

    def __init__(self, batches: int) -> None:
        self.batches, self.done, self.rows, self.began = batches, 0, 0, time.perf_counter()

    def add(self, rows: int) -> None:
        """Count a batch."""
        self.done += 1
        self.rows += rows

    def text(self, loss: float, lr: float) -> str:
        """Return where the round is, in words."""
        seconds = max(time.perf_counter() - self.began, 1e-9)
        left = seconds / self.done * (self.batches - self.done)
        return (
            f"batch {self.done} of {self.batches}, loss {loss:.5g}, lr {lr:.3g}, "
            f"{self.rows / seconds:,.0f} rows/s, {left:.0f} s to the next validation"
        )


@contextmanager
def _closed(batches: Iterator[Batch]) -> Iterator[Iterator[Batch]]:
    try:
        yield batches
    finally:
        batches.close()  # type: ignore[attr-defined]


def _closing(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield `batches` and close them at the end, however it comes, so that no thread is left behind."""
    with _closed(batches) as inner:
        yield from inner


def _compiled(network: nn.Module, rows: Rows, options: LoopOptions, context: FitContext) -> Any:
    """Return `network` compiled, or itself with a warning where compiling fails (no C++ compiler, for instance)."""
    compiled = torch.compile(network, dynamic=True)
    try:
        network.eval()
        with torch.inference_mode():
            compiled(rows.gather(torch.arange(min(4, len(rows)))).to(options.device))
    except torch._dynamo.exc.TorchDynamoException as error:
        context.log(f"torch.compile fails ({str(error).splitlines()[0]}); training without it", level="warning")
        return network
    return compiled


def _flat(out: Any, rows: int) -> Tensor:
    """Return the network's output as shape (rows,)."""
    if not isinstance(out, Tensor) or out.numel() != rows:
        what = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
        raise ModelError(f"the network returned {what} for {rows} rows; it must return one number for each row")
    return out.reshape(rows)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a schedule's state that can be read again without unpickling code."""
    return {k: v for k, v in state.items() if isinstance(v, int | float | str | bool | list | Tensor) or v is None}
