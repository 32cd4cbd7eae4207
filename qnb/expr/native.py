"""Machine code of the kernels: made once, kept in the cache folder, called through C pointers.

1. A kernel's object code is looked for under a digest of its source, this processor and the version of LLVM.
2. Where it is missing, the kernel is translated and compiled (`qnb.expr.machine`), and the code is kept: written to a
   hidden file first and renamed, so that several processes may do so at once.
3. A folder that cannot be written costs the time to compile, nothing else.

Calls release Python's lock, so threads run side by side.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import logging
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..config import default_cache_dir
from . import machine
from .kernels import source_of

__all__ = ["kernel", "kernel_dir"]

_LOG = logging.getLogger(__name__)
_FORMAT = 1

_loaded: dict[str, Callable[..., None]] = {}
_lock = threading.Lock()
_engine: Any = None


def kernel(name: str) -> Callable[..., None]:
    """Return a kernel as a C function that takes addresses and whole numbers.

    The function keeps nothing alive: its caller holds the arrays whose addresses it passes.
    """
    found = _loaded.get(name)
    if found is None:
        with _lock:
            found = _loaded.get(name) or _loaded.setdefault(name, _load(name))
    return found


def kernel_dir() -> Path:
    """Return the folder in which object code is kept: ``QNB_KERNEL_DIR``, else ``kernels`` in the cache folder."""
    given = os.environ.get("QNB_KERNEL_DIR")
    return Path(given).expanduser() if given else default_cache_dir() / "kernels"


def _load(name: str) -> Callable[..., None]:
    import llvmlite.binding as llvm

    function = source_of(name)
    signature = machine.signature_of(function)
    source = "\0".join([str(_FORMAT), name, inspect.getsource(function), repr(signature), machine.target_name()])
    path = kernel_dir() / f"{name}-{hashlib.blake2b(source.encode(), digest_size=12).hexdigest()}.o"
    code = _read(path)
    if code is None:
        code = machine.compile_object(machine.translate(function))
        _keep(path, code)
    engine = _linker(llvm)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kinds = [ctypes.c_void_p if kind.endswith("*") else ctypes.c_int64 for kind in signature.values()]
    return ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address(name))


def _linker(llvm: Any) -> Any:
    """Return the engine that holds the code for the life of the process."""
    global _engine
    if _engine is None:
        _engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine.host_machine())
    return _engine


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    check, code = data[:16], data[16:]
    if hashlib.blake2b(code, digest_size=16).digest() == check:
        return code
    _LOG.warning("compiled kernel %s is corrupted and is made again", path)
    return None


def _keep(path: Path, code: bytes) -> None:
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden.write_bytes(hashlib.blake2b(code, digest_size=16).digest() + code)
        os.replace(hidden, path)
    except OSError as error:
        _LOG.warning("compiled kernels cannot be kept in %s (%s) and are compiled at each start", path.parent, error)
        with suppress(OSError):
            hidden.unlink()
