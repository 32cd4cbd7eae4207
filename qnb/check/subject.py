"""What the checks look at: the task, its handler, and the market's outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Settings
from ..errors import ConfigError, DataError, Problem, UnknownNameError
from ..task.component import describe
from ..task.records import records_of

if TYPE_CHECKING:
    from ..data.universe import Universe
    from ..task.spec import Task

__all__ = ["HANDLER", "SEGMENTS", "Expression", "Market", "Subject", "first_moment", "last_moment", "open_market"]

HANDLER = "task.dataset.kwargs.handler"
SEGMENTS = "task.dataset.kwargs.segments"


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of the task: its dotted path, its text, and whether it is a label."""

    path: str
    text: str
    label: bool = False


@dataclass(frozen=True, slots=True)
class Market:
    """What can be known of a market without reading prices.

    Attributes
    ----------
    calendar : ndarray of datetime64[ns], shape (days,)
        Trading days.
    store : object or None
        The open store; None for a demo market that was not made yet.
    planned : tuple of str
        Names of the fields of a market that was not made yet.
    universes : tuple of str
        Names of the universes.
    """

    calendar: np.ndarray
    store: Any
    planned: tuple[str, ...]
    universes: tuple[str, ...]
    benchmark: str = ""

    def has_instrument(self, symbol: str) -> bool:
        """Return whether there is data of `symbol`; for a market that is not made yet, whether it might be."""
        return self.store is None or bool(self.store.has_instrument(symbol))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that some instrument has; looks into the folder of each."""
        return self.planned if self.store is None else tuple(self.store.fields())

    def has_field(self, name: str) -> bool:
        """Return whether some instrument has the field."""
        return name in self.planned if self.store is None else bool(self.store.has_field(name))

    @property
    def span(self) -> str:
        """First and last day, for messages."""
        return f"{day(self.calendar[0])} to {day(self.calendar[-1])}"


@dataclass(frozen=True, slots=True)
class Subject:
    """One task on one market.

    Attributes
    ----------
    market : Market or None
        None when it cannot be opened, which is a problem of its own.
    """

    task: Task
    settings: Settings
    market: Market | None

    @property
    def dataset(self) -> Mapping[str, Any]:
        """Arguments of the dataset."""
        return _kwargs(self.task.dataset)

    @property
    def segments(self) -> Mapping[str, Any]:
        """Segments by name."""
        found = self.dataset.get("segments")
        return found if isinstance(found, Mapping) else {}

    @property
    def handler_name(self) -> str:
        """Class of the handler, '' for one that is not ours."""
        return _name(self.dataset.get("handler"), "handler")

    @property
    def handler(self) -> Mapping[str, Any]:
        """Arguments of the handler."""
        return _kwargs(self.dataset.get("handler"))

    @property
    def model_name(self) -> str:
        """Class of the model, '' for one that is not ours."""
        return _name(self.task.model, "model")

    @property
    def model(self) -> Mapping[str, Any]:
        """Arguments of the model."""
        return _kwargs(self.task.model)

    def backtests(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield (dotted path, arguments) of every record that trades."""
        raw = self.task.document["task"].get("record")
        for number, (record, facts) in enumerate(zip(self.task.records, records_of(self.task), strict=True)):
            if facts.trades:
                yield (f"task.record.{number}" if isinstance(raw, list) else "task.record"), _kwargs(record)

    def problem(
        self, message: str, path: str, *, remedy: str = "", severity: str = "error", key: bool = False,
        offset: int | None = None,
    ) -> Problem:  # fmt: skip
        """Return a Problem at the dotted `path`."""
        return self.task.problem(message, path, remedy=remedy, severity=severity, key=key, offset=offset)

    def translated(self, error: ConfigError | DataError | UnknownNameError, path: str) -> list[Problem]:
        """Return the problems of an error that another part raised, at `path`."""
        if isinstance(error, ConfigError):
            return [self.problem(p.message, path, remedy=p.remedy) for p in error.problems]
        if isinstance(error, UnknownNameError):
            remedy = "did you mean " + " or ".join(map(repr, error.suggestions[:2])) + "?" if error.suggestions else ""
            if not remedy and len(error.known) <= 20:
                remedy = f"there is {', '.join(error.known)}"
            return [self.problem(f"no {error.kind} {error.name!r}", path, remedy=remedy or error.hint)]
        message, _, remedy = str(error).partition("; ")
        return [self.problem(message, path, remedy=remedy)]

    def universe(self) -> Universe | None:
        """Return the members, if the handler names a universe that is there and filters are left aside."""
        from ..data.universe import universe_of

        wanted = self.handler.get("instruments")
        if self.market is None or self.market.store is None or wanted is None:
            return None
        if isinstance(wanted, Mapping):
            wanted = wanted.get("market")
        try:
            return universe_of(wanted, self.market.store)
        except (ConfigError, DataError, UnknownNameError):
            return None  # told by the check of the universe


def open_market(settings: Settings, freq: str = "day") -> Market:
    """Return the outline of the market of `settings`.

    Raises
    ------
    DataError, ConfigError
        As `qnb.data.provider.open_store`.
    """
    from ..data.demo import INDEX, UNIVERSE, DemoParameters, demo_path, is_demo_uri, parse_demo_uri

    uri = settings.uri_for(freq)
    if is_demo_uri(uri):
        parameters = DemoParameters(**parse_demo_uri(uri))
        if not (demo_path(parameters, settings.cache_dir) / "calendars").is_dir():
            from ..data.demo.exchange import trading_days

            fields = ("change", "close", "factor", "high", "low", "open", "volume", "vwap")
            calendar = trading_days(parameters.years).astype("datetime64[ns]")
            return Market(calendar, None, fields, ("all", UNIVERSE), INDEX)
    from ..data.provider import open_store

    store = open_store(settings, freq)
    universes = store.universes()
    return Market(store.calendar, store, (), tuple(dict.fromkeys(("all", *universes))))


def first_moment(value: Any) -> np.datetime64 | None:
    """Return the first moment that a date as users write it stands for; None is unbounded.

    Raises
    ------
    ValueError
        It is not a date.
    """
    return None if value is None else _moment(value).astype("datetime64[ns]")


def last_moment(value: Any) -> np.datetime64 | None:
    """Return the last moment of it: ``"2014"`` is the last of 2014, a day its end.

    Raises
    ------
    ValueError
        It is not a date.

    Examples
    --------
    >>> str(last_moment("2014"))[:10], str(last_moment("2014-06-30"))[:10]
    ('2014-12-31', '2014-06-30')
    """
    if value is None:
        return None
    moment = _moment(value)
    if np.datetime_data(moment.dtype)[0] not in ("Y", "M", "D"):
        return moment.astype("datetime64[ns]")
    return (moment + 1).astype("datetime64[ns]") - np.timedelta64(1, "ns")  # one more of its own unit


def day(moment: np.datetime64) -> str:
    """Return a moment for a message, without the time if it is midnight or the end of a day."""
    text = str(moment.astype("datetime64[s]"))
    return text[:10] if text[11:] in ("00:00:00", "23:59:59") else text.replace("T", " ")


def _moment(value: Any) -> np.datetime64:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(value)
    text = str(value).strip().replace("/", "-")
    if text.isdecimal() and len(text) == 8:
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    parts = text.split("-")
    if len(parts) == 3 and all(p.isdecimal() for p in parts):
        text = f"{parts[0]}-{parts[1]:0>2}-{parts[2]:0>2}"
    moment = np.datetime64(text)
    if np.isnat(moment):
        raise ValueError(value)
    return moment


def _kwargs(config: Any) -> Mapping[str, Any]:
    found = config.get("kwargs") if isinstance(config, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _name(config: Any, kind: str) -> str:
    """Return the class as it is called here, '' for one that is not ours: nothing is known of it."""
    from ..task.aliases import alias, is_peer_path
    from ..task.catalogue import locate

    if not isinstance(config, str | Mapping) or not config:
        return ""
    try:
        what = describe(config)
        if is_peer_path(what.module):
            return alias(what.module, what.name)[1]
        if not what.module:
            return locate(kind, what.name).name
    except (ConfigError, UnknownNameError):
        return ""
    return what.name if what.module.startswith("qnb.") else ""
