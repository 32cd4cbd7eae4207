"""What a market data store holds: frequencies, spans, instruments, fields, universes, size, fingerprint."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError
from .calendar import standard_freq
from .demo import read_demo_parameters
from .providers.qlib_bin import QlibBinStore
from .universe import Universe
from .writer import format_times

__all__ = ["FrequencyInfo", "StoreInfo", "UniverseInfo", "store_info"]


@dataclass(frozen=True, slots=True)
class FrequencyInfo:
    """One frequency of a store.

    Attributes
    ----------
    freq : str
        ``day``, ``1min`` ...
    bars : int
        Length of the calendar.
    first, last : str
        Its first and last day or time.
    instruments : int
        Instruments with at least one field of this frequency.
    fields : dict of str to int
        Field -> instruments that have it.
    bytes : int
        Size of its files.
    fingerprint : str
        Content address: changes when the data does.
    """

    freq: str
    bars: int
    first: str
    last: str
    instruments: int
    fields: dict[str, int]
    bytes: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class UniverseInfo:
    """One universe: its symbols and spans, first and last day, and members on the last day of the data."""

    name: str
    symbols: int
    spans: int
    first: str
    last: str
    members: int


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store holds.

    Attributes
    ----------
    path : str
        Folder.
    frequencies : tuple of FrequencyInfo
        ``day`` first.
    universes : tuple of UniverseInfo
        By name.
    groups : dict of str to (int, int)
        Grouping -> groups, instruments that it names.
    problems : tuple of str
        Universes that cannot be read, with the reason.
    demo : str
        For a demo market, what it was made with and its theoretical IC; otherwise ''.
    """

    path: str
    frequencies: tuple[FrequencyInfo, ...]
    universes: tuple[UniverseInfo, ...]
    groups: dict[str, tuple[int, int]]
    problems: tuple[str, ...] = ()
    demo: str = ""

    def render(self) -> str:
        """Return what the store holds as text."""
        lines = [self.path]
        if self.demo:
            lines.append(f"  {self.demo}")
        for f in self.frequencies:
            lines += [
                "",
                f"  {f.freq}: {f.first} to {f.last}, {f.bars:,} bars, {f.instruments:,} instruments, {_size(f.bytes)}",
                f"    fields       {_fields(f)}",
                f"    fingerprint  {f.fingerprint}",
            ]
        if self.universes:
            width = max(len(u.name) for u in self.universes)
            lines += ["", "  universes"]
            lines += [
                f"    {u.name:<{width}}  {u.symbols:>6,} symbols, {u.spans:>6,} spans, {u.first} to {u.last}, "
                f"{u.members:,} at the end"
                for u in self.universes
            ]
        if self.groups:
            lines += ["", "  groups"]
            lines += [f"    {name}: {k:,} groups, {n:,} instruments" for name, (k, n) in self.groups.items()]
        if self.problems:
            lines += ["", "  cannot be read (qnb data check says more)", *(f"    {p}" for p in self.problems)]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


def store_info(store: str | Path) -> StoreInfo:
    """Return what the store in the folder `store` holds.

    Raises
    ------
    DataError
        There is no store there, or its calendar cannot be read.

    Examples
    --------
    >>> print(store_info("~/.qlib/qlib_data/cn_data"))  # doctest: +SKIP
    """
    path = Path(store).expanduser()
    names = sorted((p.stem for p in (path / "calendars").glob("*.txt") if _is_freq(p.stem)), key=_day_first)
    if not names:
        raise DataError(f"no market data at {path}: it has no calendar; set a data folder, or 'demo'")
    stores = [QlibBinStore(path, name) for name in names]
    count, sizes = _scan(path / "features")
    frequencies = []
    for s in stores:
        fields = dict(sorted(count.get(s.freq, Counter()).items()))
        first, last = format_times(s.calendar[[0, -1]], s.freq)
        holders, size = sizes.get(s.freq, (0, 0))
        frequencies.append(FrequencyInfo(s.freq, len(s.calendar), first, last, holders, fields, size, s.fingerprint))
    main = stores[0]
    universes, problems = [], []
    for name in main.universes():
        try:
            universes.append(_universe(main.universe(name), main.calendar[-1]))
        except DataError as error:
            problems.append(str(error))
    groups = {name: main.group(name) for name in main.groups()}
    return StoreInfo(
        path=str(path),
        frequencies=tuple(frequencies),
        universes=tuple(universes),
        groups={name: (len(set(group.values())), len(group)) for name, group in groups.items()},
        problems=tuple(problems),
        demo=_demo(path),
    )


def _scan(features: Path) -> tuple[dict[str, Counter[str]], dict[str, tuple[int, int]]]:
    """Return, by frequency: how many instruments have each field; how many have any, and the bytes of all files."""
    fields: dict[str, Counter[str]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for folder in os.scandir(features) if features.is_dir() else ():
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        mine: set[str] = set()
        for entry in os.scandir(folder.path):
            parts = entry.name.split(".")
            if len(parts) == 3 and parts[2] == "bin" and parts[0]:
                fields.setdefault(parts[1], Counter())[parts[0]] += 1
                holders, size = sizes.get(parts[1], (0, 0))
                sizes[parts[1]] = holders + (parts[1] not in mine), size + entry.stat().st_size
                mine.add(parts[1])
    return fields, sizes


def _universe(universe: Universe, end: np.datetime64) -> UniverseInfo:
    spans = [span for mine in universe.spans.values() for span in mine]
    first, last = format_times(np.array([min(a for a, _ in spans), max(b for _, b in spans)]))
    members = sum(any(a <= end <= b for a, b in mine) for mine in universe.spans.values())
    return UniverseInfo(universe.name, len(universe.spans), len(spans), first, last, members)


def _demo(path: Path) -> str:
    p = read_demo_parameters(path)
    if p is None:
        return ""
    made = f"instruments={p.instruments},years={p.years},seed={p.seed}"
    return f"demo market ({made}), theoretical IC of $oracle {p.theoretical_ic:.3f}"


def _fields(info: FrequencyInfo) -> str:
    everywhere = [name for name, n in info.fields.items() if n == info.instruments]
    others = [f"{name} ({n:,})" for name, n in info.fields.items() if n < info.instruments]
    return " ".join([*everywhere, *others]) or "none"


def _size(n: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1000
    raise AssertionError


def _day_first(name: str) -> tuple[bool, str]:
    return name != "day", name


def _is_freq(name: str) -> bool:
    try:
        return standard_freq(name) == name
    except ConfigError:
        return False
