"""Where scores come from: a Series, a frame, a (model, dataset) pair, or the strategy itself."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..errors import BacktestError

__all__ = ["PREDICTION", "fill_prediction", "signal_of"]

PREDICTION = "<PRED>"
"""What a workflow writes for the predictions of its model."""


def signal_of(signal: Any, strategy: Any) -> tuple[bool, Any]:
    """Return (whether it is a frame, the scores) of `signal`, or of the strategy's own signal where it is None.

    Raises
    ------
    BacktestError
        When there is none, or of a kind that cannot be used.
    """
    if signal is None:
        signal = getattr(strategy, "signal", None)
    if signal is None:
        raise BacktestError("there is no signal: pass scores, or give the strategy signal: <PRED>")
    if isinstance(signal, list | tuple) and len(signal) == 2 and hasattr(signal[0], "predict"):
        model, dataset = signal
        signal = model.predict(dataset)
        signal = signal.iloc[:, 0] if isinstance(signal, pd.DataFrame) else signal
    if isinstance(signal, pd.DataFrame):
        return True, signal
    if isinstance(signal, pd.Series):
        return False, signal
    if isinstance(signal, str):
        raise BacktestError(f"the signal {signal!r} was not replaced by scores; <PRED> is known only in a record")
    raise BacktestError(f"a signal is a Series, a DataFrame or (model, dataset), received {type(signal).__name__}")


def fill_prediction(value: Any, signal: Any) -> Any:
    """Return `value` with ``<PRED>`` replaced by `signal`, in lists and mappings too.

    Raises
    ------
    BacktestError
        When there is a ``<PRED>`` and no signal.
    """
    if isinstance(value, str) and value == PREDICTION:
        if signal is None:
            raise BacktestError("the strategy asks for <PRED> and there are no predictions; run a SignalRecord first")
        return signal
    if type(value) is dict:
        return {k: fill_prediction(v, signal) for k, v in value.items()}
    if type(value) is list:
        return [fill_prediction(v, signal) for v in value]
    return value
