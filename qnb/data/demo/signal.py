"""The planted signal of the demo market: what of prices and volumes tells the return two days ahead.

For every instrument that trades, at the close of day t, from adjusted prices and volumes:

1. ``reversal``  = -(close / close 5 days ago - 1) / 5 %, within +-3
2. ``drawback``  = -(close / close 60 days ago - 1) / 20 %, within +-3
3. ``shock``     = log(volume / mean volume of 5 days) / 0.3, within +-3
4. ``place``     = (2 close - high - low) / (high - low): where in the day's range the close lies, -1 to 1
5. ``width``     = (high - low) / open / 3 % - 1, from -1 to 2

``score = 0.5 reversal + 0.5 drawback - 0.3 shock + reversal * width + shock * place``, and z is the score with
the day's mean over the trading instruments taken off and divided by their standard deviation. The first three terms
suit a linear model; the two products are for models that find interactions.
"""

from __future__ import annotations

import numpy as np

__all__ = ["SignalHistory", "standardised"]

SHORT, LONG, VOLUME = 5, 60, 5


class SignalHistory:
    """The closes and volumes that the signal looks back on; a suspended day repeats the last ones.

    Parameters
    ----------
    close, volume : ndarray of float64, shape (instruments,)
        What fills the time before the first day.
    """

    def __init__(self, close: np.ndarray, volume: np.ndarray) -> None:
        self._closes = np.tile(close, (LONG + 1, 1))
        self._volumes = np.tile(volume, (VOLUME, 1))
        self._day = 0

    def restart(self, which: np.ndarray, close: np.ndarray) -> None:
        """Forget what was before the listing of the instruments `which` (indices)."""
        self._closes[:, which] = close[which]

    def score(
        self, open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray, volume: np.ndarray
    ) -> np.ndarray:
        """Take in a day and return its score, shape (instruments,).

        `close` and `volume` are adjusted; `open_`, `high` and `low` are given as shares of the close.
        """
        self._day += 1
        day, closes, volumes = self._day, self._closes, self._volumes
        closes[day % (LONG + 1)] = close
        volumes[day % VOLUME] = volume
        reversal = np.clip((1 - close / closes[(day - SHORT) % (LONG + 1)]) / 0.05, -3, 3)
        drawback = np.clip((1 - close / closes[(day - LONG) % (LONG + 1)]) / 0.20, -3, 3)
        shock = np.clip(np.log(volume * VOLUME / volumes.sum(axis=0)) / 0.3, -3, 3)
        spread = high - low
        place = np.divide(2 - high - low, spread, out=np.zeros_like(close), where=spread > 0)
        width = np.clip(spread / open_ / 0.03 - 1, -1, 2)
        return 0.5 * reversal + 0.5 * drawback - 0.3 * shock + reversal * width + shock * place


def standardised(score: np.ndarray, trading: np.ndarray) -> np.ndarray:
    """Return `score` with mean 0 and standard deviation 1 over the `trading` instruments, 0 for the others."""
    n = np.count_nonzero(trading)
    if n < 2:
        return np.zeros_like(score)
    centred = np.where(trading, score - score[trading].sum() / n, 0.0)
    spread = np.sqrt(centred @ centred / n)
    return centred / spread if spread > 0 else centred
