"""What a fit is given by whoever runs it: threads, seed, where to report, when to stop, where to keep checkpoints."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..config import core_count
from ..errors import RunStopped
from ..events import Emit, Event, LogLine, MetricLogged, Progress, SeedDrawn
from ..project import make_folder

__all__ = ["FitContext"]

SEED_FILE = ".seed"
PROGRESS_INTERVAL = 0.1
"""Seconds between two progress events that a view can use; closer ones are left out."""


def _nowhere(_: Event) -> None:
    """Take an event and do nothing."""


def _never() -> bool:
    return False


@dataclass(slots=True)
class _Pace:
    """When the last progress event went out, by `time.monotonic`, and what it told."""

    last: float = -1e9
    told: tuple[str, int] = ("", -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitContext:
    """The surroundings of a fit.

    Attributes
    ----------
    threads : int
        Threads that the model may use; default: the cores this process may use.
    seed : int or None
        Seed of everything random in the fit unless the model has one of its own; None leaves the library's default, or
        `drawn_seed` to a model that needs one.
    emit : callable
        Receives events.
    should_stop : callable
        Asked at every iteration or batch; True asks the fit to end with its best state so far.
    checkpoint_dir : Path or None
        Folder for checkpoints; None keeps none.
    resume : bool
        Go on from the checkpoint in `checkpoint_dir` if there is one.
    stage : str
        Stage of the run that the events belong to.
    """

    threads: int = field(default_factory=core_count)
    seed: int | None = None
    emit: Emit = _nowhere
    should_stop: Callable[[], bool] = _never
    checkpoint_dir: Path | None = None
    resume: bool = False
    stage: str = "fit"
    _pace: _Pace = field(default_factory=_Pace, repr=False, compare=False)

    @classmethod
    def quiet(cls) -> FitContext:
        """Return the context of a fit that nobody watches."""
        return cls()

    def drawn_seed(self) -> int:
        """Return the seed of a fit that was given none, and tell it.

        It is drawn once for `checkpoint_dir` and kept there: a fit that goes on from a checkpoint, or is begun again
        after a crash, is the same fit.
        """
        path = self.checkpoint_dir / SEED_FILE if self.checkpoint_dir is not None else None
        drawn = None
        if path is not None:
            with contextlib.suppress(OSError, ValueError):
                drawn = int(path.read_text(encoding="ascii"))
        if drawn is None or not 0 <= drawn < 2**31:
            drawn = secrets.randbelow(2**31)
            if path is not None:
                try:
                    make_folder(path.parent)
                    path.write_text(str(drawn), encoding="ascii")
                except OSError as error:
                    self.log(f"the seed cannot be kept in {path.parent}: {error.strerror or error}", level="warning")
        self.emit(SeedDrawn(seed=drawn))
        self.log(f"seed {drawn} (none was given)")
        return drawn

    def progress(
        self,
        step: int,
        *,
        total: int = 0,
        unit: str = "step",
        best_step: int = 0,
        stop_at: int = 0,
        text: str = "",
        force: bool = False,
    ) -> None:
        """Report how far the fit is; at most ten events a second go out, the last step once and forced ones always do.

        Parameters
        ----------
        step, total : int
            Done and at most, in `unit`; total 0 if unknown.
        best_step : int
            Step of the best validation value so far; 0 without one.
        stop_at : int
            Step at which the fit ends unless the validation improves; 0 without early stopping.
        force : bool
            Send it however soon after the last one.
        """
        now = time.monotonic()
        is_end = total and step >= total and (self.stage, step) != self._pace.told
        if not force and not is_end and now - self._pace.last < PROGRESS_INTERVAL:
            return
        self._pace.last, self._pace.told = now, (self.stage, step)
        self.emit(
            Progress(
                stage=self.stage, step=step, total=total, unit=unit, best_step=best_step, stop_at=stop_at, text=text
            )
        )

    def metric(self, name: str, value: float, *, step: int | None = None) -> None:
        """Report a metric; `step` (1-based iteration or epoch) makes it a point of a curve."""
        self.emit(MetricLogged(name=name, value=float(value), step=step))

    def log(self, text: str, *, level: str = "info") -> None:
        """Write a line to the run's log; level is ``debug``, ``info``, ``warning`` or ``error``."""
        self.emit(LogLine(text=text, level=level, stage=self.stage))

    def limit_threads(self, name: str, asked: int | None) -> int:
        """Return the number of threads to use where the configuration asks for `asked` under `name`.

        More threads than its share of the cores make a fit slower, and what runs beside it: a larger number is
        limited, and said so. None, zero and negative numbers mean the whole share.
        """
        if asked is None or asked <= 0:
            return self.threads
        if asked > self.threads:
            self.log(f"{name} {asked} limited to {self.threads}, this run's share of the cores")
            return self.threads
        return asked

    def check_stop(self) -> None:
        """Raise `RunStopped` when the run was asked to stop; for models without a state worth keeping."""
        if self.should_stop():
            raise RunStopped("stopped on request")
