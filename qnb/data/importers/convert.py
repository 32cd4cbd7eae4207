"""From the rows of one symbol to the fields of the store: checks, adjustment, order.

Prices are stored adjusted (raw price times factor) and volumes too (raw volume by factor), so that a split leaves no
jump; amounts of money stay as they are. The factor is the adjusted close by the close, the factor column, or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import DataError
from ..writer import format_times, intraday
from .columns import ADJUSTED, PRICES

__all__ = ["Bars", "change_of", "convert"]

_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Bars:
    """One symbol's bars as the store wants them, except that they are not yet on its calendar.

    Attributes
    ----------
    symbol : str
        Symbol, upper case.
    times : ndarray of datetime64[s], shape (n,)
        Ascending, without duplicates.
    fields : dict of str to ndarray of float32, shape (n,)
        ``close`` among them; ``change`` only if the file has one that fits.
    notes : tuple of str
        What was done that the user may want to know.
    """

    symbol: str
    times: np.ndarray
    fields: dict[str, np.ndarray]
    notes: tuple[str, ...] = ()


def convert(
    symbol: str,
    times: np.ndarray,
    fields: dict[str, np.ndarray],
    *,
    freq: str = "day",
    prices: str = "raw",
) -> Bars:
    """Return the bars of a symbol.

    Parameters
    ----------
    symbol : str
        Symbol as the store will name it.
    times : ndarray of datetime64[s], shape (n,)
        In any order.
    fields : dict of str to ndarray of float64, shape (n,)
        As in the file; NaN where there is no value.
    freq : str
        Frequency; times are cut to the day for ``day`` and longer.
    prices : str
        ``raw``: prices and volumes are as traded and are adjusted here; ``adjusted``: they are stored as they are and
        a factor column is stored beside them.

    Raises
    ------
    DataError
        Rows that no store should hold: none at all, two of a date, a negative or zero price, an infinite value.
    """
    if not intraday(freq):
        times = times.astype("datetime64[D]").astype("datetime64[s]")
    order = np.argsort(times, kind="stable")
    times = times[order]
    data = {name: np.asarray(values, dtype=np.float64)[order] for name, values in fields.items()}
    _check_duplicates(times, freq)
    notes = _blank_idle_rows(data)
    _check_values(data, times, freq)
    times, data = _trimmed(times, data)
    notes += _adjust(data, prices)
    notes += _check_change(data)
    return Bars(symbol, times, {name: v.astype(np.float32) for name, v in data.items()}, tuple(notes))


def change_of(close: np.ndarray) -> np.ndarray:
    """Return close over the last known close before it, minus 1; NaN on the first day and where close is NaN.

    Examples
    --------
    >>> change_of(np.array([2.0, np.nan, 3.0])).tolist()
    [nan, nan, 0.5]
    """
    out = np.full(len(close), np.nan)
    known = np.flatnonzero(np.isfinite(close))
    out[known[1:]] = close[known[1:]] / close[known[:-1]] - 1
    return out


def _check_duplicates(times: np.ndarray, freq: str) -> None:
    if not len(times):
        raise DataError("the file has no rows")
    twice = np.flatnonzero(times[1:] == times[:-1])
    if len(twice):
        more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
        hint = (
            "" if intraday(freq) or len(twice) < len(times) / 2 else "; are these bars shorter than a day? see --freq"
        )
        raise DataError(f"two rows for {_day(times, twice[0], freq)}{more}{hint}")


def _blank_idle_rows(data: dict[str, np.ndarray]) -> list[str]:
    """Some vendors write zeros on suspended days; such rows become NaN."""
    present = [data[name] for name in ("open", "high", "low", "close") if name in data]
    if len(present) < 2 and "volume" not in data:
        return []
    idle = np.all([np.nan_to_num(v) == 0 for v in present], axis=0)
    if "volume" in data:
        idle &= np.nan_to_num(data["volume"]) == 0
    zeros = int((idle & (data["close"] == 0)).sum())
    for values in data.values():
        values[idle] = np.nan
    return ["rows of zeros are taken as suspended days"] if zeros else []


def _check_values(data: dict[str, np.ndarray], times: np.ndarray, freq: str) -> None:
    for name, values in data.items():
        bad = np.isinf(values)
        what = "is infinite"
        if name in PRICES or name in (ADJUSTED, "factor"):
            bad |= values <= 0
            what = "is not positive"
        elif name in ("volume", "amount"):
            bad |= values < 0
            what = "is negative"
        rows = np.flatnonzero(bad)
        if len(rows):
            more = f" and on {len(rows) - 1} more" if len(rows) > 1 else ""
            what = "is infinite" if np.isinf(values[rows[0]]) else what
            raise DataError(f"{name} {values[rows[0]]:g} on {_day(times, rows[0], freq)}{more} {what}")
    if not np.isfinite(data["close"]).any():
        raise DataError("not one row has a close")


def _trimmed(times: np.ndarray, data: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    known = np.flatnonzero(np.any([np.isfinite(v) for v in data.values()], axis=0))
    rows = slice(known[0], known[-1] + 1)
    return times[rows], {name: values[rows] for name, values in data.items()}


def _adjust(data: dict[str, np.ndarray], prices: str) -> list[str]:
    adjusted = data.pop(ADJUSTED, None)
    if adjusted is not None:
        data["factor"] = adjusted / data["close"]
    elif "factor" not in data:
        data["factor"] = np.where(np.isfinite(data["close"]), 1.0, np.nan)
        return ["no adjusted close and no factor: prices are stored as they are, with factor 1"]
    if prices == "adjusted" and adjusted is None:
        return []
    factor = data["factor"]
    for name in PRICES:
        if name in data:
            data[name] = data[name] * factor
    if "volume" in data:
        data["volume"] = data["volume"] / factor
    return []


def _check_change(data: dict[str, np.ndarray]) -> list[str]:
    """Keep a change column only if it is the return on the last close; others hold it in money or in per cent."""
    given = data.get("change")
    if given is None:
        return []
    computed = change_of(data["close"])
    both = np.isfinite(given) & np.isfinite(computed)
    if both.any() and np.median(np.abs(given[both] - computed[both])) <= _TOLERANCE:
        return []
    del data["change"]
    return ["column change is not close / last close - 1; it was computed instead"]


def _day(times: np.ndarray, row: int, freq: str) -> str:
    return format_times(times[row : row + 1], freq)[0]
