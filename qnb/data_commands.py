"""``qnb data demo | import | check | info | cache``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from .config import Settings
from .errors import ConfigError, Problem

if TYPE_CHECKING:
    from .cache import CacheEntry

__all__ = ["Meter", "run_data_command"]

BAR = 30
CACHE_ROWS = 20


def run_data_command(options: argparse.Namespace, settings: Settings) -> int:
    """Run the action of `options` and return the exit status."""
    actions: dict[str, Callable[[argparse.Namespace, Settings], int]] = {
        "demo": _demo,
        "import": _import,
        "check": _check,
        "info": _info,
        "cache": _cache,
    }
    return actions[options.action](options, settings)


class Meter:
    """A progress line on standard error, drawn only on a terminal and only for what takes longer than a moment.

    Parameters
    ----------
    what : str
        Word before the bar.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._drawn = time.monotonic()
        self._shown = False

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        now = time.monotonic()
        if not sys.stderr.isatty() or (now - self._drawn < 0.1 and done < total):
            return
        self._drawn, self._shown = now, True
        full = round(BAR * done / max(total, 1))
        bar = "━" * full + "─" * (BAR - full)
        sys.stderr.write(f"\r\x1b[2K{self._what} {bar} {done:,} of {total:,}")
        sys.stderr.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def _demo(options: argparse.Namespace, settings: Settings) -> int:
    from .data.demo import DEFAULT_SEED, ensure_demo
    from .data.info import store_info

    meter = Meter("demo market")
    began = time.monotonic()
    path = ensure_demo(
        instruments=options.instruments,
        years=options.years,
        seed=DEFAULT_SEED if options.seed is None else options.seed,
        cache_dir=settings.cache_dir,
        progress=meter,
    )
    meter.close()
    print(store_info(path).render())
    seconds = time.monotonic() - began
    if seconds > 1:
        print(f"\nmade in {seconds:.1f}s")
    return 0


def _import(options: argparse.Namespace, settings: Settings) -> int:
    from .data.importers.market import import_market

    meter = Meter("import")
    try:
        report = import_market(
            options.source,
            options.target,
            mapping=_pairs(options.mapping, "--map"),
            freq=options.freq,
            layout=options.layout,
            symbol_column=options.symbol_column,
            date_column=options.date_column,
            adjusted_close=options.adjusted_close,
            date_format=options.date_format,
            prices=options.prices,
            universes=_pairs(options.universe, "--universe"),
            strict=options.strict,
            threads=options.threads or settings.threads,
            progress=meter,
            mode="update" if options.update else "create",
        )
    finally:
        meter.close()
    print(report.render(limit=None if options.all else 20))
    return 0


def _check(options: argparse.Namespace, settings: Settings) -> int:
    from .data.doctor import check_store
    from .data.provider import store_path

    meter = Meter("check")
    try:
        report = check_store(
            store_path(options.store, settings), freq=options.freq, threads=settings.threads, progress=meter
        )
    finally:
        meter.close()
    print(report.render(limit=None if options.all else 3))
    if options.csv:
        report.to_frame().to_csv(options.csv, index=False)
        print(f"\nevery finding is in {options.csv}")
    return report.exit_status


def _info(options: argparse.Namespace, settings: Settings) -> int:
    from .data.info import store_info
    from .data.provider import store_path

    print(store_info(Path(store_path(options.store, settings))).render())
    return 0


def _cache(options: argparse.Namespace, settings: Settings) -> int:
    """Limit, clear, or list; what is said of the limit and of the whole stands at the top."""
    from .cache import NOTE
    from .data.provider import open_cache

    cache = open_cache(settings)
    oldest = None if options.older is None else time.time() - options.older * 86400
    pattern = (options.clear or "").lower()

    def wanted(entry: CacheEntry) -> bool:
        named = fnmatch(entry.label.lower(), f"*{pattern}*") or fnmatch(entry.key, f"{pattern}*")
        return named and (oldest is None or entry.used < oldest)

    if options.limit is not None:
        cache.set_limit(int(options.limit * 2**30))
    if options.clear is not None:
        count = len(cache.entries())
        freed = cache.clear(None if not pattern and oldest is None else wanted)
        print(f"removed {_counted(count - len(cache.entries()))}, {_size(freed)}")
    held = cache.entries()
    total = sum(e.bytes for e in held)
    print(f"{cache.root}: {_counted(len(held))}, {_size(total)} of at most {_size(cache.max_bytes)}")
    if options.clear is not None or options.limit is not None:
        return 0
    arrays = [e for e in held if e.label != NOTE and wanted(e)]
    shown = arrays if options.all else arrays[:CACHE_ROWS]
    if shown:
        print(f"\n{'last used':<16}  {'size':>8}  {'key':<8}  what")
    for entry in shown:
        when = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
        print(f"{when}  {_size(entry.bytes):>8}  {entry.key[:8]}  {entry.label or 'an array'}")
    rest = arrays[len(shown) :]
    if rest:
        print(f"and {_counted(len(rest))} more, {_size(sum(e.bytes for e in rest))}; --all lists them")
    return 0


def _counted(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"


def _size(number: int) -> str:
    """Return a size in the units in which a limit is given, of 1024 each."""
    return f"{number / 2**30:.1f} GB" if number >= 2**30 else f"{number / 2**20:.1f} MB"


def _pairs(words: Sequence[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equal, value = word.partition("=")
        if not (name and equal and value):
            raise ConfigError([Problem(f"{option} {word!r} is not NAME=VALUE", f"write {option} close='Adj Close'")])
        pairs[name] = value
    return pairs
