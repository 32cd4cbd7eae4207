"""Finds what a load gave before: which rows, and which matrices of the cache, without asking the engine.

The address covers the fields, the universe as it was named, the span, the data and users' operators; a load that has
the same one consists of the same cache entries.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cache import Cache, digest
from ..errors import CacheError
from .calendar import to_time
from .protocols import RowIndex
from .table import Block, Table

__all__ = ["load_address", "recall", "remember"]

_LOG = logging.getLogger(__name__)
_VERSION = 1


def load_address(
    fields: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]],
    instruments: Any,
    span: tuple[Any, Any],
    filters: Any,
    store: Any,
) -> str:
    """Return the content address of a load; empty if the universe or a filter is an object that has none.

    Parameters
    ----------
    fields : mapping of group to (expressions, names)
        Columns.
    instruments, filters
        As the user gave them.
    span : tuple
        Start and end.
    store : QlibBinStore
        Its fingerprint stands for the data.
    """
    from ..expr.catalogue import operators
    from ..expr.evaluate import ENGINE_VERSION
    from ..expr.fingerprint import operator_fingerprint

    if not _is_plain(instruments) or not _is_plain(filters):
        return ""
    texts = "\n".join(text for expressions, _ in fields.values() for text in expressions)
    own = sorted((n, mark) for n, op in operators().items() if n in texts and (mark := operator_fingerprint(op)))
    times = [str(to_time(t, "time")) for t in span]
    version = (_VERSION, ENGINE_VERSION)
    return digest("load", version, list(fields.items()), instruments, times, filters, own, store.fingerprint)


def recall(cache: Cache | None, address: str, *, flat: bool) -> Table | None:
    """Return the table of an earlier load, or None if it or a part of it is not in the cache."""
    document = cache.get_json(address) if cache is not None and address else None
    if cache is None or document is None:
        return None
    dates, codes = cache.get_array(digest(address, "dates")), cache.get_array(digest(address, "codes"))
    if dates is None or codes is None:
        return None
    index = RowIndex(np.asarray(dates).view("datetime64[ns]"), np.asarray(codes), tuple(document["instruments"]))
    blocks = []
    for group, names, key in document["blocks"]:
        values = cache.get_array(key)
        if values is None:
            return None
        blocks.append(Block(group, tuple(names), values))
    return Table(index, tuple(blocks), flat=flat, fingerprint=address)


def remember(cache: Cache | None, address: str, table: Table, keys: Sequence[str]) -> None:
    """Note that `table` has the cache entries `keys`, one for each block; nothing happens if one is not there."""
    if cache is None or not address:
        return
    try:
        for part, values in (("dates", table.index.dates.view(np.int64)), ("codes", table.index.codes)):
            with cache.create_array(digest(address, part), values.shape, values.dtype, label=f"rows: {part}") as out:
                out[...] = values
        blocks = [[b.group, list(b.names), key] for b, key in zip(table.blocks, keys, strict=True)]
        cache.put_json(address, {"instruments": list(table.index.instruments), "blocks": blocks})
    except CacheError as error:
        _LOG.warning("%s; the load is not remembered", error)


def _is_plain(value: Any) -> bool:
    """Return whether `value` consists of texts, numbers and containers of such."""
    if value is None or isinstance(value, str | int | float | np.datetime64) or hasattr(value, "isoformat"):
        return True
    if isinstance(value, Mapping):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    return isinstance(value, list | tuple) and all(_is_plain(v) for v in value)
