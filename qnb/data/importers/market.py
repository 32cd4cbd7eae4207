"""`import_market`: CSV or Parquet files into a market data store, all or nothing, what is bad left out and named.

1. Under the store's lock a new version of the store is begun beside the old one.
2. Files are read in parallel, checked and converted; good bars wait in a scratch file, bad files are noted.
3. The calendar is joined, then each instrument is written; unchanged files stay hard links.
4. Universes are written and the new version takes the place of the old one.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import ConfigError, DataError, Problem
from ...names import checked_name
from ..calendar import standard_freq
from ..writer import format_times, intraday, new_version, write_universe
from .columns import ColumnRequest
from .convert import Bars
from .merge import StoreMerge
from .report import BadFile, ImportReport, collect_notes
from .sources import LAYOUTS, Reading, detect_layout, list_files, read_bars, survey
from .universes import extent_of, read_spans, read_universe_file, spans_of

__all__ = ["import_market"]


def import_market(
    source: str | Path,
    target: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    freq: str = "day",
    layout: str = "auto",
    symbol_column: str | None = None,
    date_column: str | None = None,
    adjusted_close: str | None = None,
    date_format: str | None = None,
    prices: str = "raw",
    universes: Mapping[str, str | Path] | None = None,
    strict: bool = False,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
    mode: str = "create",
) -> ImportReport:
    """Turn CSV or Parquet files into a market data store.

    Parameters
    ----------
    source : str or Path
        A file, or a folder that is searched for ``.csv``, ``.csv.gz``, ``.tsv``, ``.txt`` and ``.parquet``.
    target : str or Path
        Folder of the store.
    mapping : mapping of str to str, optional
        Field -> column, for columns without a usual name; a field of any name can be added in this way.
    freq : str
        Frequency of the bars: ``day``, ``1min`` ...
    layout : {"auto", "files", "long"}
        One file a symbol (named by the symbol), or tables with a symbol column.
    symbol_column, date_column, adjusted_close : str, optional
        Columns of the symbol, the date and the adjusted close.
    date_format : str, optional
        How dates are written, in the codes of ``strptime``, where they are not clear by themselves.
    prices : {"raw", "adjusted"}
        Whether prices and volumes beside a factor column are as traded, and are adjusted here, or adjusted already.
    universes : mapping of str to path, optional
        Universe name -> file with symbol, first and last day in each line.
    strict : bool
        Raise if anything is bad, and write nothing.
    threads : int
        Files read at a time.
    progress : callable, optional
        Called with what is done and what there is to do; a file counts once when read and an instrument when written.
    mode : {"create", "update"}
        ``create`` wants a folder without a store; ``update`` adds to the store that is there, or makes it.

    Returns
    -------
    ImportReport
        Counts, the calendar, and each bad file with its reason; ``print`` shows it.

    Raises
    ------
    DataError
        Nothing can be imported, something is bad and `strict` is set, or the store cannot be written. The store is
        what it was.
    ConfigError
        An argument that does not exist.

    Examples
    --------
    >>> report = import_market("prices/", "~/market", mapping={"close": "Last"})  # doctest: +SKIP
    """
    began = time.monotonic()
    _check_choice("layout", layout, LAYOUTS)
    _check_choice("prices", prices, ("raw", "adjusted"))
    _check_choice("mode", mode, ("create", "update"))
    freq = standard_freq(freq)
    for name in universes or {}:
        checked_name("universe", name, suffix=".txt", error=DataError)
    source, target = Path(source).expanduser(), Path(target).expanduser()
    request = ColumnRequest(mapping or {}, symbol_column, date_column, adjusted_close)
    files = list_files(source)
    reading = Reading(
        detect_layout(files, layout, request),
        request,
        freq=freq,
        prices=prices,
        date_format=date_format,
        threads=threads,
    )
    _check_target(target, mode)
    with new_version(target, keep=True) as build:
        _check_target(target, mode)
        work = _Import(build, freq, progress or (lambda done, total: None))
        work.read(files, reading)
        if work.bad and (strict or not work.waiting):
            raise DataError(_refusal(work.bad, source, strict))
        if not work.waiting:
            raise DataError(f"no rows in {source}")
        work.write()
        written = work.write_universes({name: Path(path).expanduser() for name, path in (universes or {}).items()})
        work.clean()
    calendar = format_times(work.merge.calendar, freq)
    return ImportReport(
        source=str(source),
        store=str(target),
        freq=freq,
        layout=reading.layout,
        new=work.states["new"],
        changed=work.states["changed"],
        unchanged=work.states["unchanged"],
        rows=sum(w.rows for w in work.waiting),
        days=len(calendar),
        added_days=len(calendar) - len(work.merge.old),
        first=calendar[0],
        last=calendar[-1],
        fields=tuple(sorted({name for w in work.waiting for name in w.fields} | {"change"})),
        bad=tuple(work.bad),
        notes=collect_notes(work.notes),
        universes=written,
        seconds=time.monotonic() - began,
    )


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Bars that were read and wait in a scratch file for the calendar to be complete."""

    symbol: str
    path: Path
    fields: tuple[str, ...]
    rows: int


@dataclass(slots=True)
class _Import:
    """One import on its way."""

    build: Path
    freq: str
    progress: Callable[[int, int], None]
    merge: StoreMerge = field(init=False)
    waiting: list[_Waiting] = field(default_factory=list)
    bad: list[BadFile] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    files: int = 0
    _times: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.merge = StoreMerge(self.build, self.freq)
        self.scratch.mkdir()

    @property
    def scratch(self) -> Path:
        """Folder of the bars that wait."""
        return self.build / ".scratch"

    def read(self, files: list[Path], reading: Reading) -> None:
        """Read every file; good bars go to the scratch folder."""
        self.files = len(files)
        surveyed = survey(files, reading)
        if surveyed.ignored:
            more = ", ..." if len(surveyed.ignored) > 8 else ""
            columns = ", ".join(surveyed.ignored[:8]) + more
            self.notes.append(("", f"columns that were not imported (--map imports them): {columns}"))
        for result in read_bars(surveyed, reading, done=lambda n: self.progress(n, 2 * self.files)):
            if isinstance(result, BadFile):
                self.bad.append(result)
                continue
            path = self.scratch / f"{len(self.waiting)}.npy"
            with path.open("wb") as file:
                np.save(file, result.times)
                np.save(file, np.stack(list(result.fields.values())))
            self.waiting.append(_Waiting(result.symbol, path, tuple(result.fields), len(result.times)))
            self.notes.extend((result.symbol, note) for note in result.notes)
            self._times.append(result.times)
            if len(self._times) > 256:
                self._times = [np.unique(np.concatenate(self._times))]

    def write(self) -> None:
        """Write what was read into the new version."""
        merge, total = self.merge, self.files + len(self.waiting)
        merge.extend_calendar(self._times)
        if merge.moved:
            merge.lay_out_anew()
        for number, bars in enumerate(self._bars(), 1):
            state, note = merge.put(bars)
            self.states[state] += 1
            if note:
                self.notes.append((bars.symbol, note))
            self.progress(self.files + number, total)

    def write_universes(self, given: Mapping[str, Path]) -> dict[str, int]:
        """Write ``all`` and the universes that are `given`; returns how many symbols each has."""
        days = format_times(self.merge.calendar)
        night = " 23:59:59" if intraday(self.freq) else ""  # the last day counts to its end
        spans = read_spans(self.build / "instruments" / "all.txt")
        for w in self.waiting:
            span = self.merge.extent(w.symbol)
            if span is not None:
                spans.append((w.symbol, days[span[0]], days[span[1]] + night))
        known = extent_of(spans)
        touched = {w.symbol for w in self.waiting}
        everything = [s for s in spans if s[0] not in touched] + spans_of(known, touched & set(known))
        write_universe(self.build, "all", sorted(everything))
        written = {"all": len({s for s, _, _ in everything})}
        for name, path in given.items():
            spans = read_universe_file(path, known)
            write_universe(self.build, name, spans)
            symbols = {s for s, _, _ in spans}
            written[name] = len(symbols)
            self.notes.extend((s, f"universe {name} names symbols without data") for s in sorted(symbols - set(known)))
        return written

    def clean(self) -> None:
        """Remove the scratch folder, so that it does not become part of the store."""
        shutil.rmtree(self.scratch)

    def _bars(self) -> Iterator[Bars]:
        for w in self.waiting:
            with w.path.open("rb") as file:
                times, matrix = np.load(file), np.load(file)
            yield Bars(w.symbol, times, dict(zip(w.fields, matrix, strict=True)))
            w.path.unlink()


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError([Problem(f"{name} must be one of {', '.join(choices)}, received {value!r}")])


def _check_target(target: Path, mode: str) -> None:
    """Raise `DataError` if `target` holds something that must not be touched."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not target.is_dir():
        raise DataError(f"{target} is a file; name a folder for the store")
    if not (target / "calendars").is_dir():
        raise DataError(f"{target} holds other things than a market data store; name another folder")
    if mode == "create":
        raise DataError(f"there is a store in {target} already; add to it with --update, or name another folder")


def _refusal(bad: list[BadFile], source: Path, strict: bool) -> str:
    why = "and --strict is set" if strict else "and none is good"
    shown = "\n".join(f"  {b}" for b in bad[:50]) + (f"\n  ... and {len(bad) - 50} more" if len(bad) > 50 else "")
    return f"{len(bad)} bad in {source} {why}; nothing was written\n{shown}"
