"""Predictions and labels of the test segment."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import DataError, EmptyDataError, ModelError, UnknownNameError
from ..events import Emit, LogLine
from ._base import Recorded, RecordTemplate

if TYPE_CHECKING:
    import pandas as pd

    from ..training.context import FitContext

__all__ = ["SignalRecord"]

SEGMENT = "test"


class SignalRecord(RecordTemplate):
    """Saves ``pred`` (column ``score``) and ``label`` of the segment ``test``, index (datetime, instrument).

    The label is raw: before any learn processor. Without raw data (``drop_raw``), or for a dataset without labels,
    there is none, and the log says so.

    Parameters
    ----------
    model : object
        Fitted; ``predict(dataset)`` gives the scores.
    dataset : object
        What it predicts on.
    recorder : Recorder
        Where they are saved.
    """

    stage: ClassVar[str] = "predict"
    title: ClassVar[str] = "Predict"

    def __init__(self, model: Any = None, dataset: Any = None, recorder: Any = None) -> None:
        super().__init__(recorder)
        self.model = model
        self.dataset = dataset
        self._context: FitContext | None = None

    def generate(self, *, emit: Emit | None = None, context: FitContext | None = None) -> None:
        """Predict and save; `context` tells a model that takes it how many threads to use and when to stop.

        Raises
        ------
        RecorderError
            Without a recorder.
        RunStopped
            The context asked to stop.
        """
        self._context = context
        super().generate(emit=emit)

    def compute(self, emit: Emit) -> Recorded:
        """Return predictions and labels.

        Raises
        ------
        ModelError
            When `model` returns something else than scores by (datetime, instrument).
        EmptyDataError
            When it returns none.
        """
        takes = self._context is not None and "context" in inspect.signature(self.model.predict).parameters
        pred = self.model.predict(self.dataset, **({"context": self._context} if takes else {}))
        artifacts: dict[str, Any] = {"pred.pkl": _scores(pred, type(self.model).__name__)}
        label = self._label(emit)
        if label is not None:
            artifacts["label.pkl"] = label
        return Recorded(artifacts)

    def list(self) -> list[str]:
        """Return the names of the artifacts."""
        return ["pred.pkl", "label.pkl"]

    def _label(self, emit: Emit) -> pd.DataFrame | None:
        frame = getattr(self.dataset, "frame", None) or getattr(self.dataset, "prepare", None)
        if frame is None:
            return None
        try:
            return frame(SEGMENT, col_set="label", data_key="raw")
        except (DataError, UnknownNameError) as error:  # raw data was dropped, or there is no column group "label"
            emit(LogLine(text=f"no labels are recorded: {error}", level="warning", stage=self.stage))
            return None


def _scores(pred: Any, model: str) -> pd.DataFrame:
    """Return predictions as a frame with the column ``score``."""
    import pandas as pd

    frame = pred.to_frame("score") if isinstance(pred, pd.Series) else pred
    if not isinstance(frame, pd.DataFrame) or frame.index.nlevels != 2 or not frame.shape[1]:
        raise ModelError(
            f"{model}.predict returned a {type(pred).__name__}; return a Series with the index (datetime, instrument)"
        )
    if not len(frame):
        raise EmptyDataError(f"{model} predicted nothing for the segment {SEGMENT!r}; check its dates against the data")
    return frame
