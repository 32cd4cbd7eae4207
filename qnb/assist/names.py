"""Names that are not in the schema: universes and fields of a market, runs, operators. Reads folders, loads no data."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..config import Settings
from ..data.demo import DemoParameters, demo_path, is_demo_uri, parse_demo_uri
from ..errors import PoolError, QnbError
from ..rundir import list_run_dirs

__all__ = ["fields", "market_folder", "runs", "universes"]

USUAL_FIELDS = ("open", "high", "low", "close", "volume", "factor", "change", "vwap", "amount")
DEMO_UNIVERSES = ("all", "demo")
MOST_RUNS = 200


def market_folder(uri: str, settings: Settings) -> Path | None:
    """Return the folder of a market that is there; the demo market is never made for this."""
    try:
        if is_demo_uri(uri):
            path = demo_path(DemoParameters(**parse_demo_uri(uri)), settings.cache_dir)
        else:
            path = Path(uri).expanduser()
    except (QnbError, TypeError, ValueError):
        return None
    return path if path.is_dir() else None


def universes(folder: Path | None) -> tuple[str, ...]:
    """Return the universes of a market; those of the demo market where the folder is not there."""
    if folder is None or not (folder / "instruments").is_dir():
        return DEMO_UNIVERSES
    return _stems(folder / "instruments", (folder / "instruments").stat().st_mtime_ns)


def fields(folder: Path | None) -> tuple[str, ...]:
    """Return the fields of a market: those of its first instrument, the usual ones without a market."""
    if folder is None or not (folder / "features").is_dir():
        return USUAL_FIELDS
    return _fields(folder / "features", (folder / "features").stat().st_mtime_ns) or USUAL_FIELDS


def runs(runs_dir: Path) -> list[str]:
    """Return the names of runs, newest first, each once, then their ids."""
    names: dict[str, None] = {}
    ids = []
    for directory in list_run_dirs(runs_dir)[:MOST_RUNS]:
        ids.append(directory.run_id)
        try:
            names[directory.name()] = None
        except PoolError:
            continue
    return [*names, *ids]


@lru_cache(maxsize=16)
def _stems(folder: Path, stamp: int) -> tuple[str, ...]:
    return tuple(sorted(p.stem for p in folder.glob("*.txt")))


@lru_cache(maxsize=16)
def _fields(folder: Path, stamp: int) -> tuple[str, ...]:
    first = next((p for p in sorted(folder.iterdir())[:20] if p.is_dir() and any(p.glob("*.bin"))), None)
    return () if first is None else tuple(sorted({p.name.split(".")[0] for p in first.glob("*.bin")}))
