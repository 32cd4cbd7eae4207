"""How much of a backtest hangs on the first day's portfolio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Settings
from ..errors import ConfigError, Problem
from ..events import Emit, Event, Progress
from ._base import Recorded
from .portfolio_analysis import FREQ, PortAnaRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MultiPassPortAnaRecord"]

_MEASURES = ("annualized_return", "information_ratio")


class MultiPassPortAnaRecord(PortAnaRecord):
    """Repeats the backtest with the scores of the first day shuffled among the instruments.

    Artifact ``multi_pass_port_analysis_1day``: mean, std (ddof 1) and mean over std of annualised return and
    information ratio over the passes, also logged as metrics ``mean.…``, ``std.…`` and ``mean_std.…`` (std of a single
    pass is NaN). The backtest of the scores as they are leaves the artifacts and metrics of `PortAnaRecord`, beside the
    passes.

    Parameters
    ----------
    recorder : Recorder
        Holds ``pred`` of a SignalRecord.
    pass_num : int
        Number of backtests with shuffled scores.
    shuffle_init_score : bool
        Whether the first day's scores are shuffled; without it all passes are the same.
    config, risk_analysis_freq, indicator_analysis_freq, indicator_analysis_method, skip_existing, model, dataset
        As in `PortAnaRecord`. The strategy must be a description with a ``signal``, which the scores take the place of.
    seed : int
        Seed of the shuffles.
    settings : Settings, optional
        As in `PortAnaRecord`.
    """

    def __init__(
        self,
        recorder: Any = None,
        pass_num: int = 10,
        shuffle_init_score: bool = True,
        config: Mapping[str, Any] | None = None,
        risk_analysis_freq: str | Sequence[str] | None = None,
        indicator_analysis_freq: str | Sequence[str] | None = None,
        indicator_analysis_method: str | None = None,
        skip_existing: bool = False,
        model: Any = None,
        dataset: Any = None,
        seed: int = 0,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(
            recorder, config, risk_analysis_freq, indicator_analysis_freq, indicator_analysis_method, skip_existing,
            model, dataset, settings,
        )  # fmt: skip
        self.pass_num = pass_num
        self.shuffle_init_score = shuffle_init_score
        self.seed = seed
        problems = []
        if not isinstance(pass_num, int) or pass_num < 1:
            problems.append(
                Problem(f"pass_num must be a number of passes, received {pass_num!r}", "1 or more", "pass_num")
            )
        strategy = self.config.get("strategy")
        if not isinstance(strategy, Mapping) or "signal" not in (strategy.get("kwargs") or {}):
            message = "several passes need a strategy with class and kwargs, and a signal among them"
            problems.append(Problem(message, "write signal: <PRED>", "config.strategy"))
        if problems:
            raise ConfigError(problems)

    def compute(self, emit: Emit) -> Recorded:
        """Run the backtest as it is and all passes, and summarise the passes."""
        import pandas as pd

        pred = self.load("pred.pkl")
        config = self._on_scores()
        plain = self._analysed(self.backtest(pred, config=config, emit=_part(emit, 0, self.pass_num + 1)))
        random = np.random.default_rng(self.seed)
        passes = []
        for number in range(1, self.pass_num + 1):
            scores = self._shuffled(pred, random) if self.shuffle_init_score else pred
            result = self.backtest(scores, config=config, emit=_part(emit, number, self.pass_num + 1))
            passes.append(result.analysis()["risk"])
        table = pd.concat(passes, axis=1)
        table = table[table.index.get_level_values(1).isin(_MEASURES)]
        summary = pd.DataFrame({"mean": table.mean(axis=1), "std": table.std(axis=1)})
        summary["mean_std"] = summary["mean"] / summary["std"]
        metrics = {
            f"{column}.{'.'.join(key)}": float(value)
            for column in summary.columns
            for key, value in zip(summary.index, summary[column], strict=True)
        }
        artifacts = {**plain.artifacts, f"multi_pass_port_analysis_{FREQ}.pkl": summary}
        return Recorded(artifacts, {**plain.metrics, **metrics})

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        return [*super().list(), f"multi_pass_port_analysis_{FREQ}.pkl"]

    def _on_scores(self) -> dict[str, Any]:
        """Return the configuration with the recorder's predictions as the signal, whatever it was."""
        strategy = self.config["strategy"]
        return {**self.config, "strategy": {**strategy, "kwargs": {**strategy["kwargs"], "signal": "<PRED>"}}}

    def _shuffled(self, pred: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        """Return `pred` with the scores of the first day that is traded on in another order."""
        import pandas as pd

        days = pred.index.get_level_values("datetime")
        start = (self.config.get("backtest") or {}).get("start_time")
        first = days[days >= pd.Timestamp(start)].min() if start is not None else days.min()
        rows = np.flatnonzero(days == first)
        values = pred.iloc[:, 0].to_numpy(copy=True)
        values[rows] = random.permutation(values[rows])
        return pd.DataFrame({pred.columns[0]: values}, index=pred.index)


def _part(emit: Emit, number: int, parts: int) -> Emit:
    """Return an emit that shows progress as part `number` (from 0) of `parts`."""

    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            step, total = number * event.total + event.step, parts * event.total
            emit(Progress(stage=event.stage, step=step, total=total, unit=event.unit))
        elif number == 0:
            emit(event)

    return tell
