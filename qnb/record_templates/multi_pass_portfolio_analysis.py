"""How much of a backtest hangs on the first day's portfolio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..errors import ConfigError, Problem
from .portfolio_analysis import PortAnaRecord, risk_frames

__all__ = ["MultiPassPortAnaRecord"]

_MEASURES = ("annualized_return", "information_ratio")


class MultiPassPortAnaRecord(PortAnaRecord):
    """Repeats the backtest with the scores of the first day shuffled among the instruments.

    Artifact ``multi_pass_port_analysis_1day``: mean, std (ddof 1) and mean over std of annualised return and
    information ratio over the passes, also logged as metrics ``mean.…``, ``std.…`` and ``mean_std.…``.

    Parameters
    ----------
    recorder : Recorder
        Holds ``pred`` of a SignalRecord.
    pass_num : int
        Number of backtests.
    shuffle_init_score : bool
        Whether the first day's scores are shuffled; without it all passes are the same.
    seed : int
        Seed of the shuffles.
    config, risk_analysis_freq, indicator_analysis_freq, indicator_analysis_method, skip_existing, model, dataset
        As in `PortAnaRecord`; the strategy must be given with ``signal: <PRED>``.
    """

    artifact_path: ClassVar[str] = "portfolio_analysis"

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
    ) -> None:
        super().__init__(
            recorder, config, risk_analysis_freq, indicator_analysis_freq, indicator_analysis_method, skip_existing,
            model, dataset,
        )  # fmt: skip
        if pass_num < 1:
            raise ConfigError([Problem(f"pass_num is {pass_num}", "give at least 1", "pass_num")])
        self.pass_num = pass_num
        self.shuffle_init_score = shuffle_init_score
        self.seed = seed

    def compute(self) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """Run all passes and summarise them."""
        import pandas as pd

        pred = self.load("pred.pkl")
        random = np.random.default_rng(self.seed)
        passes = []
        for _ in range(self.pass_num):
            scores = self._shuffled(pred, random) if self.shuffle_init_score else pred
            passes.append(risk_frames(self._backtest(scores).report)["risk"])
        table = pd.concat(passes, axis=1)
        table = table.loc[(slice(None), list(_MEASURES)), :]
        summary = pd.DataFrame({"mean": table.mean(axis=1), "std": table.std(axis=1)})
        summary["mean_std"] = summary["mean"] / summary["std"]
        metrics = {
            f"{column}.{kind}.{measure}": float(value)
            for column in summary.columns
            for (kind, measure), value in summary[column].items()
            if np.isfinite(value)
        }
        return {"multi_pass_port_analysis_1day.pkl": summary}, metrics

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        return ["multi_pass_port_analysis_1day.pkl"]

    def _shuffled(self, pred: Any, random: np.random.Generator) -> Any:
        import pandas as pd

        days = pred.index.get_level_values("datetime")
        start = (self.config.get("backtest") or {}).get("start_time")
        first = days[days >= pd.Timestamp(start)].min() if start is not None else days.min()
        rows = np.flatnonzero(days == first)
        values = pred.iloc[:, 0].to_numpy(copy=True)
        values[rows] = random.permutation(values[rows])
        return pd.DataFrame({pred.columns[0]: values}, index=pred.index)
