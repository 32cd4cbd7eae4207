"""Machine code of the kernels: made once, kept in the cache folder, called through C pointers.

1. A kernel's object code is looked for under a digest of its source, this processor and the version of LLVM.
2. Where it is missing, the kernel is translated and compiled (`qnb.expr.machine`), and the code is kept: written to a
   hidden file first and renamed, so that several processes may do so at once.
3. Code that another user could have written is never run: a folder of somebody else's is left for one of the user's
   own, a file of somebody else's is made again.
4. A folder that cannot be written costs the time to compile, nothing else.

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
from ..private import strangers_hold
from . import machine
from .kernels import source_of

__all__ = ["kernel", "kernel_dir"]

_LOG = logging.getLogger(__name__)
_FORMAT = 1

_told: set[str] = set()
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
    """Return the folder in which object code is kept: ``QNB_KERNEL_DIR``, else ``kernels`` in the cache folder.

    Where that is another user's, it is ``~/.cache/qnb/kernels``.
    """
    given = os.environ.get("QNB_KERNEL_DIR")
    folder = Path(given).expanduser() if given else default_cache_dir() / "kernels"
    reason = _strangers(folder)
    if not reason:
        return folder
    own = Path.home() / ".cache" / "qnb" / "kernels"
    if str(folder) not in _told:
        _told.add(str(folder))
        _LOG.warning("compiled kernels in %s are not used, since it %s; they are made again in %s", folder, reason, own)
    return own


def _strangers(folder: Path) -> str:
    """Return why others may have put files into `folder`; '' where only the user can, from now on if need be."""
    try:
        status = folder.stat()
        if hasattr(os, "getuid") and status.st_uid == os.getuid() and strangers_hold(status):
            folder.chmod(0o700)
            status = folder.stat()
    except OSError:  # it is not there yet
        return ""
    return strangers_hold(status)


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
        with path.open("rb") as file:
            reason, data = strangers_hold(os.fstat(file.fileno())), file.read()
    except OSError:
        return None
    if reason:
        _LOG.warning("compiled kernel %s %s and is made again", path, reason)
        return None
    check, code = data[:16], data[16:]
    if hashlib.blake2b(code, digest_size=16).digest() == check:
        return code
    _LOG.warning("compiled kernel %s is corrupted and is made again", path)
    return None


def _keep(path: Path, code: bytes) -> None:
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        hidden.touch(mode=0o600)
        hidden.write_bytes(hashlib.blake2b(code, digest_size=16).digest() + code)
        os.replace(hidden, path)
    except OSError as error:
        _LOG.warning("compiled kernels cannot be kept in %s (%s) and are compiled at each start", path.parent, error)
        with suppress(OSError):
            hidden.unlink()
