"""Predictions and labels of the test segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, Problem
from ._base import RecordTemplate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SignalRecord"]


class SignalRecord(RecordTemplate):
    """Saves ``pred`` (column score) and ``label`` (raw) of the test segment, index (datetime, instrument).

    Parameters
    ----------
    model : object
        Fitted; ``predict(dataset)`` gives scores of the segment ``test``.
    dataset : object
        What it predicts on.
    recorder : Recorder
        Where they are saved.
    """

    def __init__(self, model: Any = None, dataset: Any = None, recorder: Any = None) -> None:
        super().__init__(recorder)
        self.model = model
        self.dataset = dataset

    def compute(self) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """Return predictions and labels; there are no labels where the raw data was dropped."""
        artifacts: dict[str, Any] = {"pred.pkl": _frame(self.model.predict(self.dataset))}
        label = self._label()
        if label is not None:
            artifacts["label.pkl"] = label
        return artifacts, {}

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        return ["pred.pkl", "label.pkl"]

    def _label(self) -> pd.DataFrame | None:
        prepare = getattr(self.dataset, "prepare", None)
        if prepare is None:
            return None
        try:
            return prepare(segments="test", col_set="label", data_key="raw")
        except AttributeError:  # the handler dropped its raw data
            return None


def _frame(pred: Any) -> pd.DataFrame:
    import pandas as pd

    if isinstance(pred, pd.Series):
        return pred.to_frame("score")
    if isinstance(pred, pd.DataFrame):
        return pred
    problem = Problem(f"predict returned {type(pred).__name__}", "return a Series with index (datetime, instrument)")
    raise ConfigError([problem])
