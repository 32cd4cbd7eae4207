"""Point-in-time figures: an expression over periods, as it was known on each day.

Every day of publication of an instrument is one *view*: the figures by period with the revisions known then. Views are
laid out like instruments on a calendar of periods, so the expression is evaluated over all views of all instruments at
once by the ordinary engine; a day then takes the last period of the latest view not after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .nodes import Field, Node, walk
from .protocols import FieldSource

__all__ = ["Views", "make_views", "periodic_tree"]


@dataclass(frozen=True, slots=True)
class Views:
    """A source of figures by period, with a view for an instrument.

    Attributes
    ----------
    calendar : ndarray of datetime64[ns]
        Stands for the periods, oldest first.
    data : mapping of (str, str) to (int, ndarray)
        First period and values, by view and field.
    dates : mapping of str to ndarray of datetime64[ns]
        Days of publication by instrument; view k of an instrument is named ``"<instrument>\\0<k>"``.
    """

    calendar: np.ndarray
    data: Mapping[tuple[str, str], tuple[int, np.ndarray]]
    dates: Mapping[str, np.ndarray]
    names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Not kept in any cache."""
        return ""

    def series(self, instrument: str, field: str) -> tuple[int, np.ndarray] | None:
        """Return first period and values of a view."""
        return self.data.get((instrument, field))

    def extent(self, instrument: str, fields: Sequence[str] | None = None) -> tuple[int, int]:
        """Return the periods of a view."""
        found = [self.data[instrument, f] for f in (fields or self.names) if (instrument, f) in self.data]
        if not found:
            return 0, 0
        return min(a for a, _ in found), max(a + len(v) for a, v in found)

    def instruments(self) -> list[str]:
        """Return the views."""
        return [f"{s}\0{k}" for s, days in self.dates.items() for k in range(len(days))]

    def fields(self) -> list[str]:
        """Return the figures' names."""
        return list(self.names)

    def group(self, name: str) -> Mapping[str, str]:
        """Return nothing: views have no groups."""
        return {}

    def periods(self, instrument: str, field: str) -> np.ndarray | None:
        """Return nothing: figures do not nest."""
        return None


def periodic_tree(tree: Node) -> Node:
    """Return `tree` with figures as plain fields, for the engine to read from views."""
    from dataclasses import replace

    from .nodes import Call

    if isinstance(tree, Field):
        return Field(tree.name, False, tree.column)
    if isinstance(tree, Call):
        return replace(tree, args=tuple(periodic_tree(a) for a in tree.args))
    return tree


def make_views(tree: Node, source: FieldSource, instruments: Sequence[str], period: int | None) -> Views:
    """Return the views of the figures that `tree` reads; only of `period` if it is given."""
    names = sorted({n.name.lower() for n in walk(tree) if isinstance(n, Field)})
    quarters = names[0].endswith("_q") if names else True
    records = {(s, n): r for s in instruments for n in names if (r := source.periods(s, n)) is not None and len(r)}
    if not records:
        return Views(np.empty(0, "datetime64[ns]"), {}, {}, tuple(names))
    first = min(int(_number(r["period"], quarters).min()) for r in records.values())
    last = max(int(_number(r["period"], quarters).max()) for r in records.values())
    only = None if period is None else int(_number(np.array([period]), quarters)[0]) - first
    data: dict[tuple[str, str], tuple[int, np.ndarray]] = {}
    dates: dict[str, np.ndarray] = {}
    for symbol in instruments:
        own = [records[symbol, n] for n in names if (symbol, n) in records]
        if not own:
            continue
        published = np.unique(np.concatenate([r["date"] for r in own]))
        dates[symbol] = _days(published)
        for name in names:
            if (symbol, name) not in records:
                continue
            record = records[symbol, name]
            at = _number(record["period"], quarters) - first
            for k, day in enumerate(published):
                view = _view(at[record["date"] <= day], record["value"][record["date"] <= day], only)
                if view is not None:
                    data[f"{symbol}\0{k}", name] = view
    calendar = np.arange(last - first + 1).astype("datetime64[D]").astype("datetime64[ns]")
    return Views(calendar, data, dates, tuple(names))


def _view(at: np.ndarray, values: np.ndarray, only: int | None) -> tuple[int, np.ndarray] | None:
    """Return first period and values as known; of records of one period, the last counts."""
    if only is not None:
        at, values = at[at == only], values[at == only]
    if not len(at):
        return None
    low = int(at.min())
    known = np.full(int(at.max()) - low + 1, np.nan, np.float32)
    known[at - low] = values  # later records overwrite earlier ones
    return low, known


def _number(period: np.ndarray, quarters: bool) -> np.ndarray:
    """Return periods as consecutive numbers: 202003 is quarter 3 of 2020."""
    period = period.astype(np.int64)
    return period // 100 * 4 + period % 100 - 1 if quarters else period


def _days(dates: np.ndarray) -> np.ndarray:
    text = [f"{d // 10000:04d}-{d // 100 % 100:02d}-{d % 100:02d}" for d in dates.tolist()]
    return np.array(text, dtype="datetime64[ns]")
