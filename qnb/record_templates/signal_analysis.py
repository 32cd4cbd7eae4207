"""How well the scores order the instruments, day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import ConfigError, EmptyDataError, Problem
from ..events import Emit
from ..metrics.signal import ic_by_day, long_short, rank_ic_by_day
from ._base import Recorded, RecordTemplate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SigAnaRecord"]


class SigAnaRecord(RecordTemplate):
    """Information coefficients of the predictions, below ``sig_analysis``.

    Artifacts: ``ic`` and ``ric``, the Pearson and Spearman correlation of score and label by day. Metrics: IC and
    Rank IC, their means; ICIR and Rank ICIR, mean over standard deviation (ddof 1), not annualised. NaN days are left
    out; without variation the ratio is NaN. Source: Grinold and Kahn, 'Active Portfolio Management', 2nd ed., ch. 6.

    With `ana_long_short` also ``long_short_r``, by day (mean label of the top fifth - of the bottom fifth) / 2, and
    ``long_avg_r``, the mean label of all instruments; metrics {Long-Short, Long-Avg} Ann {Return, Sharpe}.

    Parameters
    ----------
    recorder : Recorder
        Holds ``pred`` and ``label`` of a SignalRecord.
    ana_long_short : bool
        Whether returns of long-short portfolios are analysed.
    ann_scaler : float
        Days in a year for those: return = mean * scaler, Sharpe = mean / std * sqrt(scaler).
    label_col : int
        Column of ``label``, from 0.
    skip_existing : bool
        Do nothing when the artifacts are there already.
    """

    stage: ClassVar[str] = "signal"
    title: ClassVar[str] = "Signal"
    artifact_path: ClassVar[str] = "sig_analysis"
    needs: ClassVar[Any] = (("pred.pkl", "SignalRecord"), ("label.pkl", "SignalRecord"))

    def __init__(
        self,
        recorder: Any = None,
        ana_long_short: bool = False,
        ann_scaler: float = 252,
        label_col: int = 0,
        skip_existing: bool = False,
    ) -> None:
        super().__init__(recorder, skip_existing)
        self.ana_long_short = ana_long_short
        self.ann_scaler = ann_scaler
        self.label_col = label_col

    def compute(self, emit: Emit) -> Recorded:
        """Return the daily coefficients and their summary.

        Raises
        ------
        ConfigError
            When there is no such label column.
        EmptyDataError
            When no row has both a score and a label.
        """
        score = self.load("pred.pkl").iloc[:, 0]
        label = self._label(self.load("label.pkl"))
        if not (score.notna() & label.reindex(score.index).notna()).any():
            raise EmptyDataError(
                "no row of the test segment has both a score and a label, so there is nothing to analyse; let the "
                "segment end earlier, or leave SigAnaRecord out"
            )
        ic, ric = ic_by_day(score, label).rename("ic"), rank_ic_by_day(score, label).rename("ric")
        artifacts: dict[str, Any] = {"ic.pkl": ic, "ric.pkl": ric}
        metrics = {
            "IC": ic.mean(),
            "ICIR": _over_std(ic),
            "Rank IC": ric.mean(),
            "Rank ICIR": _over_std(ric),
        }
        if self.ana_long_short:
            both, average = long_short(score, label)
            artifacts |= {"long_short_r.pkl": both, "long_avg_r.pkl": average}
            for name, returns in (("Long-Short", both), ("Long-Avg", average)):
                metrics[f"{name} Ann Return"] = returns.mean() * self.ann_scaler
                metrics[f"{name} Ann Sharpe"] = _over_std(returns) * self.ann_scaler**0.5
        return Recorded(artifacts, {name: float(value) for name, value in metrics.items()})

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        return ["ic.pkl", "ric.pkl", *(["long_short_r.pkl", "long_avg_r.pkl"] if self.ana_long_short else [])]

    def _label(self, labels: pd.DataFrame) -> pd.Series:
        if not -labels.shape[1] <= self.label_col < labels.shape[1]:
            message = (
                f"label_col is {self.label_col}, and there are {labels.shape[1]} labels: {', '.join(map(str, labels))}"
            )
            raise ConfigError([Problem(message, "columns count from 0", "label_col")])
        return labels.iloc[:, self.label_col]


def _over_std(values: pd.Series) -> float:
    """Return mean over standard deviation; NaN where that is 0 or unknown."""
    spread = float(values.std())
    return float(values.mean()) / spread if spread else float("nan")
