"""Daily series of trials: what the verdict is made of, one small file a trial and fold, without pickles."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..project import make_folder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Series", "read_series", "write_series"]


@dataclass(frozen=True, slots=True)
class Series:
    """A trial by day.

    Attributes
    ----------
    days : datetime64 array (days,)
        Trading days; folds one after the other.
    ic, returns : float64 array (days,)
        IC, and return of half a unit long the highest fifth and half short the lowest, before cost.
    excess : float64 array (days,), or empty
        Excess return of the backtest, where the objective asks for one.
    """

    days: np.ndarray
    ic: np.ndarray
    returns: np.ndarray
    excess: np.ndarray


def write_series(
    folder: Path, trial: int, fold: int, *, days: np.ndarray, ic: np.ndarray, returns: np.ndarray,
    excess: np.ndarray | None = None,
) -> None:  # fmt: skip
    """Keep the series of a fold."""
    import numpy as np

    path = _path(folder, trial, fold)
    make_folder(path.parent)
    part = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez(
        part, days=days.astype("datetime64[ns]").view(np.int64), ic=ic, returns=returns,
        excess=np.empty(0) if excess is None else excess,
    )  # fmt: skip
    part.replace(path)


def read_series(folder: Path, trial: int, folds: int) -> Series | None:
    """Return the series of a trial over its folds, None where one is missing."""
    import numpy as np

    parts = []
    for fold in range(folds):
        try:
            with np.load(_path(folder, trial, fold), allow_pickle=False) as kept:
                parts.append([kept["days"].view("datetime64[ns]"), kept["ic"], kept["returns"], kept["excess"]])
        except (OSError, ValueError, KeyError):
            return None
    return Series(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _path(folder: Path, trial: int, fold: int) -> Path:
    return folder / "series" / f"{trial:05d}-{fold}.npz"
