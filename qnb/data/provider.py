"""Opens what the settings name: the market data store of a frequency, and the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..cache import Cache
from ..config import DEMO_URI, Settings
from .calendar import standard_freq
from .providers.qlib_bin import QlibBinStore

__all__ = ["open_cache", "open_store", "store_path"]


def open_store(settings: Settings, freq: str = "day") -> QlibBinStore:
    """Return the market data store that `settings` name for `freq`.

    ``demo`` and ``demo:instruments=5000,seed=7`` are the embedded demo market, which is made on first use. Operators of
    the setting ``custom_ops`` become known.

    Raises
    ------
    DataError
        There is no data at that place, or none of that frequency.
    ConfigError
        An argument of the demo market that does not exist.
    """
    if settings.custom_ops:
        from ..expr.catalogue import register_custom_ops

        register_custom_ops(settings.custom_ops)
    name = standard_freq(freq)
    uri = settings.uri_for(freq if freq in settings.provider_uri else name)
    return QlibBinStore(store_path(uri, settings), name)


def store_path(uri: str, settings: Settings) -> Path:
    """Return the folder behind a data URI; the demo market is made if it is not there yet."""
    if uri != DEMO_URI and not uri.startswith(DEMO_URI + ":"):
        return Path(uri).expanduser()
    from .demo import ensure_demo, parse_demo_uri

    arguments: dict[str, Any] = dict(parse_demo_uri(uri))
    return ensure_demo(**arguments, cache_dir=settings.cache_dir)


def open_cache(settings: Settings) -> Cache:
    """Return the cache of evaluated fields and prepared data.

    Raises
    ------
    CacheError
        The folder cannot be made.
    """
    return Cache(settings.cache_dir / "arrays", settings.cache_bytes)
