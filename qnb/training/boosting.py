"""What gradient boosting libraries share: watching the iterations, the limit on threads, importances by feature."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.protocols import Sample
from ..errors import DivergedError, ModelError
from .context import FitContext

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Evaluation", "IterationWatch", "columns_for", "importance_series", "limited_threads", "take_alias"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One metric of one data set after an iteration.

    Attributes
    ----------
    data : str
        ``"train"`` or ``"valid"``.
    metric : str
        The library's name of the metric.
    value : float
        Its value.
    maximize : bool
        True when larger is better.
    """

    data: str
    metric: str
    value: float
    maximize: bool = False


@dataclass(slots=True)
class IterationWatch:
    """Turns the evaluations of a boosting library into events and asks whether to stop.

    Parameters
    ----------
    context : FitContext
        Where events go.
    total : int
        Most iterations there can be.
    patience : int
        Iterations without improvement of a validation metric after which the library stops; 0 for never.
    first : int
        Iterations that were there before this fit (fine-tuning).
    """

    context: FitContext
    total: int
    patience: int = 0
    first: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    stopped: bool = False
    _best: dict[str, tuple[float, int]] = field(default_factory=dict)

    @property
    def best_step(self) -> int:
        """Iteration of the best value of the validation metric that will stop first, 1-based; 0 without one."""
        return min((step for _, step in self._best.values()), default=0)

    def update(self, iteration: int, evaluations: Iterable[Evaluation]) -> bool:
        """Report iteration `iteration` (1-based) and return True when the fit was asked to stop.

        Raises
        ------
        DivergedError
            When a metric is NaN or infinite.
        """
        step = self.first + iteration
        for e in evaluations:
            name = f"{e.metric}.{e.data}"
            if not math.isfinite(e.value):
                raise DivergedError(
                    f"{name} became {e.value} in iteration {step}; lower the learning rate or check the label", step
                )
            self.history.setdefault(name, []).append(e.value)
            self.context.metric(name, e.value, step=step)
            if e.data != "train":
                best = self._best.get(e.metric)
                if best is None or (e.value > best[0] if e.maximize else e.value < best[0]):
                    self._best[e.metric] = (e.value, step)
        best_step = self.best_step
        stop_at = min(best_step + self.patience, self.total) if self.patience and best_step else 0
        self.context.progress(
            step,
            total=self.total,
            unit="iteration",
            best_step=best_step,
            stop_at=stop_at,
            force=bool(stop_at and step >= stop_at),
        )
        self.stopped = self.stopped or self.context.should_stop()
        return self.stopped

    def summary(self, iteration: int) -> str:
        """Return the metrics of the last iteration in words, for the log."""
        values = "  ".join(f"{name} {curve[-1]:.6g}" for name, curve in self.history.items())
        return f"iteration {self.first + iteration}  {values}"


def limited_threads(params: dict[str, Any], names: Sequence[str], context: FitContext) -> int:
    """Take the thread setting out of `params`, under any of its `names`, and return the number to use."""
    given = [(n, params.pop(n)) for n in names if n in params]
    if not given:
        return context.threads
    name, asked = given[0]
    return context.limit_threads(name, None if asked is None else int(asked))


def columns_for(sample: Sample, fitted: Sequence[str], *, model: str) -> np.ndarray:
    """Return the features of `sample` in the order of the fit.

    Raises
    ------
    ModelError
        When the sample lacks a feature of the fit, naming which.
    """
    if not fitted or sample.feature_names == tuple(fitted):
        return sample.x
    place = {name: i for i, name in enumerate(sample.feature_names)}
    missing = [name for name in fitted if name not in place]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise ModelError(
            f"{model} was fitted on {len(fitted)} features; the data has {len(place)} and lacks {shown}; "
            "predict with the handler that it was fitted with"
        )
    return np.ascontiguousarray(sample.x[:, [place[name] for name in fitted]])


def importance_series(values: Mapping[str, float], *, name: str) -> pd.Series:
    """Return importances by feature, largest first."""
    import pandas as pd

    series = pd.Series(dict(values), dtype="float64", name=name)
    series.index.name = "feature"
    return series.sort_values(ascending=False, kind="stable")


def take_alias(params: dict[str, Any], names: Sequence[str]) -> tuple[str, Any] | None:
    """Take the first of `names` that is in `params` out of it (others of them too) and return it with its value."""
    given = [(n, params.pop(n)) for n in names if n in params]
    return given[0] if given else None
