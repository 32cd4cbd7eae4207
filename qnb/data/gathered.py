"""Rows with gaps, gathered once for all processes: whoever asks second for the same rows leaves them in the cache.

1. Rows of an array that is no entry of the cache, or a few, are gathered into the memory of this process.
2. So are the rows of the first who asks: most data is read by one training, which should not wait for a disk. A mark
   says that it was asked for.
3. The second writes them to the cache, under a lock; it and all others map them, and their pages are shared.
"""

from __future__ import annotations

import numpy as np

from ..cache import Cache, digest
from ..errors import CacheError
from .table import Gathering, take_rows

__all__ = ["gather"]

SHARED_BYTES = 1 << 24
"""From here on rows are shared between processes."""
_ROWS = 1 << 16


def gather(values: np.ndarray, rows: np.ndarray, how: Gathering) -> np.ndarray:
    """Return ``values[rows]``, mapped from the cache where it is large and was asked for before.

    Parameters
    ----------
    values : ndarray, shape (m, columns)
        The matrix.
    rows : ndarray of int64, shape (n,)
        Its rows.
    how : Gathering
        Threads, and the cache.

    Returns
    -------
    ndarray, shape (n, columns)
        Read-only where it is mapped.
    """
    cache = how.cache
    large = rows.dtype != bool and len(rows) * values[:1].nbytes >= SHARED_BYTES
    source = cache.key_of(values) if cache is not None and large else None
    if cache is None or source is None:
        return take_rows(values, rows, threads=how.threads)
    try:
        key = f"rows-{digest(source, rows)}"
        found = cache.get_array(key)
        if found is None and cache.get_json(f"{key}-asked") is not None:
            with cache.lock(key):
                found = cache.get_array(key)
                if found is None:
                    _write(cache, key, values, rows, how.threads)
                    found = cache.get_array(key)
        elif found is None:
            cache.put_json(f"{key}-asked", True)
    except CacheError:  # no room, or not ours to write: the memory of this process has room
        found = None
    return take_rows(values, rows, threads=how.threads) if found is None else found


def _write(cache: Cache, key: str, values: np.ndarray, rows: np.ndarray, threads: int) -> None:
    with cache.create_array(key, (len(rows), values.shape[1]), values.dtype, label="gathered rows") as out:
        for start in range(0, len(rows), _ROWS):
            cache.write(out, start, take_rows(values, rows[start : start + _ROWS], threads=threads))
