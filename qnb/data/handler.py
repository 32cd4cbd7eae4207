"""Handlers: what to load and how to process it, and the tables that come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..cache import digest
from ..config import Settings
from ..errors import ConfigError, DataError, EmptyDataError, Problem, UnknownNameError
from ..events import Emit
from ..task.component import build_component, is_description
from .loader import DataLoader, LoadContext, QlibDataLoader
from .pipeline import FitMode, Prepared, ProcessType, content_address, prepare_table
from .processor import TableProcessor
from .protocols import DATA_KEYS, DataKey
from .selection import column_set, rows_of
from .table import Gathering, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataHandler", "DataHandlerLP"]


class DataHandler:
    """Loads columns for a universe and a span, and gives them out.

    Nothing is loaded before it is asked for: by `setup_data`, `fetch`, `table` or `get_cols`.

    Parameters
    ----------
    instruments : str, list of str, mapping or None
        A universe's name, symbols, or ``{"market": name, "filter_pipe": [...]}``; None means every instrument.
    start_time, end_time : date or None
        Span to load, both ends inclusive. Windows of expressions look further back by themselves.
    data_loader : DataLoader, mapping or str
        The loader or its description.
    init_data, fetch_orig : bool
        Accepted and ignored: data is always loaded on first use, and frames always share values.
    store : object, optional
        Market data store; by default the one that `settings` names.
    settings : Settings, optional
        Default: those of `qnb.init`.
    """

    CS_ALL: ClassVar[str] = "__all"
    CS_RAW: ClassVar[str] = "__raw"
    DK_R: ClassVar[DataKey] = "raw"
    DK_I: ClassVar[DataKey] = "infer"
    DK_L: ClassVar[DataKey] = "learn"

    def __init__(
        self,
        instruments: Any = None,
        start_time: Any = None,
        end_time: Any = None,
        data_loader: Any = None,
        init_data: bool = True,
        fetch_orig: bool = True,
        *,
        store: Any = None,
        settings: Settings | None = None,
    ) -> None:
        if data_loader is None:
            remedy = "give a QlibDataLoader with the fields, or use Alpha158"
            raise ConfigError([Problem("a handler needs a data_loader", remedy, "data_loader")])
        self.instruments = instruments
        self.start_time = start_time
        self.end_time = end_time
        self.data_loader = build_component(data_loader, "loader", accept=DataLoader)
        self.init_data = init_data
        self.fetch_orig = fetch_orig
        self.store = store
        self.settings = settings
        self._tables: dict[str, Table] = {}
        self._guards: Any = None

    def setup_data(self, *, emit: Emit | None = None) -> None:
        """Load the data, anew if it was loaded before.

        Parameters
        ----------
        emit : callable, optional
            Receives progress.

        Raises
        ------
        DataError, UnknownNameError, ExpressionError
            The data cannot be loaded.
        EmptyDataError
            There is not a single row.
        """
        raw = self._load(self._context(emit))
        self._take({"raw": raw, "infer": raw, "learn": raw})

    def table(self, data_key: DataKey = "infer") -> Table:
        """Return the table of `data_key`; data is loaded on first use.

        Raises
        ------
        UnknownNameError
            No such data key.
        """
        if data_key not in DATA_KEYS:
            raise UnknownNameError("data key", str(data_key), DATA_KEYS, hint="valid: raw, infer, learn")
        if not self._tables:
            self.setup_data()
        if data_key not in self._tables:
            raise DataError(f"the {data_key} data was dropped after processing; set drop_raw: false to keep it")
        return self._tables[data_key]

    def fetch(
        self,
        selector: Any = slice(None, None),
        level: str | int | None = "datetime",
        col_set: str | Sequence[str] = CS_ALL,
        data_key: DataKey = "infer",
        squeeze: bool = False,
        proc_func: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    ) -> pd.DataFrame:
        """Return rows and columns as a frame with the index (datetime, instrument), float32.

        Parameters
        ----------
        selector : slice, pair, date, list or Index
            Which rows: a slice or a pair of dates (both ends inclusive), one date, or several values of `level`.
        level : str, int or None
            The index level that `selector` speaks of; None hands `selector` to pandas as it is.
        col_set : str or list of str
            ``"__all"``: all columns by name; ``"__raw"``: all columns as (group, name); a group: its columns by
            name; a list of groups: as (group, name).
        data_key : str
            ``raw``, ``infer`` or ``learn``.
        squeeze : bool
            Drop axes of length one, and the date's level when one date is asked for.
        proc_func : callable, optional
            Receives a copy of the chosen rows with all columns, returns what the columns are taken from.

        Raises
        ------
        UnknownNameError
            No such column group or data key.
        EmptyDataError
            One date or instrument is asked for that has no rows.
        """
        from .frames import Guards, frame_of, table_of

        table = self._table_with(data_key, col_set if proc_func is None and level is not None else self.CS_ALL)
        self._guards = self._guards or Guards()
        rows: slice | np.ndarray = slice(None)
        if level is None:
            table = table_of(frame_of(table, guards=self._guards).loc(axis=0)[selector])
        else:
            rows = rows_of(table, selector, level)
        if proc_func is not None:
            table, rows = table_of(proc_func(frame_of(table, rows=rows).copy())), slice(None)
        groups, levels = column_set(table, col_set)
        frame = frame_of(table, groups, rows=rows, levels=levels, guards=self._guards)
        return _squeezed(frame, selector, level) if squeeze else frame

    def get_cols(self, col_set: str | Sequence[str] = CS_ALL, data_key: DataKey = "infer") -> list[Any]:
        """Return the column names of `col_set`: names, or (group, name) for ``"__raw"`` and lists."""
        table = self._table_with(data_key, col_set)
        groups, levels = column_set(table, col_set)
        wanted = table.groups if groups is None else groups
        pairs = [(g, n) for w in wanted for g, n in table.columns if g == w]
        return pairs if levels == 2 and not table.flat else [n for _, n in pairs]

    def get_range_selector(self, cur_date: Any, periods: int) -> slice:
        """Return the span of the `periods` dates that end on `cur_date`, shorter at the start of the data."""
        import pandas as pd

        date = pd.Timestamp(cur_date)
        dates = self.table("infer").index.unique_dates()
        last = int(np.searchsorted(dates, date.to_datetime64()))
        if last == len(dates) or dates[last] != date.to_datetime64():
            raise EmptyDataError(f"no rows on {cur_date}")
        return slice(pd.Timestamp(dates[max(0, last - periods + 1)]), date)

    def get_range_iterator(
        self, periods: int, min_periods: int | None = None, **fetch: Any
    ) -> Iterator[tuple[pd.Timestamp, pd.DataFrame]]:
        """Yield each date from the `min_periods`-th on with the frame of the `periods` dates that end on it."""
        import pandas as pd

        dates = pd.DatetimeIndex(self.table("infer").index.unique_dates())
        for date in dates[periods if min_periods is None else min_periods :]:
            yield date, self.fetch(self.get_range_selector(date, periods), **fetch)

    def config(self, **kwargs: Any) -> None:
        """Change ``instruments``, ``start_time``, ``end_time``; the data is loaded anew when it is next asked for."""
        for key in ("instruments", "start_time", "end_time"):
            if key in kwargs:
                setattr(self, key, kwargs.pop(key))
        if kwargs:
            raise ConfigError([Problem(f"unknown handler setting {next(iter(kwargs))!r}", "", next(iter(kwargs)))])
        self._tables = {}

    @property
    def is_ready(self) -> bool:
        """Whether the data is loaded."""
        return bool(self._tables)

    @property
    def fingerprint(self) -> str:
        """Content address of the tables; loads them."""
        return digest("handler", *[content_address(self.table(k)) for k in self._keys()])

    def _keys(self) -> tuple[DataKey, ...]:
        return ("infer",)

    def _table_with(self, data_key: DataKey, col_set: str | Sequence[str]) -> Table:
        """Return a table of `data_key` that has all columns of `col_set`."""
        return self.table(data_key)

    def _context(self, emit: Emit | None) -> LoadContext:
        """Return what a load is given; one that was made by hand, without settings, takes those that `D` has."""
        from .facade import D

        return LoadContext(D.settings if self.settings is None else self.settings, self.store, emit)

    def _load(self, context: LoadContext, loader: Any = None) -> Table:
        loader = self.data_loader if loader is None else loader
        table = loader.load_table(self.instruments, self.start_time, self.end_time, context=context)
        if not len(table):
            raise EmptyDataError(
                f"no rows for instruments {self.instruments!r} from {self.start_time} to {self.end_time}; check the "
                "universe's spans and the calendar of the data"
            )
        return table.gathered(Gathering(context.threads, context.cache))

    def _take(self, tables: Mapping[str, Table]) -> None:
        self._tables = dict(tables)
        self._guards = None


class DataHandlerLP(DataHandler):
    """A handler with processors: raw data, data to predict from, data to learn from.

    Parameters
    ----------
    instruments, start_time, end_time, data_loader, init_data, fetch_orig, store, settings
        See `DataHandler`.
    infer_processors : list
        Make what a model predicts from. Each is a processor, its description, or its bare name.
    learn_processors : list
        Make what a model is fitted on; may look at labels and drop rows.
    shared_processors : list
        Come before both.
    process_type : str
        ``append``: learn processors work on the output of the infer processors; ``independent``: on that of the shared
        ones.
    drop_raw : bool
        Forget the raw data once it is processed.
    fit_start_time, fit_end_time : date or None
        Fit window, both ends inclusive, passed to every processor that takes it and does not set its own.
    """

    PTYPE_I: ClassVar[ProcessType] = "independent"
    PTYPE_A: ClassVar[ProcessType] = "append"
    IT_FIT_SEQ: ClassVar[FitMode] = "fit_seq"
    IT_FIT_IND: ClassVar[FitMode] = "fit_ind"
    IT_LS: ClassVar[FitMode] = "load_state"

    def __init__(
        self,
        instruments: Any = None,
        start_time: Any = None,
        end_time: Any = None,
        data_loader: Any = None,
        infer_processors: Sequence[Any] = (),
        learn_processors: Sequence[Any] = (),
        shared_processors: Sequence[Any] = (),
        process_type: ProcessType = PTYPE_A,
        drop_raw: bool = False,
        fit_start_time: Any = None,
        fit_end_time: Any = None,
        init_data: bool = True,
        fetch_orig: bool = True,
        *,
        store: Any = None,
        settings: Settings | None = None,
    ) -> None:
        if process_type not in (self.PTYPE_A, self.PTYPE_I):
            remedy = "valid: append, independent"
            raise ConfigError([Problem(f"unknown process_type {process_type!r}", remedy, "process_type")])
        super().__init__(
            instruments, start_time, end_time, data_loader, init_data, fetch_orig, store=store, settings=settings
        )
        self.process_type = process_type
        self.drop_raw = drop_raw
        self.fit_start_time = fit_start_time
        self.fit_end_time = fit_end_time
        self._some: Table | None = None  # the raw data without the columns that processors leave out
        self._complete: set[str] = set()  # its groups that lack none
        self.infer_processors = self._build(infer_processors)
        self.learn_processors = self._build(learn_processors)
        self.shared_processors = self._build(shared_processors)

    def setup_data(self, init_type: FitMode = IT_FIT_SEQ, *, emit: Emit | None = None) -> None:
        """Load and process the data, anew if that was done before.

        Parameters
        ----------
        init_type : str
            ``fit_seq`` fits each processor on the output of the one before, ``fit_ind`` fits all on the raw data,
            ``load_state`` uses what they learned before.
        emit : callable, optional
            Receives progress.
        """
        if init_type not in (self.IT_FIT_SEQ, self.IT_FIT_IND, self.IT_LS):
            remedy = "valid: fit_seq, fit_ind, load_state"
            raise ConfigError([Problem(f"unknown init_type {init_type!r}", remedy, "init_type")])
        context = self._context(emit)
        fewer = None if init_type == self.IT_FIT_IND else self._fewer()
        prepared = self._process(self._load(context, fewer), init_type, context)
        tables = {"raw": prepared.raw, "infer": prepared.infer, "learn": prepared.learn}
        self._some = None
        if self.drop_raw or fewer is not None:
            del tables["raw"]
        if fewer is not None and not self.drop_raw:
            self._some = prepared.raw
        self._take(tables)

    def table(self, data_key: DataKey = "infer") -> Table:
        """Return the table of `data_key`; data is loaded on first use.

        Where the first processors leave out columns, those are not computed for `infer` and `learn`; all columns of the
        raw data are computed when they are first asked for.
        """
        if data_key == "raw":
            if not self._tables:
                self.setup_data()
            if self._some is not None:
                self._tables["raw"] = self._load(self._context(None))
                self._some = None
        return super().table(data_key)

    def get_all_processors(self) -> list[Any]:
        """Return the processors in the order in which they run."""
        return [*self.shared_processors, *self.infer_processors, *self.learn_processors]

    def config(self, processor_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Change what is loaded, and with `processor_kwargs` the fit window of every processor."""
        super().config(**kwargs)
        if processor_kwargs:
            for proc in self.get_all_processors():
                if hasattr(proc, "config"):
                    proc.config(**processor_kwargs)

    @property
    def state(self) -> list[dict[str, Any]]:
        """What each processor learned, in running order, as JSON values; empty for users' processors."""
        return [getattr(p, "state", {}) for p in self.get_all_processors()]

    @state.setter
    def state(self, values: Sequence[Mapping[str, Any]]) -> None:
        for proc, value in zip(self.get_all_processors(), values, strict=True):
            if value:
                proc.state = dict(value)

    @classmethod
    def from_df(cls, df: pd.DataFrame) -> DataHandlerLP:
        """Return a handler over a frame, without processors."""
        from .fixed_loader import StaticDataLoader

        return DataHandlerLP(data_loader=StaticDataLoader(df))

    @property
    def _data(self) -> pd.DataFrame:
        return self.fetch(col_set=self.CS_RAW, data_key="raw")

    @property
    def _infer(self) -> pd.DataFrame:
        return self.fetch(col_set=self.CS_RAW, data_key="infer")

    @property
    def _learn(self) -> pd.DataFrame:
        return self.fetch(col_set=self.CS_RAW, data_key="learn")

    def _keys(self) -> tuple[DataKey, ...]:
        return ("infer", "learn")

    def _table_with(self, data_key: DataKey, col_set: str | Sequence[str]) -> Table:
        if not self._tables:
            self.setup_data()
        groups = [col_set] if isinstance(col_set, str) else list(col_set)
        if data_key == "raw" and self._some is not None and self._complete.issuperset(groups):
            return self._some
        return self.table(data_key)

    def _fewer(self) -> Any:
        """Return a loader of the columns that the first processors leave, None where all are needed."""
        chain = [*self.shared_processors, *self.infer_processors]
        independent = self.process_type == self.PTYPE_I and not self.shared_processors
        if not isinstance(self.data_loader, QlibDataLoader) or independent:
            return None  # processors to learn with start from all columns, too
        loader = self.data_loader.only(lambda columns: _left(columns, chain[: len(self.shared_processors) or None]))
        if loader is not None:
            self._complete = {g for g, f in loader.fields.items() if f == self.data_loader.fields[g]}
        return loader

    def _build(self, processors: Sequence[Any] | None) -> list[Any]:
        if isinstance(processors, str | Mapping):
            processors = [processors]
        window = {"fit_start_time": self.fit_start_time, "fit_end_time": self.fit_end_time}
        inject = {k: v for k, v in window.items() if v is not None}
        built = []
        for config in processors or ():
            proc = build_component(config, "processor", inject=inject)
            if is_description(proc) or not callable(proc):
                raise ConfigError([Problem(f"{config!r} is not a processor", "it needs __call__(df)", "processors")])
            built.append(proc)
        return built

    def _process(self, raw: Table, mode: FitMode, context: LoadContext) -> Prepared:
        return prepare_table(
            raw,
            shared=self.shared_processors,
            infer=self.infer_processors,
            learn=self.learn_processors,
            process_type=self.process_type,
            mode=mode,
            cache=context.cache,
            threads=context.threads,
            emit=context.emit,
        )


def _left(columns: list[tuple[str, str]], processors: Sequence[Any]) -> list[tuple[str, str]] | None:
    """Return the columns that the first of `processors` leave, None where the very first one needs all."""
    left = None
    for proc in processors:
        found = proc.left(columns if left is None else left) if isinstance(proc, TableProcessor) else None
        if found is None:
            break
        left = found
    return left


def _squeezed(frame: pd.DataFrame, selector: Any, level: str | int | None) -> Any:
    import datetime as dt

    squeezed: Any = frame.squeeze()
    if isinstance(selector, str | dt.date | np.datetime64) and getattr(squeezed.index, "nlevels", 1) > 1:
        squeezed = squeezed.reset_index(level=level, drop=True)
    return squeezed
