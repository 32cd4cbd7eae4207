"""`D`: market data by name, for notebooks and scripts, of the settings of `qnb.init`; engines do not use it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Settings, current_settings
from ..errors import CacheError, ConfigError, Problem
from .calendar import calendar_slice

if TYPE_CHECKING:
    import pandas as pd

    from .providers.qlib_bin import QlibBinStore

__all__ = ["D", "DataFacade"]

_LOG = logging.getLogger(__name__)


class DataFacade:
    """Calendar, universes and features of the market data that the settings name.

    Parameters
    ----------
    settings : Settings, optional
        By default those of `qnb.init`, looked up at each call.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._given = settings
        self._stores: dict[Any, QlibBinStore] = {}

    def calendar(
        self, start_time: Any = None, end_time: Any = None, freq: str = "day", future: bool = False
    ) -> np.ndarray:
        """Return the trading days within [start_time, end_time].

        Parameters
        ----------
        start_time, end_time : date or None
            Both inclusive.
        freq : str
            Frequency.
        future : bool
            Accepted for compatibility; the calendar has the days the store has.

        Returns
        -------
        ndarray of datetime64[ns], shape (days,)
        """
        days = self.store(freq).calendar
        first, stop = calendar_slice(days, start_time, end_time)
        return days[first:stop]

    def instruments(self, market: str = "all", filter_pipe: Iterable[Any] | None = None) -> dict[str, Any]:
        """Return the description of a universe, which the other calls take as `instruments`.

        Parameters
        ----------
        market : str
            Name of a universe.
        filter_pipe : iterable, optional
            Filters, as objects or mappings.
        """
        filters = [f if isinstance(f, dict) else f.to_config() for f in filter_pipe or ()]
        return {"market": market, "filter_pipe": filters}

    def list_instruments(
        self,
        instruments: Any,
        start_time: Any = None,
        end_time: Any = None,
        freq: str = "day",
        as_list: bool = False,
    ) -> dict[str, list[tuple[Any, Any]]] | list[str]:
        """Return the members of a universe within [start_time, end_time]: their spans, or their names if `as_list`.

        Returns
        -------
        dict of str to list of (Timestamp, Timestamp), or list of str
        """
        from .universe import universe_of

        store = self.store(freq)
        universe = universe_of(
            instruments,
            store,
            start=store.calendar[0] if start_time is None else start_time,
            end=store.calendar[-1] if end_time is None else end_time,
        )
        if as_list:
            return list(universe.instruments)
        import pandas as pd

        return {s: [(pd.Timestamp(a), pd.Timestamp(b)) for a, b in spans] for s, spans in universe.spans.items()}

    def features(
        self,
        instruments: Any,
        fields: Sequence[str],
        start_time: Any = None,
        end_time: Any = None,
        freq: str = "day",
        disk_cache: int | None = None,
        inst_processors: Sequence[Any] = (),
        *,
        mode: str = "compat",
    ) -> pd.DataFrame:
        """Return expressions as a frame.

        Parameters
        ----------
        instruments : str, sequence of str or mapping
            Universe, symbols, what `instruments` returns, or spans by symbol.
        fields : sequence of str
            Expressions.
        start_time, end_time : date or None
            Both inclusive.
        freq : str
            Frequency.
        disk_cache : int, optional
            0 leaves the cache alone.
        inst_processors : sequence
            Processors of each instrument's frame, called as ``proc(df, instrument=symbol)``.
        mode : {'compat', 'strict'}
            ``strict`` does what operators are named after where the peer is odd.

        Returns
        -------
        DataFrame of float32
            Index (instrument, datetime), a column for each expression.

        Raises
        ------
        ExpressionError, UnknownNameError, EmptyDataError, DataError
        """
        import pandas as pd

        from ..expr.catalogue import register_custom_ops
        from ..expr.evaluate import evaluate
        from ..expr.nodes import fields_of
        from ..expr.parse import parse
        from .universe import rows_for

        if isinstance(fields, str) or not len(fields):
            raise ConfigError([Problem(f"fields must be a list of expressions, received {fields!r}", "", "fields")])
        if mode not in ("compat", "strict"):
            raise ConfigError([Problem(f"unknown mode {mode!r}", "valid: compat, strict", "mode")])
        store, settings = self.store(freq), self.settings
        register_custom_ops(settings.custom_ops)
        texts = [str(f) for f in fields]
        read = sorted({name for text in texts for name in fields_of(parse(text))})
        rows = rows_for(instruments, store, start=start_time, end=end_time, fields=read or None)
        cache = None
        if disk_cache != 0:
            from .provider import open_cache

            try:
                cache = open_cache(settings)
            except CacheError as error:
                _LOG.warning("%s; going on without the cache", error)
        values = evaluate(texts, store, rows, threads=settings.threads, cache=cache, mode=mode)  # type: ignore[arg-type]
        order = np.lexsort((rows.days, rows.codes))
        index = rows.index()[order].swaplevel()
        frame = pd.DataFrame(values[order], index=index, columns=texts, copy=False)
        return _processed(frame, inst_processors) if inst_processors else frame

    def store(self, freq: str = "day") -> QlibBinStore:
        """Return the market data store of a frequency."""
        from .provider import open_store

        settings = self.settings
        key = (tuple(sorted(settings.provider_uri.items())), str(settings.cache_dir), freq)
        found = self._stores.get(key)
        if found is None or not found.is_current:
            found = open_store(settings, freq)
            self._stores = {key: found}
        return found

    @property
    def settings(self) -> Settings:
        """The settings in force: those given, else of the run in whose context this is asked, else of `qnb.init`."""
        return self._given if self._given is not None else current_settings()


def _processed(frame: pd.DataFrame, processors: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    from ..task.component import build_component

    built = [build_component(p, "processor") for p in processors]
    parts: dict[Any, pd.DataFrame] = {}
    for symbol, part in frame.groupby(level="instrument", sort=False):
        own = part.droplevel("instrument")
        for processor in built:
            own = processor(own, instrument=symbol)
        parts[symbol] = own
    return pd.concat(parts, names=["instrument"])


D = DataFacade()
"""Market data of the settings of `qnb.init`."""
