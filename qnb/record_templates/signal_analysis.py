"""How well the scores order the instruments, day by day."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from ..metrics.signal import ic_by_day, long_short, rank_ic_by_day
from ._base import RecordTemplate

__all__ = ["SigAnaRecord"]

_LOG = logging.getLogger("qnb.record")


class SigAnaRecord(RecordTemplate):
    """Information coefficients of the predictions: artifacts ``ic`` and ``ric``, metrics IC, ICIR, Rank IC, Rank ICIR.

    ICIR is mean over standard deviation of the daily values, not annualised (Grinold and Kahn, 'Active Portfolio
    Management', 2nd ed., chapter 5, for the coefficient).

    Parameters
    ----------
    recorder : Recorder
        Holds ``pred`` and ``label`` of a SignalRecord.
    ana_long_short : bool
        Also the return of the top fifth less the bottom fifth, halved, and of the average of all instruments.
    ann_scaler : float
        Days in a year for those returns.
    label_col : int
        Column of the label.
    skip_existing : bool
        Do nothing when the artifacts are there already.
    """

    artifact_path: ClassVar[str] = "sig_analysis"

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

    def compute(self) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """Return the daily coefficients and their summary."""
        pred = self.load("pred.pkl").iloc[:, 0]
        labels = self.load("label.pkl")
        if labels.empty:
            _LOG.warning("the label is empty: no signal analysis")
            return {}, {}
        label = labels.iloc[:, self.label_col]
        ic, ric = ic_by_day(pred, label), rank_ic_by_day(pred, label)
        artifacts: dict[str, Any] = {"ic.pkl": ic, "ric.pkl": ric}
        metrics = {
            "IC": float(ic.mean()),
            "ICIR": float(ic.mean() / ic.std()),
            "Rank IC": float(ric.mean()),
            "Rank ICIR": float(ric.mean() / ric.std()),
        }
        if self.ana_long_short:
            both, average = long_short(pred, label)
            artifacts |= {"long_short_r.pkl": both, "long_avg_r.pkl": average}
            for name, returns in (("Long-Short", both), ("Long-Avg", average)):
                metrics[f"{name} Ann Return"] = float(returns.mean() * self.ann_scaler)
                metrics[f"{name} Ann Sharpe"] = float(returns.mean() / returns.std() * self.ann_scaler**0.5)
        return artifacts, metrics

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        return ["ic.pkl", "ric.pkl", *(["long_short_r.pkl", "long_avg_r.pkl"] if self.ana_long_short else [])]
