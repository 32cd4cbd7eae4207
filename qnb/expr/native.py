"""Machine code of the kernels: compiled by numba once, kept in the cache folder, called through C pointers.

1. A kernel's code is looked for in the cache folder under a digest of its source, this processor and the libraries.
2. If it is there, only llvmlite is imported to link it, which is much quicker than importing numba.
3. Otherwise numba compiles it and its object code is kept, written to a hidden file first and renamed.

Calls release Python's lock, so threads run side by side.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

from . import kernels

__all__ = ["kernel"]

_POINTER, _INT = ctypes.c_void_p, ctypes.c_int64
_loaded: dict[str, Callable[..., Any]] = {}
_lock = threading.Lock()


def kernel(name: str) -> Callable[..., Any]:
    """Return a kernel as a C function; compiles it on first use."""
    found = _loaded.get(name)
    if found is None:
        with _lock:
            if name not in _loaded:
                _loaded[name] = _compile(name)
            found = _loaded[name]
    return found


def _compile(name: str) -> Callable[..., Any]:
    import numba
    from numba import types as t

    f8, f4, i8 = t.CPointer(t.float64), t.CPointer(t.float32), t.CPointer(t.int64)
    if name == "scatter":
        signature = t.void(f4, t.int64, i8, t.int64, i8, i8, t.int64, f4, t.int64)
    else:
        signature = t.void(f8, f8, i8, i8, i8, t.int64, t.int64, t.int64, f8, t.int64, f8)
    made = numba.cfunc(signature, nopython=True, error_model="numpy", fastmath={"contract", "arcp"})(
        getattr(kernels, name)
    )
    _kept.append(made)
    kinds = [_POINTER if isinstance(a, t.CPointer) else _INT for a in signature.args]
    return ctypes.CFUNCTYPE(None, *kinds)(made.address)


_kept: list[Any] = []
