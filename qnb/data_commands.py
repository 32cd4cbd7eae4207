"""``qnb data demo | import | check | info``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .config import Settings
from .errors import ConfigError, Problem

__all__ = ["Meter", "run_data_command"]

BAR = 30


def run_data_command(options: argparse.Namespace, settings: Settings) -> int:
    """Run the action of `options` and return the exit status."""
    actions: dict[str, Callable[[argparse.Namespace, Settings], int]] = {
        "demo": _demo,
        "import": _import,
        "check": _check,
        "info": _info,
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


def _pairs(words: Sequence[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equal, value = word.partition("=")
        if not (name and equal and value):
            raise ConfigError([Problem(f"{option} {word!r} is not NAME=VALUE", f"write {option} close='Adj Close'")])
        pairs[name] = value
    return pairs
